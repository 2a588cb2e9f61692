#!/usr/bin/env python3
"""Trains models/leptonnet-digits on digits drawn by leptond's own synthetic camera, quantises it to int8, measures it on
fonts and seeds that it was not trained on, and writes the bundle. One command: `python models/train/digits.py`."""

import argparse
import math
import pathlib
import subprocess

import numpy
import torch
from PIL import Image

from lepton import bundle, fit, nets, quantise

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models/leptonnet-digits"
LABELS = [str(d) for d in range(10)]
SIZES = [(32, 24), (24, 18)]
MEAN, STD = [0.5], [0.25]
# The data sets: what `leptond render` is asked for. Seeds and fonts of `held-out` occur in nothing that is trained on.
TRAIN = "--seeds 0..1200 --fonts train --frames 6 --rolling 0.35 --jitter 3"
HELD_OUT = "--seeds 1000000..1000300 --fonts held-out --frames 4 --jitter 2"
KNOWN = "--seeds 1000000..1000300 --fonts train --frames 4 --jitter 2"
# Regions of the five digits in a 640x480 picture, as the synthetic camera puts them.
REGIONS = [(140 + 72 * i, 192, 72, 96) for i in range(5)]


def leptonnet():
    """0.51 million multiplications at 32x24."""
    return nets.LeptonNet(1, 10, stem=16, stem_stride=2, blocks=[(24, 1), (48, 2), (48, 1), (96, 2), (96, 1)])


def small_form():
    """The smaller form, for a board that is short of time."""
    return nets.LeptonNet(1, 10, stem=8, stem_stride=2, blocks=[(16, 1), (32, 2), (48, 2)])


