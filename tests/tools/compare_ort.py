#!/usr/bin/env python3
"""Compare `leptond infer --raw` with ONNX Runtime, with and without its graph optimisations, on real samples.

    pip install onnxruntime numpy pillow onnx
    python3 tests/tools/compare_ort.py --leptond target/release/leptond [--shared ../shared] [--engine int8]
    python3 tests/tools/compare_ort.py --leptond target/release/leptond --forms    also the float models, quantised in four forms
    python3 tests/tools/compare_ort.py --leptond target/release/leptond --only kws01 ic01
    python3 tests/tools/compare_ort.py --fixtures tests/data/model                 write the reference outputs of the Rust tests

The reference is ONNX Runtime with optimisations off. A model passes when

- at least 99.5 % of its output values are within one quantum of the reference, or, where ONNX Runtime with optimisations is
  further from it on the same inputs, at least as many as there less 0.5 points; detections are compared as boxes in the
  same way (same class, IoU of at least 0.5), outputs of float models by their largest difference;
- and, for classifiers, on at least 99.5 % of the samples its best class is the reference's (or one of those, where several have
  the same score there). Where ONNX Runtime with optimisations itself falls short of that on the same inputs, that less 0.5
  points, and the row says `ok (as its peer)`.

Every model below ../shared/models and models is run; one that has no samples here is a failure too. Exit code 1 if anything
fails; --except NAME lets a model fail that is known to, and says so in its row.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

from real_samples import OWN, cifar, kws, pattern, quant, quantise, quantised_again, samples, toycar


def session(path, optimised):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_ort(path, x, optimised, more=()):
    s = session(path, optimised)
    names = [i.name for i in s.get_inputs()]
    return np.concatenate([s.run(None, dict(zip(names, (x[i:i + 1], *more))))[0] for i in range(len(x))])


def run_leptond(exe, path, x, engine, more=()):
    with tempfile.TemporaryDirectory() as d:
        def once(x):
            files = [f"{d}/in.{i}.npy" for i in range(1 + len(more))]
            for file, array in zip(files, (x, *more)):
                np.save(file, array)
            p = subprocess.run([exe, "infer", str(path), "--raw", *files, "-o", f"{d}/out.npy", "--engine", engine],
                               capture_output=True, text=True)
            if p.returncode:
                raise RuntimeError(" ".join(p.stderr.split())[:300] or f"exit code {p.returncode}")
            return np.load(f"{d}/out.npy")
        # Further inputs belong to one item: such models are run item by item.
        return np.concatenate([once(x[i:i + 1]) for i in range(len(x))]) if more else once(x)


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


def quantum(path):
    """The step of a quantised model's floats: the scale of the DequantizeLinear that its output comes from; 1 for integers."""
    g = onnx.load(path).graph
    if g.output[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        return 1.0
    init = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
    made = {o: n for n in g.node for o in n.output}
    name = g.output[0].name
    while made[name].op_type != "DequantizeLinear":
        name = made[name].input[0]
    return float(init[made[name].input[1]].ravel()[0])


def near(a, b, step):
    """Per cent equal, per cent within one quantum, largest distance in quanta."""
    d = np.abs(a.astype(np.float64) - b.astype(np.float64)) / step
    return 100 * (d < 0.01).mean(), 100 * (d < 1.01).mean(), float(d.max())


def same_class(got, want):
    """Per cent of the samples whose best class is one of the reference's best."""
    got, want = got.reshape(len(got), -1), want.reshape(len(want), -1)
    return 100 * (want[np.arange(len(want)), got.argmax(1)] == want.max(1)).mean()


def judge(sample, got, want, peer):
    """Whether a model passes, and the cells of its row."""
    truth, classes = sample.truth, ""
    ok = got.shape == want.shape and got.dtype == want.dtype
    if not ok:
        return False, [f"{got.dtype} {got.shape} instead of {want.dtype} {want.shape}", "", ""], False
    if sample.kind == "steps":
        step = quantum(sample.path)
        (e1, w1, m1), (e2, w2, m2) = near(got, want, step), near(peer, want, step)
        ok = w1 >= min(99.5, w2 - 0.5)
        cells = [f"{e:.2f} % equal, {w:.2f} % within 1, max {m:.3g}" for e, w, m in ((e1, w1, m1), (e2, w2, m2))]
    elif sample.kind == "boxes":
        (p1, n), (p2, _) = same_boxes(got, want), same_boxes(peer, want)
        # Without a box there is nothing to compare.
        ok = n > 0 and p1 >= min(99.5, p2 - 0.5)
        cells = [f"{p1:.2f} % of {n} boxes, max {np.abs(got - want).max():.2g}", f"{p2:.2f} %, max {np.abs(peer - want).max():.2g}"]
    else:
        d1, d2 = np.abs(got - want).max(), np.abs(peer - want).max()
        ok = bool(d1 <= max(1e-4 * max(1.0, np.abs(want).max()), 2 * d2))
        cells = [f"max {d1:.2g}", f"max {d2:.2g}"]
    lenient = False
    if sample.classes:
        same, theirs = same_class(got, want), same_class(peer, want)
        lenient = ok and same < 99.5 and same >= theirs - 0.5
        ok = ok and (same >= 99.5 or lenient)
        classes = f"{same:.2f} % (optimised: {theirs:.2f} %)"
    if truth is not None:
        top = lambda out: 100 * (out.reshape(len(out), -1).argmax(1) == truth).mean()
        classes += f"; right: {top(got):.1f} % / {top(want):.1f} %"
    return ok, [*cells, classes], lenient


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--leptond", help="the program")
    a.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "../shared")
    a.add_argument("--engine", default="int8", choices=("int8", "f32", "auto"))
    a.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="only models in whose name one of these is")
    a.add_argument("--forms", action="store_true", help="also quantise the float models in four forms (minutes)")
    a.add_argument("--except", nargs="+", default=[], dest="excused", metavar="NAME", help="models that may fail")
    a.add_argument("--fixtures", type=pathlib.Path, help="write the reference outputs of the Rust tests here")
    o = a.parse_args()
    if o.fixtures:
        return fixtures(o.shared, o.fixtures)
    if not o.leptond:
        a.error("--leptond is needed")
    unseen = {p.resolve() for p in (*o.shared.glob("models/**/*.onnx"), *OWN.glob("*/*.onnx"))}
    if not unseen:
        a.error(f"no models in {o.shared}")
    bad, run = [], 0
    print("| model | samples | leptond vs reference | ONNX Runtime optimised vs reference | same class as the reference | |")
    print("|---|---|---|---|---|---|")

    def row(sample):
        nonlocal run
        if o.only and not any(t in sample.name for t in o.only):
            return
        run += 1
        want, peer = (run_ort(sample.path, sample.x, optimised, sample.more) for optimised in (False, True))
        try:
            ok, cells, lenient = judge(sample, run_leptond(o.leptond, sample.path, sample.x, o.engine, sample.more), want, peer)
        except RuntimeError as e:
            ok, cells, lenient = False, [str(e), "", ""], False
        excused = not ok and sample.name in o.excused
        if not ok and not excused:
            bad.append(sample.name)
        result = ("ok (as its peer)" if lenient else "ok") if ok else "fails as known" if excused else "FAILED"
        print("|", " | ".join([sample.name, str(len(sample.x)), *cells, result]), "|", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for sample in samples(o.shared, o.leptond):
            unseen.discard(sample.path.resolve())
            row(sample)
            wanted = not o.only or any(t in sample.name for t in o.only)
            if o.forms and wanted and sample.name.endswith("-fp32"):
                for form in quantised_again(sample, pathlib.Path(folder)):
                    row(form)
    for path in sorted(unseen):
        print(f"{path.stem}: there are no samples for this model")
        bad.append(path.stem)
    if not run:
        sys.exit("no model has such a name")
    print(f"{run} models, {len(bad)} failed{': ' + ', '.join(bad) if bad else ''}")
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
