//! Values of tensors over samples: their extremes, and histograms of them.

use tract_onnx::pb::ModelProto;

use super::super::run::{CompressError, Executor, Samples, floats_of, graph_of, observe};
use crate::onnx::GraphView;

/// Bars of a histogram.
pub const BARS: usize = 2048;

/// Tensors that are read in one run: the values of all of them are in memory at once.
const TOGETHER_BYTES: usize = 64 << 20;

/// Counts of values between two extremes.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Least value, at most 0.
    pub low: f32,
    /// Greatest value, at least 0.
    pub high: f32,
    /// Values in each of [`BARS`] bars of equal width.
    pub counts: Vec<f64>,
}

impl Histogram {
    /// The value in the middle of a bar.
    pub fn middle(&self, bar: usize) -> f32 {
        self.low + (bar as f32 + 0.5) * self.width()
    }

    fn width(&self) -> f32 {
        (self.high - self.low) / BARS as f32
    }

    fn add(&mut self, values: &[f32]) {
        let scale = BARS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for value in values {
            let bar = ((value - self.low) * scale) as usize;
            self.counts[bar.min(BARS - 1)] += 1.0;
        }
    }
}

/// Histograms of tensors `names` over samples `indices`, in the order of `names`. Two passes: extremes, then bars.
///
/// # Errors
/// Those of running; [`CompressError::Node`] naming the node that gives a value which is no number.
pub fn histograms(
    executor: &dyn Executor,
    model: &ModelProto,
    samples: &dyn Samples,
    indices: &[usize],
    names: &[String],
    bytes_of: &dyn Fn(&str) -> usize,
) -> Result<Vec<Histogram>, CompressError> {
    let mut found = Vec::with_capacity(names.len());
    let mut start = 0;
    while start < names.len() {
        let mut bytes = 0;
        let fit = names[start..].iter().take_while(|name| {
            bytes += bytes_of(name);
            bytes <= TOGETHER_BYTES
        });
        let group = &names[start..start + fit.count().max(1)];
        start += group.len();
        executor.progress("values", found.len(), names.len());
        found.extend(group_histograms(executor, model, samples, indices, group)?);
    }
    Ok(found)
}

fn group_histograms(
    executor: &dyn Executor,
    model: &ModelProto,
    samples: &dyn Samples,
    indices: &[usize],
    names: &[String],
) -> Result<Vec<Histogram>, CompressError> {
    let mut ranges = vec![(0.0f32, 0.0f32); names.len()];
    observe(executor, model, samples, indices, names, &mut |_, outputs| {
        for ((tensor, range), name) in outputs.iter().zip(&mut ranges).zip(names) {
            for &value in floats_of(name, tensor)? {
                if !value.is_finite() {
                    return Err(no_number(model, name, value));
                }
                *range = (range.0.min(value), range.1.max(value));
            }
        }
        Ok(())
    })?;
    let empty = |(low, high): (f32, f32)| Histogram { low, high, counts: vec![0.0; BARS] };
    let mut histograms: Vec<Histogram> = ranges.into_iter().map(empty).collect();
    observe(executor, model, samples, indices, names, &mut |_, outputs| {
        for ((tensor, histogram), name) in outputs.iter().zip(&mut histograms).zip(names) {
            histogram.add(floats_of(name, tensor)?);
        }
        Ok(())
    })?;
    Ok(histograms)
}

fn no_number(model: &ModelProto, name: &str, value: f32) -> CompressError {
    let reason = format!("gives {value} in tensor {name:?} on a calibration sample");
    let Ok(graph) = graph_of(model) else { return CompressError::Run(reason) };
    match GraphView::new(graph).producer(name) {
        Some(index) => CompressError::Node {
            node: graph.node[index].name.clone(),
            operator: graph.node[index].op_type.clone(),
            reason,
        },
        None => CompressError::Sample(format!("input {name:?} has the value {value}")),
    }
}