def render(program, folder, name, arguments, size=SIZES[0]):
    """A data set, drawn unless it is there: uint8 `[N, 1, H, W]`, int64 `[N]`."""
    pixels, labels = folder / f"{name}.npy", folder / f"{name}-labels.npy"
    if not (pixels.exists() and labels.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        size = f"{size[0]}x{size[1]}"
        command = [*program, "render", *arguments.split(), "--size", size, "-o", str(pixels), "--labels", str(labels)]
        subprocess.run(command, check=True, cwd=ROOT)
    return torch.from_numpy(numpy.load(pixels)), torch.from_numpy(numpy.load(labels)).long()


def augment(pixels, resize=True):
    """Turns, shears, stretches and shifts each digit a little, changes its contrast, swaps dark and light in a tenth of
    them, and shows a quarter of the batches at the smaller size."""
    n, _, h, w = pixels.shape
    draw = lambda spread: (torch.rand(n) * 2 - 1) * spread
    angle, shear = draw(math.radians(4)), draw(0.12)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = (1 + draw(0.14)) * angle.cos()
    theta[:, 0, 1] = shear - angle.sin() * h / w
    theta[:, 0, 2] = draw(0.06)
    theta[:, 1, 0] = angle.sin() * w / h
    theta[:, 1, 1] = (1 + draw(0.08)) * angle.cos()
    theta[:, 1, 2] = draw(0.03)
    grid = torch.nn.functional.affine_grid(theta, (n, 1, h, w), align_corners=False)
    x = torch.nn.functional.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
    gain, offset = (1 + draw(0.3)).view(-1, 1, 1, 1), draw(25).view(-1, 1, 1, 1)
    x = (x - 128) * gain + 128 + offset
    swap = (torch.rand(n) < 0.1).view(-1, 1, 1, 1)
    x = torch.where(swap, 255 - x, x)
    if resize and torch.rand(1).item() < 0.25:
        x = torch.nn.functional.interpolate(x, SIZES[1], mode="bilinear", antialias=True, align_corners=False)
    return x.clamp(0, 255).round()


def fixed_size(pixels):
    """The same for a network that runs at one size only."""
    return augment(pixels, resize=False)


def trained(net, name, folder, again, **settings):
    """The network with the weights of an earlier run, unless they are missing or to be made again."""
    path = folder / f"{name}.pt"
    if again or not path.exists():
        fit.fit(net, name, mean=MEAN, std=STD, **settings)
        torch.save(net.state_dict(), path)
    net.load_state_dict(torch.load(path))
    return net.eval()


def prepared(pixels):
    """Normalised float32 `[N, 1, H, W]`."""
    return fit.normalise(pixels, MEAN, STD).numpy()


def goldens(program, count=10):
    """One region per digit cut out of pictures with fonts that were not trained on, as PNG: `[72, 96]` pixels."""
    folder = BUNDLE / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = fit.RUNS / "digits/pictures"
    command = [*program, "render", "--seeds", "2000000..2000040", "--fonts", "held-out", "--frames", "1"]
    subprocess.run([*command, "--pictures", str(pictures)], check=True, cwd=ROOT)
    found = {}
    for path in sorted(pictures.glob("*.jpg")):
        truth = path.stem.split("-")[2]
        # The first four digits only: the last may be rolling.
        for digit, (x, y, w, h) in list(zip(truth, REGIONS))[:4]:
            if digit not in found and len(found) < count and path.stem not in found.values():
                found[digit] = path.stem
                Image.open(path).convert("L").crop((x, y, x + w, y + h)).save(folder / f"{digit}.png", optimize=True)
    return [{"file": f"golden/{digit}.png", "label": digit} for digit in sorted(found)]


def write_manifest(figures, lists):
    """`model.toml` with the figures of the main form."""
    bundle.write_manifest(
        BUNDLE / "model.toml",
        {
            "name": "leptonnet-digits", "version": "1.0.0", "task": "classify",
            "description": "Digits of mechanical and liquid crystal counters, one per picture or region",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/digits.py", "file": "model.onnx",
            "sha256": bundle.sha256(BUNDLE / "model.onnx"), "labels": LABELS,
        },
        {
            "input": {
                "kind": "image", "size": list(SIZES[0]), "sizes": [list(s) for s in SIZES], "layout": "nchw",
                "colour": "grey", "fit": "stretch", "mean": MEAN, "std": STD,
            },
            "accuracy": {
                "metric": "top-1", "value": round(figures["int8"], 4), "dataset": f"leptond render {HELD_OUT}",
                "command": "python models/train/digits.py", "mmac": round(figures["mmac"], 3),
            },
        },
        lists,
    )


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--leptond", type=pathlib.Path, help="a built leptond; otherwise cargo builds and runs it")
    args.add_argument("--epochs", type=int, default=12)
    args.add_argument("--baseline-epochs", type=int, default=4)
    args.add_argument("--threads", type=int, default=1, help="one is fastest on a machine that does other work, too")
    args.add_argument("--again", action="store_true", help="train even where weights of an earlier run are there")
    args.add_argument("--skip-baseline", action="store_true")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    program = [str(args.leptond.resolve())] if args.leptond else ["cargo", "run", "--release", "--quiet", "--"]

    folder = fit.RUNS / "digits"
    train = render(program, folder, "train", TRAIN)
    held_out = render(program, folder, "held-out", HELD_OUT)
    small = render(program, folder, "held-out-small", HELD_OUT, SIZES[1])
    known = render(program, folder, "known", KNOWN)
    print(f"{len(train[0])} digits to train on, {len(held_out[0])} held out", flush=True)
    fit.seed_everything(1)
    # Ranges are calibrated on digits that were trained on, of both sizes: none of them is evaluated on.
    calibration = prepared(train[0][torch.randperm(len(train[0]))[:2000]])

    BUNDLE.mkdir(parents=True, exist_ok=True)
    lists = {"variant": [], "golden": goldens(program)}
    settings = dict(
        train=train, held_out=held_out, epochs=args.epochs, batch=128, rate=4e-3, augment=augment, smoothing=0.02, decay=0.01,
    )
    main_form = None
    for name, build, file in [("leptonnet", leptonnet, "model.onnx"), ("small", small_form, "small.onnx")]:
        fit.seed_everything(1)
        net = trained(build(), f"digits-{name}", folder, args.again, **settings)
        plain, path = folder / f"{name}.onnx", BUNDLE / file
        quantise.export(net, 1, *SIZES[0], plain)
        quantise.quantise(plain, path, calibration)
        figures = {
            "parameters": nets.parameters(net),
            "bytes": path.stat().st_size,
            "mmac": quantise.mmac(path, [1, 1, *SIZES[0]]),
            "mmac_small": quantise.mmac(path, [1, 1, *SIZES[1]]),
            "float": quantise.accuracy(quantise.run(plain, prepared(held_out[0])), held_out[1]),
            "int8": quantise.accuracy(quantise.run(path, prepared(held_out[0])), held_out[1]),
            "int8_small": quantise.accuracy(quantise.run(path, prepared(small[0])), small[1]),
            "int8_known_fonts": quantise.accuracy(quantise.run(path, prepared(known[0])), known[1]),
        }
        if args.leptond:
            logits = quantise.run_leptond(args.leptond.resolve(), path, prepared(held_out[0]))
            figures["int8_leptond"] = quantise.accuracy(logits, held_out[1])
        print(name, figures, flush=True)
        if main_form is None:
            main_form = figures
        else:
            lists["variant"].append({
                "name": name, "file": file, "sha256": bundle.sha256(path), "accuracy": round(figures["int8"], 4),
                "mmac": round(figures["mmac"], 3),
            })
        write_manifest(main_form, lists)
    if not args.skip_baseline:
        # With seed 1 this network learns nothing: its first steps leave it without a gradient.
        fit.seed_everything(2)
        net = trained(
            nets.ArticleNet(1, 10, *SIZES[0]), "digits-article", folder, args.again, train=train, held_out=held_out,
            epochs=args.baseline_epochs, batch=128, rate=1e-3, augment=fixed_size, one_cycle=False,
        )
        plain, path = folder / "article.onnx", folder / "article-int8.onnx"
        quantise.export(net, 1, *SIZES[0], plain, free_size=False)
        quantise.quantise(plain, path, calibration)
        print("article", {
            "parameters": nets.parameters(net),
            "bytes": path.stat().st_size,
            "mmac": quantise.mmac(path, [1, 1, *SIZES[0]]),
            "float": quantise.accuracy(quantise.run(plain, prepared(held_out[0])), held_out[1]),
            "int8": quantise.accuracy(quantise.run(path, prepared(held_out[0])), held_out[1]),
            "int8_known_fonts": quantise.accuracy(quantise.run(path, prepared(known[0])), known[1]),
        })


if __name__ == "__main__":
    main()
