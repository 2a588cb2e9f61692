//! Parts that the tasks share: one frame's part of an output as reals, labels, scores.

use std::sync::Arc;

use super::contract::{SetupError, TaskError, TaskInput};
use crate::frame::{DType, Elements, Label, TensorView};

/// The values of this frame's `count` items of `tensor` as reals, and how many there are per item. Floats are borrowed as
/// they lie, integers are dequantised into the buffer. The first axis is the batch, unless there is only one axis and
/// the model's input has another batch.
pub(super) fn real_items<'a>(
    tensor: &TensorView<'a>,
    input: &TaskInput<'_>,
    count: usize,
    buffer: &'a mut Vec<f32>,
) -> Result<(&'a [f32], usize), TaskError> {
    let shape = &tensor.spec.shape;
    let batch = match shape.as_slice() {
        [] => 1,
        [only] if input.inputs.first().and_then(|i| i.spec.shape.first()) != Some(only) => 1,
        [batch, ..] => *batch,
    };
    let values = match tensor.data {
        Elements::F32(values) => values,
        _ => {
            tensor.dequantize_into(buffer);
            buffer
        }
    };
    let each = values.len().checked_div(batch).unwrap_or(0);
    let (first, end) = (input.first_item, input.first_item.saturating_add(count));
    match values.get(first.saturating_mul(each)..end.saturating_mul(each)) {
        Some(values) if each > 0 && end <= batch => Ok((values, each)),
        _ => {
            let last = end.saturating_sub(1);
            Err(wrong(tensor, format!("shape {shape:?} where values for items {first} to {last} are needed")))
        }
    }
}

/// The same in the buffer, to be changed.
pub(super) fn items<'a>(
    tensor: &TensorView<'_>,
    input: &TaskInput<'_>,
    count: usize,
    buffer: &'a mut Vec<f32>,
) -> Result<(&'a mut [f32], usize), TaskError> {
    if let Elements::F32(_) = tensor.data {
        let mut unused = Vec::new();
        let (values, each) = real_items(tensor, input, count, &mut unused)?;
        buffer.clear();
        buffer.extend_from_slice(values);
        return Ok((buffer, each));
    }
    let (_, each) = real_items(tensor, input, count, buffer)?;
    let start = input.first_item * each;
    Ok((buffer.get_mut(start..start + count * each).unwrap_or_default(), each))
}

/// Output `index`.
pub(super) fn get<'a>(outputs: &'a [TensorView<'a>], index: usize) -> Result<&'a TensorView<'a>, TaskError> {
    outputs.get(index).ok_or_else(|| TaskError {
        tensor: format!("output {index}"),
        reason: format!("the model has {} outputs", outputs.len()),
    })
}

/// The error that `output` is not of the form that is needed.
pub(super) fn wrong(output: &TensorView<'_>, reason: String) -> TaskError {
    TaskError { tensor: output.spec.name.clone(), reason }
}

/// A model with labels has as many as its output has classes.
pub(super) fn check_labels(output: &TensorView<'_>, classes: usize, labels: &[Label]) -> Result<(), TaskError> {
    if labels.is_empty() || labels.len() == classes {
        return Ok(());
    }
    let reason = format!("shape {:?} has {classes} classes, the model has {} labels", output.spec.shape, labels.len());
    Err(wrong(output, reason))
}

/// The label of a class; the index in decimal where the model has none.
pub(super) fn label(labels: &[Label], class: usize) -> Label {
    labels.get(class).cloned().unwrap_or_else(|| Arc::from(class.to_string()))
}

/// The classes that count: all when `wanted` is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    wanted: Option<Vec<bool>>,
}

impl Filter {
    /// # Errors
    /// A wanted label that is none of the model's.
    pub fn new(wanted: &[String], labels: &[Label]) -> Result<Self, SetupError> {
        if wanted.is_empty() {
            return Ok(Filter { wanted: None });
        }
        let mut classes = vec![false; labels.len()];
        for name in wanted {
            let numbered = || name.parse::<usize>().ok().filter(|_| labels.is_empty());
            let Some(class) = labels.iter().position(|l| **l == **name).or_else(numbered) else {
                let nearest = labels.iter().min_by_key(|l| strsim::damerau_levenshtein(l, name));
                let hint = nearest.map(|l| format!("; the nearest is {:?}", &**l)).unwrap_or_default();
                return Err(SetupError {
                    key: "labels",
                    reason: format!("{name:?} is none of the model's {} labels{hint}", labels.len()),
                });
            };
            if class >= MAX_CLASSES {
                return Err(SetupError { key: "labels", reason: format!("class {class}: at most {MAX_CLASSES}") });
            }
            if class >= classes.len() {
                classes.resize(class + 1, false);
            }
            classes[class] = true;
        }
        Ok(Filter { wanted: Some(classes) })
    }

