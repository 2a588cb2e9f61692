//! Settings that go with each picture, so that another node says of it what this one would.

use serde::{Deserialize, Serialize};

use crate::task;

/// Settings of a task that go with each picture, in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::runtime) struct Settings {
    /// The task, as `[pipeline.task]`.
    pub(in crate::runtime) task: task::Config,
    /// Least score of an object that is only followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::runtime) least_score: Option<f32>,
}
