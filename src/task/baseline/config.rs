//! Keys of the tasks that look at readings themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::channel::Rules;
use super::limits::LimitConfig;
use super::watch::Watch;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::status::Subject;
use crate::frame::{TaskKind, TaskSpec};
use crate::task::contract::{SetupError, Task, TaskConfig};

/// Defaults: a day, six spreads, a day.
const LEARN_S: f64 = 86_400.0;
const SPREADS: f64 = 6.0;
const ACCEPT_S: f64 = 86_400.0;

/// Faults of numbers, by what is usual of each channel; without a model.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineConfig {
    /// Time for which it is learnt what is usual before anything is told, in s; unset = 86400.
    #[schemars(range(min = 0.0, max = 31_536_000.0))]
    pub learn_s: Option<f64>,
    /// Least deviation that is told, in robust spreads; a channel whose own deviations are larger has a larger one; unset = 6.
    #[schemars(range(min = 3.0, max = 1000.0))]
    pub spreads: Option<f64>,
    /// Time after which a level that has changed counts as usual, in s; 0 = never; unset = 86400.
    #[schemars(range(min = 0.0, max = 31_536_000.0))]
    pub accept_s: Option<f64>,
    /// Values that a channel must not go beyond.
    #[serde(rename = "limit", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitConfig>,
}

impl TaskConfig for BaselineConfig {
    fn task(&self, _spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        let accept = self.accept_s.unwrap_or(ACCEPT_S);
        let rules = Rules {
            spreads: self.spreads.unwrap_or(SPREADS),
            learn: self.learn_s.unwrap_or(LEARN_S),
            accept: if accept > 0.0 { accept } else { f64::INFINITY },
        };
        Ok(Box::new(Watch::new(TaskKind::Baseline, Some(rules), self.limits.clone())))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Channels { learns: true }
    }

    fn over(self, below: Self) -> Self {
        BaselineConfig {
            learn_s: self.learn_s.or(below.learn_s),
            spreads: self.spreads.or(below.spreads),
            accept_s: self.accept_s.or(below.accept_s),
            limits: if self.limits.is_empty() { below.limits } else { self.limits },
        }
    }

    fn check(&self, _regions: usize) -> Vec<Diagnostic> {
        LimitConfig::check(&self.limits)
    }
}

/// Numbers beyond their limits; without a model.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdConfig {
    /// Values that a channel must not go beyond.
    #[serde(rename = "limit", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitConfig>,
}

impl TaskConfig for ThresholdConfig {
    fn task(&self, _spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        Ok(Box::new(Watch::new(TaskKind::Threshold, None, self.limits.clone())))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Channels { learns: false }
    }

    fn over(self, below: Self) -> Self {
        if self.limits.is_empty() { below } else { self }
    }

    fn check(&self, _regions: usize) -> Vec<Diagnostic> {
        LimitConfig::check(&self.limits)
    }

    fn check_whole(&self) -> Option<Diagnostic> {
        let missing = || {
            Diagnostic::error("limit", "missing: there is nothing to watch")
                .allowed("one [[pipeline.task.limit]] or more, each with channel and above or below")
        };
        self.limits.is_empty().then(missing)
    }
}
