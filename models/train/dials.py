"""Trains models/leptonnet-dials on photographs of pointer dials that are drawn (`lepton/dials.py`), quantises it to int8, measures it
on pointers, faces, fonts and seeds that it was not trained on, and writes the bundle: `python models/train/train.py dials`."""

import pathlib

import numpy
import torch
from PIL import Image

from lepton import bundle, dials, fit, loop, nets, quantise, recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = (32, 32)
MEAN, STD = [0.5] * 3, [0.25] * 3
OUTPUT = "position"
# Positions around the dial, and the spread of an answer in units, a tenth of a turn.
POSITIONS, SPREAD = 40, 0.3
NONE = POSITIONS
# The pictures: how many, the share of dials, seeds.
COUNT, SHARE, SEED = 110_000, 0.87, 1
HELD_OUT, HELD_OUT_SEED, KNOWN_SEED = 4000, 1001, 1002
# Cycles of training: epochs, and the highest rate.
CYCLES = [(16, 3e-3), (10, 2e-3)]
# Least score that counts as read: see the card.
MIN_SCORE = 0.6
# Added to the logit of "none" after training: what is trained on has more of it than what a meter shows.
NONE_SHIFT = -1.0
THRESHOLDS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def dialnet():
    """3.5 million multiplications."""
    return nets.PlaceNet(3, POSITIONS + 1, [(32, 2), (48, 2), (64, 1), (64, 2)], cells=16, dropout=0.1)


