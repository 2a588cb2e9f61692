"""Draws boxes and what a detector may have found of them, and writes both with the figures that pycocotools gives.

    python3 tests/tools/coco_reference.py [--cases 4] [--pictures 8] [--seed 5] > tests/data/evaluate/coco.json

`src/evaluate/objects.rs` must give the same figures. Needs pycocotools and numpy.
"""

import argparse
import contextlib
import io
import json

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NAMES = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100"]


def case(rng, pictures):
    classes, out = int(rng.integers(1, 5)), []
    for _ in range(pictures):
        truths, found = [], []
        for _ in range(int(rng.integers(0, 9))):
            side = float(np.exp(rng.uniform(np.log(6), np.log(260))))
            box = [*rng.uniform(0, 400, 2), side * rng.uniform(0.5, 1.5), side * rng.uniform(0.5, 1.5)]
            box = [round(float(v), 2) for v in box]
            area = round(box[2] * box[3] * float(rng.uniform(0.5, 1.0)), 2)
            truths.append([int(rng.integers(classes)), box, area, bool(rng.random() < 0.08)])
            for _ in range(int(rng.choice([0, 1, 1, 1, 2, 3]))):
                shift = rng.normal(0, 0.12, 4) * side
                near = [round(max(float(v + d), 0.5), 2) for v, d in zip(box, shift)]
                label = truths[-1][0] if rng.random() < 0.85 else int(rng.integers(classes))
                # Scores of an int8 model repeat.
                found.append([label, near, round(float(rng.integers(1, 40)) / 40, 3)])
        for _ in range(int(rng.integers(0, 4))):
            box = [round(float(v), 2) for v in [*rng.uniform(0, 400, 2), *rng.uniform(4, 200, 2)]]
            found.append([int(rng.integers(classes)), box, round(float(rng.random()), 3)])
        if rng.random() < 0.1 and found:
            found = found + [[f[0], f[1], round(f[2] * 0.5, 3)] for f in found * 12]
        out.append({"truths": truths, "found": found})
    return {"classes": classes, "pictures": out}


def figures(case):
    truths, found = [], []
    for number, picture in enumerate(case["pictures"], 1):
        for label, box, area, crowd in picture["truths"]:
            truths.append({"id": len(truths) + 1, "image_id": number, "category_id": label, "bbox": box, "area": area,
                           "iscrowd": int(crowd)})
        for label, box, score in picture["found"]:
            found.append({"image_id": number, "category_id": label, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"info": {}, "images": [{"id": n + 1} for n in range(len(case["pictures"]))], "annotations": truths,
                        "categories": [{"id": n} for n in range(case["classes"])]}
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: None if value < 0 else float(value) for name, value in zip(NAMES, run.stats)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    cases = [case(rng, args.pictures) for _ in range(args.cases)]
    cases = [dict(one, figures=figures(one)) for one in cases if any(p["found"] for p in one["pictures"])]
    print("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]")


if __name__ == "__main__":
    main()
