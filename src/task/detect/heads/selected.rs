//! Heads whose objects the network selected itself.

use super::item::{Found, Item, Scratch, class_of, score_slack};
use super::rows::other_unit;
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes::{self, wrong};

/// Values of an output that selects nothing: some networks pad with them.
const UNUSED: f32 = 0.0;

/// One selected object in the units of the model.
struct Row {
    index: usize,
    class: f32,
    score: f32,
    corners: [f32; 4],
}

/// Gives a row to `found` if it is used and its score counts.
fn give(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    output: usize,
    row: &Row,
    [sx, sy]: [f32; 2],
    found: &mut dyn FnMut(Candidate, &[f32]),
) -> Result<(), TaskError> {
    let &Row { index, class, score, corners: [x1, y1, x2, y2] } = row;
    if !score.is_finite() || score <= UNUSED || score < settings.min_score {
        return Ok(());
    }
    let spec = item.specs[output];
    let class = class_of(class, settings.labels, score_slack(spec))
        .map_err(|reason| wrong(spec, format!("row {index}: {reason}")))?;
    found(Candidate::new(class, score, [x1 * sx, y1 * sy, x2 * sx, y2 * sy]), &[]);
    Ok(())
}

/// Corners y1, x1, y2, x2 as shares of the input, class numbers, scores, count, in any order
/// (`TFLite_Detection_PostProcess`). TensorFlow's own exports count classes from 1.
pub(super) fn tensorflow(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let roles = shapes::chosen(settings, item.specs)?;
    let [height, width] = settings.input_size.map(|v| v as f32);
    let Some([classes, scores]) = classes_and_scores(&roles.flat, roles.sure, item, scratch) else { return Ok(()) };
    let first = if item.specs[classes].name == FROM_ONE { 1.0 } else { 0.0 };
    let boxes = item.values[roles.boxes].as_chunks::<4>().0;
    if let Some(far) = boxes.iter().flatten().find(|v| v.abs() > super::item::MAX_SHARE) {
        let reason =
            format!("a coordinate is {far}, the head tensorflow has shares of the picture: with pixels it is selected");
        return Err(wrong(item.specs[roles.boxes], reason));
    }
    let most = rows_that_count(roles.count.map(|index| item.values[index]), boxes.len());
    for (index, &[y1, x1, y2, x2]) in boxes.iter().enumerate().take(most) {
        let (class, score) = (item.values[classes][index] - first, item.values[scores][index]);
        give(settings, item, classes, &Row { index, class, score, corners: [x1, y1, x2, y2] }, [width, height], found)?;
    }
    Ok(())
}

/// Name of the class numbers of TensorFlow's own exports.
const FROM_ONE: &str = "detection_classes";

/// Corners x1, y1, x2, y2 in input pixels, class numbers, scores and perhaps a count, in any order.
pub(super) fn selected(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let roles = shapes::chosen(settings, item.specs)?;
    let Some([classes, scores]) = classes_and_scores(&roles.flat, roles.sure, item, scratch) else { return Ok(()) };
    let boxes = item.values[roles.boxes].as_chunks::<4>().0;
    if let Some(advice) = other_unit(settings.boxes, boxes.as_flattened()) {
        return Err(wrong(item.specs[roles.boxes], format!("its boxes are {advice}")));
    }
    let most = rows_that_count(roles.count.map(|index| item.values[index]), boxes.len());
    for (index, &corners) in boxes.iter().enumerate().take(most) {
        let (class, score) = (item.values[classes][index], item.values[scores][index]);
        give(settings, item, classes, &Row { index, class, score, corners }, settings.scale(), found)?;
    }
    Ok(())
}

/// Rows that count, by the network's own word for it.
fn rows_that_count(count: Option<&[f32]>, rows: usize) -> usize {
    count
        .and_then(|count| count.first())
        .filter(|count| count.is_finite())
        .map_or(rows, |count| (*count as usize).min(rows))
}

/// The outputs of class numbers and of scores; where only the values tell, those that have a fraction are scores. `None` until they told.
fn classes_and_scores(flat: &[usize; 2], sure: bool, item: &Item<'_>, scratch: &mut Scratch) -> Option<[usize; 2]> {
    let &[a, b] = flat;
    if !sure {
        let fractions = |index: usize| item.values[index].iter().any(|v| v.fract() != 0.0);
        match (fractions(a), fractions(b)) {
            (true, false) => scratch.classes_second = Some(true),
            (false, true) => scratch.classes_second = Some(false),
            _ => {}
        }
        return scratch.classes_second.map(|second| if second { [b, a] } else { [a, b] });
    }
    Some([a, b])
}

/// `[R, 7]`: item, x1, y1, x2, y2, class number, score.
pub(super) fn yolov7(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    for (index, &[of, x1, y1, x2, y2, class, score]) in item.values[0].as_chunks::<7>().0.iter().enumerate() {
        if of == item.index as f32 {
            let corners = checked(settings, item, index, [x1, y1, x2, y2], score)?;
            give(settings, item, 0, &Row { index, class, score, corners }, settings.scale(), found)?;
        }
    }
    Ok(())
}

/// `[R, 6]`: class number, score, x1, y1, x2, y2, the rows of one item after those of another, as many as the second output says.
pub(super) fn paddle(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let (rows, counts) = shapes::paddle(settings, item.specs)?;
    let counts = counts.map(|index| item.values[index]).unwrap_or_default();
    let before: f32 = counts.iter().take(item.index).sum();
    let own = counts.get(item.index).map_or(usize::MAX, |count| *count as usize);
    let rows = item.values[rows].as_chunks::<6>().0;
    for (index, &[class, score, x1, y1, x2, y2]) in rows.iter().enumerate().skip(before as usize).take(own) {
        let corners = checked(settings, item, index, [x1, y1, x2, y2], score)?;
        give(settings, item, 0, &Row { index, class, score, corners }, settings.scale(), found)?;
    }
    Ok(())
}

/// `[N, R, 5]`: x1, y1, x2, y2, score; class numbers `[N, R]`.
pub(super) fn mmdet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let [rows, classes] = shapes::mmdet(settings, item.specs)?;
    for (index, (&[x1, y1, x2, y2, score], class)) in
        item.values[rows].as_chunks::<5>().0.iter().zip(item.values[classes]).enumerate()
    {
        let corners = checked(settings, item, index, [x1, y1, x2, y2], score)?;
        give(settings, item, classes, &Row { index, class: *class, score, corners }, settings.scale(), found)?;
    }
    Ok(())
}

/// The corners of a row, if they are in the unit of the settings.
fn checked(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    index: usize,
    corners: [f32; 4],
    score: f32,
) -> Result<[f32; 4], TaskError> {
    match other_unit(settings.boxes, &corners).filter(|_| score >= settings.min_score && score > UNUSED) {
        Some(advice) => Err(wrong(item.specs[0], format!("row {index}: its box is {corners:?}: {advice}"))),
        None => Ok(corners),
    }
}