def drawn(folder, name, count, seed, held_out=False, kinds=None):
    """A data set, drawn unless it is there: uint8 `[N, 3, H, W]`, positions, shares of "none", kinds."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = dials.dials(count, seed, kinds or all_kinds(), held_out, SIZE, progress=True)
        numpy.savez(path, **dict(zip(("pixels", "positions", "nones", "kinds"), parts)))
    data = numpy.load(path)
    return data["pixels"], data["positions"], data["nones"], data["kinds"]


def all_kinds():
    """Every kind that is trained on, by its share."""
    shown = {kind: share * SHARE for kind, share in dials.DIAL_KINDS.items()}
    return shown | {kind: share * (1 - SHARE) for kind, share in dials.NONE_KINDS.items()}


def soft(positions, nones):
    """Answers as probabilities, float32 `[N, POSITIONS + 1]`: a bell about the position, and the share of "none"."""
    places = torch.arange(POSITIONS) * 10 / POSITIONS
    away = (places - positions[:, None] + 5) % 10 - 5
    bell = torch.exp(-0.5 * (away / SPREAD) ** 2)
    bell = bell / bell.sum(1, keepdim=True) * (1 - nones[:, None])
    return torch.cat([bell, nones[:, None]], 1)


def read(logits):
    """Positions (NaN where the answer is "none") and scores of logits.

    The best of the positions, moved to the mean of those within a unit of it; the score is the probability of those together."""
    p = numpy.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    best = p[:, :POSITIONS].argmax(1)
    reach = POSITIONS // 10
    offsets = numpy.arange(-reach, reach + 1)
    near = numpy.take_along_axis(p, (best[:, None] + offsets) % POSITIONS, 1)
    scores = near.sum(1)
    positions = (best + (near * offsets).sum(1) / scores) * 10 / POSITIONS % 10
    none = p.argmax(1) == NONE
    return numpy.where(none, numpy.nan, positions), numpy.where(none, p[:, NONE], scores)


def apart(a, b):
    """Distance around the dial in units."""
    return numpy.abs((a - b + 5) % 10 - 5)


def draw(total):
    """Random numbers of a batch: of each picture the quarters and mirror that its place in the batch gives it, contrast, light,
    colours; of all of them together whether they are moved, by a matrix for each."""
    even = lambda spread, *shape: (torch.rand(total, *shape) * 2 - 1) * spread
    ways = torch.cat([torch.full((len(part),), way) for way, part in enumerate(torch.arange(total).chunk(8))])
    theta = None
    if torch.rand(1).item() < 0.5:
        # From the new picture to the old.
        theta, turn = torch.zeros(total, 2, 3), even(0.15)
        theta[:, 0, 0], theta[:, 1, 1] = 1 + even(0.12), 1 + even(0.12)
        theta[:, 0, 1], theta[:, 1, 0] = even(0.06) - turn, even(0.06) + turn
        theta[:, 0, 2], theta[:, 1, 2] = even(0.06), even(0.06)
    contrast, light, colour, shuffled = even(0.25), even(20), even(10, 3), torch.rand(total) < 0.06
    return ways, theta, contrast, light, colour, shuffled, tuple(torch.randperm(3).tolist()), torch.rand(total) < 0.04


def augment(pixels, answers, draws):
    """Turns by quarters and mirrors; zooms, shifts, stretches, turns and slants half of the batches; changes contrast and colours.
    `answers` are positions and shares of "none", `[N, 2]`; they go with the picture, and are returned as probabilities."""
    ways, theta, contrast, light, colour, shuffled, order, swapped = draws
    pixels, (positions, nones) = pixels.float(), answers.clone().T
    for way in range(8):
        part = (ways == way).nonzero().flatten()
        x, at = pixels[part], positions[part]
        if way >= 4:
            x, at = x.flip(3), -at
        # Quarters clockwise.
        pixels[part], positions[part] = torch.rot90(x, -(way % 4), (2, 3)), at + way % 4 * 2.5
    if theta is not None:
        positions = moved(positions, theta[:, :, :2])
        grid = torch.nn.functional.affine_grid(theta, pixels.shape, align_corners=False)
        pixels = torch.nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    pixels = (pixels - 128) * (1 + contrast).view(-1, 1, 1, 1) + 128 + light.view(-1, 1, 1, 1) + colour.view(-1, 3, 1, 1)
    pixels[shuffled] = pixels[shuffled][:, list(order)]
    pixels[swapped] = 255 - pixels[swapped]
    return pixels.clamp(0, 255).round(), soft(positions, nones)


def moved(positions, ways):
    """Where tips are in pictures that `ways`, `[N, 2, 2]`, lead back to the pictures in which they are at `positions`."""
    angles = positions * (2 * torch.pi / 10)
    x, y = torch.linalg.solve(ways, torch.stack([angles.sin(), -angles.cos()], 1)).T
    return torch.atan2(x, -y) * (10 / (2 * torch.pi)) % 10


def trained(context, net, train, held_out):
    """The network after each of `CYCLES`."""
    for cycle, (epochs, rate) in enumerate(CYCLES):
        if cycle:
            fit.seed_everything(1 + cycle)
        net = context.fit(loop.Task(
            name=f"dials-{cycle}", net=net, samples=train[0], answers=train[1], epochs=epochs, batch=128, rate=rate, decay=0.02,
            normalise=lambda x: fit.normalise(x, MEAN, STD), draw=draw, augment=augment, measure=lambda net: measure(net, *held_out),
        ))
    return net


def prepared(pixels):
    """Normalised float32 `[N, 3, H, W]`."""
    return fit.normalise(torch.from_numpy(pixels), MEAN, STD).numpy()


def judged(logits, positions, nones):
    """Figures of dials whose answer is beyond doubt, and of pictures without one."""
    found, scores = read(logits)
    dial, empty = nones <= 0.1, nones >= 0.9
    missed = numpy.isnan(found)
    away = numpy.where(missed, 5.0, apart(numpy.nan_to_num(found), positions))
    seen = dial & ~missed
    percent = lambda part, of: round(100 * float(part[of].mean()), 2) if of.any() else None
    figures = {
        "mean error of those read": round(float(away[seen].mean()), 4), "median": round(float(numpy.median(away[seen])), 4),
        "within 0.1": percent(away <= 0.1, dial), "within 0.2": percent(away <= 0.2, dial), "within 0.5": percent(away <= 0.5, dial),
        "none": percent(missed, dial), "off by more than 1": percent((away > 1) & ~missed, dial),
        "none read as a position": percent(~missed, empty),
    }
    table = {}
    for threshold in THRESHOLDS:
        sure = ~missed & (scores >= threshold)
        both = sure & dial
        table[threshold] = [
            percent(~sure, dial), round(float(away[both].mean()), 3), percent(sure & (away > 0.5), dial),
            percent(sure & (away > 1), dial), percent(sure, empty),
        ]
    return figures, table


def measure(net, pixels, positions, nones):
    """Share of dials within 0.2 units, of the float network."""
    net.eval()
    with torch.inference_mode():
        logits = numpy.concatenate([net(fit.normalise(torch.from_numpy(pixels[i : i + 500]), MEAN, STD)).numpy() for i in range(0, len(pixels), 500)])
    return judged(logits, positions, nones)[0]["within 0.2"] / 100


def goldens(path, drawings, out):
    """Pictures that were not trained on, clear ones at every unit and some of what is none, on which the file is right."""
    folder = out / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    items = []
    pixels, positions, nones, _ = drawn(drawings, "golden", 600, 2001, True, {"dial": 1})
    found, scores = read(quantise.run(path, prepared(pixels), output=OUTPUT))
    for unit in range(10):
        right = (nones == 0) & (apart(found, positions) < 0.08) & (scores > 0.9) & (positions.astype(int) == unit)
        pick = int(numpy.flatnonzero(right)[0])
        name, at = f"golden/{round(positions[pick] * 10) % 100:02}.png", round(float(positions[pick]), 1) % 10
        Image.fromarray(pixels[pick].transpose(1, 2, 0)).save(out / name, optimize=True)
        items.append({"file": name, "position": at})
    for number, kind in enumerate(["still", "drums", "flat", "half"]):
        pixels, *_ = drawn(drawings, f"golden-{kind}", 40, 2010 + number, True, {kind: 1})
        found, scores = read(quantise.run(path, prepared(pixels), output=OUTPUT))
        pick = int(numpy.where(numpy.isnan(found), scores, 0).argmax())
        Image.fromarray(pixels[pick].transpose(1, 2, 0)).save(folder / f"none-{kind}.png", optimize=True)
        items.append({"file": f"golden/none-{kind}.png", "label": "none"})
    return items


def data_sets(folder):
    """The training set, and the sets that are measured on, by name."""
    train = drawn(folder, "train", COUNT, SEED)[:3]
    sets = {"not trained on": drawn(folder, "held-out", HELD_OUT, HELD_OUT_SEED, True), "trained forms": drawn(folder, "known", HELD_OUT, KNOWN_SEED)}
    return train, sets


def make(context):
    """Draws the data, trains the network and writes the bundle."""
    folder = context.runs / "dials"
    (pixels, positions, nones), sets = context.data(lambda: data_sets(folder))
    fit.seed_everything(1)
    pool = torch.from_numpy(pixels)
    calibration = prepared(pixels[torch.randperm(len(pixels))[:3000].numpy()])
    answers = torch.from_numpy(numpy.stack([positions, nones], 1))
    net = trained(context, dialnet(), (pool, answers), sets["not trained on"][:3])
    if context.finishes:
        finish(context.bundle("leptonnet-dials"), folder, net, calibration, sets)


def finish(out, folder, net, calibration, sets):
    """Quantises the network, measures it and writes the bundle."""
    with torch.no_grad():
        net.head[-1].bias[NONE] += NONE_SHIFT
    plain, path = folder / "dials.onnx", out / "model.onnx"
    quantise.export(net, 3, *SIZE, plain, free_size=False, outputs=[OUTPUT])
    quantise.quantise(plain, path, calibration)
    mmac = quantise.mmac(path, [1, 3, *SIZE])
    print({"parameters": nets.parameters(net), "bytes": path.stat().st_size, "mmac": round(mmac, 3)})
    within = None
    for name, (pixels, positions, nones, _) in sets.items():
        for form, file in (("float", plain), ("int8", path)):
            figures, table = judged(quantise.run(file, prepared(pixels), output=OUTPUT), positions, nones)
            print(name, form, figures, flush=True)
        print("threshold: [not read %, mean error of those read, read more than 0.5 off %, more than 1 off %, none read as a position %]")
        print("  ", table, flush=True)
        within = within or figures["within 0.2"] / 100
    bundle.write_manifest(
        out / "model.toml",
        {
            "name": "leptonnet-dials", "version": "1.1.0", "task": "position",
            "description": "Where the pointer of a small round dial stands, in tenths of a turn, or none",
            "licence": "MIT OR Apache-2.0", "origin": "models/train/dials.py", "file": "model.onnx", "sha256": bundle.sha256(path),
        },
        {
            "input": {
                "kind": "image", "size": list(SIZE), "sizes": [list(SIZE)], "layout": "nchw", "colour": "rgb", "fit": "stretch",
                "mean": MEAN, "std": STD,
            },
            "output": {"position": OUTPUT},
            "defaults": {"min_score": MIN_SCORE},
            "accuracy": {
                "metric": "within-0.2", "value": round(within, 4), "dataset": "models/train/lepton/dials.py, held out",
                "command": "python models/train/train.py dials", "mmac": round(mmac, 3),
            },
        },
        {"golden": goldens(path, folder, out)},
    )


RECIPE = recipe.Recipe("dials", "leptonnet-dials: the pointers of small round dials", make)
