"""leptonnet-cifar10, trained on CIFAR-10 as JPEG (`class/nnnn.jpg` in train.tar.gz and val.tar.gz), quantised to int8 and written as a
bundle: `python models/train/train.py cifar10 --data ../shared/data/cifar10`."""

import functools
import io
import os
import pathlib
import tarfile

import numpy
import torch
from PIL import Image

from lepton import bundle, compress, fit, loop, nets, quantise, recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIZE = (32, 32)
# Those of every network of this recipe.
SETTINGS = {
    "epochs": 36, "batch": 128, "rate": 4e-3, "optimiser": "muon", "decay": 0.01, "schedule": "trapezoid", "smoothing": 0.05,
    "average": 0.998, "precision": "bf16",
}
# How version 1 of the bundle was made.
VERSION_1 = {
    "epochs": 24, "optimiser": "adamw", "decay": 0.02, "schedule": "one-cycle", "average": 0.0, "precision": "fp32",
}
# Of a model that is trained on: batch normalisation is in its layers, so that the rates are smaller.
TUNED = {
    "epochs": 1, "optimiser": "muon", "rate": 1e-3, "decay": 1e-4, "schedule": "one-cycle", "average": 0.98,
}
TUNED_QAT = TUNED | {"optimiser": "adamw", "rate": 2e-4, "precision": "fp32"}
SHIPPED = "leptonnet"


def leptonnet():
    """11.8 million multiplications at 32x32: an early stride, since a layer at 32x32 costs 64 times one at 4x4."""
    return nets.ResidualNet(3, len(LABELS), (32, 5, 2), [(32, 1, 1), (72, 2, 2), (144, 2, 0)], dropout=0.1)


def plain():
    """11.6 million, version 1 of the bundle: dense 3x3 layers, each with its channels and stride."""
    return nets.PlainNet(3, len(LABELS), [(24, 1), (36, 2), (36, 1), (72, 2), (72, 1), (144, 2)], dropout=0.1)


def resnet8():
    """12.5 million: the network of MLPerf Tiny, every block of two layers with a shortcut of one where the size changes."""
    return nets.ResNet8(3, len(LABELS))


def mobile():
    """2.2 million: in the way of MobileNetV3-small, which plain quantisation breaks."""
    return nets.MobileNet(3, len(LABELS), 16, [
        # width, expanded, kernel, stride, with a gate, HardSwish in place of ReLU
        (16, 32, 3, 1, True, False), (24, 72, 3, 2, False, False), (24, 88, 3, 1, False, False), (40, 96, 5, 2, True, True),
        (40, 120, 5, 1, True, True), (48, 144, 5, 1, True, True), (64, 192, 5, 2, True, True),
    ], 192)


NETWORKS = {SHIPPED: (leptonnet, {}), "plain": (plain, VERSION_1), "resnet8": (resnet8, {}), "mobile": (mobile, {})}


def load(archive):
    """All pictures of an archive, decoded once: uint8 `[N, 3, 32, 32]`, int64 `[N]`, in name order."""
    found = []
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = pathlib.PurePath(member.name).parts
            if member.isfile() and len(parts) >= 2 and parts[-2] in LABELS and parts[-1].endswith(".jpg"):
                picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
                found.append((member.name, numpy.asarray(picture, dtype=numpy.uint8), LABELS.index(parts[-2])))
    found.sort(key=lambda item: item[0])
    pixels = torch.from_numpy(numpy.stack([item[1] for item in found])).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor([item[2] for item in found])


def draw(total, hole=0):
    """Random numbers of a batch: shifts of rows and columns, which pictures are mirrored, and with `hole` where it is."""
    shifts = torch.randint(0, 9, (total, 1)), torch.randint(0, 9, (total, 1)), torch.rand(total) < 0.5
    return shifts + ((torch.randint(0, SIZE[0], (total, 2)),) if hole else ())


