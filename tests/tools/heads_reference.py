"""Makes tests/data/heads/*.json: small random outputs of every head of src/frame/head.rs, and what its reference decoder finds in them.

    python3 tests/tools/heads_reference.py [--check]

The decoders here are written from each family's published code or paper, array by array, and share nothing with the program. With
--check those of Ultralytics (boxes, key points, masks, turned boxes and their suppression) and torchvision (suppression) are run beside
them, and PaddleOCR's steps with OpenCV and pyclipper, where these packages are installed, and the largest difference is printed.

A file holds the task, the head, the size of the input, the number of labels, least score and overlap, the mapping to a source picture,
the outputs, and the objects by falling score, in pixels of the source.
"""

import argparse
import json
import pathlib

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[1] / "data" / "heads"
SIZE = 64  # of the input, pixels a side
# As if a picture of 200 x 140 had been letterboxed: source = model * scale + offset.
SCALE, OFFSET, SOURCE = 200 / SIZE, (0.0, -30.0), (200, 140)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def rounded(values):
    """Float32 values with few digits, so that the file is small and exact."""
    return np.round(np.asarray(values, np.float64), 4).astype(np.float32)


def cells(strides, offset=0.0):
    """Column, row and stride of every cell, row by row."""
    out = []
    for stride in strides:
        side = -(-SIZE // stride)
        rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
        out.append(np.stack([columns.ravel() + offset, rows.ravel() + offset, np.full(side * side, stride)], 1))
    return np.concatenate(out).astype(np.float64)


def xyxy(cxcywh):
    c, s = cxcywh[..., :2], cxcywh[..., 2:4]
    return np.concatenate([c - s / 2, c + s / 2], -1)


def source(points):
    return points * SCALE + np.array(OFFSET)


def source_boxes(boxes):
    mapped = source(boxes.reshape(-1, 2, 2))
    mapped[..., 0] = mapped[..., 0].clip(0, SOURCE[0])
    mapped[..., 1] = mapped[..., 1].clip(0, SOURCE[1])
    return mapped.reshape(-1, 4)


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod((high - low).clip(0))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return shared / union if union > 0 else 0.0


def suppress(boxes, scores, classes, threshold, overlap=iou):
    """Greedy non-maximum suppression within each class, stable."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    for i in order:
        if all(classes[k] != classes[i] or overlap(boxes[k], boxes[i]) <= threshold for k in kept):
            kept.append(i)
    return kept


def covariance(box):
    """Of the distribution over a turned box: x, y, w, h, angle (ProbIoU, appendix)."""
    w, h, r = box[2:5]
    a, b = w * w / 12, h * h / 12
    return a * np.cos(r) ** 2 + b * np.sin(r) ** 2, a * np.sin(r) ** 2 + b * np.cos(r) ** 2, (a - b) * np.cos(r) * np.sin(r)


def prob_iou(p, q, eps=1e-7):
    (a1, b1, c1), (a2, b2, c2) = covariance(p), covariance(q)
    dx, dy = p[0] - q[0], p[1] - q[1]
    d = (a1 + a2) * (b1 + b2) - (c1 + c2) ** 2
    t1 = ((a1 + a2) * dy**2 + (b1 + b2) * dx**2) / (d + eps) / 4
    t2 = -(c1 + c2) * dx * dy / (d + eps) / 2
    t3 = np.log(d / (4 * np.sqrt(max(a1 * b1 - c1**2, 0) * max(a2 * b2 - c2**2, 0)) + eps) + eps) / 2
    return 1 - np.sqrt(1 - np.exp(-np.clip(t1 + t2 + t3, eps, 100)) + eps)


def corners(box):
    x, y, w, h, r = box
    along, across = np.array([np.cos(r), np.sin(r)]) * w / 2, np.array([-np.sin(r), np.cos(r)]) * h / 2
    c = np.array([x, y])
    return np.stack([c + along + across, c + along - across, c - along - across, c - along + across])


def mask(prototypes, coefficients, box, shape=(SOURCE[1], SOURCE[0])):
    """A mask in pixels of the source: the weighted sum of prototypes, enlarged linearly, above 0, within the box."""
    logits = np.tensordot(coefficients.astype(np.float64), prototypes.astype(np.float64), 1)
    ratio = SIZE / logits.shape[0]
    ys = ((np.arange(shape[0]) + 0.5 - OFFSET[1]) / SCALE) / ratio - 0.5
    xs = ((np.arange(shape[1]) + 0.5 - OFFSET[0]) / SCALE) / ratio - 0.5

    def weights(at, count):
        at = at.clip(0, count - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, count - 1), at - low

    y0, y1, fy = weights(ys, logits.shape[0])
    x0, x1, fx = weights(xs, logits.shape[1])
    rows = logits[y0] * (1 - fy)[:, None] + logits[y1] * fy[:, None]
    full = rows[:, x0] * (1 - fx) + rows[:, x1] * fx
    b = source_boxes(box[None])[0]
    y, x = np.arange(shape[0])[:, None] + 0.5, np.arange(shape[1])[None] + 0.5
    return (full > 0) & (x > b[0]) & (x < b[2]) & (y > b[1]) & (y < b[3])


def case(name, head, outputs, found, labels, task="detect", min_score=0.3, iou_threshold=0.45, **more):
    """Writes a file. `outputs` are (name, values); `found` is (class, score, box, …) in pixels of the model."""
    objects = []
    for cls, score, box, *extra in found:
        one = {"class": int(cls), "score": round(float(score), 6), "box": source_boxes(np.asarray(box, np.float64)[None])[0].round(4).tolist()}
        if one["box"][0] >= one["box"][2] or one["box"][1] >= one["box"][3]:
            continue
        for key, value in extra[0].items() if extra else []:
            one[key] = value
        objects.append(one)
    assert objects, name
    data = {
        "task": task, "head": head, "labels": labels, "size": [SIZE, SIZE], "min_score": min_score, "iou": iou_threshold,
        "scale": SCALE, "offset": OFFSET, "source": SOURCE, **more,
        "outputs": [
            {"name": n, "whole": bool(np.issubdtype(v.dtype, np.integer)), "shape": list(v.shape),
             "values": [float(f"{x:.6g}") for x in v.ravel().astype(np.float64)]}
            for n, v in outputs
        ],
        "objects": objects,
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(f"{name}: {len(objects)} objects, {(OUT / f'{name}.json').stat().st_size} bytes")


def keypoints(points):
    """Key points [K, 3] of the model's pixels as they are published."""
    p = np.concatenate([source(points[:, :2]), points[:, 2:]], 1)
    return {"keypoints": p.round(4).tolist()}


def pick(boxes, scores, classes, threshold=0.45, least=0.3, extras=None):
    """Objects that count, suppressed in pixels of the source."""
    good = np.flatnonzero(scores >= least)
    kept = suppress(source_boxes(boxes[good]), scores[good], classes[good], threshold)
    return [(classes[i], scores[i], boxes[i], *([extras(i)] if extras else [])) for i in good[kept]]


def in_order(boxes, scores, classes, least=0.3, extras=None):
    """Objects that count, by falling score, none suppressed."""
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= least]
    return [(classes[i], scores[i], boxes[i], *([extras(i)] if extras else [])) for i in order]