    /// True if `class` counts.
    pub fn has(&self, class: usize) -> bool {
        self.wanted.as_ref().is_none_or(|w| w.get(class).copied().unwrap_or(false))
    }
}

/// More classes than any model has; a class number in a filter is not to allocate without bound.
const MAX_CLASSES: usize = 1 << 20;

/// Turns a row of outputs into scores from 0 to 1.
///
/// Told so (`softmax = true` or `false`), it does so. Otherwise an 8-bit output that cannot hold anything outside 0 to 1 is
/// scores already, and one that can is logits; a float output is taken for scores until one row of numbers is not a
/// distribution (a value outside 0 to 1, or a sum that is not 1 within what quantisation costs): from then on the
/// model gives logits, for good. A single value is a score, or goes through the logistic function instead of softmax.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    told: Option<bool>,
    logits: bool,
}

impl Scores {
    pub fn new(softmax: Option<bool>) -> Self {
        Scores { told: softmax, logits: false }
    }

    /// Changes `rows` (each of `classes` values) in place. What is not finite scores 0.
    pub fn apply(&mut self, output: &TensorView<'_>, rows: &mut [f32], classes: usize) {
        let softmax = match (self.told, unit_range(output)) {
            (Some(told), _) => told,
            (None, Some(only_scores)) => !only_scores,
            (None, None) => {
                self.logits |=
                    rows.chunks(classes).any(|row| row.iter().all(|v| v.is_finite()) && !is_distribution(row));
                self.logits
            }
        };
        for row in rows.chunks_mut(classes) {
            if softmax && classes == 1 {
                row[0] = logistic(row[0]);
            } else if softmax {
                softmax_in_place(row);
            }
            row.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0);
        }
    }
}

/// The logistic function.
pub(super) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// True for an 8-bit output that can hold nothing outside 0 to 1; `None` where it is not quantised to 8 bits.
fn unit_range(output: &TensorView<'_>) -> Option<bool> {
    let (low, high) = match output.spec.dtype {
        DType::I8 => (-128, 127),
        DType::U8 => (0, 255),
        DType::F32 | DType::I32 | DType::I64 => return None,
    };
    let quant = output.spec.quant?;
    let real = |q: i32| quant.scale * (q - quant.zero_point) as f32;
    Some(real(low) >= -1.5 * quant.scale && real(high) <= 1.0 + 1.5 * quant.scale)
}

fn is_distribution(row: &[f32]) -> bool {
    const SLACK: f32 = 0.005;
    let within = row.iter().all(|&v| (-SLACK..=1.0 + SLACK).contains(&v));
    // Each of the values may be off by half of 1/256, the usual quantum of a softmax.
    let tolerance = (0.01 + row.len() as f32 / 512.0).min(0.25);
    within && (row.len() == 1 || (row.iter().sum::<f32>() - 1.0).abs() <= tolerance)
}

fn softmax_in_place(row: &mut [f32]) {
    let max = row.iter().copied().filter(|v| v.is_finite()).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for v in row.iter_mut() {
        *v = if v.is_finite() { (*v - max).exp() } else { 0.0 };
        sum += *v;
    }
    if sum > 0.0 {
        row.iter_mut().for_each(|v| *v /= sum);
    }
}

/// Exponential averaging of scores over frames, weight `2 / (frames + 1)` for the newest.
#[derive(Clone, Debug)]
pub(super) struct Smoothing {
    weight: f32,
    average: Vec<f32>,
}

impl Smoothing {
    pub fn new(frames: Option<u32>) -> Self {
        Smoothing { weight: 2.0 / (frames.unwrap_or(1).max(1) as f32 + 1.0), average: Vec::new() }
    }

    /// The average with `scores` counted in.
    pub fn add(&mut self, scores: &[f32]) -> &[f32] {
        if self.average.len() != scores.len() || self.weight >= 1.0 {
            self.average.clear();
            self.average.extend_from_slice(scores);
        } else {
            for (average, score) in self.average.iter_mut().zip(scores) {
                *average += self.weight * (score - *average);
            }
        }
        &self.average
    }
}
