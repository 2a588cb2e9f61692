//! Files run through one model or two, and what came of it.

use std::path::PathBuf;

use super::dataset::{Input, Truth};
use super::subject::Subject;
use super::tally::Tally;
use crate::evaluate::{Agreements, Paired, agreement};
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
        let least = first.min_score;
        let outcomes = first.outcomes(&input.path, quant)?;
        let others = match second {
            Some(second) => {
                let others = second.outcomes(&input.path, quant).map_err(|e| format!("{}: {e}", second.name))?;
                if others.len() != outcomes.len() {
                    return Err(format!("{} results by one model, {} by the other", outcomes.len(), others.len()));
                }
                Some((others, second.min_score))
            }
            None => None,
        };
        if let Some(truth) = &input.truth {
            self.judge(truth, &outcomes, others.as_ref().map(|(others, _)| others.as_slice()))?;
        }
        for (index, outcome) in outcomes.iter().enumerate() {
            if let Some((others, other_least)) = &others {
                // What is below the least score is not told by `run`.
                let (outcome, other) = (told_of(outcome, least), told_of(&others[index], *other_least));
                self.agreements.add(&agreement(&other, &outcome));
            }
        }
        self.inputs += 1;
        Ok(())
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
