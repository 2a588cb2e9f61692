//! Distance of a window from what was learnt as normal.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::output::{get, real_items, wrong};
use crate::frame::diagnostic::Diagnostic;
use crate::frame::status::Subject;
use crate::frame::{ChannelShare, Label, Outcome, TaskSpec};

/// Time for which normality is learnt when the configuration says nothing and there is no threshold.
const CALIBRATION: Duration = Duration::from_secs(60);
/// Scores that a threshold is learnt from at least, however long that takes.
const CALIBRATION_SCORES: usize = 20;
/// Scores kept at most; beyond that every second one is forgotten and only every second new one is kept.
const MAX_SCORES: usize = 4096;
/// Channels that a result names at most.
const MOST_CHANNELS: usize = 4;
/// A channel with less of the score is not named.
const LEAST_SHARE: f32 = 0.01;
/// An anomaly ends below this share of the threshold when the configuration does not say.
const HYSTERESIS: f32 = 0.8;

/// Distance from what was learnt as normal.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalyConfig {
    /// Time for which the threshold is learnt before anything is flagged, in s; 0 = `threshold` is used; unset = as the bundle
    /// says, else 0 with a `threshold` and 60 without.
    #[schemars(range(min = 0.0, max = 604_800.0))]
    pub calibration_s: Option<f32>,
    /// Fixed threshold instead of a learnt one, in the units of the score.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub threshold: Option<f32>,
    /// An anomaly ends when the score falls below this share of the threshold; unset = 0.8.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub hysteresis: Option<f32>,
}

impl AnomalyConfig {
    /// Share of the threshold below which an anomaly ends.
    pub fn hysteresis(&self) -> f32 {
        self.hysteresis.unwrap_or(HYSTERESIS)
    }
}

impl TaskConfig for AnomalyConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        Ok(Box::new(Anomaly::new(self, spec)?))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Anomaly
    }

    /// A `threshold` without a calibration period is meant to be used, whatever period is below.
    fn over(self, below: Self) -> Self {
        let calibration_s = match (self.calibration_s, self.threshold) {
            (None, Some(_)) => Some(0.0),
            (own, _) => own.or(below.calibration_s),
        };
        AnomalyConfig {
            calibration_s,
            threshold: self.threshold.or(below.threshold),
            hysteresis: self.hysteresis.or(below.hysteresis),
        }
    }

    fn check(&self, _regions: usize) -> Vec<Diagnostic> {
        if self.threshold.is_some() && self.calibration_s.is_some_and(|s| s > 0.0) {
            return vec![Diagnostic::warning("calibration_s", "has no effect: task.threshold is fixed")];
        }
        Vec::new()
    }

    /// Not with a learnt threshold: another variant errs by other amounts.
    fn is_comparable(&self) -> bool {
        !self.calibration_s.map_or(self.threshold.is_none(), |seconds| seconds > 0.0)
    }
}

/// The score of a window is the mean squared difference between the model's input and output 0, both as reals (an
/// autoencoder's reconstruction error), or output 0 itself where it is a single value per item. The former is a sum over channels, whose
/// shares are told.
///
/// The threshold is fixed, or learnt from the scores of the calibration period, see [`learn`].
///
/// Says nothing of an anomaly that goes on by these scores: that takes a memory of events.
struct Anomaly {
    items: usize,
    threshold: Threshold,
    channels: Vec<Label>,
    given: Vec<f32>,
    rebuilt: Vec<f32>,
    /// Squared errors of each channel, of the item that errs most.
    squares: Vec<f64>,
}

enum Threshold {
    Known(f32),
    Learning { period: Duration, since: Option<Duration>, scores: Scores },
}

impl Anomaly {
    /// # Errors
    /// Neither a threshold nor a calibration period to learn one in.
    fn new(config: &AnomalyConfig, spec: &TaskSpec) -> Result<Self, SetupError> {
        let period = match (config.calibration_s, config.threshold) {
            (Some(seconds), _) => Duration::try_from_secs_f32(seconds)
                .map_err(|e| SetupError { key: "calibration_s", reason: format!("{seconds}: {e}") })?,
            (None, Some(_)) => Duration::ZERO,
            (None, None) => CALIBRATION,
        };
        let threshold = match config.threshold {
            _ if !period.is_zero() => Threshold::Learning { period, since: None, scores: Scores::default() },
            Some(threshold) if threshold > 0.0 && threshold.is_finite() => Threshold::Known(threshold),
            Some(threshold) => {
                return Err(SetupError { key: "threshold", reason: format!("{threshold}: it must be above 0") });
            }
            None => {
                let reason = "0, but neither the configuration nor the model bundle has a `threshold`".into();
                return Err(SetupError { key: "calibration_s", reason });
            }
        };
        Ok(Anomaly {
            items: spec.items.max(1),
            threshold,
            channels: spec.channels.clone(),
            given: Vec::new(),
            rebuilt: Vec::new(),
            squares: Vec::new(),
        })
    }

