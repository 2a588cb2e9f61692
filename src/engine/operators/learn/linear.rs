//! `LinearClassifier` and `LinearRegressor`.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::{Labels, Transform, floats_of, largest, samples};
use crate::onnx::node;
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{floats, of_floats, required};

/// Sums of products, `targets` of them.
#[derive(Debug)]
struct Linear {
    /// `[targets, features]`.
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    targets: usize,
    transform: Transform,
}

impl Linear {
    fn of(node: &NodeProto, targets: usize) -> TractResult<Self> {
        let (coefficients, intercepts) = (floats_of(node, "coefficients")?, floats_of(node, "intercepts")?);
        ensure!(
            targets > 0 && coefficients.len() % targets == 0,
            "it has {} coefficients for {targets} sums",
            coefficients.len()
        );
        ensure!(
            intercepts.is_empty() || intercepts.len() == targets,
            "it has {} intercepts for {targets} sums",
            intercepts.len()
        );
        Ok(Linear { coefficients, intercepts, targets, transform: Transform::of(node)? })
    }

    /// `[samples, targets]`.
    fn sums(&self, x: &Tensor) -> TractResult<(usize, Vec<f32>)> {
        let (count, features) = samples(x.shape())?;
        let wanted = self.coefficients.len() / self.targets;
        ensure!(features == wanted, "its input has {features} features, its coefficients are for {wanted}");
        let values = floats(x)?;
        let mut sums = Vec::with_capacity(count * self.targets);
        for sample in values.chunks(features.max(1)).take(count) {
            for (target, row) in self.coefficients.chunks(features.max(1)).enumerate() {
                let product: f32 = row.iter().zip(sample).map(|(a, b)| a * b).sum();
                sums.push(product + self.intercepts.get(target).copied().unwrap_or(0.0));
            }
        }
        Ok((count, sums))
    }
}

#[derive(Debug)]
struct Regressor(Linear);

pub(in crate::operators) fn regressor(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let targets = usize::try_from(node::int(node, "targets", 1)?)?;
    Ok(Arc::new(Regressor(Linear::of(node, targets)?)))
}

impl Kernel for Regressor {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (count, _) = samples(&required(inputs, 0)?.shape)?;
        Ok(Some(vec![(DatumType::F32, vec![count, self.0.targets])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (count, mut sums) = self.0.sums(required(inputs, 0)?)?;
        sums.chunks_mut(self.0.targets).for_each(|scores| self.0.transform.apply(scores));
        Ok(vec![of_floats(&[count, self.0.targets], &sums)?])
    }
}

#[derive(Debug)]
struct Classifier {
    linear: Linear,
    labels: Labels,
    /// One sum stands for two classes.
    binary: bool,
}

pub(in crate::operators) fn classifier(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::of(node, "classlabels_ints", "classlabels_strings")?;
    let intercepts = floats_of(node, "intercepts")?.len();
    let sums = if intercepts > 0 { intercepts } else { labels.count };
    let binary = sums == 1 && labels.count == 2;
    ensure!(binary || sums == labels.count, "it has {sums} sums for {} classes", labels.count);
    Ok(Arc::new(Classifier { linear: Linear::of(node, sums)?, labels, binary }))
}

impl Kernel for Classifier {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (count, _) = samples(&required(inputs, 0)?.shape)?;
        Ok(Some(vec![(DatumType::I64, vec![count]), (DatumType::F32, vec![count, self.labels.count])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (count, sums) = self.linear.sums(required(inputs, 0)?)?;
        let (mut classes, mut scores) = (Vec::with_capacity(count), Vec::with_capacity(count * self.labels.count));
        for row in sums.chunks(self.linear.targets) {
            let mut row = row.to_vec();
            let class = if self.binary { usize::from(row[0] > 0.0) } else { largest(&row) };
            if self.binary {
                row = match self.linear.transform {
                    Transform::Logistic => {
                        let mut p = row.clone();
                        Transform::Logistic.apply(&mut p);
                        vec![1.0 - p[0], p[0]]
                    }
                    transform => {
                        let mut both = vec![-row[0], row[0]];
                        transform.apply(&mut both);
                        both
                    }
                };
            } else {
                self.linear.transform.apply(&mut row);
            }
            classes.push(self.labels.get(class));
            scores.extend(row);
        }
        Ok(vec![Tensor::from_shape(&[count], &classes)?, of_floats(&[count, self.labels.count], &scores)?])
    }
}
