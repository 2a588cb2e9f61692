"""Real inputs for the models beside the project and for its own: what compare_ort.py compares on."""
import csv
import io
import pathlib
import subprocess
import tarfile
import tempfile
import tomllib
import wave
from dataclasses import dataclass

import numpy as np
import onnx
from PIL import Image

OWN = pathlib.Path(__file__).resolve().parents[2] / "models"


@dataclass
class Sample:
    """A model, its inputs (further ones in `more`), and how its outputs are compared: `steps` of their quantisation, `f32`
    or `boxes`. `truth` are the right classes where they are known, `classes` says that outputs are scores of classes."""
    path: pathlib.Path
    x: np.ndarray
    kind: str
    truth: np.ndarray | None = None
    classes: bool = False
    more: tuple = ()
    name: str = ""

    def __post_init__(self):
        self.name = self.name or (self.path.stem if self.path.stem != "model" else self.path.parent.name)


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


def photos(shared, size, few=False):
    """Every photo whole and five square crops of each; unless `few`, nine smaller crops too, and everything mirrored."""
    x = []
    for f in sorted((shared / "data/images").glob("*.jpg")):
        im = Image.open(f).convert("RGB")
        w, h = im.size
        s = min(w, h) * 3 // 5
        corners = [(0, 0), (w - s, 0), (0, h - s), (w - s, h - s), ((w - s) // 2, (h - s) // 2)]
        boxes = [(0, 0, w, h)] + [(a, b, a + s, b + s) for a, b in corners]
        if not few:
            t = min(w, h) * 2 // 5
            boxes += [(a, b, a + t, b + t) for a in (0, (w - t) // 2, w - t) for b in (0, (h - t) // 2, h - t)]
        x += [np.asarray(im.resize((size, size), Image.BILINEAR, box=b)) for b in boxes]
    x = np.stack(x)
    return x if few else np.concatenate([x, x[:, :, ::-1]])


def pattern(height, width, channels):
    """A picture that is a formula, so that the Rust tests can make it: ramps, discs and a grating."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels].astype(np.int64)
    disc = ((y * 2 - height) ** 2 + (x * 2 - width) ** 2 < (height * width) // 3) * 90
    return ((x * 160 // width + y * (60 + 30 * c) // height + disc + (x // 4 + y // 8) % 2 * 25 * (c + 1)) % 256).astype(np.uint8)


def quantise(x, scale, zero):
    return np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def quant(path):
    """Scale and zero point of a quantised model's input."""
    g = onnx.load(path).graph
    init = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
    name = g.input[0].name
    while True:
        node = next(n for n in g.node if n.input and n.input[0] == name)
        if node.op_type == "DequantizeLinear":
            return float(init[node.input[1]].ravel()[0]), int(init[node.input[2]].ravel()[0])
        name = node.output[0]


def digits(leptond, name):
    """Digits of scenes and fonts that `leptonnet-digits` was not trained on, with the answers."""
    with tempfile.TemporaryDirectory() as d:
        command = [leptond, "render", "--seeds", "1000000..1000025", "--fonts", "held-out", "--frames", "4", "--jitter", "2"]
        subprocess.run([*command, "-o", f"{d}/x.npy", "--labels", f"{d}/y.npy"], check=True, capture_output=True)
        x, y = np.load(f"{d}/x.npy"), np.load(f"{d}/y.npy")
    return normalised(x, name), y


def normalised(x, name):
    """uint8 `[N, C, H, W]` as the model wants it."""
    card = tomllib.loads((OWN / name / "model.toml").read_text())["input"]
    mean, std = (np.float32(card[k]).reshape(1, -1, 1, 1) for k in ("mean", "std"))
    return ((x.astype(np.float32) / 255 - mean) / std).astype(np.float32)


def windows():
    """The golden windows of `machine-anomaly`, and blends of each two of them."""
    folder = OWN / "machine-anomaly"
    card = tomllib.loads((folder / "model.toml").read_text())
    rows = []
    for golden in card["golden"]:
        with open(folder / golden["file"], newline="") as f:
            rows.append([[float(r[c]) for c in card["input"]["channels"]] for r in csv.DictReader(f)][:card["input"]["rows"]])
    x = (np.float32(rows) - np.float32(card["input"]["mean"])) / np.float32(card["input"]["std"])
    blends = [a * (1 - t) + b * t for a in x for b in x for t in np.linspace(0, 1, 21, dtype=np.float32)]
    return np.stack(blends).astype(np.float32)


def speech(shared):
    """Pieces of 512 samples of speech, each with the 64 before it."""
    with wave.open(str(shared / "data/audio/marvin.wav")) as f:
        pcm = np.frombuffer(f.readframes(f.getnframes()), np.int16).astype(np.float32) / 32768
    return np.stack([pcm[i - 64:i + 512] for i in range(64, len(pcm) - 512, 512)])


def samples(shared, leptond):
    """Every model, with its inputs."""
    tiny, vision = shared / "models/mlperf-tiny", shared / "models/vision"
    f32 = lambda m, q: (lambda s, z: (q.astype(np.float32) - z) * np.float32(s))(*quant(tiny / f"{m}-int8.onnx"))
    x, y = kws(shared)
    yield Sample(tiny / "kws01-int8.onnx", x, "steps", y, True)
    yield Sample(tiny / "kws01-fp32.onnx", f32("kws01", x), "f32", y, True)
    x = toycar(shared)
    yield Sample(tiny / "ad01-int8.onnx", quantise(x, *quant(tiny / "ad01-int8.onnx")), "steps")
    yield Sample(tiny / "ad01-fp32.onnx", x, "f32")
    x, y = cifar(shared, 500)
    yield Sample(tiny / "ic01-int8.onnx", (x.astype(np.int16) - 128).astype(np.int8), "steps", y, True)
    yield Sample(tiny / "ic01-fp32.onnx", x.astype(np.float32), "f32", y, True)
    yield Sample(OWN / "leptonnet-cifar10/model.onnx", normalised(x.transpose(0, 3, 1, 2), "leptonnet-cifar10"), "steps", y, True)
    x, y = digits(leptond, "leptonnet-digits")
    yield Sample(OWN / "leptonnet-digits/model.onnx", x, "steps", y, True)
    yield Sample(OWN / "leptonnet-digits/small.onnx", x, "steps", y, True, name="leptonnet-digits small")
    yield Sample(OWN / "machine-anomaly/model.onnx", windows(), "steps")
    x = (photos(shared, 96).astype(np.int16) - 128).astype(np.int8)
    yield Sample(tiny / "vww01-int8.onnx", x, "steps", None, True)
    yield Sample(tiny / "vww01-fp32.onnx", f32("vww01", x), "f32", None, True)
    yield Sample(vision / "mobilenet-v2-224-int8.onnx", photos(shared, 224), "steps", None, True)
    x = np.ascontiguousarray(photos(shared, 352, few=True)[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / 255
    yield Sample(vision / "fastestdet-coco-fp32.onnx", x, "boxes")
    yield Sample(vision / "fastestdet-coco-int8.onnx", x, "boxes")
    x = speech(shared)
    yield Sample(shared / "models/audio/silero-vad-16k.onnx", x, "f32", more=(np.zeros((2, 1, 128), np.float32), np.array(16000, np.int64)))


def quantised_again(sample, folder):
    """The float model of a sample in the forms that onnxruntime.quantization writes, calibrated on a part of the inputs."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    name = onnx.load(sample.path).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = [{name: sample.x[i:i + 1]} for i in range(0, len(sample.x), max(1, len(sample.x) // 20))]

        def get_next(self):
            return self.rest.pop() if self.rest else None

    for form, kind, per_channel in ((QuantFormat.QOperator, QuantType.QUInt8, True), (QuantFormat.QOperator, QuantType.QInt8, False),
                                    (QuantFormat.QDQ, QuantType.QUInt8, True), (QuantFormat.QDQ, QuantType.QInt8, False)):
        label = f"{sample.name} {form.name} {kind.name[1:].lower()}{' per channel' if per_channel else ''}"
        path = folder / (label.replace(" ", "-") + ".onnx")
        quantize_static(sample.path, path, Reader(), quant_format=form, per_channel=per_channel, activation_type=kind, weight_type=QuantType.QInt8)
        yield Sample(path, sample.x, "steps" if sample.kind == "f32" else sample.kind, sample.truth, sample.classes, name=label)
