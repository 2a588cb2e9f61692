//! One class for the whole picture or window.

use super::config::ClassifyConfig;
use crate::frame::{Label, Outcome, Scored, TaskSpec, Unreadable};
use crate::task::contract::{SetupError, Task, TaskError, TaskInput, TaskOutput};
use crate::task::output::{Filter, Scores, Smoothing, check_labels, get, items, label, wrong};

/// Labels that are published when the configuration does not say.
const TOP_K: u32 = 3;

/// The best class of output 0, `[N, classes]` (further axes are flattened).
///
/// The label is empty when no class that counts reaches `min_score`, when the best one is the model's for "nothing to read here", and
/// when the picture's only region cannot be read.
pub(super) struct Classify {
    labels: Vec<Label>,
    none: Option<usize>,
    filter: Filter,
    min_score: f32,
    top_k: usize,
    scores: Scores,
    smoothing: Smoothing,
    values: Vec<f32>,
    order: Vec<usize>,
}

impl Classify {
    /// # Errors
    /// A wanted label that is none of the model's.
    pub fn new(config: &ClassifyConfig, spec: &TaskSpec) -> Result<Self, SetupError> {
        Ok(Classify {
            filter: Filter::new(&config.labels, &spec.labels)?,
            labels: spec.labels.clone(),
            none: spec.none,
            min_score: config.min_score.unwrap_or(0.0),
            top_k: config.top_k.unwrap_or(TOP_K).max(1) as usize,
            scores: Scores::new(config.softmax),
            smoothing: Smoothing::new(config.smoothing),
            values: Vec::new(),
            order: Vec::new(),
        })
    }
}

impl Task for Classify {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let output = get(input.outputs, 0)?;
        let (row, classes) = items(output, input, 1, &mut self.values)?;
        check_labels(output, classes, &self.labels)?;
        if !row.iter().any(|v| v.is_finite()) {
            return Err(wrong(output, "no finite value".into()));
        }
        let unreadable = input.unreadable.first().copied().flatten();
        if unreadable.is_some() {
            // Whatever the model makes of it is about nothing.
            return Ok(Outcome::Classify { label: String::new(), score: 0.0, top: Vec::new(), unreadable }.into());
        }
        self.scores.apply(output, row, classes);
        let scores = self.smoothing.add(row);
        self.order.clear();
        self.order.extend((0..classes).filter(|&c| self.filter.has(c) || self.none == Some(c)));
        let by_score = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        if self.order.len() > self.top_k {
            self.order.select_nth_unstable_by(self.top_k, by_score);
            self.order.truncate(self.top_k);
        }
        self.order.sort_unstable_by(by_score);
        let top: Vec<Scored> =
            self.order.iter().map(|&c| Scored { label: label(&self.labels, c), score: scores[c] }).collect();
        let nothing = self.order.first().is_some_and(|&best| self.none == Some(best));
        let best = top.first().filter(|b| b.score >= self.min_score && !nothing);
        let outcome = Outcome::Classify {
            label: best.map(|b| b.label.to_string()).unwrap_or_default(),
            score: top.first().map_or(0.0, |b| b.score),
            unreadable: nothing.then_some(Unreadable::NoDigit),
            top,
        };
        Ok(outcome.into())
    }
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;
