"""Trains models/leptonnet-digits on digits drawn by leptond's own synthetic camera and on photographs of counters that are drawn
with free fonts (`lepton/photos.py`), quantises it to int8, measures it on fonts, seeds and faults that it was not trained on, and
writes the bundle. One command: `python models/train/digits.py`."""

import argparse
import math
import pathlib
import subprocess

import numpy
import torch
from PIL import Image

from lepton import bundle, fit, nets, photos, quantise

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models/leptonnet-digits"
NONE = photos.NONE
OUTPUTS = [quantise.OUTPUT, "position"]
LABELS = [str(d) for d in range(10)] + ["none"]
SIZES = [(32, 24), (24, 18)]
MEAN, STD = [0.5], [0.25]
# The data sets: what `leptond render` is asked for. Seeds and fonts of `held-out` occur in nothing that is trained on.
TRAIN = "--seeds 0..900 --fonts train --frames 6 --rolling 0.35 --jitter 3"
HELD_OUT = "--seeds 1000000..1000300 --fonts held-out --frames 4 --jitter 2"
HELD_OUT_ROLLING = "--seeds 1000000..1000200 --fonts held-out --frames 3 --rolling 1 --jitter 2"
FAULTS = "dark,white,fog,glare,blur,noise,blank,gap,cut"
HELD_OUT_FAULTS = f"--seeds 1000000..1000300 --fonts held-out --frames 2 --jitter 2 --faults {FAULTS}"
KNOWN = "--seeds 1000000..1000300 --fonts train --frames 4 --jitter 2"
# The photographs: how many, the seed of the first part, and the share of digits.
PHOTOS, PHOTOS_SEED, PHOTOS_DIGITS = 104_000, 1, 0.64
HELD_OUT_PHOTOS, HELD_OUT_KINDS, HELD_OUT_SEED = 8000, 4000, 1001
# Least score that counts as read: see the card.
MIN_SCORE = 0.75
# Added to the logit of "none" after training: two fifths of what is trained on is "none", of what a meter shows it is a rare case.
NONE_SHIFT = -1.5
THRESHOLDS = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
# Regions of the five digits in a 640x480 picture, as the synthetic camera puts them.
REGIONS = [(140 + 72 * i, 192, 72, 96) for i in range(5)]


def leptonnet():
    """3.6 million multiplications at 32x24."""
    return nets.TwoHeads(nets.PlainNet(1, 11, [(32, 2), (64, 2), (64, 1), (128, 2)]), 11)


def small_form():
    """The smaller form, for a board that is short of time."""
    return nets.TwoHeads(nets.LeptonNet(1, 11, stem=8, stem_stride=2, blocks=[(24, 1), (48, 2), (64, 2)]), 11)


def render(program, folder, name, arguments, size=SIZES[0]):
    """A data set of the synthetic camera, drawn unless it is there, with the keys of `photos.photographs`."""
    files = [folder / f"{name}{part}.npy" for part in ("", "-labels", "-drums")]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        size = f"{size[0]}x{size[1]}"
        outputs = ["-o", str(files[0]), "--labels", str(files[1]), "--drums", str(files[2])]
        subprocess.run([*program, "render", *arguments.split(), "--size", size, *outputs], check=True, cwd=ROOT)
    pixels, _, drums = (numpy.load(file) for file in files)
    roll = numpy.abs(drums - numpy.round(drums))
    low, high = photos.ROLLED
    nones, hidden = numpy.clip((roll - low) / (high - low), 0, 1).astype(numpy.float32), numpy.zeros(len(drums), numpy.float32)
    if "--faults" in arguments:
        nones[:] = hidden[:] = 1
    digits = (numpy.round(drums) % 10).astype(numpy.int64)
    kinds = numpy.full(len(drums), "camera")
    return {"pixels": pixels, "digits": digits, "nones": nones, "positions": drums % 10, "hidden": hidden, "kinds": kinds}


