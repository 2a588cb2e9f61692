//! `[pipeline.preprocess]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::readable::{self, Checks};
use super::region::Region;
use crate::frame::Fit;

/// `[pipeline.preprocess]`: fit of the picture to the model.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Fit of a picture whose shape differs from the model's input; unset = as the model bundle says, else `stretch`.
    pub fit: Option<Fit>,
    /// Parts of the picture, one model input each, in reading order: `{ rect = [x, y, width, height] }` or
    /// `{ quad = [x1, y1, x2, y2, x3, y3, x4, y4] }` (top left, top right, bottom right, bottom left), in pixels of the upright
    /// source picture.
    pub regions: Vec<Region>,
    /// Least contrast of a region: the standard deviation of its luminance (0 to 255) without noise and uneven light. A region
    /// below it is not read. 0 = no limit; unset = 1.2.
    #[schemars(range(min = 0.0, max = 128.0))]
    pub min_contrast: Option<f32>,
    /// Read a region only when its edges are sharp; unset = true.
    pub check_focus: Option<bool>,
}

impl Config {
    /// Checks that a region has to pass before it is read.
    pub fn checks(&self) -> Checks {
        Checks {
            min_contrast: self.min_contrast.unwrap_or(readable::MIN_CONTRAST),
            focus: self.check_focus.unwrap_or(true),
        }
    }
}
