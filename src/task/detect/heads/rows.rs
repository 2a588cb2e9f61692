//! Heads with one possible object a row, decoded by the network.

use super::item::{Found, IN_PIXELS, Item, MAX_SHARE, MIN_PIXELS, NORMALISED, Scratch};
use super::item::{around, best_of_planes, best_of_row, class_of, score_slack};
use crate::frame::{Boxes, TaskKind};
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes::{self, Order, Table, wrong};
use crate::task::output::logistic;

/// `[N, R, 5 + classes]`: centre and size in input pixels, objectness, class scores; all after sigmoid.
pub(super) fn yolov5(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let Table { columns, .. } = shapes::table(settings, item.specs)?;
    let [sx, sy] = settings.scale();
    for row in item.values[0].chunks_exact(columns) {
        // Most rows are background: their classes are not looked at.
        if row[4] >= settings.min_score
            && let Some((class_score, class)) = best_of_row(&row[5..])
        {
            let bbox = around([row[0] * sx, row[1] * sy], [row[2] * sx, row[3] * sy]);
            found(Candidate::new(class, row[4] * class_score, bbox), &[]);
        }
    }
    Ok(())
}

/// `[N, 4 + classes + extras, R]` or its last axes swapped: centre and size in input pixels, class scores after sigmoid, and what belongs
/// to the task.
pub(super) fn yolov8(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let table = shapes::table(settings, item.specs)?;
    let [sx, sy] = settings.scale();
    let values = item.values[0];
    let end = table.columns - table.extras;
    match table.order {
        Order::Planes => best_of_planes(&values[4 * table.rows..end * table.rows], table.rows, &mut scratch.best),
        Order::Rows => {
            let best = |row: &[f32]| best_of_row(&row[4..end]).unwrap_or((f32::NEG_INFINITY, 0));
            scratch.best.clear();
            scratch.best.extend(values.chunks_exact(table.columns).map(best));
        }
    }
    for (row, &(score, class)) in scratch.best.iter().enumerate() {
        if score >= settings.min_score {
            let at = |column: usize| values[table.at(row, column)];
            let [x, y, w, h] = [at(0) * sx, at(1) * sy, at(2) * sx, at(3) * sy];
            extra(settings, table, [x, y, w, h], at, &mut scratch.extra);
            found(Candidate::new(class, score, around([x, y], [w, h])), &scratch.extra);
        }
    }
    Ok(())
}

/// Reads the values of the task from the columns behind boxes and scores.
fn extra(settings: &HeadSettings<'_>, table: Table, bbox: [f32; 4], at: impl Fn(usize) -> f32, extra: &mut Vec<f32>) {
    let first = table.columns - table.extras;
    extra.clear();
    match settings.kind {
        TaskKind::Pose => {
            let [sx, sy] = settings.scale();
            let [count, values] = settings.keypoint_shape(table.extras);
            for point in 0..count {
                let column = first + point * values;
                let score = if values > 2 { at(column + 2) } else { 1.0 };
                extra.extend([at(column) * sx, at(column + 1) * sy, score]);
            }
        }
        TaskKind::Obb => {
            extra.extend(bbox);
            extra.push(at(first));
        }
        _ => extra.extend((first..table.columns).map(at)),
    }
}