    /// The channels with most of the squared error, by falling share.
    fn shares(&self) -> Vec<ChannelShare> {
        let total: f64 = self.squares.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Vec::new();
        }
        let share = |(channel, squares): (&Label, &f64)| ChannelShare {
            channel: channel.clone(),
            share: (squares / total) as f32,
        };
        let mut shares: Vec<ChannelShare> = self.channels.iter().zip(&self.squares).map(share).collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        shares.retain(|channel| channel.share >= LEAST_SHARE);
        shares.truncate(MOST_CHANNELS);
        shares
    }

    /// Reconstruction error, or the model's own score; the highest of the frame's items.
    fn score(&mut self, input: &TaskInput<'_>) -> Result<f32, TaskError> {
        let output = get(input.outputs, 0)?;
        self.squares.clear();
        let (rebuilt, each) = real_items(output, input, self.items, &mut self.rebuilt)?;
        let score = if each == 1 {
            rebuilt.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a })
        } else {
            let tensor = input.inputs.first().ok_or_else(|| wrong(output, "the model has no input".into()))?;
            let (given, input_each) = real_items(tensor, input, self.items, &mut self.given)?;
            if input_each != each {
                return Err(wrong(
                    output,
                    format!(
                        "shape {:?} where one value per item or the input's shape {:?} is needed",
                        output.spec.shape, tensor.spec.shape
                    ),
                ));
            }
            let errors = given.chunks_exact(each).zip(rebuilt.chunks_exact(each)).map(|(g, r)| {
                let squares = g.iter().zip(r).map(|(g, r)| f64::from(g - r).powi(2)).sum::<f64>();
                ((squares / each as f64) as f32, g, r)
            });
            let (score, given, rebuilt) = errors.fold((f32::NEG_INFINITY, &given[..0], &rebuilt[..0]), |most, item| {
                if item.0 > most.0 || item.0.is_nan() { item } else { most }
            });
            let channels = self.channels.len();
            if channels > 0 && each.is_multiple_of(channels) {
                self.squares.resize(channels, 0.0);
                for (given, rebuilt) in given.chunks_exact(channels).zip(rebuilt.chunks_exact(channels)) {
                    for ((sum, given), rebuilt) in self.squares.iter_mut().zip(given).zip(rebuilt) {
                        *sum += f64::from(given - rebuilt).powi(2);
                    }
                }
            }
            score
        };
        if score.is_finite() { Ok(score) } else { Err(wrong(output, format!("the anomaly score is {score}"))) }
    }
}

impl Task for Anomaly {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let score = self.score(input)?;
        let channels = self.shares();
        if let Threshold::Learning { period, since, scores } = &mut self.threshold {
            let since = *since.get_or_insert(input.now);
            scores.add(score);
            if input.now.saturating_sub(since) >= *period && scores.seen >= CALIBRATION_SCORES {
                self.threshold = Threshold::Known(learn(&mut scores.kept));
            } else {
                let (threshold, anomalous, calibrating) = (None, false, true);
                let outcome = Outcome::Anomaly { score, threshold, anomalous, calibrating, channels };
                return Ok(outcome.into());
            }
        }
        let Threshold::Known(threshold) = self.threshold else {
            unreachable!("learning has returned above");
        };
        let (threshold, anomalous, calibrating) = (Some(threshold), false, false);
        Ok(Outcome::Anomaly { score, threshold, anomalous, calibrating, channels }.into())
    }
}

/// Scores of the calibration period in bounded memory, evenly thinned out.
#[derive(Default)]
struct Scores {
    kept: Vec<f32>,
    seen: usize,
    /// One of 2^`thinning` scores is kept.
    thinning: u32,
}

impl Scores {
    fn add(&mut self, score: f32) {
        if self.seen.is_multiple_of(1 << self.thinning.min(30)) {
            self.kept.push(score);
        }
        self.seen += 1;
        if self.kept.len() >= MAX_SCORES {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.thinning += 1;
        }
    }
}

/// The threshold above normal scores: the largest of
/// median + 8 standard deviations (from the median absolute deviation, which a few outliers in the calibration period do
/// not move), 1.5 times the 99th percentile (errors have a long tail, which the deviation knows nothing of), and
/// twice the median (for scores that hardly vary).
fn learn(scores: &mut [f32]) -> f32 {
    /// Standard deviations in a median absolute deviation of a normal distribution.
    const SIGMA_PER_MAD: f32 = 1.4826;
    let quantile = |sorted: &[f32], q: f32| {
        let index = ((sorted.len() - 1) as f32 * q).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    };
    scores.sort_by(f32::total_cmp);
    let (median, high) = (quantile(scores, 0.5), quantile(scores, 0.99));
    let mut deviations: Vec<f32> = scores.iter().map(|s| (s - median).abs()).collect();
    deviations.sort_by(f32::total_cmp);
    let sigma = SIGMA_PER_MAD * quantile(&deviations, 0.5);
    (median + 8.0 * sigma).max(1.5 * high).max(2.0 * median).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
#[path = "anomaly_tests.rs"]
mod tests;