def photographs(folder, name, count, seed, kinds, held_out=False):
    """The same of drawn photographs."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        numpy.savez(path, **photos.photographs(count, seed, kinds, held_out, SIZES[0], progress=True))
    return dict(numpy.load(path))


def all_kinds():
    """Every kind that is trained on, by its share."""
    digits = {kind: share * PHOTOS_DIGITS for kind, share in photos.DIGIT_KINDS.items()}
    return digits | {kind: share * (1 - PHOTOS_DIGITS) for kind, share in photos.NONE_KINDS.items()}


def soft(data):
    """Answers as probabilities, float32 `[N, 22]`: of the scores, and of the positions, where a drum between two digits is shared by both."""
    every, n = numpy.arange(len(data["digits"])), len(LABELS)
    answers = numpy.zeros((len(every), 2 * n), numpy.float32)
    answers[every, data["digits"]] += 1 - data["nones"]
    answers[:, NONE] += data["nones"]
    below = numpy.floor(data["positions"]).astype(int)
    part, seen = data["positions"] - below, 1 - data["hidden"]
    answers[every, n + below % 10] += (1 - part) * seen
    answers[every, n + (below + 1) % 10] += part * seen
    answers[:, n + NONE] += data["hidden"]
    return torch.from_numpy(answers)


def criterion(outputs, answers):
    """Cross-entropy of both outputs, the first with 2 % label smoothing."""
    n = len(LABELS)
    scores, positions = answers[:, :n], answers[:, n:]
    entropy = torch.nn.functional.cross_entropy
    return entropy(outputs[0], scores, label_smoothing=0.02) + entropy(outputs[1], positions)


def clear(data):
    """Those of a data set whose answer is beyond doubt: pixels and int64 answers (10 = none)."""
    nones = data["nones"]
    sure = (nones <= 0.1) | (nones >= 0.9)
    return torch.from_numpy(data["pixels"][sure]), torch.from_numpy(numpy.where(nones[sure] >= 0.9, NONE, data["digits"][sure]))


def stand(logits):
    """Positions (NaN where "none" is the largest) and scores of logits: the best pair of neighbours, and how they share."""
    p = softmax(logits)
    pairs = p[:, :10] + numpy.roll(p[:, :10], -1, 1)
    best = pairs.argmax(1)
    scores = pairs[numpy.arange(len(p)), best]
    above = p[numpy.arange(len(p)), (best + 1) % 10]
    none = p.argmax(1) == NONE
    return numpy.where(none, numpy.nan, (best + above / scores) % 10), numpy.where(none, p[:, NONE], scores)


def softmax(logits):
    p = numpy.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def placed(logits, data):
    """Errors of the positions, of drums that are seen beyond doubt, and what is read where there is none."""
    found, scores = stand(logits)
    drum, empty = data["hidden"] <= 0.1, data["hidden"] >= 0.9
    missed = numpy.isnan(found)
    away = numpy.where(missed, 5.0, numpy.abs((numpy.nan_to_num(found) - data["positions"] + 5) % 10 - 5))
    percent = lambda part, of: round(100 * float(part[of].mean()), 2) if of.any() else None
    within = lambda reach, of: round(100 * float((away[of] <= reach).mean()), 2) if of.any() else None
    table = {}
    for threshold in [0.0, *THRESHOLDS]:
        read = ~missed & (scores >= threshold)
        both = read & drum
        table[threshold] = [
            percent(~read, drum), round(float(away[both].mean()), 3) if both.any() else None, within(0.1, both),
            within(0.2, both), percent(read & (away > 0.5), drum), percent(read, empty),
        ]
    return table


def augment(pixels, resize=True):
    """Turns, shears, stretches and shifts each digit a little, changes its contrast, swaps dark and light in a tenth of
    them, and shows a quarter of the batches at the smaller size."""
    n, _, h, w = pixels.shape
    draw = lambda spread: (torch.rand(n) * 2 - 1) * spread
    angle, shear = draw(math.radians(4)), draw(0.10)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = (1 + draw(0.12)) * angle.cos()
    theta[:, 0, 1] = shear - angle.sin() * h / w
    theta[:, 0, 2] = draw(0.05)
    theta[:, 1, 0] = angle.sin() * w / h
    theta[:, 1, 1] = (1 + draw(0.06)) * angle.cos()
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


def judged(logits, answers):
    """By threshold, in percent: digits that are not read or read wrongly, digits read wrongly, and none-pictures read as a digit."""
    answers = numpy.asarray(answers)
    scores = softmax(logits)
    best, score = scores.argmax(1), scores.max(1)
    digit, none = answers != NONE, answers == NONE
    percent = lambda part, of: round(100 * float(part[of].mean()), 2) if of.any() else None
    table = {}
    for threshold in THRESHOLDS:
        read = (score >= threshold) & (best != NONE)
        table[threshold] = [percent(~(read & (best == answers)), digit), percent(read & (best != answers), digit), percent(read, none)]
    return table


def by_kind(data):
    """All of a data set, and where it has them its still, rolled and half-rolled digits: names and places."""
    yield "all", slice(None)
    for kind in ("digit", "rolled", "between"):
        if (data["kinds"] == kind).any():
            yield kind, data["kinds"] == kind


def trained(net, name, folder, again, cycles, **settings):
    """The network after each of `cycles`, `(epochs, rate)`; with the weights of an earlier run, unless they are missing or to be made again."""
    for cycle, (epochs, rate) in enumerate(cycles):
        path = folder / f"{name}-{cycle}.pt"
        if again or not path.exists():
            if cycle:
                fit.seed_everything(1 + cycle)
            fit.fit(net, f"{name}-{cycle}", mean=MEAN, std=STD, epochs=epochs, rate=rate, **settings)
            torch.save(net.state_dict(), path)
        net.load_state_dict(torch.load(path))
    return net.eval()


def prepared(pixels):
    """Normalised float32 `[N, 1, H, W]`."""
    return fit.normalise(pixels, MEAN, STD).numpy()


def goldens(program, count=10):
    """One region per digit cut out of pictures with fonts that were not trained on, as PNG: `[72, 96]` pixels, and four regions
    that show no digit."""
    folder = BUNDLE / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = fit.RUNS / "digits/pictures"
    draw = lambda folder, *arguments: subprocess.run(
        [*program, "render", "--fonts", "held-out", "--frames", "1", *arguments, "--pictures", str(folder)], check=True, cwd=ROOT
    )
    draw(pictures, "--seeds", "2000010..2000050")
    region = lambda path, place: Image.open(path).convert("L").crop((place[0], place[1], place[0] + place[2], place[1] + place[3]))
    found = {}
    for path in sorted(pictures.glob("*.jpg")):
        truth = path.stem.split("-")[2]
        # The first four digits only: the last may be rolling.
        for digit, place in list(zip(truth, REGIONS))[:4]:
            if digit not in found and len(found) < count and path.stem not in found.values():
                found[digit] = path.stem
                region(path, place).save(folder / f"{digit}.png", optimize=True)
    items = [{"file": f"golden/{digit}.png", "label": digit} for digit in sorted(found)]
    # Regions as they must not be read.
    for fault, seed in {"gap": 2000100, "cut": 2000101, "blank": 2000102, "fog": 2000104}.items():
        faulty = fit.RUNS / "digits" / f"pictures-{fault}"
        draw(faulty, "--seeds", f"{seed}..{seed + 1}", "--faults", fault)
        x, y, w, h = REGIONS[2]
        place = {"gap": (x + w // 2, y, w, h), "cut": (x, y + h * 6 // 10, w, h)}.get(fault, (x, y, w, h))
        region(next(faulty.glob("*.jpg")), place).save(folder / f"none-{fault}.png", optimize=True)
        items.append({"file": f"golden/none-{fault}.png", "label": LABELS[NONE]})
    return items


def write_manifest(figures, lists):
    """`model.toml` with the figures of the main form."""
    bundle.write_manifest(
        BUNDLE / "model.toml",
        {
            "name": "leptonnet-digits", "version": "3.0.0", "task": "classify",
            "description": "Digits of mechanical and liquid crystal counters, one per picture or region, or none",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/digits.py", "file": "model.onnx",
            "sha256": bundle.sha256(BUNDLE / "model.onnx"), "labels": LABELS,
        },
        {
            "input": {
                "kind": "image", "size": list(SIZES[0]), "sizes": [list(s) for s in SIZES], "layout": "nchw",
                "colour": "grey", "fit": "stretch", "mean": MEAN, "std": STD,
            },
            "output": {"none": LABELS[NONE], "position": OUTPUTS[1]},
            "defaults": {"min_score": MIN_SCORE},
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
    args.add_argument("--threads", type=int, default=1, help="one is fastest on a machine that does other work, too")
    args.add_argument("--again", action="store_true", help="train even where weights of an earlier run are there")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    program = [str(args.leptond.resolve())] if args.leptond else ["cargo", "run", "--release", "--quiet", "--"]

    folder = fit.RUNS / "digits"
    parts = [photographs(folder, "photos", PHOTOS, PHOTOS_SEED, all_kinds()), render(program, folder, "train", TRAIN)]
    data = {key: numpy.concatenate([part[key] for part in parts]) for key in parts[0]}
    train = torch.from_numpy(data["pixels"]), soft(data)
    camera = render(program, folder, "held-out", HELD_OUT)
    held_out = clear(camera)
    small = clear(render(program, folder, "held-out-small", HELD_OUT, SIZES[1]))
    known = clear(render(program, folder, "known", KNOWN))
    strange = dict.fromkeys(photos.HELD_OUT_KINDS, 1)
    sets = {
        "camera": camera,
        "camera, digits rolling": render(program, folder, "held-out-rolling", HELD_OUT_ROLLING),
        "camera, faults": render(program, folder, "held-out-faults", HELD_OUT_FAULTS),
        "photographs": photographs(folder, "held-out-photos", HELD_OUT_PHOTOS, HELD_OUT_SEED, all_kinds(), True),
        "faults not trained on": photographs(folder, "held-out-kinds", HELD_OUT_KINDS, HELD_OUT_SEED + 1, strange, True),
    }
    print(f"{len(train[0])} digits to train on, {len(held_out[0])} held out", flush=True)
    fit.seed_everything(1)
    # Ranges are calibrated on digits that were trained on, of both sizes: none of them is evaluated on.
    calibration = prepared(train[0][torch.randperm(len(train[0]))[:3000]])

    BUNDLE.mkdir(parents=True, exist_ok=True)
    lists = {"variant": [], "golden": goldens(program)}
    settings = dict(
        train=train, held_out=clear(sets["photographs"]), batch=128, augment=augment, criterion=criterion, decay=0.01,
    )
    main_form = None
    forms = [
        ("leptonnet", leptonnet, "model.onnx", [(8, 4e-3), (4, 2e-3)]),
        ("small", small_form, "small.onnx", [(6, 5e-3), (8, 4e-3)]),
    ]
    for name, build, file, cycles in forms:
        fit.seed_everything(1)
        net = trained(build(), f"digits-{name}", folder, args.again, cycles, **settings)
        with torch.no_grad():
            net.head[-1].bias[NONE] += NONE_SHIFT
            net.place[-1].bias[NONE] += NONE_SHIFT
        plain, path = folder / f"{name}.onnx", BUNDLE / file
        quantise.export(net, 1, *SIZES[0], plain, outputs=OUTPUTS)
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
        for title, whole in sets.items():
            samples, answers = clear(whole)
            print(f"{name}, {title}: threshold: [digits not read rightly %, digits misread %, none read as a digit %]")
            print("  ", judged(quantise.run(path, prepared(samples)), answers))
            print("  positions: threshold: [not read %, mean error, within 0.1 %, within 0.2 %, more than 0.5 off %, none read %]")
            logits = quantise.run(path, prepared(torch.from_numpy(whole["pixels"])), output=OUTPUTS[1])
            for kind, part in by_kind(whole):
                print("  ", kind, placed(logits[part], {key: value[part] for key, value in whole.items()}), flush=True)
        if main_form is None:
            main_form = figures
        else:
            lists["variant"].append({
                "name": name, "file": file, "sha256": bundle.sha256(path), "accuracy": round(figures["int8"], 4),
                "mmac": round(figures["mmac"], 3),
            })
        write_manifest(main_form, lists)


if __name__ == "__main__":
    main()
