//! Channels of float models removed: fewer multiplications for what is lost, without training.
//!
//! [`rules`] find which channels of the whole graph go together, [`score`] says how much each set matters, [`choose`] takes the least for each
//! multiplication saved, [`cut`] takes them out, [`check`] holds what is left against the whole model, and [`rebuild`] fits the layers
//! behind to samples.

mod check;
mod choose;
mod cut;
mod eliminate;
mod labels;
mod rebuild;
mod rules;
mod score;
mod trace;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto};

use super::floats;
use super::run::{CompressError, Executor, Samples, graph_of, shapes_of};
use crate::onnx::{GraphView, node, opset, tensor};
use choose::{Candidates, Choice};
use labels::Label;
use score::Scores;
use trace::{Trace, kept};

/// Samples that channels are judged by.
const JUDGED_BY: usize = 256;
/// Samples over which a pruned model is held against the whole one.
const CHECKED_BY: usize = 2;
/// Models that are tried on the way to the largest share within a bound on the drop.
const TRIES: usize = 7;

/// Measure by which channels are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Loss once the layers that read a channel are fitted anew, for each multiplication saved.
    Fitted,
    /// Energy that comes through a channel to the layers that read it, for each multiplication saved.
    Activation,
    /// Size of the weights that make a channel, and nothing fitted afterwards: the plain method, to compare with.
    Magnitude,
}

/// Amount that is removed.
pub enum Target<'a> {
    /// Share of the multiplications, 0 to 1.
    Ratio(f64),
    /// Multiplications and additions that may be left.
    Macs(u64),
    /// As much as can go while the drop of the pruned model, as the function measures it, stays within a bound.
    Drop(f64, &'a dyn Fn(&ModelProto) -> Result<f64, CompressError>),
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Measure by which channels are chosen.
    pub method: Method,
    /// Test for layers fitted to the samples afterwards.
    pub fit: bool,
    /// Channels that are taken away together.
    pub step: usize,
    /// Damping of the fit, a share of the mean square of a layer's inputs.
    pub damping: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { method: Method::Fitted, fit: true, step: choose::STEP, damping: 1e-3 }
    }
}

/// A layer before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerChange {
    /// Name of the node.
    pub name: String,
    /// Operator.
    pub operator: String,
    /// Input channels.
    pub inputs: (usize, usize),
    /// Output channels.
    pub outputs: (usize, usize),
    /// Multiplications and additions for one sample.
    pub macs: (u64, u64),
}

/// A node that keeps its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Name of the node.
    pub node: String,
    /// Operator.
    pub operator: String,
    /// Reason.
    pub reason: String,
}

/// A model without some of its channels.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The model.
    pub model: ModelProto,
    /// Its layers in the order in which they run.
    pub layers: Vec<LayerChange>,
    /// Multiplications and additions for one sample, before and after.
    pub macs: (u64, u64),
    /// Elements of constants of floats, before and after.
    pub parameters: (usize, usize),
    /// Share of zeros among them afterwards. They are multiplied as any other number.
    pub zeros: f64,
    /// Nodes in whose surroundings nothing can be removed.
    pub kept: Vec<Kept>,
    /// Layers that could not be fitted, and why.
    pub not_fitted: Vec<(String, String)>,
}

/// A model whose channels are known, ready to be pruned to any target.
pub struct Pruner<'a> {
    model: ModelProto,
    shapes: HashMap<String, Vec<usize>>,
    trace: Trace,
    executor: &'a dyn Executor,
    samples: &'a dyn Samples,
    indices: &'a [usize],
    settings: Settings,
    /// Worth of every channel, once it was asked for.
    scores: OnceCell<Scores>,
}

