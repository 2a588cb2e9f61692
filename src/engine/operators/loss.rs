//! Losses of training, as `NegativeLogLikelihoodLoss` and `SoftmaxCrossEntropyLoss` define them.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{doubles, ints, of_doubles, optional, required};
use crate::onnx::node;

/// `NegativeLogLikelihoodLoss` of log probabilities `[N, C, …]`.
pub(super) fn negative_log_likelihood(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    parse(node, false)
}

/// `SoftmaxCrossEntropyLoss` of scores `[N, C, …]`.
pub(super) fn softmax_cross_entropy(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    parse(node, true)
}

fn parse(node: &NodeProto, softmax: bool) -> TractResult<Arc<dyn Kernel>> {
    let reduction = match node::text(node, "reduction", "mean")? {
        "none" => Reduction::None,
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        other => bail!("its reduction is {other:?}, allowed are none, mean and sum"),
    };
    let ignored = match node::attribute(node, "ignore_index") {
        Some(_) => Some(node::int(node, "ignore_index", 0)?),
        None => None,
    };
    Ok(Arc::new(Loss { softmax, reduction, ignored }))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reduction {
    None,
    Mean,
    Sum,
}

#[derive(Debug)]
struct Loss {
    /// Scores become log probabilities first.
    softmax: bool,
    reduction: Reduction,
    /// A class that counts for nothing.
    ignored: Option<i64>,
}

impl Kernel for Loss {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, labels) = (required(inputs, 0)?, required(inputs, 1)?);
        let shape = if self.reduction == Reduction::None { labels.shape.clone() } else { vec![] };
        Ok(Some(vec![(x.dtype, shape), (x.dtype, x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, labels) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let [items, classes, inner @ ..] = x.shape() else { bail!("its input has shape {:?}", x.shape()) };
        let inner: usize = inner.iter().product();
        let mut log_probabilities = doubles(x)?;
        if self.softmax {
            for lane in 0..items * inner {
                let at = |class: usize| (lane / inner * classes + class) * inner + lane % inner;
                let largest = (0..*classes).map(|c| log_probabilities[at(c)]).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..*classes).map(|c| (log_probabilities[at(c)] - largest).exp()).sum();
                (0..*classes).for_each(|c| log_probabilities[at(c)] -= largest + sum.ln());
            }
        }
        let classes_found = ints(labels)?;
        ensure!(classes_found.len() == items * inner, "its labels have shape {:?}", labels.shape());
        let weights = optional(inputs, 2).map(|weights| doubles(weights)).transpose()?;
        ensure!(
            weights.as_ref().is_none_or(|w| w.len() == *classes),
            "it has not one weight for each of {classes} classes"
        );
        let (mut losses, mut counted) = (vec![0.0; classes_found.len()], 0.0);
        for (lane, &class) in classes_found.iter().enumerate() {
            if Some(class) == self.ignored {
                continue;
            }
            let class = usize::try_from(class).ok().filter(|c| c < classes);
            let Some(class) = class else { bail!("a label is none of {classes} classes") };
            let weight = weights.as_ref().map_or(1.0, |weights| weights[class]);
            losses[lane] = -weight * log_probabilities[(lane / inner * classes + class) * inner + lane % inner];
            counted += weight;
        }
        let sum: f64 = losses.iter().sum();
        let dtype = x.datum_type();
        let loss = match self.reduction {
            Reduction::None => of_doubles(dtype, labels.shape(), &losses)?,
            Reduction::Sum => of_doubles(dtype, &[], &[sum])?,
            Reduction::Mean => of_doubles(dtype, &[], &[sum / counted])?,
        };
        Ok(vec![loss, of_doubles(dtype, x.shape(), &log_probabilities)?])
    }
}
