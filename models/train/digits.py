"""Trains models/leptonnet-digits on digits drawn by leptond's own synthetic camera and on photographs of counters that are drawn
with free fonts (`lepton/photos.py`), quantises it to int8, measures it on fonts, seeds and faults that it was not trained on, and
writes the bundle: `python models/train/train.py digits`."""

import math
import pathlib
import subprocess

import numpy
import torch
from PIL import Image

from lepton import bundle, fit, loop, nets, photos, quantise, recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
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


# Forms by name: network, file, and cycles of training, `(epochs, rate)`.
FORMS = [
    ("leptonnet", leptonnet, "model.onnx", [(8, 4e-3), (4, 2e-3)]),
    ("small", small_form, "small.onnx", [(6, 5e-3), (8, 4e-3)]),
]


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


def draw(total):
    """Random numbers of a batch: of each picture turn, shear, stretches and shifts, contrast, light and whether dark and light are
    swapped; of all of them together whether they are shown at the smaller size."""
    even = lambda spread: (torch.rand(total) * 2 - 1) * spread
    ways = [even(spread) for spread in (math.radians(4), 0.10, 0.12, 0.05, 0.06, 0.03, 0.3, 25)]
    return *ways, torch.rand(total) < 0.1, torch.rand(1).item() < 0.25


def augment(pixels, answers, draws):
    """Turns, shears, stretches and shifts each digit a little, changes its contrast, swaps dark and light in a tenth of
    them, and shows a quarter of the batches at the smaller size."""
    angle, shear, wider, right, higher, down, contrast, light, swap, small = draws
    n, _, h, w = pixels.shape
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = (1 + wider) * angle.cos()
    theta[:, 0, 1] = shear - angle.sin() * h / w
    theta[:, 0, 2] = right
    theta[:, 1, 0] = angle.sin() * w / h
    theta[:, 1, 1] = (1 + higher) * angle.cos()
    theta[:, 1, 2] = down
    grid = torch.nn.functional.affine_grid(theta, (n, 1, h, w), align_corners=False)
    x = torch.nn.functional.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
    x = (x - 128) * (1 + contrast).view(-1, 1, 1, 1) + 128 + light.view(-1, 1, 1, 1)
    x = torch.where(swap.view(-1, 1, 1, 1), 255 - x, x)
    if small:
        x = torch.nn.functional.interpolate(x, SIZES[1], mode="bilinear", antialias=True, align_corners=False)
    return x.clamp(0, 255).round(), answers


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


def trained(context, net, name, cycles, train, held_out):
    """The network after each of `cycles`, `(epochs, rate)`."""
    for cycle, (epochs, rate) in enumerate(cycles):
        if cycle:
            fit.seed_everything(1 + cycle)
        net = context.fit(loop.Task(
            name=f"{name}-{cycle}", net=net, samples=train[0], answers=train[1], epochs=epochs, batch=128, rate=rate, decay=0.01,
            normalise=normalise, draw=draw, augment=augment, criterion=criterion,
            measure=lambda net: fit.evaluate(net, *held_out, MEAN, STD),
            confusion=lambda net: fit.confusion(net, *held_out, MEAN, STD, len(LABELS)),
        ))
    return net


def normalise(pixels):
    """Pixels as the network takes them."""
    return fit.normalise(pixels, MEAN, STD)


def prepared(pixels):
    """Normalised float32 `[N, 1, H, W]`."""
    return fit.normalise(pixels, MEAN, STD).numpy()