impl<'a> Pruner<'a> {
    /// Looks at a float model; `indices` are the samples that it may learn from.
    ///
    /// # Errors
    /// [`CompressError::Node`] for quantised models and weights that are not finite, [`CompressError::Sample`] without samples,
    /// [`CompressError::Model`] where nothing can be removed, and those of running the model.
    pub fn new(
        model: &ModelProto,
        executor: &'a dyn Executor,
        samples: &'a dyn Samples,
        indices: &'a [usize],
        settings: Settings,
    ) -> Result<Self, CompressError> {
        let mut model = model.clone();
        floats::plain(&mut model)?;
        let Some(&first) = indices.first() else {
            return Err(CompressError::Sample("there are no samples to calibrate with".into()));
        };
        let facts = executor.facts(&model, &shapes_of(&samples.get(first)?))?;
        let shapes: HashMap<String, Vec<usize>> =
            facts.into_iter().filter_map(|(name, fact)| Some((name, fact.shape?))).collect();
        let trace = rules::trace(graph_of(&model)?, opset(&model), &shapes);
        let pruner = Pruner { model, shapes, trace, executor, samples, indices, settings, scores: OnceCell::new() };
        if pruner.candidates().is_empty() {
            return Err(CompressError::Model(format!("no channel of this model can be removed{}", pruner.because())));
        }
        Ok(pruner)
    }

