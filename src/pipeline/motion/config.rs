//! `[pipeline.motion]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::diagnostic::Diagnostic;

/// Fewest corners of a polygon.
const CORNERS: usize = 3;

/// `[pipeline.motion]`: inference only while something moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Run the model only while something moves in the picture; unset = true for a detector that reads a camera.
    pub enabled: Option<bool>,
    /// Smallest connected area that counts as motion, as a share of the picture that is not masked.
    #[schemars(range(min = 0.0001, max = 0.5))]
    pub min_area: f32,
    /// Time in s for which the model goes on running after the last motion.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub hold_s: f32,
    /// Time in s after which the model runs once although nothing has moved.
    #[schemars(range(min = 1.0, max = 3600.0))]
    pub look_every_s: f32,
    /// Parts of the picture in which motion does not count: polygons of at least three corners `[x, y]`, as shares of the upright
    /// picture's width and height.
    pub mask: Vec<Vec<[f32; 2]>>,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: None, min_area: 0.001, hold_s: 5.0, look_every_s: 30.0, mask: Vec::new() }
    }
}

impl Config {
    /// [`Config::hold_s`].
    pub(super) fn hold(&self) -> Duration {
        duration(self.hold_s)
    }

    /// [`Config::look_every_s`].
    pub(super) fn look_every(&self) -> Duration {
        duration(self.look_every_s)
    }

    /// Faults of the values; `pictures` = the source gives pictures.
    pub fn check(&self, pictures: bool) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if self.enabled == Some(true) && !pictures {
            found.push(Diagnostic::warning("enabled", "has no effect: this source gives numbers"));
        }
        for (index, polygon) in self.mask.iter().enumerate() {
            let key = format!("mask[{index}]");
            if polygon.len() < CORNERS {
                let diagnostic = Diagnostic::error(&key, "too few corners for a polygon");
                found.push(diagnostic.found(polygon.len().to_string()).allowed("3 corners or more"));
            }
            if let Some([x, y]) = polygon.iter().find(|corner| corner.iter().any(|v| !(0.0..=1.0).contains(v))) {
                let diagnostic = Diagnostic::error(&key, "a corner is outside of the picture");
                found.push(diagnostic.found(format!("[{x}, {y}]")).allowed("shares of width and height: 0 to 1"));
            }
        }
        found
    }
}

fn duration(seconds: f32) -> Duration {
    Duration::try_from_secs_f32(seconds).unwrap_or(Duration::from_secs(3600))
}
