//! A pruned model beside the float one, over samples that it was not fitted to.

use tract_onnx::pb::ModelProto;

use crate::frame::TaskKind;
use leptond_engine::compress::run::{floats_of, graph_of, shapes_of};
use leptond_engine::compress::{CompressError, Executor, Samples};
use leptond_engine::onnx::GraphView;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The class with the highest score, of a model that names one.
    Class,
    /// Values of all outputs.
    Values,
}

/// Agreement of two models.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreement {
    kind: Kind,
    /// Number of samples.
    pub(super) samples: usize,
    same: usize,
    /// Squared difference as a share of the variance of the float outputs.
    pub(super) noise: f64,
}

/// Kind of comparison for a model: classes where its bundle says so, or where one output of several scores comes out of a softmax.
pub(super) fn kind(model: &ModelProto, task: TaskKind) -> Kind {
    let softmax = || {
        let graph = graph_of(model).ok()?;
        let [output] = &graph.output[..] else { return None };
        let view = GraphView::new(graph);
        let last = view.node(view.producer(&output.name)?);
        Some(matches!(last.op_type.as_str(), "Softmax" | "LogSoftmax"))
    };
    match task {
        TaskKind::Classify => Kind::Class,
        TaskKind::Raw if softmax() == Some(true) => Kind::Class,
        _ => Kind::Values,
    }
}

impl Agreement {
    /// Runs both models over samples.
    pub(super) fn measure(
        kind: Kind,
        [float, pruned]: [&ModelProto; 2],
        executor: &dyn Executor,
        samples: &dyn Samples,
        indices: &[usize],
    ) -> Result<Agreement, CompressError> {
        let Some(&first) = indices.first() else {
            return Err(CompressError::Sample("no sample was held out".into()));
        };
        let shapes = shapes_of(&samples.get(first)?);
        let (mut before, mut after) = (executor.compile(float, &shapes)?, executor.compile(pruned, &shapes)?);
        let names: Vec<&str> = graph_of(float)?.output.iter().map(|port| port.name.as_str()).collect();
        let (mut same, mut error) = (0, 0.0);
        let mut sums = Sums::default();
        for (done, &index) in indices.iter().enumerate() {
            let sample = samples.get(index)?;
            let (one, other) = (before.run(&sample)?, after.run(&sample)?);
            for (at, name) in names.iter().enumerate() {
                // Indices and flags say nothing of how far two models are apart.
                let (Ok(a), Ok(b)) = (floats_of(name, &one[at]), floats_of(name, &other[at])) else { continue };
                if at == 0 {
                    same += usize::from(highest(a) == highest(b));
                }
                error += a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                sums.add(a);
            }
            executor.progress("comparing", done + 1, indices.len());
        }
        Ok(Agreement { kind, samples: indices.len(), same, noise: sums.share(error) })
    }

    /// Share by which the two differ: of samples with another class, else of the variance of the outputs.
    pub(super) fn drop(&self) -> f64 {
        match self.kind {
            Kind::Class => 1.0 - self.same as f64 / self.samples.max(1) as f64,
            Kind::Values => self.noise,
        }
    }

    /// The agreement in words.
    pub(super) fn words(&self) -> String {
        let noise = format!("error {:.2} % of the outputs' variance", 100.0 * self.noise);
        match self.kind {
            Kind::Class => format!(
                "{} of {} held-out samples have the class that the float model says ({:.1} %); {noise}",
                self.same,
                self.samples,
                100.0 - 100.0 * self.drop()
            ),
            Kind::Values => format!("over {} held-out samples: {noise}", self.samples),
        }
    }
}

/// Sums for the variance of all values.
#[derive(Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, values: &[f32]) {
        self.count += values.len() as f64;
        self.sum += values.iter().map(|v| f64::from(*v)).sum::<f64>();
        self.squares += values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    }

    /// A sum of squares as a share of the variance.
    fn share(&self, error: f64) -> f64 {
        let variance = self.squares - self.sum * self.sum / self.count.max(1.0);
        if error == 0.0 { 0.0 } else { error / variance.max(f64::MIN_POSITIVE) }
    }
}

/// Index of the highest value; the first of equal ones.
fn highest(values: &[f32]) -> Option<usize> {
    let above = |best: Option<usize>, at: usize| match best {
        Some(best) if values[at] <= values[best] || values[at].is_nan() => Some(best),
        _ => Some(at),
    };
    (0..values.len()).fold(None, above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_highest_counts() {
        assert_eq!((highest(&[0.0, 2.0, 2.0]), highest(&[1.0, f32::NAN]), highest(&[])), (Some(1), Some(0), None));
    }

    #[test]
    fn an_error_is_a_share_of_the_variance() {
        let mut sums = Sums::default();
        sums.add(&[1.0, 3.0]);
        sums.add(&[1.0, 3.0]);
        assert_eq!((sums.share(1.0), sums.share(0.0)), (0.25, 0.0));
    }
}