    fn candidates(&self) -> Candidates<'_> {
        Candidates::new(&self.trace, self.settings.step)
    }

    /// Multiplications and additions for one sample.
    pub fn macs(&self) -> u64 {
        self.candidates().macs()
    }

    /// The first reasons why channels stay, to end a sentence with.
    fn because(&self) -> String {
        let all = &self.trace.kept;
        if all.is_empty() {
            return String::new();
        }
        let first = all.iter().take(3).map(|(name, operator, reason)| format!("{operator} {name:?}: {reason}"));
        let more = if all.len() > 3 { format!(", and {} more", all.len() - 3) } else { String::new() };
        format!(" ({}{more})", first.collect::<Vec<_>>().join("; "))
    }

    /// Removes channels.
    ///
    /// # Errors
    /// [`CompressError::Model`] where the target cannot be reached, saying how far it goes, or where a pruned model differs from the whole one
    /// without the same channels; those of running models.
    pub fn prune(&self, target: &Target<'_>) -> Result<Pruned, CompressError> {
        let candidates = self.candidates();
        let all = candidates.macs();
        let scores = match self.scores.get() {
            Some(scores) => scores,
            None => {
                let scores = self.scores()?;
                self.scores.get_or_init(|| scores)
            }
        };
        let bound = match target {
            Target::Ratio(ratio) => (all as f64 * (1.0 - ratio)).floor().max(0.0) as u64,
            Target::Macs(macs) => *macs,
            Target::Drop(most, measure) => return self.within(&candidates, scores, *most, measure),
        };
        let least = candidates.least();
        if bound < least {
            return Err(CompressError::Model(format!(
                "{} of {} million multiplications cannot be left: the fewest are {} ({:.1} % removed){}",
                millions(bound),
                millions(all),
                millions(least),
                100.0 * (all - least) as f64 / all.max(1) as f64,
                self.because()
            )));
        }
        self.made(&self.choice(&candidates, scores, bound))
    }

    fn scores(&self) -> Result<Scores, CompressError> {
        match self.settings.method {
            Method::Magnitude => score::magnitude(graph_of(&self.model)?, &self.trace, &self.shapes),
            Method::Activation => self.activation(),
            Method::Fitted => {
                let indices = &self.indices[..self.indices.len().min(JUDGED_BY)];
                let by = (self.executor, self.samples, indices);
                // Families that are too wide for it keep their energy.
                let mut scores = self.activation()?;
                let candidates = self.candidates();
                scores.extend(eliminate::eliminate(&self.model, &self.trace, &self.shapes, candidates.families(), by)?);
                Ok(scores)
            }
        }
    }

    fn activation(&self) -> Result<Scores, CompressError> {
        let indices = &self.indices[..self.indices.len().min(JUDGED_BY)];
        score::activation(&self.model, &self.trace, &self.shapes, self.executor, self.samples, indices)
    }

    fn choice(&self, candidates: &Candidates<'_>, scores: &Scores, bound: u64) -> Choice {
        let by_macs = self.settings.method != Method::Magnitude;
        candidates.choose(&|label| scores.get(&label).copied().unwrap_or(0.0), bound, by_macs)
    }

    /// The smallest model within a bound on the drop, by halving.
    fn within(
        &self,
        candidates: &Candidates<'_>,
        scores: &Scores,
        most: f64,
        measure: &dyn Fn(&ModelProto) -> Result<f64, CompressError>,
    ) -> Result<Pruned, CompressError> {
        let (all, least) = (candidates.macs(), candidates.least());
        let (mut low, mut high) = (least, all);
        let (mut best, mut nearest) = (None, f64::INFINITY);
        for _ in 0..TRIES {
            let bound = low + (high - low) / 2;
            let pruned = self.made(&self.choice(candidates, scores, bound))?;
            let drop = measure(&pruned.model)?;
            nearest = nearest.min(drop);
            if drop <= most {
                // What was reached may be less than what was asked for.
                high = bound.min(pruned.macs.1);
                best = Some(pruned);
            } else {
                low = bound;
            }
            if high <= low {
                break;
            }
        }
        best.ok_or_else(|| {
            CompressError::Model(format!(
                "nothing can be removed within a drop of {:.2} %: the smallest step tried loses {:.2} %",
                100.0 * most,
                100.0 * nearest
            ))
        })
    }

    /// The model without a choice of channels.
    fn made(&self, choice: &Choice) -> Result<Pruned, CompressError> {
        let removed = &choice.removed;
        let mut model = cut::cut(&self.model, &self.trace, removed).map_err(CompressError::Model)?;
        let masked = check::masked(&self.model, &self.trace, &self.shapes, removed)?;
        let few = &self.indices[..self.indices.len().min(CHECKED_BY)];
        check::check(&masked, &model, self.executor, self.samples, few)?;
        let not_fitted = if self.settings.fit { self.fit(&mut model, removed)? } else { vec![] };
        let (before, _) = parameters(graph_of(&self.model)?);
        let (after, zeros) = parameters(graph_of(&model)?);
        let kept = self.trace.kept.iter().cloned();
        Ok(Pruned {
            layers: self.layers(removed)?,
            macs: (choice.before, choice.after),
            parameters: (before, after),
            zeros: zeros as f64 / after.max(1) as f64,
            kept: kept.map(|(node, operator, reason)| Kept { node, operator, reason }).collect(),
            not_fitted,
            model,
        })
    }

    fn fit(&self, model: &mut ModelProto, removed: &HashSet<Label>) -> Result<Vec<(String, String)>, CompressError> {
        let rebuild = rebuild::Rebuild {
            float: &self.model,
            trace: &self.trace,
            shapes: &self.shapes,
            removed,
            damping: self.settings.damping,
            executor: self.executor,
            samples: self.samples,
            indices: self.indices,
        };
        rebuild.run(model)
    }

    fn layers(&self, removed: &HashSet<Label>) -> Result<Vec<LayerChange>, CompressError> {
        let graph = graph_of(&self.model)?;
        let left = |own: &[Label]| kept(&self.trace.labels, own, &|head| removed.contains(&head)).len();
        let change = |layer: &trace::Layer| {
            let node = &graph.node[layer.node];
            let inputs = (layer.inputs, layer.input.as_deref().map_or(layer.inputs, left));
            let outputs = (layer.output.len(), left(&layer.output));
            let macs = (layer.macs(inputs.0, outputs.0), layer.macs(inputs.1, outputs.1));
            LayerChange { name: node.name.clone(), operator: node.op_type.clone(), inputs, outputs, macs }
        };
        Ok(self.trace.layers.iter().map(change).collect())
    }
}

/// Elements of constants of floats that nodes read, and how many of them are zero.
fn parameters(graph: &GraphProto) -> (usize, usize) {
    let view = GraphView::new(graph);
    let names: HashSet<&str> = graph.node.iter().flat_map(node::inputs).collect();
    let values = names.into_iter().filter_map(|name| tensor::read(view.initializer(name)?));
    let values = values.filter(|value| value.datum_type() == tract_onnx::prelude::DatumType::F32);
    let counts = values.filter_map(|value| tensor::floats(&value).ok());
    let each = counts.map(|values| (values.len(), values.iter().filter(|value| **value == 0.0).count()));
    each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn millions(macs: u64) -> String {
    format!("{:.3}", macs as f64 / 1e6)
}