def augment(pixels, answers, draws, hole=0):
    """Mirrors half of them, shifts each by up to 4 pixels over a reflected border, and makes a square of `hole` pixels grey."""
    n, _, h, w = pixels.shape
    down, right, mirrored, *middle = draws
    padded = torch.nn.functional.pad(pixels.float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)
    dy, dx = down + torch.arange(h), right + torch.arange(w)
    dx[mirrored] = dx[mirrored].flip(1)
    rows = torch.arange(n)[:, None, None]
    shown = padded.permute(0, 2, 3, 1)[rows, dy[:, :, None], dx[:, None, :]].permute(0, 3, 1, 2)
    if hole:
        away = [(torch.arange(size) - at[:, None] + hole // 2) for size, at in zip((h, w), middle[0].T)]
        inside = [(a >= 0) & (a < hole) for a in away]
        shown = shown.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 120)
    return shown, answers


def decoded(archive, folder):
    """The same, kept decoded in a folder for the next start: a process that takes the place of a lost one is there at once."""
    stat = archive.stat()
    path = folder / f"{archive.name.split('.')[0]}-{stat.st_size}-{int(stat.st_mtime)}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pixels, answers = load(archive)
        scratch = path.with_name(f".{os.getpid()}.npz")
        numpy.savez(scratch, pixels=pixels.numpy(), answers=answers.numpy())
        scratch.rename(path)
    kept = numpy.load(path)
    return torch.from_numpy(kept["pixels"]), torch.from_numpy(kept["answers"])


class Data:
    """Pictures to train on, those held out, and mean and deviation of the channels."""

    def __init__(self, source, kept):
        self.train, self.held_out = decoded(source / "train.tar.gz", kept), decoded(source / "val.tar.gz", kept)
        scaled = self.train[0].float() / 255.0
        self.mean = [round(v, 4) for v in scaled.mean((0, 2, 3)).tolist()]
        self.std = [round(v, 4) for v in scaled.std((0, 2, 3)).tolist()]

    def normalise(self, pixels):
        """uint8 to what the network takes."""
        return fit.normalise(pixels, self.mean, self.std)

    def prepared(self, pixels):
        """The same as numpy."""
        return self.normalise(pixels).numpy()


def task(net, name, data, hole=0, **settings):
    """The network to be trained on the data, as every network of this recipe is."""
    return loop.Task(
        name=name, net=net, samples=data.train[0], answers=data.train[1], normalise=data.normalise,
        draw=functools.partial(draw, hole=hole), augment=functools.partial(augment, hole=hole),
        measure=lambda net: fit.evaluate(net, *data.held_out, data.mean, data.std),
        confusion=lambda net: fit.confusion(net, *data.held_out, data.mean, data.std, len(LABELS)), **(SETTINGS | settings),
    )


def arguments(parser):
    """Adds the arguments of this recipe."""
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data/cifar10", help="train.tar.gz and val.tar.gz")
    parser.add_argument("--hole", type=int, default=0, metavar="PIXELS", help="makes a square of each picture grey; the bundle then stays as it is")
    parser.add_argument("--decay", type=float, help="in the place of the recipe's; the bundle then stays as it is")
    parser.add_argument("--from", dest="source", type=pathlib.Path, metavar="FILE", help="float ONNX to be trained on, as `leptond prune` writes it")
    parser.add_argument("--teacher", type=pathlib.Path, metavar="FILE", help="with --from: float ONNX whose answers it learns, too: the model before it was pruned")
    parser.add_argument("--qat", action="store_true", help="with --from: as it will be in bytes")
    parser.add_argument("-o", "--output", type=pathlib.Path, metavar="FILE", help="with --from: the result, in QDQ form with --qat")
    parser.add_argument("--network", choices=NETWORKS, default=SHIPPED, help="another than that of the bundle, which then stays as it is")


def make(context):
    """Trains the network, quantises it and writes the bundle; or trains a model that is there on."""
    args = context.args
    if args.source:
        return tune(context)
    if args.qat or args.output or args.teacher:
        raise ValueError("--qat, --teacher and --output go with --from")
    data = context.data(lambda: Data(args.data, context.runs / "cifar10"))
    build, settings = NETWORKS[args.network]
    name = "leptonnet-cifar10" if args.network == SHIPPED else f"cifar10-{args.network}"
    fit.seed_everything(1)
    if args.hole:
        name += f"-hole-{args.hole}"
    if args.decay is not None:
        name, settings = f"{name}-decay-{args.decay}", settings | {"decay": args.decay}
    net = context.fit(task(build(), name, data, args.hole, **settings))
    if context.finishes:
        finish(context, data, name, net)


def tune(context):
    """Trains an ONNX model on for a little: its weights alone, or as the bytes that they will be."""
    args = context.args
    if not args.output:
        raise ValueError("--from wants --output")
    net = compress.load(args.source)
    data = context.data(lambda: Data(args.data, context.runs / "cifar10"))
    fit.seed_everything(1)
    if args.qat:
        net = compress.Quantised(net)
        pick = torch.randperm(len(data.train[0]))[:1000]
        net.watch(data.normalise(data.train[0][part]) for part in pick.split(100))
    settings = TUNED_QAT if args.qat else TUNED
    if args.teacher:
        net, settings = compress.Taught(net, compress.load(args.teacher)), settings | {"criterion": compress.taught}
    net = context.fit(task(net, args.output.stem, data, **settings))
    if not context.group.first:
        return
    quantise.save(net.written(), args.output)
    test, labels = data.prepared(data.held_out[0]), data.held_out[1]
    figures = {
        "before": quantise.accuracy(quantise.run(args.source, test), labels), "after": quantise.accuracy(quantise.run(args.output, test), labels),
        "mmac": quantise.mmac(args.output, [1, 3, *SIZE]), "bytes": args.output.stat().st_size,
    }
    print(figures, flush=True)


def finish(context, data, name, net):
    """Quantises the network and measures it; writes the bundle where it is the network of the bundle."""
    train, held_out = data.train, data.held_out
    shipped = name == "leptonnet-cifar10"
    folder = context.bundle(name) if shipped else context.runs / name
    plain, path = context.runs / name / "float.onnx", folder / "model.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    quantise.export(net, 3, *SIZE, plain)
    # Calibrated on pictures that were trained on, none of which is evaluated on.
    fit.seed_everything(2)
    quantise.quantise(plain, path, data.prepared(train[0][torch.randperm(len(train[0]))[:1000]]))
    test, labels = data.prepared(held_out[0]), held_out[1]
    int8 = quantise.run(path, test)
    figures = {
        "parameters": nets.parameters(net),
        "bytes": path.stat().st_size,
        "mmac": quantise.mmac(path, [1, 3, *SIZE]),
        "float": quantise.accuracy(quantise.run(plain, test), labels),
        "int8": quantise.accuracy(int8, labels),
    }
    if context.args.leptond:
        figures["int8_leptond"] = quantise.accuracy(quantise.run_leptond(context.args.leptond.resolve(), path, test), labels)
    print(figures, flush=True)
    for wanted, label in enumerate(LABELS):
        right = (int8.argmax(1) == wanted)[labels.numpy() == wanted]
        print(f"{label}: {right.mean():.3f} of {len(right)}")
    if shipped:
        write_manifest(folder, figures, data)


def write_manifest(folder, figures, data):
    """`model.toml` of the bundle."""
    bundle.write_manifest(
        folder / "model.toml",
        {
            "name": "leptonnet-cifar10", "version": "2.0.0", "task": "classify",
            "description": "Ten kinds of things in pictures of 32x32 pixels (CIFAR-10)",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/cifar10.py", "file": "model.onnx",
            "sha256": bundle.sha256(folder / "model.onnx"), "labels": LABELS,
        },
        {
            "input": {
                "kind": "image", "size": list(SIZE), "layout": "nchw", "colour": "rgb", "fit": "crop", "mean": data.mean,
                "std": data.std,
            },
            "accuracy": {
                "metric": "top-1", "value": round(figures["int8"], 4), "dataset": "CIFAR-10 as JPEG, val.tar.gz, 5000 pictures",
                "command": "python models/train/train.py cifar10", "mmac": round(figures["mmac"], 2),
            },
        },
        {},
    )


RECIPE = recipe.Recipe("cifar10", "leptonnet-cifar10: ten kinds of things in pictures of 32x32 pixels", make, arguments)
