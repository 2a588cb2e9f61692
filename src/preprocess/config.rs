//! `[pipeline.preprocess]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::readable::{self, Checks};
use super::region::Region;
use super::tiles::{self, Grid, Tiles};
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
    /// Columns and rows of tiles, 1 to 4 each: `3x2`. A detector looks at each tile of a picture by itself and at the whole, so that small
    /// objects are found; what is found is joined across seams. Each is a run of the model.
    pub tiles: Option<Grid>,
    /// Share of its width and height that a tile has in common with the next one: that of the largest object that is to be whole in one
    /// of them; unset = 0.2.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub tile_overlap: Option<f32>,
    /// Least contrast of a region: the standard deviation of its luminance (0 to 255) without noise and uneven light. A region
    /// below it is not read. 0 = no limit; unset = 1.2.
    #[schemars(range(min = 0.0, max = 128.0))]
    pub min_contrast: Option<f32>,
    /// Read a region only when its edges are sharp; unset = true.
    pub check_focus: Option<bool>,
}

impl Config {
    /// True where a picture is cut into regions or tiles.
    pub fn cuts(&self) -> bool {
        !self.regions.is_empty() || self.tiles.is_some()
    }

    /// Tiles that pictures are cut into.
    pub fn tiles(&self) -> Option<Tiles> {
        self.tiles.map(|grid| Tiles::new(grid, self.tile_overlap.unwrap_or(tiles::OVERLAP)))
    }

    /// Checks that a region has to pass before it is read.
    pub fn checks(&self) -> Checks {
        Checks {
            min_contrast: self.min_contrast.unwrap_or(readable::MIN_CONTRAST),
            focus: self.check_focus.unwrap_or(true),
        }
    }
}