def centres(rng, n):
    return np.concatenate([rng.uniform(8, 56, (n, 2)), rng.uniform(6, 30, (n, 2))], 1)


def decoded(rng, classes, n=84):
    """Boxes as centre and size, and class scores of which some count."""
    scores = rng.uniform(0, 1, (n, classes)) ** 4
    return rounded(centres(rng, n)), rounded(scores)


def yolo(rng):
    boxes, scores = decoded(rng, 3)
    objectness = rounded(rng.uniform(0, 1, (84, 1)))
    both = objectness * scores
    found = pick(xyxy(boxes.astype(np.float64)), both.max(1).astype(np.float64), both.argmax(1))
    case("yolov5", "yolov5", [("output0", np.concatenate([boxes, objectness, scores], 1)[None])], found, 3)
    found = pick(xyxy(boxes.astype(np.float64)), scores.max(1).astype(np.float64), scores.argmax(1))
    rows = np.concatenate([boxes, scores], 1)[None]
    case("yolov8", "yolov8", [("output0", rows.transpose(0, 2, 1))], found, 3)
    case("yolov8-rows", "yolov8", [("output0", rows)], found, 3)
    shares = rounded(boxes / SIZE)
    found = pick(xyxy(shares.astype(np.float64) * SIZE), scores.max(1).astype(np.float64), scores.argmax(1))
    case("rtdetr-ultralytics", "yolov8", [("output0", np.concatenate([shares, scores], 1)[None])], found, 3, boxes="normalised")
    corners_ = rounded(xyxy(boxes))
    end = np.concatenate([corners_, scores.max(1)[:, None], scores.argmax(1)[:, None].astype(np.float32)], 1)[:20]
    found = in_order(corners_[:20].astype(np.float64), end[:, 4].astype(np.float64), end[:, 5])
    case("end2end", "end2end", [("output0", end[None])], found, 3)


