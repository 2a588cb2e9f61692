//! Heads whose boxes are relative to anchors.

use super::item::{Found, Item, Scratch, are_logits, around, best_of_row, score_of};
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes::{self, wrong};
use crate::task::output::logistic;

/// Boxes `[N, R, 4]` relative to anchors and class scores `[N, R, classes]` (with or without a background class
/// first), in either order.
pub(super) fn ssd(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let (swapped, columns) = shapes::anchored(settings, item.specs[0], item.specs[1])?;
    let (boxes, scores) = if swapped { (1, 0) } else { (0, 1) };
    let Some(anchors) = settings.anchors else {
        return Err(wrong(item.specs[0], "the bundle has no anchors for it".into()));
    };
    let background = usize::from(anchors.background);
    let [height, width] = settings.input_size.map(|v| v as f32);
    // Class scores outside 0 to 1 are logits, and then they always were: see `output::Scores`.
    scratch.logits |= are_logits(item.values[scores]);
    let logits = settings.softmax.unwrap_or(scratch.logits);
    let rows = item.values[boxes].chunks_exact(4).zip(item.values[scores].chunks_exact(columns));
    for ((code, row), anchor) in rows.zip(&anchors.boxes) {
        let Some((value, class)) = best_of_row(&row[background..]) else { continue };
        let score = score_of(value, row, logits, anchors.softmax);
        if score >= settings.min_score {
            let [cx, cy, w, h] = anchors.decode(anchor, code);
            let bbox = around([cx * width, cy * height], [w * width, h * height]);
            found(Candidate::new(class, score, bbox), &[]);
        }
    }
    Ok(())
}

/// Boxes and key points in input pixels from the middle of their cell, and logits. There are two anchors, the middle of the cell both, for
/// every layer of a stride (V. Bazarevsky et al., "BlazeFace", 2019; MediaPipe's `SsdAnchorsCalculator` with anchors of a fixed size).
pub(super) fn mediapipe(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let rows = shapes::mediapipe(settings, item.specs)?;
    let values = item.values[rows.boxes].chunks_exact(rows.columns).zip(item.values[rows.scores]);
    let mut values = values;
    for &(stride, each) in rows.layers {
        for (cell, stride) in super::cells::cells(&[stride], settings.input_size) {
            let [x, y] = cell.map(|v| (v + 0.5) * stride);
            for (row, score) in values.by_ref().take(each) {
                let score = logistic(*score);
                if score < settings.min_score {
                    continue;
                }
                scratch.extra.clear();
                for point in row[4..].as_chunks::<2>().0 {
                    scratch.extra.extend([point[0] + x, point[1] + y, 1.0]);
                }
                let bbox = around([row[0] + x, row[1] + y], [row[2], row[3]]);
                found(Candidate::new(0, score, bbox), &scratch.extra);
            }
        }
    }
    Ok(())
}
