#!/usr/bin/env python3
"""Recall and cost of `preprocess.tiles` beside one pass over the whole frame, on scenes composed of real pictures with known boxes.

    measure.py --leptond BIN --shared DIR [--scenes 24] [--seed 1] [--size 1920x1080] [--merging 3x2] [--work DIR]

[needs pillow]

A scene is a large canvas with one photograph of people or a bus near to the camera and many of them far away, at random places; their boxes were drawn by hand. The
detector is FastestDet at 352x352 pixels with the least score of its catalog entry (0.5). A box is right at IoU 0.5 with one of its label that no better box has.
Small: lower than an eighth of the frame; large: higher than half of it. Time is the CPU time of a frame from the file to the result, as a ratio to one pass in the
same run. --merging GRID compares ways to merge what the passes of a grid found, each pass run by itself: suppression by IoU, by intersection over the smaller box
(IoS), fusion of all that overlap so, each also without the pass over the whole frame, and beside them what leptond does.
"""
import argparse
import json
import pathlib
import random
import resource
import subprocess
import tempfile

from PIL import Image

# Boxes drawn by hand: [x1, y1, x2, y2] in pixels of the picture.
KNOWN = {
    "street-0": [("person", [182, 0, 243, 117]), ("person", [370, 192, 452, 440]), ("person", [272, 306, 346, 446]), ("person", [340, 280, 460, 448])],
    "street-1": [("bus", [44, 82, 584, 416]), ("person", [8, 250, 44, 360])],
    "street-2": [("person", [79, 90, 258, 468]), ("person", [152, 80, 222, 345]), ("person", [237, 59, 340, 379]), ("person", [355, 47, 480, 426])],
    "street-3": [("person", [41, 63, 160, 294]), ("person", [170, 137, 250, 262]), ("person", [230, 139, 310, 277]), ("person", [289, 142, 498, 296])],
}
# Pictures without any of these things, for what lies behind.
BEHIND = ["hot_dog", "owl", "parrot"]
LABELS = {"person", "bus"}
# Shares of the frame's height: lower objects are small, higher ones are large.
SMALL, LARGE = 1 / 8, 1 / 2
GRIDS = ["", "2x1", "2x2", "3x2", "4x3"]


def compose(images, size, rng):
    """One scene: the picture and its boxes."""
    width, height = size
    scene = Image.open(images / f"{rng.choice(BEHIND)}.jpg").convert("RGB").resize(size)
    taken, truth = [], []

    def paste(name, share):
        patch = Image.open(images / f"{name}.jpg").convert("RGB")
        scale = share * width / patch.width
        patch = patch.resize((round(patch.width * scale), round(patch.height * scale)), Image.LANCZOS)
        for _ in range(200):
            x, y = rng.randint(0, width - patch.width), rng.randint(0, height - patch.height)
            area = [x, y, x + patch.width, y + patch.height]
            if not any(a[0] < area[2] and area[0] < a[2] and a[1] < area[3] and area[1] < a[3] for a in taken):
                break
        else:
            return
        taken.append(area)
        scene.paste(patch, (x, y))
        for label, box in KNOWN[name]:
            truth.append((label, [v * scale + (x, y)[i % 2] for i, v in enumerate(box)]))

    paste(rng.choice(list(KNOWN)), rng.uniform(0.36, 0.72))
    for _ in range(24):
        paste(rng.choice(list(KNOWN)), rng.uniform(0.09, 0.16))
    return scene, truth


def bundle(shared, model, labels, work):
    """The detector with a manifest."""
    folder = work / "fastestdet"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes((shared / f"models/vision/{model}").read_bytes())
    (folder / "labels.txt").write_bytes(labels.read_bytes())
    digest = subprocess.run(["sha256sum", folder / "model.onnx"], capture_output=True, text=True, check=True).stdout.split()[0]
    (folder / "model.toml").write_text(f"""name = "fastestdet"
version = "1.0.0"
task = "detect"
description = "FastestDet"
licence = "BSD-3-Clause"
origin = "github.com/dog-qiuqiu/FastestDet"
file = "model.onnx"
labels_file = "labels.txt"
sha256 = "{digest}"
[input]
kind = "image"
size = [352, 352]
layout = "nchw"
colour = "bgr"
fit = "stretch"
[output]
head = "fastestdet"
[defaults]
min_score = 0.5
""")
    return folder


