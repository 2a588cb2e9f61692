//! Heads with boxes and scores in outputs of their own.

use super::item::{Found, Item, Scratch, are_logits, around, best_of_planes, best_of_row, score_of};
use crate::frame::roles::Pair;
use crate::task::contract::TaskError;
use crate::task::detect::heads::rows::other_unit;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes::{self, wrong};

/// The best class score of every row, in `scratch.best`.
fn best(item: &Item<'_>, pair: &Pair, scratch: &mut Scratch) {
    let scores = item.values[pair.scores];
    if pair.planes {
        best_of_planes(scores, pair.rows, &mut scratch.best);
    } else {
        let best = |row: &[f32]| best_of_row(row).unwrap_or((f32::NEG_INFINITY, 0));
        scratch.best.clear();
        scratch.best.extend(scores.chunks_exact(pair.classes).map(best));
    }
}

/// Every row with corners, in units of `scale` input pixels, and its best class.
fn give(item: &Item<'_>, pair: &Pair, [sx, sy]: [f32; 2], scratch: &mut Scratch, found: Found<'_>) {
    best(item, pair, scratch);
    for (&[x1, y1, x2, y2], &(score, class)) in item.values[pair.boxes].as_chunks::<4>().0.iter().zip(&scratch.best) {
        found(Candidate::new(class, score, [x1 * sx, y1 * sy, x2 * sx, y2 * sy]), &[]);
    }
}

/// Corners in input pixels, class scores after sigmoid.
pub(super) fn yolonas(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let pair = shapes::pair(settings, item.specs, 0)?;
    let boxes = item.values[pair.boxes];
    if let Some(advice) = other_unit(settings.boxes, boxes) {
        return Err(wrong(item.specs[pair.boxes], format!("its boxes are {advice}")));
    }
    give(item, &pair, settings.scale(), scratch, found);
    Ok(())
}

/// Corners as shares of the input, class scores with the objectness in them.
pub(super) fn yolov4(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let pair = shapes::pair(settings, item.specs, 0)?;
    let [height, width] = settings.input_size.map(|v| v as f32);
    give(item, &pair, [width, height], scratch, found);
    Ok(())
}

/// Corners as shares of the input; of the two scores the first is background's.
pub(super) fn ultraface(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let pair = shapes::pair(settings, item.specs, 1)?;
    let [height, width] = settings.input_size.map(|v| v as f32);
    let rows = item.values[pair.boxes].as_chunks::<4>().0.iter().zip(item.values[pair.scores].as_chunks::<2>().0);
    for (&[x1, y1, x2, y2], &[_, score]) in rows {
        found(Candidate::new(0, score, [x1 * width, y1 * height, x2 * width, y2 * height]), &[]);
    }
    Ok(())
}

/// Centre and size as shares of the input, and logits: with as many as labels each class by itself, with one more (no object, the last)
/// by softmax (N. Carion et al., "End-to-End Object Detection with Transformers", 2020).
pub(super) fn detr(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let pair = shapes::logits(settings, item.specs)?;
    let [height, width] = settings.input_size.map(|v| v as f32);
    let scores = item.values[pair.scores];
    scratch.logits |= are_logits(scores);
    let nothing = settings.labels > 0 && pair.classes == settings.labels + 1;
    let softmax = settings.softmax.unwrap_or(nothing);
    let classes = pair.classes - usize::from(softmax);
    for (&[x, y, w, h], row) in item.values[pair.boxes].as_chunks::<4>().0.iter().zip(scores.chunks_exact(pair.classes))
    {
        let Some((value, class)) = best_of_row(&row[..classes]) else { continue };
        let score = score_of(value, row, scratch.logits, softmax);
        if score >= settings.min_score {
            found(Candidate::new(class, score, around([x * width, y * height], [w * width, h * height])), &[]);
        }
    }
    Ok(())
}