/// `[N, R, 6 + extras]`: corners in input pixels (of a turned box centre and size), score, class number, and what belongs to the task;
/// suppressed already. Rows that are not used have score 0.
pub(super) fn end2end(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let output = item.specs[0];
    let table = shapes::table(settings, item.specs)?;
    let [sx, sy] = settings.scale();
    let slack = score_slack(output);
    for (index, row) in item.values[0].chunks_exact(table.columns).enumerate() {
        let &[x1, y1, x2, y2, score, number, ..] = row else { continue };
        // A row with score 0 is not used; some exports pad with -1.
        if !score.is_finite() || score <= 0.0 || score < settings.min_score {
            continue;
        }
        let bad = |reason: String| Err(wrong(output, format!("row {index}: {reason}")));
        if score > 1.0 + slack {
            return bad(format!("its score is {score}, the head end2end has scores from 0 to 1 in column 4"));
        }
        let class = match class_of(number, settings.labels, slack) {
            Ok(class) => class,
            Err(reason) => return bad(format!("{reason} in column 5 of the head end2end")),
        };
        let values = [x1, y1, x2, y2];
        let turned = settings.kind == TaskKind::Obb;
        if values.iter().all(|v| v.is_finite()) {
            if !turned && (x2 < x1 || y2 < y1) {
                return bad(format!("its box is {values:?}, the head end2end has x1, y1, x2, y2 in columns 0 to 3"));
            }
            if let Some(advice) = other_unit(settings.boxes, &values) {
                return bad(format!("its box is {values:?}: {advice}"));
            }
        }
        let values = [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
        extra(settings, table, values, |column| row[column], &mut scratch.extra);
        let [x, y, w, h] = values;
        let bbox = if turned { around([x, y], [w, h]) } else { values };
        found(Candidate::new(class, score, bbox), &scratch.extra);
    }
    Ok(())
}

/// Advice where the values of a box are in the other unit.
pub(super) fn other_unit(boxes: Boxes, values: &[f32]) -> Option<&'static str> {
    let largest = values.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    match boxes {
        Boxes::Pixels if largest <= MIN_PIXELS && largest > 0.0 => Some(NORMALISED),
        Boxes::Normalised if largest > MAX_SHARE => Some(IN_PIXELS),
        _ => None,
    }
}

/// A key point is part of the box around a person from this score.
const SEEN: f32 = 0.2;

/// The box around those of the points x, y, score whose score is at least `seen`.
fn hull(points: &[[f32; 3]], seen: f32) -> [f32; 4] {
    let seen = points.iter().filter(|point| point[2] >= seen);
    let empty = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    seen.fold(empty, |[x1, y1, x2, y2], [x, y, _]| [x1.min(*x), y1.min(*y), x2.max(*x), y2.max(*y)])
}

/// `[N, 1, 17, 3]`: y, x and score of the key points of one person, as shares of the input; the person's score is the mean of theirs, and
/// the box goes round those that are seen. `[N, R, 56]`: 17 of them, then ymin, xmin, ymax, xmax and score of each person.
pub(super) fn movenet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let [height, width] = settings.input_size.map(|v| v as f32);
    let single = item.specs[0].shape.len() == 4;
    for row in item.values[0].chunks_exact(if single { 51 } else { 56 }) {
        scratch.extra.clear();
        for point in row[..51].as_chunks::<3>().0 {
            scratch.extra.extend([point[1] * width, point[0] * height, point[2]]);
        }
        let points = scratch.extra.as_chunks::<3>().0;
        let (score, bbox) = if single {
            (points.iter().map(|point| point[2]).sum::<f32>() / points.len() as f32, hull(points, SEEN))
        } else {
            (row[55], [row[52] * width, row[51] * height, row[54] * width, row[53] * height])
        };
        found(Candidate::new(0, score, bbox), &scratch.extra);
    }
    Ok(())
}

/// Points x, y, z in input pixels, of a body with logits of being seen and of being there, and the probability of the object, of a face its
/// logit. The box goes round the points that are seen (V. Bazarevsky et al., "BlazePose", 2020; F. Zhang et al., "MediaPipe Hands", 2020;
/// `TensorsToLandmarksCalculator`).
pub(super) fn landmarks(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let roles = shapes::landmarks(settings, item.specs)?;
    let Some(&presence) = item.values[roles.presence].first() else { return Ok(()) };
    let score = if roles.logit { logistic(presence) } else { presence };
    if score < settings.min_score {
        return Ok(());
    }
    scratch.extra.clear();
    for point in item.values[roles.points].chunks_exact(roles.values).take(roles.count) {
        let seen = point.get(3).map_or(1.0, |logit| logistic(*logit));
        scratch.extra.extend([point[0], point[1], seen]);
    }
    let bbox = hull(scratch.extra.as_chunks::<3>().0, LIKELY);
    found(Candidate::new(0, score, bbox), &scratch.extra);
    Ok(())
}

/// A key point of a body is part of the box around it from this score.
const LIKELY: f32 = 0.5;
