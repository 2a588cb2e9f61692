//! Files run through one model or two, and what came of it.

use std::path::PathBuf;

use super::dataset::{Input, Truth};
use super::subject::Subject;
use super::tally::{Figure, Tally, Unit};
use crate::evaluate::{Agreements, Interval, Paired, agreement};
use crate::frame::{Outcome, Quant};

/// Figures of a model, or of two.
pub(super) struct Measured {
    /// Answers of the model.
    pub first: Tally,
    /// Those of the other.
    pub second: Option<Tally>,
    /// Of the inputs that each got right.
    pub paired: Paired,
    /// Agreement of both.
    pub agreements: Agreements,
    /// Inputs that gave a result, by both where there are two.
    pub inputs: usize,
    /// Files that gave none, with the reason.
    pub unread: Vec<(PathBuf, String)>,
}

/// Difference of a figure between two models.
pub(super) struct Change {
    /// First less second.
    pub value: f64,
    /// Its interval of 95 %, where there is one.
    pub interval: Option<Interval>,
    /// Chance of such a difference between models that are equally right.
    pub p_value: Option<f64>,
}

impl Measured {
    /// Nothing yet.
    pub fn new(first: Tally, second: Option<Tally>) -> Measured {
        let (paired, agreements) = (Paired::default(), Agreements::default());
        Measured { first, second, paired, agreements, inputs: 0, unread: Vec::new() }
    }

    /// Runs an input through the models. Nothing of it is counted unless all of them give a result.
    pub fn add(
        &mut self,
        input: &Input,
        first: &mut Subject,
        second: Option<&mut Subject>,
        quant: Option<Quant>,
    ) -> Result<(), String> {
        let outcomes = first.outcomes(&input.path, quant)?;
        let mut other_least = None;
        let others = match second {
            Some(second) => {
                other_least = second.min_score;
                Some(second.outcomes(&input.path, quant).map_err(|e| format!("{}: {e}", second.name))?)
            }
            None => None,
        };
        self.count(input.truth.as_ref(), &outcomes, others.as_deref(), [first.min_score, other_least])
    }

    /// Counts the outcomes of one input, by both models where there are two; `least` = their least scores of objects.
    ///
    /// # Errors
    /// Reason for which nothing of it is counted.
    pub fn count(
        &mut self,
        truth: Option<&Truth>,
        outcomes: &[Outcome],
        others: Option<&[Outcome]>,
        least: [Option<f32>; 2],
    ) -> Result<(), String> {
        if let Some(others) = others.filter(|others| others.len() != outcomes.len()) {
            return Err(format!("{} results by one model, {} by the other", outcomes.len(), others.len()));
        }
        if let Some(truth) = truth {
            self.judge(truth, outcomes, others)?;
        }
        for (outcome, other) in outcomes.iter().zip(others.unwrap_or_default()) {
            // What is below the least score is not told by `run`.
            self.agreements.add(&agreement(&told_of(other, least[1]), &told_of(outcome, least[0])));
        }
        self.inputs += 1;
        Ok(())
    }

    /// Difference of a figure between the two models, first less second.
    pub fn change(&self, figure: &Figure, other: &Figure) -> Change {
        let value = figure.value - other.value;
        let (mut interval, mut p_value) = (None, None);
        if let (Some(second), true) = (&self.second, figure.unit != Unit::Count) {
            match figure.key {
                "top1" | "exact" => {
                    interval = self.paired.difference();
                    p_value = Some(self.paired.p_value());
                }
                key => interval = self.first.difference(second, key),
            }
        }
        Change { value, interval, p_value }
    }

    fn judge(&mut self, truth: &Truth, outcomes: &[Outcome], others: Option<&[Outcome]>) -> Result<(), String> {
        let answers = self.first.answers(truth, outcomes)?;
        let other_answers = match (&self.second, others) {
            (Some(second), Some(others)) => second.answers(truth, others)?,
            _ => Vec::new(),
        };
        let rights: Vec<_> = answers.iter().map(|answer| self.first.add(answer)).collect();
        if let Some(second) = &mut self.second {
            for (right, other) in rights.into_iter().zip(&other_answers) {
                if let (Some(right), Some(other)) = (right, second.add(other)) {
                    self.paired.add(right, other);
                }
            }
        }
        Ok(())
    }
}

/// An outcome with the objects alone that have the least score.
fn told_of(outcome: &Outcome, least: Option<f32>) -> Outcome {
    let mut outcome = outcome.clone();
    if let (Outcome::Detect { detections, .. }, Some(least)) = (&mut outcome, least) {
        detections.retain(|one| one.score >= least);
    }
    outcome
}