def infer(leptond, model, scenes, more):
    """Detections of every scene, (label, box, score), and the CPU time of them all, in s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ran = subprocess.run([leptond, "infer", model, scenes, "--json", *more], capture_output=True, text=True)
    if ran.returncode != 0:
        raise SystemExit(ran.stderr)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return [[(d["label"], d["box"], d["score"]) for d in line["detections"] if d["label"] in LABELS] for line in lines], took


def frame_time(leptond, model, scenes, count, more):
    """CPU time of one frame, in s: the start of the program and of the model is left out. The least of three times."""
    least = lambda what: min(infer(leptond, model, what, more)[1] for _ in range(3))
    return (least(scenes) - least(scenes / "000.jpg")) / (count - 1)


def shared_area(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def area(a):
    return max(1e-9, (a[2] - a[0]) * (a[3] - a[1]))


def iou(a, b):
    common = shared_area(a, b)
    return common / (area(a) + area(b) - common)


def ios(a, b):
    return shared_area(a, b) / min(area(a), area(b))


def judge(found, truth, height):
    """Right boxes, all found, and of small, middle and large objects how many are found and there."""
    right, tally = 0, [[0, 0], [0, 0], [0, 0]]
    left = list(truth)
    for label, box, _ in sorted(found, key=lambda d: -d[2]):
        best = max((t for t in left if t[0] == label), key=lambda t: iou(t[1], box), default=None)
        if best and iou(best[1], box) >= 0.5:
            left.remove(best)
            right += 1
    for t in truth:
        share = (t[1][3] - t[1][1]) / height
        part = tally[(share >= SMALL) + (share > LARGE)]
        part[1] += 1
        part[0] += t not in left
    return right, len(found), *tally


def line(name, scenes, truths, height, time=None):
    sums = [judge(found, truth, height) for found, truth in zip(scenes, truths)]
    right, found = sum(s[0] for s in sums), sum(s[1] for s in sums)
    sizes = [[sum(s[i][k] for s in sums) for k in (0, 1)] for i in (2, 3, 4)]
    recalls = " ".join(f"{part[0] / max(1, part[1]):7.3f}" for part in [*sizes, [sum(column) for column in zip(*sizes)]])
    ratio = f" {time:6.2f}" if time else ""
    print(f"{name:<32} {recalls} {right / max(1, found):9.3f} {found:6}{ratio}", flush=True)


# Ways to merge: lists of (label, box, score, rectangle of the pass) to (label, box, score).

def suppress(overlap, limit):
    def merge(found):
        kept = []
        for label, box, score, _ in sorted(found, key=lambda d: -d[2]):
            if not any(k[0] == label and overlap(k[1], box) > limit for k in kept):
                kept.append((label, box, score))
        return kept
    return merge


def fuse(overlap, limit):
    """Greedy merging of SAHI: what overlaps becomes one box around both."""
    def merge(found):
        kept = []
        for label, box, score, _ in sorted(found, key=lambda d: -d[2]):
            for k in kept:
                if k[0] == label and overlap(k[1], box) > limit:
                    k[1] = [min(k[1][0], box[0]), min(k[1][1], box[1]), max(k[1][2], box[2]), max(k[1][3], box[3])]
                    break
            else:
                kept.append([label, list(box), score])
        return kept
    return merge


def passes(grid, size, overlap=0.2):
    """Rectangles of a grid, the whole frame first."""
    counts = [int(v) for v in grid.split("x")]
    axes = []
    for side, count in zip(size, counts):
        length = -(-side // (count - (count - 1) * overlap)) if count > 1 else side
        axes.append([(round(i * (side - length) / max(1, count - 1)), int(length)) for i in range(count)])
    return [[0, 0, *size]] + [[x, y, w, h] for y, h in axes[1] for x, w in axes[0]]


def compare(args, model, scenes, truths, work, size):
    """Ways to merge, over what each pass finds by itself."""
    per_scene = [[] for _ in truths]
    for rect in passes(args.merging, size):
        x, y, w, h = rect
        cuts = work / "cut.toml"
        cuts.write_text(f"regions = [{{ rect = {rect} }}]\n")
        for scene, found in zip(per_scene, infer(args.leptond, model, scenes, ["--regions", cuts])[0]):
            for label, box, score in found:
                box = [max(box[0], x), max(box[1], y), min(box[2], x + w), min(box[3], y + h)]
                scene.append((label, box, score, rect))
    whole = [0, 0, *size]
    for name, merge in {
        "IoU 0.45": suppress(iou, 0.45),
        "IoS 0.5": suppress(ios, 0.5),
        "IoS 0.7": suppress(ios, 0.7),
        "fusion, IoU 0.45": fuse(iou, 0.45),
        "fusion, IoS 0.5": fuse(ios, 0.5),
    }.items():
        line(name, [merge(found) for found in per_scene], truths, size[1])
        line("  without the whole frame", [merge([d for d in found if d[3] != whole]) for found in per_scene], truths, size[1])
    line("leptond", infer(args.leptond, model, scenes, ["--tiles", args.merging])[0], truths, size[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leptond", required=True, type=pathlib.Path)
    parser.add_argument("--shared", required=True, type=pathlib.Path)
    parser.add_argument("--model", default="fastestdet-coco-fp32.onnx")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--merging")
    parser.add_argument("--work", type=pathlib.Path)
    args = parser.parse_args()
    work = args.work or pathlib.Path(tempfile.mkdtemp(prefix="tiles-"))
    scenes = work / "scenes"
    scenes.mkdir(parents=True, exist_ok=True)
    size = tuple(int(v) for v in args.size.split("x"))
    truths = []
    for i in range(args.scenes):
        scene, truth = compose(args.shared / "data/images", size, random.Random(f"{args.seed} {i}"))
        scene.save(scenes / f"{i:03}.jpg", quality=92)
        truths.append(truth)
    labels = pathlib.Path(__file__).resolve().parents[3] / "models/labels/coco.txt"
    model = bundle(args.shared, args.model, labels, work)
    print(f"{sum(map(len, truths))} objects in {args.scenes} scenes of {args.size} pixels")
    print(f"{'recall of objects':<32} {'small':>7} {'middle':>7} {'large':>7} {'all':>7} {'precision':>9} {'boxes':>6} {'time':>6}")
    if args.merging:
        compare(args, model, scenes, truths, work, size)
        return
    base = None
    for grid in GRIDS:
        more = ["--tiles", grid] if grid else []
        found, _ = infer(args.leptond, model, scenes, more)
        time = frame_time(args.leptond, model, scenes, args.scenes, more)
        base = base or time
        line(grid or "one pass", found, truths, size[1], time / base)


if __name__ == "__main__":
    main()