def yolox(rng):
    grid = cells([8, 16, 32])
    raw = rounded(np.concatenate([rng.normal(0.5, 0.5, (84, 2)), rng.normal(0.3, 0.6, (84, 2))], 1))
    scores = rounded(rng.uniform(0, 1, (84, 4)) ** 0.7)
    r = raw.astype(np.float64)
    boxes = xyxy(np.concatenate([(r[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(r[:, 2:]) * grid[:, 2:]], 1))
    both = (scores[:, :1] * scores[:, 1:]).astype(np.float64)
    case("yolox", "yolox", [("output", np.concatenate([raw, scores], 1)[None])], pick(boxes, both.max(1), both.argmax(1)), 3)


def distances(logits, stride):
    return (softmax(logits.reshape(-1, 4, 8).astype(np.float64)) * np.arange(8)).sum(-1) * stride


def distributions(rng):
    grid = cells([8, 16, 32, 64])
    scores, logits = rounded(rng.uniform(0, 1, (85, 3)) ** 4), rounded(rng.normal(0, 2, (85, 32)))
    d, c = distances(logits, grid[:, 2:]), grid[:, :2] * grid[:, 2:]
    boxes = np.concatenate([c - d[:, :2], c + d[:, 2:]], 1)
    found = pick(boxes, scores.max(1).astype(np.float64), scores.argmax(1))
    case("nanodet", "nanodet", [("output", np.concatenate([scores, logits], 1)[None])], found, 3)
    c = (grid[:, :2] + 0.5) * grid[:, 2:]
    boxes = np.concatenate([c - d[:, :2], c + d[:, 2:]], 1)
    found = pick(boxes, scores.max(1).astype(np.float64), scores.argmax(1))
    parts = np.split(np.arange(85), np.cumsum([64, 16, 4]))
    outputs = [(f"transpose_{i}", scores[p][None]) for i, p in enumerate(parts)]
    outputs += [(f"transpose_{i + 4}", logits[p][None]) for i, p in enumerate(parts)]
    case("picodet", "picodet", outputs, found, 3)


def pairs(rng):
    boxes, scores = decoded(rng, 3)
    boxes = rounded(xyxy(boxes))
    best, classes = scores.max(1).astype(np.float64), scores.argmax(1)
    found = pick(boxes.astype(np.float64), best, classes)
    case("yolonas", "yolonas", [("913", boxes[None]), ("904", scores[None])], found, 3)
    case("picodet-decoded", "yolonas", [("scores", scores.T[None]), ("boxes", boxes[None])], found, 3)
    shares = rounded(boxes / SIZE)
    found = pick(shares.astype(np.float64) * SIZE, best, classes)
    case("yolov4", "yolov4", [("boxes", shares[None, :, None]), ("confs", scores[None])], found, 3)
    queries = rounded(centres(rng, 30) / SIZE)
    logits = rounded(rng.normal(-1.5, 1.5, (30, 3)))
    p = sigmoid(logits.astype(np.float64))
    found = in_order(xyxy(queries.astype(np.float64) * SIZE), p.max(1), p.argmax(1))
    case("rf-detr", "detr", [("dets", queries[None]), ("labels", logits[None])], found, 3)
    logits = rounded(rng.normal(0, 2, (30, 4)))
    p = softmax(logits.astype(np.float64))[:, :-1]
    found = in_order(xyxy(queries.astype(np.float64) * SIZE), p.max(1), p.argmax(1))
    case("detr", "detr", [("logits", logits[None]), ("pred_boxes", queries[None])], found, 3)


def faces(rng):
    strides = [8, 16, 32]
    grid = cells(strides)
    cls, obj = rounded(rng.uniform(0, 1, 84)), rounded(rng.uniform(0, 1, 84))
    raw, points = rounded(rng.normal(0.3, 0.5, (84, 4))), rounded(rng.normal(0.5, 0.7, (84, 10)))
    score = np.sqrt(cls.astype(np.float64) * obj)
    r = raw.astype(np.float64)
    boxes = xyxy(np.concatenate([(r[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(r[:, 2:]) * grid[:, 2:]], 1))
    kps = (points.reshape(-1, 5, 2).astype(np.float64) + grid[:, None, :2]) * grid[:, None, 2:]
    with_score = lambda i: keypoints(np.concatenate([kps[i], np.ones((5, 1))], 1))
    parts = np.split(np.arange(84), np.cumsum([64, 16]))
    outputs = [(f"{name}_{s}", v[p].reshape(1, len(p), -1)) for name, v in [("cls", cls), ("obj", obj), ("bbox", raw), ("kps", points)] for s, p in zip(strides, parts)]
    case("yunet", "yunet", outputs, pick(boxes, score, np.zeros(84, int), least=0.6, extras=with_score), 1, min_score=0.6)

    grid = np.repeat(cells(strides), 2, 0)
    score, raw = rounded(rng.uniform(0, 1, 168) ** 3), rounded(rng.uniform(0.3, 2, (168, 4)))
    points = rounded(rng.normal(0, 1, (168, 10)))
    c = grid[:, :2] * grid[:, 2:]
    d = raw.astype(np.float64) * grid[:, 2:]
    boxes = np.concatenate([c - d[:, :2], c + d[:, 2:]], 1)
    kps2 = c[:, None] + points.reshape(-1, 5, 2).astype(np.float64) * grid[:, None, 2:]
    with_score2 = lambda i: keypoints(np.concatenate([kps2[i], np.ones((5, 1))], 1))
    parts = np.split(np.arange(168), np.cumsum([128, 32]))
    outputs = [(str(440 + i), v[p].reshape(len(p), -1)) for i, (v, p) in enumerate((v, p) for v in (score, raw, points) for p in parts)]
    case("scrfd", "scrfd", outputs, pick(boxes, score.astype(np.float64), np.zeros(168, int), least=0.5, extras=with_score2), 1, min_score=0.5)

    n = 8 * 8 * 3 + 4 * 4 * 2 + 2 * 2 * 2 + 1 * 3
    shares = rounded(xyxy(centres(rng, n)) / SIZE)
    score = rounded(rng.uniform(0, 1, n) ** 4)
    outputs = [("scores", np.stack([1 - score, score], 1)[None]), ("boxes", shares[None])]
    case("ultraface", "ultraface", outputs, pick(shares.astype(np.float64) * SIZE, score.astype(np.float64), np.zeros(n, int), least=0.6), 1, min_score=0.6)

    anchors = np.concatenate([np.repeat(cells([8], 0.5), 2, 0), np.repeat(cells([16], 0.5), 6, 0)])
    n = len(anchors)
    raw = rounded(np.concatenate([rng.normal(0, 4, (n, 2)), rng.uniform(5, 30, (n, 2)), rng.normal(0, 8, (n, 12))], 1))
    logits = rounded(rng.normal(-2, 2, n))
    c = anchors[:, :2] * anchors[:, 2:]
    boxes = xyxy(np.concatenate([raw[:, :2] + c, raw[:, 2:4]], 1).astype(np.float64))
    kps3 = raw[:, 4:].reshape(-1, 6, 2).astype(np.float64) + c[:, None]
    with_score3 = lambda i: keypoints(np.concatenate([kps3[i], np.ones((6, 1))], 1))
    found = pick(boxes, sigmoid(logits.astype(np.float64)), np.zeros(n, int), least=0.7, extras=with_score3)
    case("mediapipe", "mediapipe", [("regressors", raw[None]), ("classificators", logits[None, :, None])], found, 1, min_score=0.7)

    grid = np.repeat(cells(strides, 0.5), 2, 0)
    side = np.concatenate([np.tile(pair, (SIZE // s) ** 2) for s, pair in zip(strides, [(16, 32), (64, 128), (256, 512)])])
    priors = np.concatenate([grid[:, :2] * grid[:, 2:], side[:, None], side[:, None]], 1)
    raw, points = rounded(rng.normal(0, 1, (168, 4))), rounded(rng.normal(0, 2, (168, 10)))
    logits = rounded(rng.normal(0, 2, (168, 2)))
    score = softmax(logits.astype(np.float64))[:, 1]
    r = raw.astype(np.float64)
    boxes = xyxy(np.concatenate([priors[:, :2] + r[:, :2] * 0.1 * priors[:, 2:], priors[:, 2:] * np.exp(r[:, 2:] * 0.2)], 1))
    kps4 = priors[:, None, :2] + points.reshape(-1, 5, 2).astype(np.float64) * 0.1 * priors[:, None, 2:]
    with_score4 = lambda i: keypoints(np.concatenate([kps4[i], np.ones((5, 1))], 1))
    found = pick(boxes, score, np.zeros(168, int), least=0.8, extras=with_score4)
    case("retinaface", "retinaface", [("loc", raw[None]), ("conf", logits[None]), ("landms", points[None])], found, 1, min_score=0.8)


def selected(rng):
    boxes, scores = decoded(rng, 3, 10)
    boxes, best = rounded(xyxy(boxes)), np.sort(scores.max(1))[::-1].copy()
    classes = rng.integers(0, 3, 10)
    shares = rounded(boxes / SIZE)
    tf = shares[:, [1, 0, 3, 2]]
    count = np.array([6], np.float32)
    found = in_order(shares[:6].astype(np.float64) * SIZE, best[:6].astype(np.float64), classes)
    floats = classes.astype(np.float32)
    post = "TFLite_Detection_PostProcess"
    case("tflite-postprocess", "tensorflow", [(post, tf[None]), (f"{post}:1", floats[None]), (f"{post}:2", best[None]), (f"{post}:3", count)], found, 3)
    call = "StatefulPartitionedCall"
    case("tensorflow-unnamed", "tensorflow", [(f"{call}:1", best[None]), (f"{call}:3", tf[None]), (f"{call}:0", count), (f"{call}:2", floats[None])], found, 3)
    found = in_order(boxes.astype(np.float64), best.astype(np.float64), classes)
    case("rtdetr", "selected", [("labels", classes[None]), ("boxes", boxes[None]), ("scores", best[None])], found, 3)
    case("torchvision", "selected", [("boxes", boxes), ("labels", classes), ("scores", best)], found, 3)
    found6 = in_order(boxes[:6].astype(np.float64), best[:6].astype(np.float64), classes)
    case("tensorrt", "selected", [("num_dets", np.array([[6]])), ("det_boxes", boxes[None]), ("det_scores", best[None]), ("det_classes", classes[None])], found6, 3)
    rows = np.concatenate([np.zeros((10, 1), np.float32), boxes, floats[:, None], best[:, None]], 1)
    case("yolov7", "yolov7", [("output", rows)], found, 3)
    rows = np.concatenate([floats[:, None], best[:, None], boxes], 1)
    case("paddle", "paddle", [("multiclass_nms3_0.tmp_0", rows), ("multiclass_nms3_0.tmp_2", np.array([6], np.int32))], found6, 3)
    case("mmdet", "mmdet", [("dets", np.concatenate([boxes, best[:, None]], 1)[None]), ("labels", classes[None])], found, 3)


def movenet(rng):
    points = rounded(np.concatenate([rng.uniform(0.1, 0.9, (17, 2)), rng.uniform(0, 1, (17, 1))], 1))
    p = points.astype(np.float64)
    xyp = np.stack([p[:, 1] * SIZE, p[:, 0] * SIZE, p[:, 2]], 1)
    seen = xyp[xyp[:, 2] >= 0.2]
    box = np.concatenate([seen[:, :2].min(0), seen[:, :2].max(0)])
    case("movenet", "movenet", [("output_0", points[None, None])], [(0, p[:, 2].mean(), box, keypoints(xyp))], 1, "pose")
    people = rng.uniform(0.1, 0.9, (6, 56))
    people[:, 53:55] = people[:, 51:53] + 0.2
    people[:, 55] = [0.9, 0.8, 0.4, 0.2, 0.1, 0.0]
    people = rounded(people)
    found = []
    for row in people.astype(np.float64)[:3]:
        p = row[:51].reshape(17, 3)
        found.append((0, row[55], row[[52, 51, 54, 53]] * SIZE, keypoints(np.stack([p[:, 1] * SIZE, p[:, 0] * SIZE, p[:, 2]], 1))))
    case("movenet-multi", "movenet", [("output_0", people[None])], found, 1, "pose")


def pose(rng, check):
    boxes, scores = decoded(rng, 1)
    points = rounded(np.concatenate([rng.uniform(0, SIZE, (84, 5, 2)), rng.uniform(0, 1, (84, 5, 1))], 2))
    rows = np.concatenate([boxes, scores, points.reshape(84, 15)], 1)
    extras = lambda i: keypoints(points[i].astype(np.float64))
    found = pick(xyxy(boxes.astype(np.float64)), scores[:, 0].astype(np.float64), np.zeros(84, int), extras=extras)
    case("yolov8-pose", "yolov8", [("output0", rows.T[None])], found, 1, "pose", keypoints=[5, 3])
    end = np.concatenate([rounded(xyxy(boxes)), scores, np.zeros((84, 1), np.float32), points.reshape(84, 15)], 1)[:15]
    found = in_order(end[:, :4].astype(np.float64), end[:, 4].astype(np.float64), end[:, 5], extras=extras)
    case("yolo26-pose", "end2end", [("output0", end[None])], found, 1, "pose", keypoints=[5, 3])
    check.nms("yolov8-pose", rows.T[None], 1, xyxy(boxes.astype(np.float64)))


def obb(rng, check):
    boxes, scores = decoded(rng, 3)
    angles = rounded(rng.uniform(-np.pi / 4, 3 * np.pi / 4, (84, 1)))
    turned = np.concatenate([boxes, angles], 1).astype(np.float64)
    best, classes = scores.max(1).astype(np.float64), scores.argmax(1)

    def one(i):
        c = corners(turned[i])
        box = np.concatenate([c.min(0), c.max(0)])
        return (classes[i], best[i], box, {"corners": source(c).round(4).tolist()})

    good = np.flatnonzero(best >= 0.3)
    good = good[suppress(turned[good], best[good], classes[good], 0.45, prob_iou)]
    case("yolov8-obb", "yolov8", [("output0", np.concatenate([boxes, scores, angles], 1).T[None])], [one(i) for i in good], 3, "obb")
    order = [i for i in np.argsort(-best[:20], kind="stable") if best[i] >= 0.3]
    end = np.concatenate([boxes, best[:, None].astype(np.float32), classes[:, None].astype(np.float32), angles], 1)[:20]
    case("yolo26-obb", "end2end", [("output0", end[None])], [one(i) for i in order], 3, "obb")
    check.obb(turned)


def segment(rng, check):
    boxes, scores = decoded(rng, 2)
    side, channels = SIZE // 4, 6
    coefficients = rounded(rng.normal(0, 1, (84, channels)))
    rows, columns = np.meshgrid(np.linspace(0, 3, side), np.linspace(0, 3, side), indexing="ij")
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in rng.uniform(-1.5, 1.5, (channels, 3))]
    prototypes = rounded(np.stack(waves))
    best, classes = scores.max(1).astype(np.float64), scores.argmax(1)
    corner = xyxy(boxes.astype(np.float64))
    extras = lambda i: {"mask": runs(mask(prototypes, coefficients[i], corner[i]))}
    found = pick(corner, best, classes, extras=extras)
    outputs = [("output0", np.concatenate([boxes, scores, coefficients], 1).T[None]), ("output1", prototypes[None])]
    case("yolov8-seg", "yolov8", outputs, found, 2, "segment")
    low = rounded(corner)
    end = np.concatenate([low, best[:, None].astype(np.float32), classes[:, None].astype(np.float32), coefficients], 1)[:12]
    extras = lambda i: {"mask": runs(mask(prototypes, coefficients[i], low[i].astype(np.float64)))}
    found = in_order(low[:12].astype(np.float64), best[:12], classes, extras=extras)
    case("yolo26-seg", "end2end", [("output0", end[None]), ("output1", prototypes[None])], found, 2, "segment")
    check.masks(prototypes, coefficients, low)


def landmarks(rng):
    raw = rounded(np.concatenate([rng.uniform(4, 60, (39, 3)), rng.normal(1, 2, (39, 2))], 1))
    points = np.concatenate([raw[:33, :2], sigmoid(raw[:33, 3:4].astype(np.float64))], 1)
    seen = points[points[:, 2] >= 0.5, :2]
    outputs = [("Identity", raw.reshape(1, 195)), ("Identity_1", rounded([[0.87]])), ("Identity_4", rounded(rng.normal(0, 1, (1, 117))))]
    found = [(0, np.float32(0.87), np.concatenate([seen.min(0), seen.max(0)]), keypoints(points))]
    case("landmarks-body", "landmarks", outputs, found, 1, task="pose")
    raw = rounded(rng.uniform(4, 60, (21, 3)))
    points = np.concatenate([raw[:, :2], np.ones((21, 1))], 1)
    outputs = [("Identity", raw.reshape(1, 63)), ("Identity_1", rounded([[0.93]])), ("Identity_2", rounded([[0.1]])), ("Identity_3", rounded(rng.normal(0, 1, (1, 63))))]
    found = [(0, np.float32(0.93), np.concatenate([raw[:, :2].min(0), raw[:, :2].max(0)]), keypoints(points))]
    case("landmarks-hand", "landmarks", outputs, found, 1, task="pose")


def smallest(points):
    """The smallest turned box around points: x, y, w, h, angle, the width its longer side."""
    best = None
    for a in points:
        for b in points:
            along = b - a
            if not along.any():
                continue
            along = along / np.hypot(*along)
            across = np.array([-along[1], along[0]])
            u, v = points @ along, points @ across
            # A side of the box goes through both: all points are on one side of it.
            if v.min() < a @ across - 1e-9:
                continue
            w, h = np.ptp(u), np.ptp(v)
            if best is None or w * h < best[0] - 1e-9:
                centre = along * (u.min() + u.max()) / 2 + across * (v.min() + v.max()) / 2
                best = w * h, centre, w, h, np.arctan2(along[1], along[0])
    _, (x, y), w, h, angle = best
    if w < h:
        w, h, angle = h, w, angle + np.pi / 2
    while angle > np.pi / 2:
        angle -= np.pi
    while angle <= -np.pi / 2:
        angle += np.pi
    return np.array([x, y, w, h, angle])


def text_lines(rng, check):
    """PaddleOCR's DBPostProcess with exact offsets; its own rounds to whole places."""
    ys, xs = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    prob = rng.uniform(0, 0.25, (SIZE, SIZE))
    for x, y, w, h, angle, value in [(18, 12, 24, 5, 0.13, 0.9), (44, 34, 5, 30, -0.21, 0.8), (16, 44, 20, 8, -0.5, 0.55), (40, 60, 3, 2, 0.0, 0.9)]:
        along = (xs - x) * np.cos(angle) + (ys - y) * np.sin(angle)
        across = (ys - y) * np.cos(angle) - (xs - x) * np.sin(angle)
        inside = (np.abs(along) <= w / 2) & (np.abs(across) <= h / 2)
        prob[inside] = value + rng.uniform(0, 0.08, inside.sum())
    prob = rounded(prob)
    mask, label, found = prob > 0.3, np.zeros((SIZE, SIZE), int), []
    for start in zip(*np.nonzero(mask)):
        if label[start]:
            continue
        number, stack, places = label.max() + 1, [start], []
        label[start] = number
        while stack:
            r, c = stack.pop()
            places.append((c, r))
            for rr in range(max(r - 1, 0), min(r + 2, SIZE)):
                for cc in range(max(c - 1, 0), min(c + 2, SIZE)):
                    if mask[rr, cc] and not label[rr, cc]:
                        label[rr, cc] = number
                        stack.append((rr, cc))
        x, y, w, h, angle = core = smallest(np.array(places, np.float64))
        if min(w, h) < 3:
            continue
        along = (xs - x) * np.cos(angle) + (ys - y) * np.sin(angle)
        across = (ys - y) * np.cos(angle) - (xs - x) * np.sin(angle)
        score = prob[(np.abs(along) <= w / 2 + 1e-3) & (np.abs(across) <= h / 2 + 1e-3)].astype(np.float64).mean()
        missing = w * h * 1.5 / (2 * (w + h))
        box = core + np.array([0.5, 0.5, 2 * missing, 2 * missing, 0])
        if score >= 0.5 and min(box[2:4]) >= 5:
            found.append((score, box))
    found.sort(key=lambda one: -one[0])
    check.lines(prob, found)
    hulls = [(0, score, np.concatenate([corners(box).min(0), corners(box).max(0)])) for score, box in found]
    case("dbnet", "dbnet", [("maps", prob[None, None])], hulls, 1, min_score=0.5)
    turned = [(c, s, hull, {"corners": source(corners(box)).round(4).tolist()}) for (c, s, hull), (_, box) in zip(hulls, found)]
    case("dbnet-obb", "dbnet", [("maps", prob[None, None])], turned, 1, task="obb", min_score=0.5)


def runs(picture):
    """Lengths of runs row by row, beginning with places that are outside."""
    flat = picture.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


class Check:
    """Compares with the packages that define a family, where they are asked for."""

    def __init__(self, wanted):
        self.wanted = wanted

    def nms(self, name, output, classes, boxes):
        if not self.wanted:
            return
        import torch
        from ultralytics.utils.nms import non_max_suppression

        theirs = non_max_suppression(torch.tensor(output), 0.3, 0.45, nc=classes)[0].numpy()
        scores = output[0, 4 : 4 + classes].max(0).astype(np.float64)
        ours = np.array([np.concatenate([b, [s]]) for _, s, b in pick_plain(boxes, scores, output[0, 4 : 4 + classes].argmax(0))])
        print(f"  {name} against ultralytics: {len(theirs)} and {len(ours)} objects, differ by {np.abs(theirs[:, :5] - ours).max():.2g}")

    def obb(self, turned):
        if not self.wanted:
            return
        import torch
        from ultralytics.utils import metrics, ops

        theirs = metrics.batch_probiou(torch.tensor(turned), torch.tensor(turned)).numpy()
        ours = np.array([[prob_iou(a, b) for b in turned] for a in turned])
        print(f"  ProbIoU against ultralytics: differs by {np.abs(theirs - ours).max():.2g}")
        theirs = ops.xywhr2xyxyxyxy(torch.tensor(turned)).numpy()
        ours = np.stack([corners(t) for t in turned])
        print(f"  corners against ultralytics: differ by {np.abs(theirs - ours).max():.2g}")

    def masks(self, prototypes, coefficients, boxes):
        if not self.wanted:
            return
        import torch
        from ultralytics.utils import ops

        # With masks of full size it cuts at the box, as here; else at whole cells of the prototypes.
        theirs = ops.process_mask_native(torch.tensor(prototypes), torch.tensor(coefficients), torch.tensor(boxes), (SIZE, SIZE))
        theirs = theirs.numpy() > 0
        differing, pixels = 0, 0
        for t, c, b in zip(theirs, coefficients, boxes.astype(np.float64)):
            global SCALE, OFFSET, SOURCE
            kept, (SCALE, OFFSET, SOURCE) = (SCALE, OFFSET, SOURCE), (1.0, (0.0, 0.0), (SIZE, SIZE))
            o = mask(prototypes, c, b, (SIZE, SIZE))
            SCALE, OFFSET, SOURCE = kept
            # Its box cuts at the corners of pixels, not at their middles: the pixels along its edge are left out.
            x0, y0, x1, y1 = np.concatenate([np.ceil(b[:2] + 1), np.floor(b[2:] - 1)]).astype(int).clip(0, SIZE)
            differing += (t != o)[y0:y1, x0:x1].sum()
            pixels += t[y0:y1, x0:x1].size
        print(f"  masks against ultralytics: {differing} of {pixels} pixels differ")

    def lines(self, prob, found):
        """PaddleOCR's own steps: its polygons have whole corners, so that a pixel of difference is rounding."""
        if not self.wanted:
            return
        import cv2
        import pyclipper

        theirs = []
        outlines, _ = cv2.findContours((prob > 0.3).astype(np.uint8) * 255, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            rect = cv2.minAreaRect(outline)
            if min(rect[1]) < 3:
                continue
            box = cv2.boxPoints(rect)
            low = np.floor(box.min(0)).astype(int).clip(0, SIZE - 1)
            high = np.ceil(box.max(0)).astype(int).clip(0, SIZE - 1)
            inside = np.zeros(tuple(high - low + 1)[::-1], np.uint8)
            cv2.fillPoly(inside, (box - low).reshape(1, -1, 2).astype(np.int32), 1)
            score = cv2.mean(prob[low[1] : high[1] + 1, low[0] : high[0] + 1], inside)[0]
            if score < 0.5:
                continue
            offset = pyclipper.PyclipperOffset()
            offset.AddPath(box.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
            distance = cv2.contourArea(box) * 1.5 / cv2.arcLength(box, True)
            grown = cv2.minAreaRect(np.array(offset.Execute(distance)[0]))
            if min(grown[1]) >= 5:
                theirs.append((score, cv2.boxPoints(grown) + 0.5))
        theirs.sort(key=lambda one: -one[0])
        worst = max(np.abs(np.concatenate([t.min(0), t.max(0)]) - np.concatenate([corners(b).min(0), corners(b).max(0)])).max() for (_, t), (_, b) in zip(theirs, found))
        scores = max(abs(t - s) for (t, _), (s, _) in zip(theirs, found))
        print(f"  lines against PaddleOCR's steps: {len(theirs)} and {len(found)}, differ by {worst:.2g} places, scores by {scores:.2g}")


def pick_plain(boxes, scores, classes):
    good = np.flatnonzero(scores > 0.3)
    kept = suppress(boxes[good], scores[good], classes[good], 0.45)
    return [(classes[i], scores[i], boxes[i]) for i in good[kept]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = Check(parser.parse_args().check)
    for number, make in enumerate([yolo, yolox, distributions, pairs, faces, selected, movenet, landmarks]):
        make(np.random.default_rng(number))
    for number, make in enumerate([pose, obb, segment, text_lines]):
        make(np.random.default_rng(100 + number), check)


if __name__ == "__main__":
    main()
