//! From the outputs of a detection network to candidates in model pixels: a table of heads, each with a small decoder.

mod anchored;
mod cells;
mod faces;
mod pairs;
mod rows;
mod selected;

use super::nms::Candidate;
use super::settings::HeadSettings;
use super::shapes;
use crate::frame::{Elements, Head, TensorSpec, TensorView};
use crate::task::contract::{TaskError, TaskInput};
use crate::task::output::{real_items, wrong};

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

/// One item's part of the outputs as reals, row-major, without the axis of the batch.
struct Item<'a> {
    specs: &'a [&'a TensorSpec],
    values: &'a [&'a [f32]],
    /// Its place in the batch.
    index: usize,
}

/// What is kept between items and frames.
#[derive(Default)]
struct Scratch {
    /// The best score and class of each place.
    best: Vec<(f32, usize)>,
    /// Class scores were found to be logits, which they then always are.
    logits: bool,
    /// Values of one object beside its box.
    extra: Vec<f32>,
    /// Of class numbers and scores without telling names: the classes come second, once the values told.
    classes_second: Option<bool>,
}

/// Takes a candidate in model pixels, not clamped, and what else is known of it: key points as x, y and score, mask coefficients, or
/// centre, size and angle.
type Found<'f> = &'f mut dyn FnMut(Candidate, &[f32]);

/// Reads the candidates of one item, whose outputs have the shapes of the head.
type Decode = fn(&HeadSettings<'_>, &Item<'_>, &mut Scratch, Found<'_>) -> Result<(), TaskError>;

/// The decoder of each head.
fn decoder(head: Head) -> Decode {
    match head {
        Head::FastestDet => cells::fastestdet,
        Head::Yolov5 => rows::yolov5,
        Head::Yolov8 => rows::yolov8,
        Head::End2end => rows::end2end,
        Head::Yolox => cells::yolox,
        Head::NanoDet => cells::nanodet,
        Head::PicoDet => cells::picodet,
        Head::Ssd => anchored::ssd,
        Head::MediaPipe => anchored::mediapipe,
        Head::YoloNas => pairs::yolonas,
        Head::Yolov4 => pairs::yolov4,
        Head::Detr => pairs::detr,
        Head::UltraFace => pairs::ultraface,
        Head::YuNet => faces::yunet,
        Head::Scrfd => faces::scrfd,
        Head::TensorFlow => selected::tensorflow,
        Head::Selected => selected::selected,
        Head::Yolov7 => selected::yolov7,
        Head::Paddle => selected::paddle,
        Head::MmDet => selected::mmdet,
        Head::MoveNet => rows::movenet,
    }
}

/// Reads one head; owns the buffers.
#[derive(Default)]
pub(super) struct Reader {
    buffers: Vec<Vec<f32>>,
    scratch: Scratch,
}

impl Reader {
    /// Calls `found(item, candidate, extra)` for every candidate of this frame's `count` items whose score counts. Boxes are
    /// `[x1, y1, x2, y2]` in model pixels, not clamped; what is not finite is left out.
    ///
    /// # Errors
    /// Shapes that are not the head's, or a score or class number shows that the values are not.
    pub fn read(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate, &[f32]),
    ) -> Result<(), TaskError> {
        let specs: Vec<&TensorSpec> = input.outputs.iter().map(|output| output.spec).collect();
        shapes::fits(settings, &specs)?;
        let decode = decoder(settings.head);
        let mut parts = Vec::with_capacity(input.outputs.len());
        self.buffers.resize_with(input.outputs.len(), Vec::new);
        for (output, buffer) in input.outputs.iter().zip(&mut self.buffers) {
            parts.push(part(settings.head, output, input, count, buffer)?);
        }
        let mut highest = 0.0_f32;
        for index in 0..count {
            let values: Vec<&[f32]> = parts
                .iter()
                .map(|(values, each)| values.get(index * each..(index + 1) * each).unwrap_or(values))
                .collect();
            let item = Item { specs: &specs, values: &values, index: input.first_item + index };
            let mut checked = |candidate: Candidate, extra: &[f32]| {
                let [x1, y1, x2, y2] = candidate.bbox;
                let finite = candidate.bbox.iter().all(|v| v.is_finite()) && candidate.score.is_finite();
                if finite && candidate.score >= settings.min_score && x1 < x2 && y1 < y2 {
                    highest = highest.max(candidate.score);
                    found(index, Candidate { score: candidate.score.min(1.0), ..candidate }, extra);
                }
            };
            decode(settings, &item, &mut self.scratch, &mut checked)?;
        }
        match input.outputs.first() {
            Some(output) if highest > 1.0 + score_slack(output.spec) => {
                let head = settings.head.word();
                Err(wrong(output, format!("a score is {highest}, the head {head} has scores from 0 to 1")))
            }
            _ => Ok(()),
        }
    }
}

/// This frame's part of an output, and how many values of it an item has; the whole of one whose rows are of all items.
fn part<'a>(
    head: Head,
    output: &TensorView<'a>,
    input: &TaskInput<'_>,
    count: usize,
    buffer: &'a mut Vec<f32>,
) -> Result<(&'a [f32], usize), TaskError> {
    let batchless = match head {
        Head::Yolov7 | Head::Paddle => true,
        Head::Selected => shapes::is_batchless(input.outputs.iter().map(|output| output.spec)),
        Head::Scrfd => output.spec.shape.len() < 3,
        _ => false,
    };
    if !batchless {
        return real_items(output, input, count, buffer);
    }
    let values = match output.data {
        Elements::F32(values) => values,
        _ => {
            output.dequantize_into(buffer);
            buffer
        }
    };
    // The rows of others name their item.
    let named = matches!(head, Head::Yolov7 | Head::Paddle);
    if named || (input.first_item, count) == (0, 1) {
        return Ok((values, values.len()));
    }
    Err(wrong(output, format!("shape {:?} holds the objects of one picture, not of several", output.spec.shape)))
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
pub(super) fn score_slack(output: &TensorSpec) -> f32 {
    SCORE_SLACK + output.quant.map_or(0.0, |quant| quant.scale)
}

/// A class number as the model writes it.
///
/// # Errors
/// The sentence for one that is none of the model's.
fn class_of(number: f32, labels: usize, slack: f32) -> Result<usize, String> {
    let class = number.round();
    let last = if labels > 0 { labels - 1 } else { MAX_CLASS };
    if (number - class).abs() > slack.min(0.4) || class < 0.0 || class > last as f32 || number.is_nan() {
        let known = if labels > 0 { format!("0 to {last}") } else { "a whole number".into() };
        return Err(format!("its class is {number}, which should be {known}"));
    }
    Ok(class as usize)
}
