#!/usr/bin/env python3
"""Compare `leptond infer --raw` with ONNX Runtime, with and without its graph optimisations, on real samples.

    pip install onnxruntime numpy pillow onnx
    python3 tests/tools/compare_ort.py --leptond target/release/leptond [--shared ../shared] [--fixtures tests/data/model]

The reference is ONNX Runtime with optimisations off. A quantised model passes when at least 99.5 % of its output values are
within one quantum of the reference, or when it is no further from it than ONNX Runtime with optimisations is, plus 0.5
points. Detection outputs are compared as boxes (same class, IoU of at least 0.5), floats by their largest difference.
With --fixtures, the reference outputs that the Rust tests read are written anew.
"""
import argparse
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import onnxruntime as ort
from PIL import Image


def session(path, optimised):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_ort(path, x, optimised):
    s = session(path, optimised)
    name = s.get_inputs()[0].name
    return np.concatenate([s.run(None, {name: x[i:i + 1]})[0] for i in range(len(x))])


def run_leptond(exe, path, x):
    with tempfile.TemporaryDirectory() as d:
        np.save(f"{d}/in.npy", x)
        p = subprocess.run([exe, "infer", str(path), "--raw", f"{d}/in.npy", "-o", f"{d}/out.npy"],
                           capture_output=True, text=True)
        if p.returncode:
            raise RuntimeError(p.stderr.strip())
        return np.load(f"{d}/out.npy")


# ---- samples -------------------------------------------------------------------------------------------------------

def kws(shared):
    files = sorted((shared / "data/kws01").glob("*.bin"))
    x = np.stack([np.frombuffer(f.read_bytes(), np.int8).reshape(49, 10, 1) for f in files])
    return x, np.array([int(f.stem.rsplit("_", 1)[1]) for f in files])


def toycar(shared):
    rows = [np.fromfile(f, np.float32).reshape(-1, 640) for f in sorted((shared / "data/ad01").glob("*.f32"))]
    return np.concatenate(rows)


