//! From the outputs of a detection network to candidates in model pixels, one function per layout.

use super::nms::Candidate;
use super::settings::HeadSettings;
use super::shapes::{self, Order, Table};
use crate::frame::{Boxes, Head, TensorView};
use crate::task::contract::{TaskError, TaskInput};
use crate::task::output::{get, logistic, real_items, wrong};

/// A score may be this much outside of 0 to 1: rounding of floats and of quantised values.
pub(super) const SCORE_SLACK: f32 = 0.05;
/// No coordinate is above this where boxes are shares of the input.
pub(super) const MAX_SHARE: f32 = 4.0;
/// A box with no coordinate above this is in shares of the input, not in pixels.
pub(super) const MIN_PIXELS: f32 = 1.5;
/// More classes than any network has.
const MAX_CLASS: usize = 1 << 20;

/// Advice for boxes in shares of the input that are taken for pixels.
pub(super) const NORMALISED: &str = "not pixels but shares of the picture, which a bundle says with boxes = \"normalised\" in \
                                     [output] (model add --boxes normalised)";
/// Advice for the opposite.
pub(super) const IN_PIXELS: &str = "not shares of the picture but pixels: leave out boxes = \"normalised\"";

/// Reads one head; owns the buffers.
#[derive(Default)]
pub(super) struct Reader {
    values: Vec<f32>,
    scores: Vec<f32>,
    best: Vec<(f32, usize)>,
    logits: bool,
}

impl Reader {
    /// Calls `found(item, candidate)` for every candidate of this frame's `count` items whose score counts. Boxes are
    /// `[x1, y1, x2, y2]` in model pixels, not clamped; what is not finite is left out.
    ///
    /// # Errors
    /// Shapes that are not the head's, or a score or class number shows that the values are not.
    pub fn read(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let mut highest = 0.0_f32;
        let found = |item, candidate: Candidate| {
            let [x1, y1, x2, y2] = candidate.bbox;
            let finite = candidate.bbox.iter().all(|v| v.is_finite()) && candidate.score.is_finite();
            if finite && candidate.score >= settings.min_score && x1 < x2 && y1 < y2 {
                highest = highest.max(candidate.score);
                found(item, Candidate { score: candidate.score.min(1.0), ..candidate });
            }
        };
        match settings.head {
            Head::FastestDet => self.fastestdet(settings, input, count, found),
            Head::Yolov5 => self.yolov5(settings, input, count, found),
            Head::Yolov8 => self.yolov8(settings, input, count, found),
            Head::Ssd => self.ssd(settings, input, count, found),
            Head::End2end => self.end2end(settings, input, count, found),
        }?;
        let output = get(input.outputs, 0)?;
        if highest > 1.0 + score_slack(output) {
            let head = settings.head.word();
            return Err(wrong(output, format!("a score is {highest}, the head {head} has scores from 0 to 1")));
        }
        Ok(())
    }

    /// `[N, 5 + classes, H, W]`: objectness and class scores after sigmoid and softmax, boxes before tanh and sigmoid. Score
    /// and box as in the network's own evaluation: `objectness^0.6 · class^0.4`; centre `(tanh + cell) / cells`, size
    /// `sigmoid`, as shares of the input (github.com/dog-qiuqiu/FastestDet, `handle_preds`).
    fn fastestdet(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let [_, rows, columns] = shapes::grid(settings, output.spec)?;
        let [height, width] = settings.input_size.map(|v| v as f32);
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        let cells = rows * columns;
        for (item, values) in values.chunks_exact(each).enumerate() {
            best_of_planes(&values[5 * cells..], cells, &mut self.best);
            for (cell, &(class_score, class)) in self.best.iter().enumerate() {
                let at = |channel: usize| values[channel * cells + cell];
                let score = at(0).max(0.0).powf(0.6) * class_score.max(0.0).powf(0.4);
                if score < settings.min_score {
                    continue;
                }
                let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
                let centre = [(at(1).tanh() + column) / columns as f32, (at(2).tanh() + row) / rows as f32];
                let size = [logistic(at(3)), logistic(at(4))];
                let bbox = around([centre[0] * width, centre[1] * height], [size[0] * width, size[1] * height]);
                found(item, Candidate { class, score, bbox });
            }
        }
        Ok(())
    }

    /// `[N, R, 5 + classes]`: centre and size in input pixels, objectness, class scores; all after sigmoid.
    fn yolov5(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let Table { columns, .. } = shapes::table(settings, output.spec)?;
        let [sx, sy] = settings.scale();
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        for (item, values) in values.chunks_exact(each).enumerate() {
            for row in values.chunks_exact(columns) {
                // Most rows are background: their classes are not looked at.
                if row[4] >= settings.min_score
                    && let Some((class_score, class)) = best_of_row(&row[5..])
                {
                    let bbox = around([row[0] * sx, row[1] * sy], [row[2] * sx, row[3] * sy]);
                    found(item, Candidate { class, score: row[4] * class_score, bbox });
                }
            }
        }
        Ok(())
    }

    /// `[N, 4 + classes, R]` or `[N, R, 4 + classes]`: centre and size in input pixels, class scores after sigmoid.
    fn yolov8(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let table = shapes::table(settings, output.spec)?;
        let [sx, sy] = settings.scale();
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        for (item, values) in values.chunks_exact(each).enumerate() {
            match table.order {
                Order::Planes => best_of_planes(&values[4 * table.rows..], table.rows, &mut self.best),
                Order::Rows => {
                    let best = |row: &[f32]| best_of_row(&row[4..]).unwrap_or((f32::NEG_INFINITY, 0));
                    self.best.clear();
                    self.best.extend(values.chunks_exact(table.columns).map(best));
                }
            }
            for (row, &(score, class)) in self.best.iter().enumerate() {
                if score >= settings.min_score {
                    let at = |column: usize| values[table.at(row, column)];
                    let bbox = around([at(0) * sx, at(1) * sy], [at(2) * sx, at(3) * sy]);
                    found(item, Candidate { class, score, bbox });
                }
            }
        }
        Ok(())
    }

