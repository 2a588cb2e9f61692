//! Settings of a pipeline's events: its tables, and what its task says.

use std::time::Duration;

use super::config::{Config, Confirm};
use super::life::Defaults;

/// Settings of a pipeline's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The tables.
    pub config: Config,
    /// Subject of events.
    pub subject: Subject,
}

/// Subject of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Subject {
    /// Objects that are followed.
    Objects(ObjectSettings),
    /// The best label.
    Label,
    /// An anomaly, which ends below this share of the threshold.
    Anomaly {
        /// 0 to 1.
        hysteresis: f32,
    },
    /// Nothing: outputs are left as they are.
    #[default]
    Nothing,
}

/// Settings of a detector's task.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSettings {
    /// Least score of an object that counts.
    pub min_score: f32,
    /// Time for which an object must be seen, where `[pipeline.event]` does not say.
    pub appear: Duration,
    /// Time for which it must not be seen, where `[pipeline.event]` does not say.
    pub vanish: Duration,
}

impl ObjectSettings {
    pub(super) fn defaults(&self) -> Defaults {
        Defaults { appear: self.appear, vanish: self.vanish, frames: None }
    }
}

/// Of labels: each frame counts.
pub(super) const LABEL: Defaults = Defaults { appear: Duration::ZERO, vanish: Duration::ZERO, frames: None };
/// Of anomalies: two windows in a row.
pub(super) const ANOMALY: Defaults =
    Defaults { appear: Duration::ZERO, vanish: Duration::ZERO, frames: Some(Confirm { seen: 2, of: 2 }) };
