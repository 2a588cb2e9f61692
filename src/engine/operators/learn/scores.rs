//! Last steps of classifiers and regressors on their scores.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use crate::onnx::node;

/// Function of the scores of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operators) enum Transform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl Transform {
    pub fn of(node: &NodeProto) -> TractResult<Self> {
        Ok(match node::text(node, "post_transform", "NONE")? {
            "NONE" => Transform::None,
            "SOFTMAX" => Transform::Softmax,
            "LOGISTIC" => Transform::Logistic,
            "SOFTMAX_ZERO" => Transform::SoftmaxZero,
            "PROBIT" => Transform::Probit,
            other => bail!("its post_transform is {other:?}"),
        })
    }

    /// Applies it in place.
    pub fn apply(self, scores: &mut [f32]) {
        match self {
            Transform::None => {}
            Transform::Softmax | Transform::SoftmaxZero => {
                let zeros = self == Transform::SoftmaxZero;
                let counts = |score: f32| !zeros || score != 0.0;
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exp = |score: f32| if counts(score) { (score - largest).exp() } else { score };
                scores.iter_mut().for_each(|score| *score = exp(*score));
                let sum: f32 = scores.iter().sum();
                if sum != 0.0 {
                    scores.iter_mut().for_each(|score| *score /= sum);
                }
            }
            Transform::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Transform::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }
}

pub(in crate::operators) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// √2 · erf⁻¹(2x − 1), by Winitzki's approximation as onnxruntime has it.
fn probit(x: f32) -> f32 {
    let x = 2.0 * x - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let v = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let inverse = x.signum() * (-v + (v * v - log / 0.147).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * inverse
}

/// Labels of the classes: numbers, or the indices of names.
#[derive(Clone, Debug)]
pub(in crate::operators) struct Labels {
    numbers: Option<Vec<i64>>,
    pub count: usize,
}

impl Labels {
    /// From one of two attributes.
    pub fn of(node: &NodeProto, numbers: &str, names: &str) -> TractResult<Self> {
        let numbers = node::ints(node, numbers)?.map(<[i64]>::to_vec).filter(|n| !n.is_empty());
        let names = node::attribute(node, names).map_or(0, |a| a.strings.len());
        let count = numbers.as_ref().map_or(names, Vec::len);
        ensure!(count > 0, "it has no labels of classes");
        Ok(Labels { numbers, count })
    }

    pub fn get(&self, class: usize) -> i64 {
        self.numbers.as_ref().and_then(|n| n.get(class).copied()).unwrap_or(class as i64)
    }
}

/// The first of the largest.
pub(in crate::operators) fn largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// Samples and features of an input `[N, C]` or `[C]`.
pub(in crate::operators) fn samples(shape: &[usize]) -> TractResult<(usize, usize)> {
    match *shape {
        [features] => Ok((1, features)),
        [samples, features] => Ok((samples, features)),
        _ => bail!("its input has shape {shape:?}, expected is [samples, features]"),
    }
}

/// Floats of an attribute, from the list or from a tensor.
pub(in crate::operators) fn floats_of(node: &NodeProto, name: &str) -> TractResult<Vec<f32>> {
    Ok(node::floats(node, name)?.unwrap_or_default().to_vec())
}
