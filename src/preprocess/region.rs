//! Configured regions of the source picture.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::warp;

/// A part of the source picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Region {
    /// `[x, y, width, height]` in source pixels.
    Rect([f32; 4]),
    /// Four corners `[x1, y1, …, x4, y4]` in source pixels: top left, top right, bottom right, bottom left.
    Quad([f32; 8]),
}

impl Region {
    /// Checks the region by itself, without a picture: finite, with an area, and convex.
    ///
    /// # Errors
    /// A message for people.
    pub fn check(&self) -> Result<(), String> {
        let values: &[f32] = match self {
            Region::Rect(rect) => rect,
            Region::Quad(quad) => quad,
        };
        if !values.iter().all(|v| v.is_finite()) {
            return Err("a coordinate is not a finite number".into());
        }
        match self {
            Region::Rect([_, _, width, height]) if *width <= 0.0 || *height <= 0.0 => {
                Err("width and height must be above 0".into())
            }
            Region::Quad(quad) if !warp::is_convex(&warp::corners(quad)) => {
                Err("the corners must go round a convex shape: top left, top right, bottom right, bottom left".into())
            }
            _ => Ok(()),
        }
    }

    /// Its corners in the order in which they go round.
    pub fn corners(&self) -> [[f32; 2]; 4] {
        match *self {
            Region::Rect([x, y, width, height]) => [[x, y], [x + width, y], [x + width, y + height], [x, y + height]],
            Region::Quad([ax, ay, bx, by, cx, cy, dx, dy]) => [[ax, ay], [bx, by], [cx, cy], [dx, dy]],
        }
    }

    /// True for four corners that go round once, clockwise on a screen (y downwards), with no corner pointing inwards.
    pub fn is_clockwise(&self) -> bool {
        let corners = self.corners().map(|corner| corner.map(f64::from));
        (0..4).all(|i| {
            let [[ax, ay], [bx, by], [cx, cy]] = [0, 1, 2].map(|next| corners[(i + next) % 4]);
            (bx - ax) * (cy - by) - (by - ay) * (cx - bx) > 0.0
        })
    }

    /// The same part of a picture of `to` instead of `from` pixels, each `[width, height]`.
    pub fn rescaled(&self, from: [u32; 2], to: [u32; 2]) -> Region {
        let factor = |axis: usize| to[axis] as f32 / from[axis].max(1) as f32;
        let factors = [factor(0), factor(1)];
        match self {
            Region::Rect(rect) => Region::Rect(std::array::from_fn(|i| rect[i] * factors[i % 2])),
            Region::Quad(quad) => Region::Quad(std::array::from_fn(|i| quad[i] * factors[i % 2])),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Rect(rect) => write!(f, "rect = {rect:?}"),
            Region::Quad(quad) => write!(f, "quad = {quad:?}"),
        }
    }
}