    /// `[N, R, 6]`: corners in input pixels, score, class number; suppressed already. Rows that are not used have score 0.
    fn end2end(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        shapes::table(settings, output.spec)?;
        let [sx, sy] = settings.scale();
        let slack = score_slack(output);
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        for (item, values) in values.chunks_exact(each).enumerate() {
            for (index, row) in values.as_chunks::<6>().0.iter().enumerate() {
                let &[x1, y1, x2, y2, score, number] = row;
                // A row with score 0 is not used; some exports pad with -1.
                if !score.is_finite() || score <= 0.0 || score < settings.min_score {
                    continue;
                }
                let bad = |reason: String| Err(wrong(output, format!("row {index}: {reason}")));
                if score > 1.0 + slack {
                    return bad(format!("its score is {score}, the head end2end has scores from 0 to 1 in column 4"));
                }
                let class = number.round();
                let last = if settings.labels > 0 { settings.labels - 1 } else { MAX_CLASS };
                if (number - class).abs() > slack.min(0.4) || class < 0.0 || class > last as f32 || number.is_nan() {
                    let known = if settings.labels > 0 { format!("0 to {last}") } else { "a whole number".into() };
                    return bad(format!("its class is {number}, the head end2end has {known} in column 5"));
                }
                let corners = [x1, y1, x2, y2];
                if corners.iter().all(|v| v.is_finite()) {
                    if x2 < x1 || y2 < y1 {
                        return bad(format!(
                            "its box is {corners:?}, the head end2end has x1, y1, x2, y2 in columns 0 to 3"
                        ));
                    }
                    let largest = corners.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
                    match settings.boxes {
                        Boxes::Pixels if largest <= MIN_PIXELS && largest > 0.0 => {
                            return bad(format!("its box is {corners:?}: {NORMALISED}"));
                        }
                        Boxes::Normalised if largest > MAX_SHARE => {
                            return bad(format!("its box is {corners:?}: {IN_PIXELS}"));
                        }
                        _ => {}
                    }
                }
                let bbox = [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
                found(item, Candidate { class: class as usize, score, bbox });
            }
        }
        Ok(())
    }

    /// Boxes `[N, R, 4]` relative to anchors and class scores `[N, R, classes]` (with or without a background class
    /// first), in either order.
    fn ssd(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let (first, second) = (get(input.outputs, 0)?, get(input.outputs, 1)?);
        let (swapped, columns) = shapes::pair(settings, first.spec, second.spec)?;
        let (boxes, scores) = if swapped { (second, first) } else { (first, second) };
        let Some(anchors) = settings.anchors else {
            return Err(wrong(first, "the bundle has no anchors for it".into()));
        };
        let background = usize::from(anchors.background);
        let [height, width] = settings.input_size.map(|v| v as f32);
        let (boxes, box_each) = real_items(boxes, input, count, &mut self.values)?;
        let (score_values, score_each) = real_items(scores, input, count, &mut self.scores)?;
        // Class scores outside 0 to 1 are logits, and then they always were: see `output::Scores`.
        self.logits |= score_values.iter().any(|v| v.is_finite() && !(-0.01..=1.01).contains(v));
        let logits = settings.softmax.unwrap_or(self.logits);
        for item in 0..count {
            let boxes = boxes[item * box_each..(item + 1) * box_each].chunks_exact(4);
            let scores = score_values[item * score_each..(item + 1) * score_each].chunks_exact(columns);
            for ((code, row), anchor) in boxes.zip(scores).zip(&anchors.boxes) {
                let Some((value, class)) = best_of_row(&row[background..]) else { continue };
                let score = match (logits, anchors.background) {
                    (false, _) => value,
                    (true, false) => logistic(value),
                    (true, true) => {
                        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        (value - max).exp() / row.iter().map(|v| (v - max).exp()).sum::<f32>()
                    }
                };
                if score >= settings.min_score {
                    let [cx, cy, w, h] = anchors.decode(anchor, code);
                    found(
                        item,
                        Candidate { class, score, bbox: around([cx * width, cy * height], [w * width, h * height]) },
                    );
                }
            }
        }
        Ok(())
    }
}

/// The box around a centre.
fn around(centre: [f32; 2], size: [f32; 2]) -> [f32; 4] {
    let half = [size[0] / 2.0, size[1] / 2.0];
    [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
}

/// The highest finite score of a row with its class; the first of equal ones.
fn best_of_row(row: &[f32]) -> Option<(f32, usize)> {
    let finite = row.iter().copied().enumerate().filter(|v| v.1.is_finite());
    finite.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(class, score)| (score, class))
}

/// The same for scores in planes of `cells` values, one plane per class; cells without a finite score get -inf.
fn best_of_planes(planes: &[f32], cells: usize, best: &mut Vec<(f32, usize)>) {
    best.clear();
    best.resize(cells, (f32::NEG_INFINITY, 0));
    for (class, plane) in planes.chunks_exact(cells).enumerate() {
        for (best, &score) in best.iter_mut().zip(plane) {
            if score > best.0 && score.is_finite() {
                *best = (score, class);
            }
        }
    }
}

/// Distance by which a score of `output` may be outside of 0 to 1.
pub(super) fn score_slack(output: &TensorView<'_>) -> f32 {
    SCORE_SLACK + output.spec.quant.map_or(0.0, |quant| quant.scale)
}
