//! Heads of face detectors with outputs for each stride.

use super::item::{Found, Item, Scratch, are_logits, around, score_of};
use crate::frame::roles::{FACE_ANCHORS, Level};
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes;

/// For each stride class and objectness `[N, R, 1]`, box `[N, R, 4]` and five points `[N, R, 10]`: score `√(class · objectness)`, centre
/// `(value + cell) · stride`, size `exp(value) · stride`, points as the centre (W. Wu et al., "YuNet", 2023; OpenCV's `FaceDetectorYN`).
pub(super) fn yunet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    for Level { stride, outputs, .. } in shapes::yunet(settings, item.specs)? {
        let [classes, objects, boxes, points] = [0, 1, 2, 3].map(|role| item.values[outputs[role]]);
        for (index, (cell, stride)) in super::cells::cells(&[stride], settings.input_size).enumerate() {
            let score = (classes[index].clamp(0.0, 1.0) * objects[index].clamp(0.0, 1.0)).sqrt();
            if score < settings.min_score {
                continue;
            }
            let row = &boxes[index * 4..(index + 1) * 4];
            let place = |point: &[f32]| [0, 1].map(|axis| (point[axis] + cell[axis]) * stride);
            scratch.extra.clear();
            for point in points[index * 10..(index + 1) * 10].as_chunks::<2>().0 {
                let [x, y] = place(point);
                scratch.extra.extend([x, y, 1.0]);
            }
            let bbox = around(place(row), [row[2].exp() * stride, row[3].exp() * stride]);
            found(Candidate::new(0, score, bbox), &scratch.extra);
        }
    }
    Ok(())
}

/// For each stride scores `[R, 1]` after sigmoid, distances of the sides `[R, 4]` and, where it has them, five points `[R, 10]`, both in
/// strides from `cell · stride`; two rows for each cell (J. Guo et al., "SCRFD", 2021).
pub(super) fn scrfd(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    for Level { stride, outputs, .. } in shapes::scrfd(settings, item.specs)? {
        let [scores, boxes] = [0, 1].map(|role| item.values[outputs[role]]);
        let points = outputs.get(2).map(|output| item.values[*output]);
        for (index, (cell, stride)) in super::cells::cells(&[stride], settings.input_size).enumerate() {
            let [x, y] = cell.map(|v| v * stride);
            for row in [2 * index, 2 * index + 1] {
                if scores[row] < settings.min_score {
                    continue;
                }
                let side = |side: usize| boxes[row * 4 + side] * stride;
                scratch.extra.clear();
                for point in points.map(|p| &p[row * 10..(row + 1) * 10]).unwrap_or_default().as_chunks::<2>().0 {
                    scratch.extra.extend([x + point[0] * stride, y + point[1] * stride, 1.0]);
                }
                let bbox = [x - side(0), y - side(1), x + side(2), y + side(3)];
                found(Candidate::new(0, scores[row], bbox), &scratch.extra);
            }
        }
    }
    Ok(())
}

/// Variances of RetinaFace's boxes: of centres and points, and of sizes.
const VARIANCES: [f32; 2] = [0.1, 0.2];

/// Boxes `[N, R, 4]`, scores of background and face `[N, R, 2]` after softmax or before it, and five points `[N, R, 10]`, relative to two
/// square anchors in the middle of each cell: centre and points in a tenth of the anchor's side, size as logarithm (J. Deng et al.,
/// "RetinaFace", 2019; `decode` and `decode_landm` of its form in PyTorch).
pub(super) fn retinaface(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let [boxes, scores, points] = shapes::retinaface(settings, item.specs)?.map(|output| item.values[output]);
    scratch.logits |= are_logits(scores);
    let cells = |(stride, sides): (usize, [f32; 2])| {
        let both = move |(cell, stride): ([f32; 2], f32)| sides.map(|side| (cell.map(|v| (v + 0.5) * stride), side));
        super::cells::cells(&[stride], settings.input_size).flat_map(both).collect::<Vec<_>>()
    };
    let rows = boxes.as_chunks::<4>().0.iter().zip(scores.as_chunks::<2>().0).zip(points.as_chunks::<10>().0);
    for (((code, pair), points), (middle, side)) in rows.zip(FACE_ANCHORS.into_iter().flat_map(cells)) {
        let score = score_of(pair[1], pair, scratch.logits, true);
        if score < settings.min_score {
            continue;
        }
        let place = |point: &[f32]| [0, 1].map(|axis| middle[axis] + point[axis] * VARIANCES[0] * side);
        scratch.extra.clear();
        for point in points.as_chunks::<2>().0 {
            let [x, y] = place(point);
            scratch.extra.extend([x, y, 1.0]);
        }
        let size = [2, 3].map(|axis| side * (code[axis] * VARIANCES[1]).exp());
        found(Candidate::new(0, score, around(place(code), size)), &scratch.extra);
    }
    Ok(())
}
