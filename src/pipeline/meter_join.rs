//! A meter's part of its pipeline, beside the model that the pipeline itself runs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::join::Settings;
use crate::preprocess::{self, Region};

/// A meter's part of its pipeline: the dials, and how both are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterJoin {
    /// Their model; `None` where the pipeline's own model reads them, or there are none.
    pub model: Option<String>,
    /// Their regions.
    pub preprocess: preprocess::Config,
    /// Marks that the regions follow.
    pub marks: Option<MarksConfig>,
    /// Light that is switched on for a reading.
    pub light: Option<LightConfig>,
    /// Form and limits of the meter.
    pub settings: Settings,
}

/// Marks of a reference picture.
#[derive(Clone, Debug, PartialEq)]
pub struct MarksConfig {
    /// The picture, of the same size as the frames.
    pub reference: PathBuf,
    /// Patches of it that are found again.
    pub marks: Vec<Region>,
}

/// `[meter.light]`: a light that is switched on for each reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightConfig {
    /// Program with its arguments that switches it on.
    #[schemars(length(min = 1))]
    pub on: Vec<String>,
    /// Program with its arguments that switches it off.
    #[schemars(length(min = 1))]
    pub off: Vec<String>,
    /// Time for the light and the camera's exposure to settle, in s.
    #[serde(default = "settle_s")]
    #[schemars(range(min = 0.0, max = 60.0))]
    pub settle_s: f32,
    /// Pictures that are read at most, until one of them gives a good reading.
    #[serde(default = "frames")]
    #[schemars(range(min = 1, max = 100))]
    pub frames: u32,
}

fn settle_s() -> f32 {
    2.0
}

fn frames() -> u32 {
    10
}