def cifar(shared, count):
    """`count` pictures spread over the classes, with their classes in alphabetical order."""
    x, y = [], []
    with tarfile.open(shared / "data/cifar10/val.tar.gz") as tar:
        members = sorted((m for m in tar.getmembers() if m.name.endswith(".jpg")), key=lambda m: m.name)
        classes = sorted({m.name.split("/")[-2] for m in members})
        for m in members[::max(1, len(members) // count)]:
            x.append(np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB")))
            y.append(classes.index(m.name.split("/")[-2]))
    return np.stack(x), np.array(y)


def photos(shared, size, crops=True):
    """Every photo whole, and five square crops of each."""
    x = []
    for f in sorted((shared / "data/images").glob("*.jpg")):
        im = Image.open(f).convert("RGB")
        boxes = [(0, 0, *im.size)]
        if crops:
            w, h = im.size
            s = min(w, h) * 3 // 5
            boxes += [(a, b, a + s, b + s) for a, b in
                      [(0, 0), (w - s, 0), (0, h - s), (w - s, h - s), ((w - s) // 2, (h - s) // 2)]]
        x += [np.asarray(im.resize((size, size), Image.BILINEAR, box=b)) for b in boxes]
    return np.stack(x)


def pattern(height, width, channels):
    """A picture that is a formula, so that the Rust tests can make it: ramps, discs and a grating."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels].astype(np.int64)
    disc = ((y * 2 - height) ** 2 + (x * 2 - width) ** 2 < (height * width) // 3) * 90
    return ((x * 160 // width + y * (60 + 30 * c) // height + disc + (x // 4 + y // 8) % 2 * 25 * (c + 1)) % 256).astype(np.uint8)


def quantise(x, scale, zero):
    return np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def quant(path):
    """Scale and zero point of a quantised model's input."""
    import onnx
    g = onnx.load(path).graph
    init = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
    name = g.input[0].name
    while True:
        node = next(n for n in g.node if n.input and n.input[0] == name)
        if node.op_type == "DequantizeLinear":
            return float(init[node.input[1]].ravel()[0]), int(init[node.input[2]].ravel()[0])
        name = node.output[0]


def samples(shared):
    """model, input, truth (or None), kind."""
    tiny, vision = shared / "models/mlperf-tiny", shared / "models/vision"
    f32 = lambda m, q: (lambda s, z: (q.astype(np.float32) - z) * np.float32(s))(*quant(tiny / f"{m}-int8.onnx"))
    x, y = kws(shared)
    yield tiny / "kws01-int8.onnx", x, y, "int8"
    yield tiny / "kws01-fp32.onnx", f32("kws01", x), y, "f32"
    x = toycar(shared)
    yield tiny / "ad01-int8.onnx", quantise(x, *quant(tiny / "ad01-int8.onnx")), None, "int8"
    yield tiny / "ad01-fp32.onnx", x, None, "f32"
    x, y = cifar(shared, 500)
    yield tiny / "ic01-int8.onnx", (x.astype(np.int16) - 128).astype(np.int8), y, "int8"
    yield tiny / "ic01-fp32.onnx", x.astype(np.float32), y, "f32"
    x = (photos(shared, 96).astype(np.int16) - 128).astype(np.int8)
    yield tiny / "vww01-int8.onnx", x, None, "int8"
    yield tiny / "vww01-fp32.onnx", f32("vww01", x), None, "f32"
    yield vision / "mobilenet-v2-224-int8.onnx", photos(shared, 224), None, "int8"
    x = np.ascontiguousarray(photos(shared, 352)[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / 255
    yield vision / "fastestdet-coco-fp32.onnx", x, None, "boxes"
    yield vision / "fastestdet-coco-int8.onnx", x, None, "boxes"


# ---- comparison ----------------------------------------------------------------------------------------------------

def boxes(out):
    """FastestDet cells to boxes above 0.4, the best of each heap kept: lists of (class, score, box)."""
    found = []
    for item in out:
        obj, reg, cls = item[0], item[1:5], item[5:]
        score = obj ** 0.6 * cls.max(0) ** 0.4
        h, w = score.shape
        here = []
        for y, x in zip(*np.nonzero(score > 0.4)):
            sig = 1 / (1 + np.exp(-reg[2:, y, x]))
            cx, cy = (np.tanh(reg[0, y, x]) + x) / w, (np.tanh(reg[1, y, x]) + y) / h
            here.append((int(cls[:, y, x].argmax()), float(score[y, x]),
                         (cx - sig[0] / 2, cy - sig[1] / 2, cx + sig[0] / 2, cy + sig[1] / 2)))
        here.sort(key=lambda b: -b[1])
        kept = []
        for b in here:
            if all(k[0] != b[0] or iou(k[2], b[2]) < 0.45 for k in kept):
                kept.append(b)
        found.append(kept)
    return found


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return w * h / (area(a) + area(b) - w * h)


def same_boxes(a, b):
    """Share of all boxes of both that have a partner in the other, in per cent."""
    matched = total = 0
    for p, q in zip(boxes(a), boxes(b)):
        for one, two in ((p, q), (q, p)):
            total += len(one)
            matched += sum(any(k[0] == c[0] and iou(k[2], c[2]) >= 0.5 for k in two) for c in one)
    return 100 * matched / max(1, total), total // 2


def near(a, b):
    """Per cent equal, per cent within one quantum, largest distance."""
    d = np.abs(a.astype(np.int32) - b.astype(np.int32))
    return 100 * (d == 0).mean(), 100 * (d <= 1).mean(), int(d.max())


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--leptond", required=True)
    a.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "../shared")
    a.add_argument("--fixtures", type=pathlib.Path, help="write the reference outputs of the Rust tests here")
    o = a.parse_args()
    if o.fixtures:
        return fixtures(o.shared, o.fixtures)
    bad = 0
    print("| model | samples | leptond vs reference | ONNX Runtime optimised vs reference | top-1 leptond / reference | |\n|---|---|---|---|---|---|")
    for path, x, truth, kind in samples(o.shared):
        want, peer = run_ort(path, x, False), run_ort(path, x, True)
        try:
            got = run_leptond(o.leptond, path, x)
        except RuntimeError as e:
            print(f"| {path.stem} | {len(x)} | {e} | | | FAILED |")
            bad += 1
            continue
        top = "" if truth is None else f"{100 * (got.argmax(1) == truth).mean():.1f} % / {100 * (want.argmax(1) == truth).mean():.1f} %"
        if kind == "int8":
            (e1, w1, m1), (e2, w2, m2) = near(got, want), near(peer, want)
            ok = w1 >= min(99.5, w2 - 0.5)
            show = lambda e, w, m: f"{e:.2f} % equal, {w:.2f} % within 1, max {m}"
            ours, theirs = show(e1, w1, m1), show(e2, w2, m2)
        elif kind == "boxes":
            (p1, n), (p2, _) = same_boxes(got, want), same_boxes(peer, want)
            ok = p1 >= min(99.5, p2 - 0.5)
            ours, theirs = f"{p1:.2f} % of {n} boxes, max {np.abs(got - want).max():.2g}", f"{p2:.2f} %, max {np.abs(peer - want).max():.2g}"
        else:
            d1, d2 = np.abs(got - want).max(), np.abs(peer - want).max()
            ok = d1 <= max(1e-4 * max(1.0, np.abs(want).max()), 2 * d2)
            ours, theirs = f"max {d1:.2g}", f"max {d2:.2g}"
        bad += not ok
        print(f"| {path.stem} | {len(x)} | {ours} | {theirs} | {top} | {'ok' if ok else 'FAILED'} |", flush=True)
    return 1 if bad else 0


def fixtures(shared, to):
    """Reference outputs on inputs that the Rust tests can make without decoding pictures."""
    tiny, vision = shared / "models/mlperf-tiny", shared / "models/vision"
    to.mkdir(parents=True, exist_ok=True)
    x, _ = kws(shared)
    np.save(to / "kws01-int8.npy", run_ort(tiny / "kws01-int8.onnx", x[:64], False))
    x = quantise(toycar(shared)[:4], *quant(tiny / "ad01-int8.onnx"))
    np.save(to / "ad01-int8.npy", run_ort(tiny / "ad01-int8.onnx", x, False))
    signed = lambda p: (p.astype(np.int16) - 128).astype(np.int8)[None]
    np.save(to / "ic01-int8.npy", run_ort(tiny / "ic01-int8.onnx", signed(pattern(32, 32, 3)), False))
    np.save(to / "vww01-int8.npy", run_ort(tiny / "vww01-int8.onnx", signed(pattern(96, 96, 3)), False))
    np.save(to / "ic01-fp32.npy", run_ort(tiny / "ic01-fp32.onnx", pattern(32, 32, 3).astype(np.float32)[None], False))
    np.save(to / "mobilenet-v2-224-int8.npy", run_ort(vision / "mobilenet-v2-224-int8.onnx", pattern(224, 224, 3)[None], False))
    x = np.ascontiguousarray(pattern(352, 352, 3).transpose(2, 0, 1)).astype(np.float32)[None] / np.float32(255)
    for name in ("fastestdet-coco-fp32", "fastestdet-coco-int8"):
        # The objectness plane only: the whole output would be 160 KB.
        np.save(to / f"{name}.npy", run_ort(vision / f"{name}.onnx", x, False)[:, 0])


if __name__ == "__main__":
    sys.exit(main())
