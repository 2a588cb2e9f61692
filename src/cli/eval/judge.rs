//! Forms of one model judged over the same data: how right each is, beside the model that they are made of, and how fast.

use std::path::Path;
use std::time::{Duration, Instant};

use super::dataset::Data;
use super::measured::Measured;
use super::subject::Subject;
use super::tally::{Tally, Unit};
use super::{check_names, data, opened, settle};
use crate::cli::Failure;
use crate::cli::progress::Counter;
use crate::evaluate::Interval;
use crate::frame::{Outcome, Quant};
use crate::pipeline::Planner;
use leptond_governor::Setpoint;

/// Rounds of timing at least and at most, and the time after which there is no further one.
const ROUNDS: std::ops::Range<usize> = 5..200;
const TIMED_FOR: Duration = Duration::from_millis(1500);

/// Makes the planner of the model; with true, where the data has classes.
type Planning<'p> = &'p dyn Fn(bool) -> Result<Planner, Failure>;

/// Data, and what the model says of it from which others are made.
pub(in crate::cli) struct Judge {
    data: Data,
    quant: Option<Quant>,
    reference: Subject,
    tally: Tally,
    outcomes: Vec<Vec<Outcome>>,
    /// Times of the reference in milliseconds.
    times_ms: Vec<f64>,
    /// Inputs that gave no result, with the reason.
    pub(in crate::cli) unread: Vec<String>,
}

/// Figures of one form.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Judged {
    /// Words for what is measured.
    pub(in crate::cli) measure: &'static str,
    /// The figure, 0 to 1.
    pub(in crate::cli) value: f64,
    /// Its difference from the model's own, with 95 % where that is known; `None` for the share in which both agree.
    pub(in crate::cli) difference: Option<(f64, Option<Interval>)>,
    /// Time of one inference over that of the model, timed by turns.
    pub(in crate::cli) time_ratio: f64,
}

impl Judge {
    /// Looks at the data and runs the model over it. `quant` says what integers in files mean to it.
    ///
    /// # Errors
    /// Data that cannot be used, and those of loading the model.
    pub(in crate::cli) fn new(
        path: &Path,
        limit: Option<u32>,
        quant: Option<Quant>,
        planning: Planning<'_>,
    ) -> Result<Judge, Failure> {
        let mut data = data::look(path, None)?;
        let open = |classes: bool| Subject::new("the float model", planning(classes)?, &Setpoint::full());
        let reference = opened(&mut data, &open)?;
        settle(path, limit, true, &mut data, &reference)?;
        let tally = Tally::new(&reference.labels, reference.min_score, &data);
        if data.labels.is_some() {
            check_names(path, &data, &reference, &tally.names)?;
        }
        let quant = quant.or(reference.input_quant());
        let (outcomes, times_ms, unread) = (Vec::new(), Vec::new(), Vec::new());
        let mut judge = Judge { data, quant, reference, tally, outcomes, times_ms, unread };
        judge.run_reference(path)?;
        Ok(judge)
    }

    fn run_reference(&mut self, path: &Path) -> Result<(), Failure> {
        let mut progress = Counter::new("inputs, float model");
        let all = self.data.inputs.len();
        let inputs = std::mem::take(&mut self.data.inputs);
        for (done, input) in inputs.into_iter().enumerate() {
            progress.set(done, all);
            match self.reference.outcomes(&input.path, self.quant) {
                Ok(outcomes) => {
                    self.outcomes.push(outcomes);
                    self.data.inputs.push(input);
                }
                Err(reason) => self.unread.push(format!("{}: {reason}", input.path.display())),
            }
        }
        drop(progress);
        match self.unread.first() {
            Some(reason) if self.data.inputs.is_empty() => {
                Err(anyhow::anyhow!("{}: no input gave a result; {reason}", path.display()).into())
            }
            _ => Ok(()),
        }
    }

    /// Number of inputs that each form is judged by.
    pub(in crate::cli) fn inputs(&self) -> usize {
        self.data.inputs.len()
    }

    /// The data has labels; without them a figure is the share in which a form agrees with the model.
    pub(in crate::cli) fn labelled(&self) -> bool {
        self.data.labels.is_some()
    }

    /// The data has classes, so that a bare model is taken for a classifier.
    pub(in crate::cli) fn has_classes(&self) -> bool {
        self.data.has_classes()
    }

    /// Median time of one inference of the model in milliseconds, over all rounds so far.
    pub(in crate::cli) fn reference_ms(&self) -> f64 {
        median(self.times_ms.clone())
    }

    /// Runs a form at `setpoint` over the data, and times it.
    ///
    /// # Errors
    /// Reason for which it cannot be judged.
    pub(in crate::cli) fn judge(
        &mut self,
        name: &str,
        planner: Planner,
        setpoint: &Setpoint,
    ) -> Result<Judged, Failure> {
        let mut subject = Subject::new(name, planner, setpoint)?;
        let tally = Tally::new(&subject.labels, subject.min_score, &self.data);
        let mut measured = Measured::new(tally, Some(self.tally.clone()));
        let least = [subject.min_score, self.reference.min_score];
        let mut progress = Counter::new("inputs");
        for (done, (input, others)) in self.data.inputs.iter().zip(&self.outcomes).enumerate() {
            progress.set(done, self.data.inputs.len());
            let counted = subject
                .outcomes(&input.path, self.quant)
                .and_then(|outcomes| measured.count(input.truth.as_ref(), &outcomes, Some(others), least));
            counted.map_err(|reason| anyhow::anyhow!("{}: {reason}", input.path.display()))?;
        }
        drop(progress);
        let figure = measured.first.figures().into_iter().next().filter(|figure| figure.unit != Unit::Count);
        let incomparable = || anyhow::anyhow!("results of this model cannot be compared");
        let (measure, value, difference) = match figure {
            Some(figure) => {
                let others = measured.second.as_ref().map(Tally::figures).unwrap_or_default();
                let other = others.iter().find(|other| other.key == figure.key);
                let change = other.map(|other| measured.change(&figure, other));
                (figure.name, figure.value, change.map(|change| (change.value, change.interval)))
            }
            None => {
                let measure = measured.agreements.measure().ok_or_else(incomparable)?;
                (measure.name, measure.share, None)
            }
        };
        let time_ratio = self.time(&mut subject)?;
        Ok(Judged { measure, value, difference, time_ratio })
    }

    /// Time of one inference of `subject` over the reference's, by turns, over the inputs that both ran last.
    fn time(&mut self, subject: &mut Subject) -> Result<f64, Failure> {
        let (mut ratios, began) = (Vec::new(), Instant::now());
        while ratios.len() < ROUNDS.start || (ratios.len() < ROUNDS.end && began.elapsed() < TIMED_FOR) {
            let own = subject.time_ms().map_err(anyhow::Error::msg)?;
            let reference = self.reference.time_ms().map_err(anyhow::Error::msg)?;
            self.times_ms.push(reference);
            ratios.push(own / reference.max(1e-6));
        }
        Ok(median(ratios))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_sorted_values() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![]), median(vec![5.0])), (2.0, 0.0, 5.0));
    }
}
