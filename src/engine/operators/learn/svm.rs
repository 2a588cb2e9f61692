//! `SVMClassifier` and `SVMRegressor`, as libsvm computes them.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::{Labels, Transform, floats_of, largest, samples};
use crate::onnx::node;
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{floats, of_floats, required};

/// A product of two samples.
#[derive(Clone, Copy, Debug)]
enum Product {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

#[derive(Debug)]
struct Products {
    kind: Product,
    gamma: f64,
    coef0: f64,
    degree: f64,
}

impl Products {
    fn of(node: &NodeProto) -> TractResult<Self> {
        let kind = match node::text(node, "kernel_type", "LINEAR")? {
            "LINEAR" => Product::Linear,
            "POLY" => Product::Poly,
            "RBF" => Product::Rbf,
            "SIGMOID" => Product::Sigmoid,
            other => bail!("its kernel_type is {other:?}"),
        };
        let params = floats_of(node, "kernel_params")?;
        let param = |index: usize| params.get(index).copied().map_or(0.0, f64::from);
        Ok(Products { kind, gamma: param(0), coef0: param(1), degree: param(2) })
    }

    fn of_samples(&self, a: &[f32], b: &[f32]) -> f64 {
        let dot = || a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        match self.kind {
            Product::Linear => dot(),
            Product::Poly => (self.gamma * dot() + self.coef0).powf(self.degree),
            Product::Rbf => {
                let distance: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
                (-self.gamma * distance).exp()
            }
            Product::Sigmoid => (self.gamma * dot() + self.coef0).tanh(),
        }
    }
}

#[derive(Debug)]
struct Regressor {
    products: Products,
    vectors: Vec<f32>,
    /// One for each support vector; without support vectors, one for each feature.
    coefficients: Vec<f32>,
    supports: usize,
    rho: f32,
    one_class: bool,
    transform: Transform,
}

pub(in crate::operators) fn regressor(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let (vectors, coefficients) = (floats_of(node, "support_vectors")?, floats_of(node, "coefficients")?);
    let supports = usize::try_from(node::int(node, "n_supports", 0)?)?;
    ensure!(supports == 0 || coefficients.len() == supports && vectors.len() % supports == 0, "its vectors do not fit");
    Ok(Arc::new(Regressor {
        products: Products::of(node)?,
        vectors,
        coefficients,
        supports,
        rho: floats_of(node, "rho")?.first().copied().unwrap_or(0.0),
        one_class: node::flag(node, "one_class")?,
        transform: Transform::of(node)?,
    }))
}

impl Kernel for Regressor {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        Ok(Some(vec![(DatumType::F32, vec![samples(&required(inputs, 0)?.shape)?.0, 1])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (count, features) = samples(x.shape())?;
        let wanted = self.vectors.len().checked_div(self.supports).unwrap_or(self.coefficients.len());
        ensure!(features == wanted, "its input has {features} features, its vectors {wanted}");
        let values = floats(x)?;
        let mut scores = Vec::with_capacity(count);
        for sample in values.chunks(features.max(1)).take(count) {
            let sum: f64 = if self.supports == 0 {
                self.products.of_samples(sample, &self.coefficients)
            } else {
                let vectors = self.vectors.chunks(features.max(1)).zip(&self.coefficients);
                vectors.map(|(v, &c)| f64::from(c) * self.products.of_samples(sample, v)).sum()
            };
            let mut score = [(sum + f64::from(self.rho)) as f32];
            if self.one_class {
                score[0] = if score[0] > 0.0 { 1.0 } else { -1.0 };
            }
            self.transform.apply(&mut score);
            scores.push(score[0]);
        }
        Ok(vec![of_floats(&[count, 1], &scores)?])
    }
}

#[derive(Debug)]
struct Classifier {
    products: Products,
    vectors: Vec<f32>,
    coefficients: Vec<f32>,
    /// Of each class; empty for a linear model.
    per_class: Vec<usize>,
    rho: Vec<f32>,
    /// Sigmoids that make probabilities of scores; empty without.
    prob: (Vec<f32>, Vec<f32>),
    labels: Labels,
    transform: Transform,
}

pub(in crate::operators) fn classifier(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let per_class = node::ints(node, "vectors_per_class")?.unwrap_or_default();
    let per_class: Vec<usize> = per_class.iter().map(|&n| usize::try_from(n)).collect::<Result<_, _>>()?;
    let labels = Labels::of(node, "classlabels_ints", "classlabels_strings")?;
    let classifier = Classifier {
        products: Products::of(node)?,
        vectors: floats_of(node, "support_vectors")?,
        coefficients: floats_of(node, "coefficients")?,
        rho: floats_of(node, "rho")?,
        prob: (floats_of(node, "prob_a")?, floats_of(node, "prob_b")?),
        transform: Transform::of(node)?,
        labels,
        per_class,
    };
    let classes = classifier.labels.count;
    if !classifier.per_class.is_empty() {
        let supports: usize = classifier.per_class.iter().sum();
        let pairs = classes * (classes - 1) / 2;
        let fits = classifier.per_class.len() == classes
            && supports > 0
            && classifier.vectors.len().is_multiple_of(supports)
            && classifier.coefficients.len() == supports * (classes - 1)
            && classifier.rho.len() >= pairs;
        let (a, b) = (&classifier.prob.0, &classifier.prob.1);
        let fits = fits && (a.is_empty() || a.len() >= pairs && b.len() >= pairs);
        ensure!(fits, "its vectors, coefficients and classes do not fit");
    } else {
        let fits = classifier.coefficients.len().is_multiple_of(classes);
        ensure!(fits, "its {} coefficients do not fit {classes} classes", classifier.coefficients.len());
    }
    Ok(Arc::new(classifier))
}

impl Classifier {
    /// One score for each pair of classes, positive for the first of the two, and the votes of each class.
    fn pairs(&self, sample: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let classes = self.per_class.len();
        let supports: usize = self.per_class.iter().sum();
        let products: Vec<f64> =
            self.vectors.chunks(sample.len().max(1)).map(|v| self.products.of_samples(sample, v)).collect();
        let starts: Vec<usize> =
            self.per_class.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
        let (mut scores, mut votes) = (Vec::new(), vec![0.0; classes]);
        for first in 0..classes {
            for second in first + 1..classes {
                let part = |class: usize, row: usize| -> f64 {
                    let range = starts[class]..starts[class] + self.per_class[class];
                    range.map(|v| f64::from(self.coefficients[row * supports + v]) * products[v]).sum()
                };
                let sum = part(first, second - 1) + part(second, first) + f64::from(self.rho[scores.len()]);
                votes[if sum > 0.0 { first } else { second }] += 1.0;
                scores.push(sum as f32);
            }
        }
        (scores, votes)
    }

    /// Probabilities of classes from those of pairs (Wu, Lin, Weng 2004, as libsvm couples them).
    fn probabilities(&self, scores: &[f32]) -> Vec<f32> {
        let classes = self.per_class.len();
        let mut pair = vec![0.0f64; classes * classes];
        let mut index = 0;
        for first in 0..classes {
            for second in first + 1..classes {
                let sum = f64::from(scores[index]) * f64::from(self.prob.0[index]) + f64::from(self.prob.1[index]);
                let p = if sum >= 0.0 { (-sum).exp() / (1.0 + (-sum).exp()) } else { 1.0 / (1.0 + sum.exp()) };
                let p = p.clamp(1e-7, 1.0 - 1e-7);
                pair[first * classes + second] = p;
                pair[second * classes + first] = 1.0 - p;
                index += 1;
            }
        }
        coupled(&pair, classes).into_iter().map(|p| p as f32).collect()
    }
}

fn coupled(pair: &[f64], classes: usize) -> Vec<f64> {
    let mut q = vec![0.0; classes * classes];
    for t in 0..classes {
        for j in (0..classes).filter(|&j| j != t) {
            q[t * classes + t] += pair[j * classes + t].powi(2);
            q[t * classes + j] = -pair[j * classes + t] * pair[t * classes + j];
        }
    }
    let mut p = vec![1.0 / classes as f64; classes];
    for _ in 0..classes.max(100) {
        let mut qp: Vec<f64> = (0..classes).map(|t| (0..classes).map(|j| q[t * classes + j] * p[j]).sum()).collect();
        let mut whole: f64 = (0..classes).map(|t| p[t] * qp[t]).sum();
        let error = qp.iter().map(|v| (v - whole).abs()).fold(0.0, f64::max);
        if error < 0.005 / classes as f64 {
            break;
        }
        for t in 0..classes {
            let step = (whole - qp[t]) / q[t * classes + t];
            p[t] += step;
            whole = (whole + step * (step * q[t * classes + t] + 2.0 * qp[t])) / (1.0 + step).powi(2);
            for j in 0..classes {
                qp[j] = (qp[j] + step * q[t * classes + j]) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
    p
}

impl Kernel for Classifier {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (count, _) = samples(&required(inputs, 0)?.shape)?;
        Ok(Some(vec![(DatumType::I64, vec![count]), (DatumType::F32, vec![count, self.width()])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (count, features) = samples(x.shape())?;
        let classes = self.labels.count;
        let supports: usize = self.per_class.iter().sum();
        let wanted = self.vectors.len().checked_div(supports).unwrap_or(self.coefficients.len() / classes);
        ensure!(features == wanted, "its input has {features} features, its vectors {wanted}");
        let values = floats(x)?;
        let (mut labels, mut scores) = (Vec::with_capacity(count), Vec::new());
        for sample in values.chunks(features.max(1)).take(count) {
            let (class, mut row) = self.one(sample);
            self.transform.apply(&mut row);
            labels.push(self.labels.get(class));
            scores.extend(row);
        }
        Ok(vec![Tensor::from_shape(&[count], &labels)?, of_floats(&[count, self.width()], &scores)?])
    }
}

impl Classifier {
    /// Scores of one sample.
    fn width(&self) -> usize {
        let classes = self.labels.count;
        match (self.per_class.is_empty(), self.prob.0.is_empty()) {
            (true, _) | (_, false) => classes,
            (false, true) => {
                if classes == 2 {
                    2
                } else {
                    classes * (classes - 1) / 2
                }
            }
        }
    }

    fn one(&self, sample: &[f32]) -> (usize, Vec<f32>) {
        if self.per_class.is_empty() {
            let rows = self.coefficients.chunks(sample.len().max(1)).enumerate();
            let rho = |class: usize| self.rho.get(class).or(self.rho.first()).copied().unwrap_or(0.0);
            let row: Vec<f32> =
                rows.map(|(class, c)| self.products.of_samples(sample, c) as f32 + rho(class)).collect();
            return (largest(&row), row);
        }
        // The class is the one of most votes, which need not be the most probable one.
        let (pairs, votes) = self.pairs(sample);
        let class = largest(&votes);
        if !self.prob.0.is_empty() {
            return (class, self.probabilities(&pairs));
        }
        let row = if self.labels.count == 2 { vec![-pairs[0], pairs[0]] } else { pairs };
        (class, row)
    }
}
