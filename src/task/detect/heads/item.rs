//! Parts that the decoders of all heads share: one item's outputs, buffers kept between items, and small steps.

use crate::frame::TensorSpec;
use crate::task::detect::nms::Candidate;
use crate::task::output::logistic;

/// A score may be this much outside of 0 to 1: rounding of floats and of quantised values.
pub(in crate::task::detect) const SCORE_SLACK: f32 = 0.05;
/// No coordinate is above this where boxes are shares of the input.
pub(in crate::task::detect) const MAX_SHARE: f32 = 4.0;
/// A box with no coordinate above this is in shares of the input, not in pixels.
pub(in crate::task::detect) const MIN_PIXELS: f32 = 1.5;
/// More classes than any network has.
const MAX_CLASS: usize = 1 << 20;

/// Advice for boxes in shares of the input that are taken for pixels.
pub(in crate::task::detect) const NORMALISED: &str = "not pixels but shares of the picture, which a bundle says with boxes = \"normalised\" in \
                                     [output] (model add --boxes normalised)";
/// Advice for the opposite.
pub(in crate::task::detect) const IN_PIXELS: &str =
    "not shares of the picture but pixels: leave out boxes = \"normalised\"";

/// One item's part of the outputs as reals, row-major, without the axis of the batch.
pub(super) struct Item<'a> {
    pub specs: &'a [&'a TensorSpec],
    pub values: &'a [&'a [f32]],
    /// Its place in the batch.
    pub index: usize,
}

/// Buffers kept between items and frames.
#[derive(Default)]
pub(super) struct Scratch {
    /// The best score and class of each place.
    pub best: Vec<(f32, usize)>,
    /// Class scores were found to be logits, which they then always are.
    pub logits: bool,
    /// Values of one object beside its box.
    pub extra: Vec<f32>,
    /// Of class numbers and scores without telling names: the classes come second, once the values told.
    pub classes_second: Option<bool>,
}

/// Takes a candidate in model pixels, not clamped, and what else is known of it: key points as x, y and score, mask coefficients, or
/// centre, size and angle.
pub(super) type Found<'f> = &'f mut dyn FnMut(Candidate, &[f32]);

/// The box around a centre.
pub(super) fn around(centre: [f32; 2], size: [f32; 2]) -> [f32; 4] {
    let half = [size[0] / 2.0, size[1] / 2.0];
    [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
}

/// Test for class scores that are logits: some lie outside of 0 to 1.
pub(super) fn are_logits(scores: &[f32]) -> bool {
    scores.iter().any(|v| v.is_finite() && !(-0.01..=1.01).contains(v))
}

/// The score of a class with `value` in its row: as it stands, or of logits by sigmoid, or by softmax over the row.
pub(super) fn score_of(value: f32, row: &[f32], logits: bool, softmax: bool) -> f32 {
    match (logits, softmax) {
        (false, _) => value,
        (true, false) => logistic(value),
        (true, true) => {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            (value - max).exp() / row.iter().map(|v| (v - max).exp()).sum::<f32>()
        }
    }
}

/// The highest finite score of a row with its class; the first of equal ones.
pub(super) fn best_of_row(row: &[f32]) -> Option<(f32, usize)> {
    let finite = row.iter().copied().enumerate().filter(|v| v.1.is_finite());
    finite.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(class, score)| (score, class))
}

/// The same for scores in planes of `cells` values, one plane per class; cells without a finite score get -inf.
pub(super) fn best_of_planes(planes: &[f32], cells: usize, best: &mut Vec<(f32, usize)>) {
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
pub(in crate::task::detect) fn score_slack(output: &TensorSpec) -> f32 {
    SCORE_SLACK + output.quant.map_or(0.0, |quant| quant.scale)
}

/// A class number as the model writes it.
///
/// # Errors
/// The sentence for one that is none of the model's.
pub(super) fn class_of(number: f32, labels: usize, slack: f32) -> Result<usize, String> {
    let class = number.round();
    let last = if labels > 0 { labels - 1 } else { MAX_CLASS };
    if (number - class).abs() > slack.min(0.4) || class < 0.0 || class > last as f32 || number.is_nan() {
        let known = if labels > 0 { format!("0 to {last}") } else { "a whole number".into() };
        return Err(format!("its class is {number}, which should be {known}"));
    }
    Ok(class as usize)
}
