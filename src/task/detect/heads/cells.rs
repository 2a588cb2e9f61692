//! Heads whose boxes are relative to the cells of feature maps.

use super::item::{Found, Item, Scratch, around, best_of_planes, best_of_row};
use crate::frame::roles;
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes;
use crate::task::output::logistic;

/// `[N, 5 + classes, H, W]`: objectness and class scores after sigmoid and softmax, boxes before tanh and sigmoid. Score
/// and box as in the network's own evaluation: `objectness^0.6 · class^0.4`; centre `(tanh + cell) / cells`, size
/// `sigmoid`, as shares of the input (github.com/dog-qiuqiu/FastestDet, `handle_preds`).
pub(super) fn fastestdet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    scratch: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let [_, rows, columns] = shapes::grid(settings, item.specs[0])?;
    let [height, width] = settings.input_size.map(|v| v as f32);
    let (values, cells) = (item.values[0], rows * columns);
    best_of_planes(&values[5 * cells..], cells, &mut scratch.best);
    for (cell, &(class_score, class)) in scratch.best.iter().enumerate() {
        let at = |channel: usize| values[channel * cells + cell];
        let score = at(0).max(0.0).powf(0.6) * class_score.max(0.0).powf(0.4);
        if score < settings.min_score {
            continue;
        }
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
        let centre = [(at(1).tanh() + column) / columns as f32, (at(2).tanh() + row) / rows as f32];
        let size = [logistic(at(3)), logistic(at(4))];
        let bbox = around([centre[0] * width, centre[1] * height], [size[0] * width, size[1] * height]);
        found(Candidate::new(class, score, bbox), &[]);
    }
    Ok(())
}

/// The cells of these strides over an input of this width and height, row by row: column and row, and the stride.
pub(super) fn cells(strides: &[usize], [height, width]: [usize; 2]) -> impl Iterator<Item = ([f32; 2], f32)> {
    strides.iter().flat_map(move |&stride| {
        let (rows, columns) = (height.div_ceil(stride), width.div_ceil(stride));
        let row = move |row: usize| (0..columns).map(move |column| ([column as f32, row as f32], stride as f32));
        (0..rows).flat_map(row)
    })
}

/// `[N, R, 5 + classes]`: centre `(value + cell) · stride`, size `exp(value) · stride`, objectness and class scores after sigmoid (Z. Ge et
/// al., "YOLOX", 2021; `demo_postprocess`).
pub(super) fn yolox(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let table = shapes::table(settings, item.specs)?;
    let strides = shapes::strides(settings, item.specs[0], table.rows)?;
    let rows = item.values[0].chunks_exact(table.columns);
    for (row, ([column, line], stride)) in rows.zip(cells(strides, settings.input_size)) {
        if row[4] >= settings.min_score
            && let Some((class_score, class)) = best_of_row(&row[5..])
        {
            let centre = [(row[0] + column) * stride, (row[1] + line) * stride];
            let bbox = around(centre, [row[2].exp() * stride, row[3].exp() * stride]);
            found(Candidate::new(class, row[4] * class_score, bbox), &[]);
        }
    }
    Ok(())
}

/// `[N, R, classes + 4 · bins]`: class scores after sigmoid, then for the left, top, right and bottom side the distribution of its
/// distance from `cell · stride` in strides, as logits (X. Li et al., "Generalized Focal Loss", 2020; NanoDet-Plus).
pub(super) fn nanodet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let table = shapes::table(settings, item.specs)?;
    let strides = shapes::strides(settings, item.specs[0], table.rows)?;
    let rows = item.values[0].chunks_exact(table.columns);
    for (row, (cell, stride)) in rows.zip(cells(strides, settings.input_size)) {
        let (scores, distances) = row.split_at(table.columns - table.extras);
        if let Some((score, class)) = best_of_row(scores)
            && score >= settings.min_score
        {
            let centre = cell.map(|v| v * stride);
            found(Candidate::new(class, score, sides(centre, stride, distances)), &[]);
        }
    }
    Ok(())
}

/// For each stride class scores `[N, R, classes]` after sigmoid and distances `[N, R, 4 · bins]` as in [`nanodet`], from the middle of the
/// cell (PicoDet and the first NanoDet).
pub(super) fn picodet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let (levels, [classes, columns]) = shapes::distributions(settings, item.specs)?;
    for roles::Level { stride, outputs, .. } in levels {
        let [scores, distances] = [0, 1].map(|role| item.values[outputs[role]]);
        let rows = scores.chunks_exact(classes).zip(distances.chunks_exact(columns));
        for ((scores, distances), (cell, stride)) in rows.zip(cells(&[stride], settings.input_size)) {
            if let Some((score, class)) = best_of_row(scores)
                && score >= settings.min_score
            {
                let centre = cell.map(|v| (v + 0.5) * stride);
                found(Candidate::new(class, score, sides(centre, stride, distances)), &[]);
            }
        }
    }
    Ok(())
}

/// The box whose sides are the expected distances, in strides, of four distributions from a centre.
fn sides([x, y]: [f32; 2], stride: f32, distances: &[f32]) -> [f32; 4] {
    let bins = distances.len() / 4;
    let [left, top, right, bottom] =
        [0, 1, 2, 3].map(|side| stride * expected(&distances[side * bins..(side + 1) * bins]));
    [x - left, y - top, x + right, y + bottom]
}

/// The expected index of a distribution that is given as logits.
fn expected(logits: &[f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = logits.iter().map(|v| (v - highest).exp());
    let (sum, weighted) =
        weights.enumerate().fold((0.0, 0.0), |(sum, weighted), (i, w)| (sum + w, weighted + i as f32 * w));
    weighted / sum
}