def goldens(program, drawn, out, count=10):
    """One region per digit cut out of pictures with fonts that were not trained on, as PNG: `[72, 96]` pixels, and four regions
    that show no digit."""
    folder = out / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = drawn / "pictures"
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
        faulty = drawn / f"pictures-{fault}"
        draw(faulty, "--seeds", f"{seed}..{seed + 1}", "--faults", fault)
        x, y, w, h = REGIONS[2]
        place = {"gap": (x + w // 2, y, w, h), "cut": (x, y + h * 6 // 10, w, h)}.get(fault, (x, y, w, h))
        region(next(faulty.glob("*.jpg")), place).save(folder / f"none-{fault}.png", optimize=True)
        items.append({"file": f"golden/none-{fault}.png", "label": LABELS[NONE]})
    return items


def write_manifest(out, figures, lists):
    """`model.toml` with the figures of the main form."""
    bundle.write_manifest(
        out / "model.toml",
        {
            "name": "leptonnet-digits", "version": "3.0.0", "task": "classify",
            "description": "Digits of mechanical and liquid crystal counters, one per picture or region, or none",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/digits.py", "file": "model.onnx",
            "sha256": bundle.sha256(out / "model.onnx"), "labels": LABELS,
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
                "command": "python models/train/train.py digits", "mmac": round(figures["mmac"], 3),
            },
        },
        lists,
    )


def make(context):
    """Draws the data, trains both forms and writes the bundle."""
    args = context.args
    program = [str(args.leptond.resolve())] if args.leptond else ["cargo", "run", "--release", "--quiet", "--"]
    folder = context.runs / "digits"
    train, sets, small, known = context.data(lambda: data_sets(program, folder))
    held_out = clear(sets["camera"])
    fit.seed_everything(1)
    # Ranges are calibrated on digits that were trained on, of both sizes: none of them is evaluated on.
    calibration = prepared(train[0][torch.randperm(len(train[0]))[:3000]])
    out = context.bundle("leptonnet-digits") if context.finishes else None
    lists = {"variant": [], "golden": goldens(program, folder, out) if context.finishes else []}
    main_form = None
    for name, build, file, cycles in FORMS:
        fit.seed_everything(1)
        net = trained(context, build(), f"digits-{name}", cycles, train, clear(sets["photographs"]))
        if not context.finishes:
            continue
        with torch.no_grad():
            net.head[-1].bias[NONE] += NONE_SHIFT
            net.place[-1].bias[NONE] += NONE_SHIFT
        plain, path = folder / f"{name}.onnx", out / file
        quantise.export(net, 1, *SIZES[0], plain, outputs=OUTPUTS)
        quantise.quantise(plain, path, calibration)
        figures = measured(args.leptond, net, plain, path, held_out, small, known)
        print(name, figures, flush=True)
        tell(name, path, sets)
        if main_form is None:
            main_form = figures
        else:
            lists["variant"].append({
                "name": name, "file": file, "sha256": bundle.sha256(path), "accuracy": round(figures["int8"], 4),
                "mmac": round(figures["mmac"], 3),
            })
        write_manifest(out, main_form, lists)


def data_sets(program, folder):
    """The training set, the sets by name, and pictures of the smaller size and with known fonts; drawn unless they are there."""
    parts = [photographs(folder, "photos", PHOTOS, PHOTOS_SEED, all_kinds()), render(program, folder, "train", TRAIN)]
    data = {key: numpy.concatenate([part[key] for part in parts]) for key in parts[0]}
    train = torch.from_numpy(data["pixels"]), soft(data)
    camera = render(program, folder, "held-out", HELD_OUT)
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
    print(f"{len(train[0])} digits to train on, {len(camera['digits'])} held out", flush=True)
    return train, sets, small, known


def measured(leptond, net, plain, path, held_out, small, known):
    """Size, cost and accuracy of a form."""
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
    if leptond:
        logits = quantise.run_leptond(leptond.resolve(), path, prepared(held_out[0]))
        figures["int8_leptond"] = quantise.accuracy(logits, held_out[1])
    return figures


def tell(name, path, sets):
    """Prints the tables of the card."""
    for title, whole in sets.items():
        samples, answers = clear(whole)
        print(f"{name}, {title}: threshold: [digits not read rightly %, digits misread %, none read as a digit %]")
        print("  ", judged(quantise.run(path, prepared(samples)), answers))
        print("  positions: threshold: [not read %, mean error, within 0.1 %, within 0.2 %, more than 0.5 off %, none read %]")
        logits = quantise.run(path, prepared(torch.from_numpy(whole["pixels"])), output=OUTPUTS[1])
        for kind, part in by_kind(whole):
            print("  ", kind, placed(logits[part], {key: value[part] for key, value in whole.items()}), flush=True)


RECIPE = recipe.Recipe("digits", "leptonnet-digits: the digits of a counter", make)
