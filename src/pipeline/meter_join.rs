//! A meter's part of its pipeline, beside the model that the pipeline itself runs.

use crate::join::Settings;
use crate::preprocess;

/// A meter's part of its pipeline: the dials, and how both are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterJoin {
    /// Their model; `None` where the pipeline's own model reads them, or there are none.
    pub model: Option<String>,
    /// Their regions.
    pub preprocess: preprocess::Config,
    /// How the places are joined.
    pub settings: Settings,
}
