#!/usr/bin/env python3
"""Trains models/leptonnet-cifar10 on CIFAR-10 as JPEG (`class/nnnn.jpg` in train.tar.gz and val.tar.gz), quantises it
to int8 and writes the bundle. One command: `python models/train/cifar10.py --data ../shared/data/cifar10`."""

import argparse
import io
import pathlib
import tarfile

import numpy
import torch
from PIL import Image

from lepton import bundle, fit, nets, quantise

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models/leptonnet-cifar10"
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIZE = (32, 32)
# Channels and stride of each dense 3x3 layer: 11.6 million multiplications at 32x32.
LAYERS = [(24, 1), (36, 2), (36, 1), (72, 2), (72, 1), (144, 2)]


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


def augment(pixels):
    """Mirror half of them, and shift each by up to 4 pixels over a reflected border."""
    n, _, h, w = pixels.shape
    padded = torch.nn.functional.pad(pixels.float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)
    dy = torch.randint(0, 9, (n, 1)) + torch.arange(h)
    dx = torch.randint(0, 9, (n, 1)) + torch.arange(w)
    mirrored = torch.rand(n) < 0.5
    dx[mirrored] = dx[mirrored].flip(1)
    rows = torch.arange(n)[:, None, None]
    return padded.permute(0, 2, 3, 1)[rows, dy[:, :, None], dx[:, None, :]].permute(0, 3, 1, 2)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data/cifar10")
    args.add_argument("--epochs", type=int, default=24)
    args.add_argument("--threads", type=int, default=1, help="one is fastest on a machine that does other work, too")
    args.add_argument("--checkpoint", type=pathlib.Path, help="float weights: loaded when there, else written")
    args.add_argument("--leptond", type=pathlib.Path, help="a built leptond, to measure the bundle with it, too")
    args = args.parse_args()

    torch.set_num_threads(args.threads)
    fit.seed_everything(1)
    train = load(args.data / "train.tar.gz")
    held_out = load(args.data / "val.tar.gz")
    print(f"{len(train[0])} pictures to train on, {len(held_out[0])} held out", flush=True)
    scaled = train[0].float() / 255.0
    mean = [round(v, 4) for v in scaled.mean((0, 2, 3)).tolist()]
    std = [round(v, 4) for v in scaled.std((0, 2, 3)).tolist()]
    del scaled

    net = nets.PlainNet(3, len(LABELS), LAYERS, dropout=0.1)
    if args.checkpoint and args.checkpoint.exists():
        net.load_state_dict(torch.load(args.checkpoint))
        net.eval()
    else:
        net = fit.fit(
            net, "leptonnet-cifar10", train, held_out, mean, std,
            epochs=args.epochs, batch=128, rate=4e-3, augment=augment, smoothing=0.05, decay=0.02,
        )
        if args.checkpoint:
            torch.save(net.state_dict(), args.checkpoint)

    BUNDLE.mkdir(parents=True, exist_ok=True)
    plain, path = fit.RUNS / "leptonnet-cifar10/float.onnx", BUNDLE / "model.onnx"
    plain.parent.mkdir(parents=True, exist_ok=True)
    prepared = lambda pixels: fit.normalise(pixels, mean, std).numpy()
    quantise.export(net, 3, *SIZE, plain)
    # Calibrated on pictures that were trained on, none of which is evaluated on.
    quantise.quantise(plain, path, prepared(train[0][torch.randperm(len(train[0]))[:1000]]))
    test, labels = prepared(held_out[0]), held_out[1]
    int8 = quantise.run(path, test)
    figures = {
        "parameters": nets.parameters(net),
        "bytes": path.stat().st_size,
        "mmac": quantise.mmac(path, [1, 3, *SIZE]),
        "float": quantise.accuracy(quantise.run(plain, test), labels),
        "int8": quantise.accuracy(int8, labels),
    }
    if args.leptond:
        figures["int8_leptond"] = quantise.accuracy(quantise.run_leptond(args.leptond.resolve(), path, test), labels)
    print(figures, flush=True)
    for wanted, label in enumerate(LABELS):
        right = (int8.argmax(1) == wanted)[labels.numpy() == wanted]
        print(f"{label}: {right.mean():.3f} of {len(right)}")
    bundle.write_manifest(
        BUNDLE / "model.toml",
        {
            "name": "leptonnet-cifar10", "version": "1.0.0", "task": "classify",
            "description": "Ten kinds of things in pictures of 32x32 pixels (CIFAR-10)",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/cifar10.py", "file": "model.onnx",
            "sha256": bundle.sha256(path), "labels": LABELS,
        },
        {
            "input": {
                "kind": "image", "size": list(SIZE), "layout": "nchw", "colour": "rgb", "fit": "crop", "mean": mean,
                "std": std,
            },
            "accuracy": {
                "metric": "top-1", "value": round(figures["int8"], 4), "dataset": "CIFAR-10 as JPEG, val.tar.gz, 5000 pictures",
                "command": "python models/train/cifar10.py", "mmac": round(figures["mmac"], 2),
            },
        },
        {},
    )


if __name__ == "__main__":
    main()
