//! A meter's part of its pipeline, beside the model that the pipeline itself runs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::diagnostic::Diagnostic;
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

/// `[meter.light]`: a light that is switched on for each reading, by `on` and `off` or by `gpio`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightConfig {
    /// Program with its arguments that switches it on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Program with its arguments that switches it off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<String>,
    /// Line of a GPIO chip that it hangs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpio: Option<GpioConfig>,
    /// Time for the light and the camera's exposure to settle, in s.
    #[serde(default = "settle_s")]
    #[schemars(range(min = 0.0, max = 60.0))]
    pub settle_s: f32,
    /// Pictures that are read at most, until one of them gives a good reading.
    #[serde(default = "frames")]
    #[schemars(range(min = 1, max = 100))]
    pub frames: u32,
}

/// `[meter.light] gpio`: one line of a GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GpioConfig {
    /// The chip, a name below `/dev`.
    #[serde(default = "chip")]
    #[schemars(length(min = 1, max = 64))]
    pub chip: String,
    /// Number of the line.
    pub line: u32,
    /// On is 0 V.
    #[serde(default)]
    pub active_low: bool,
}

impl LightConfig {
    /// Finds what is wrong in the way in which it is switched.
    pub fn check(&self) -> Option<Diagnostic> {
        match (&self.gpio, self.on.is_empty(), self.off.is_empty()) {
            (Some(_), true, true) | (None, false, false) => None,
            (Some(_), ..) => Some(Diagnostic::warning("light.gpio", "on and off have no effect beside it")),
            (None, true, _) => {
                Some(Diagnostic::error("light.on", "is missing: the program that switches it on, or gpio"))
            }
            (None, false, true) => Some(Diagnostic::error("light.off", "is missing: the program that switches it off")),
        }
    }
}

fn chip() -> String {
    "gpiochip0".into()
}

fn settle_s() -> f32 {
    2.0
}

fn frames() -> u32 {
    10
}
