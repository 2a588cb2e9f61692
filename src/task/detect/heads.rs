//! From the outputs of a detection network to candidates in model pixels, one function per layout.

use super::anchors::Anchors;
use super::nms::Candidate;
use crate::frame::{Head, TensorView};
use crate::task::output::{get, logistic, real_items, wrong};
use crate::task::{TaskError, TaskInput};

/// Reads one head; owns the buffers.
#[derive(Default)]
pub(super) struct Reader {
    values: Vec<f32>,
    scores: Vec<f32>,
    best: Vec<(f32, usize)>,
    logits: bool,
}

/// What a head is read with.
pub(super) struct Settings<'a> {
    /// Which layout.
    pub head: Head,
    /// Number of labels; 0 = unknown.
    pub labels: usize,
    /// Model input `[height, width]` in pixels.
    pub input_size: [usize; 2],
    /// For `ssd`.
    pub anchors: Option<&'a Anchors>,
    /// Least score that counts.
    pub min_score: f32,
    /// For `ssd`: whether class scores are still logits; `None` = by their values.
    pub softmax: Option<bool>,
}

impl Reader {
    /// Calls `found(item, candidate)` for every candidate of this frame's `count` items whose score counts. Boxes are
    /// `[x1, y1, x2, y2]` in model pixels, not clamped; what is not finite is left out.
    pub fn read(
        &mut self,
        settings: &Settings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let found = |item, candidate: Candidate| {
            let [x1, y1, x2, y2] = candidate.bbox;
            let finite = candidate.bbox.iter().all(|v| v.is_finite()) && candidate.score.is_finite();
            if finite && candidate.score >= settings.min_score && x1 < x2 && y1 < y2 {
                found(item, Candidate { score: candidate.score.min(1.0), ..candidate });
            }
        };
        match settings.head {
            Head::FastestDet => self.fastestdet(settings, input, count, found),
            Head::Yolov5 => self.yolov5(settings, input, count, found),
            Head::Yolov8 => self.yolov8(settings, input, count, found),
            Head::Ssd => self.ssd(settings, input, count, found),
        }
    }

    /// `[N, 5 + classes, H, W]`: objectness and class scores after sigmoid and softmax, boxes before tanh and sigmoid. Score
    /// and box as in the network's own evaluation: `objectness^0.6 · class^0.4`; centre `(tanh + cell) / cells`, size
    /// `sigmoid`, as shares of the input (github.com/dog-qiuqiu/FastestDet, `handle_preds`).
    fn fastestdet(
        &mut self,
        settings: &Settings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let &[_, channels, rows, columns] = output.spec.shape.as_slice() else {
            return Err(shape(output, "[N, 5 + classes, H, W]", settings));
        };
        check_classes(output, channels, 5, "[N, 5 + classes, H, W]", settings)?;
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
        settings: &Settings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let &[_, _, columns] = output.spec.shape.as_slice() else {
            return Err(shape(output, "[N, R, 5 + classes]", settings));
        };
        check_classes(output, columns, 5, "[N, R, 5 + classes]", settings)?;
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        for (item, values) in values.chunks_exact(each).enumerate() {
            for row in values.chunks_exact(columns) {
                // Most rows are background: their classes are not looked at.
                if row[4] >= settings.min_score
                    && let Some((class_score, class)) = best_of_row(&row[5..])
                {
                    let bbox = around([row[0], row[1]], [row[2], row[3]]);
                    found(item, Candidate { class, score: row[4] * class_score, bbox });
                }
            }
        }
        Ok(())
    }

    /// `[N, 4 + classes, R]`: centre and size in input pixels, class scores after sigmoid; one plane per value.
    fn yolov8(
        &mut self,
        settings: &Settings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        let output = get(input.outputs, 0)?;
        let &[_, channels, cells] = output.spec.shape.as_slice() else {
            return Err(shape(output, "[N, 4 + classes, R]", settings));
        };
        check_classes(output, channels, 4, "[N, 4 + classes, R]", settings)?;
        let (values, each) = real_items(output, input, count, &mut self.values)?;
        for (item, values) in values.chunks_exact(each).enumerate() {
            best_of_planes(&values[4 * cells..], cells, &mut self.best);
            for (cell, &(score, class)) in self.best.iter().enumerate() {
                if score >= settings.min_score {
                    let at = |channel: usize| values[channel * cells + cell];
                    let bbox = around([at(0), at(1)], [at(2), at(3)]);
                    found(item, Candidate { class, score, bbox });
                }
            }
        }
        Ok(())
    }

    /// Boxes `[N, R, 4]` relative to anchors and class scores `[N, R, classes]` (with or without a background class
    /// first), in either order.
    fn ssd(
        &mut self,
        settings: &Settings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate),
    ) -> Result<(), TaskError> {
        const FORM: &str = "boxes [N, R, 4] and scores [N, R, classes]";
        let (first, second) = (get(input.outputs, 0)?, get(input.outputs, 1)?);
        let Some(anchors) = settings.anchors else {
            return Err(wrong(first, "the bundle has no anchors for it".into()));
        };
        let is_boxes = |o: &TensorView<'_>| matches!(o.spec.shape.as_slice(), [_, _, 4]);
        let (boxes, scores) = match (is_boxes(first), is_boxes(second)) {
            (true, _) => (first, second),
            (false, true) => (second, first),
            _ => return Err(shape(first, FORM, settings)),
        };
        let (&[_, rows, _], &[_, score_rows, columns]) = (boxes.spec.shape.as_slice(), scores.spec.shape.as_slice())
        else {
            return Err(shape(scores, FORM, settings));
        };
        let background = usize::from(anchors.background);
        if rows != anchors.boxes.len() || score_rows != rows {
            let reason = format!(
                "{rows} boxes and {score_rows} rows of scores for {} anchors, all must be as many",
                anchors.boxes.len()
            );
            return Err(wrong(boxes, reason));
        }
        check_classes(scores, columns, background, "[N, R, background + classes]", settings)?;
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

fn check_classes(
    output: &TensorView<'_>,
    channels: usize,
    other: usize,
    form: &str,
    settings: &Settings<'_>,
) -> Result<(), TaskError> {
    let classes = channels.saturating_sub(other);
    if classes == 0 || settings.labels > 0 && classes != settings.labels || output.is_empty() {
        return Err(shape(output, form, settings));
    }
    Ok(())
}

fn shape(output: &TensorView<'_>, form: &str, settings: &Settings<'_>) -> TaskError {
    let classes = match settings.labels {
        0 => String::new(),
        n => format!(" with {n} classes"),
    };
    wrong(output, format!("shape {:?} where the head {:?} needs {form}{classes}", output.spec.shape, settings.head))
}
