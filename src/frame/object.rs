//! Objects in pictures: boxes with what else is known of their shape, and maps of classes.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::names::ZoneName;

/// A class name, shared with the model's label list.
pub type Label = Arc<str>;

/// One object found in a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// The label, or the class index in decimal where the model has no labels.
    pub label: Label,
    /// 0.0 to 1.0.
    pub score: f32,
    /// `[x1, y1, x2, y2]` in source pixels.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Its key points in the model's order, of the task `pose` and of faces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keypoints: Vec<Keypoint>,
    /// Its outline, of the task `segment`: rings of `[x, y]` in source pixels, each closed by its first point. A place is inside
    /// where it is within an odd number of them, so that a ring within a ring is a hole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub polygons: Vec<Vec<[f32; 2]>>,
    /// The corners of a box that is turned, of the task `obb`: `[x, y]` in source pixels, going round. `bbox` is the upright box around
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corners: Option<[[f32; 2]; 4]>,
    /// The object's number, the same in every frame in which it is followed; unique within a run of the daemon and pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
    /// The zones that it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneName>,
    /// It has not moved for long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stationary: bool,
}

impl Detection {
    /// An object of one frame with nothing but its box, not followed yet.
    pub fn new(label: Label, score: f32, bbox: [f32; 4]) -> Detection {
        Detection {
            label,
            score,
            bbox,
            keypoints: Vec::new(),
            polygons: Vec::new(),
            corners: None,
            track_id: None,
            zones: Vec::new(),
            stationary: false,
        }
    }

    /// Multiplies every coordinate by a factor along x and y.
    pub fn scale(&mut self, [x, y]: [f32; 2]) {
        let points = self.polygons.iter_mut().flatten().chain(self.corners.iter_mut().flatten());
        points.for_each(|point| *point = [point[0] * x, point[1] * y]);
        self.keypoints.iter_mut().for_each(|point| (point.x, point.y) = (point.x * x, point.y * y));
        let [x1, y1, x2, y2] = self.bbox;
        self.bbox = [x1 * x, y1 * y, x2 * x, y2 * y];
    }
}

/// Intersection over union, 0.0 to 1.0, of two boxes `[x1, y1, x2, y2]`.
pub fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let union = area(a) + area(b) - width * height;
    if union > 0.0 { width * height / union } else { 0.0 }
}

/// A named place of an object. Published as `[x, y, score]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// In source pixels; outside the picture for one that is thought to be there.
    pub x: f32,
    /// In source pixels.
    pub y: f32,
    /// Certainty that it can be seen, 0.0 to 1.0; 1.0 where the model does not tell.
    pub score: f32,
}

impl Serialize for Keypoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.x, self.y, self.score].serialize(serializer)
    }
}

/// Part of a picture that belongs to a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The class.
    pub label: Label,
    /// Its index among the model's labels, as in [`ClassMap::runs`].
    pub class: usize,
    /// Share of the picture's area, 0.0 to 1.0.
    pub share: f32,
}

/// A class for each cell of a grid over a part of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMap {
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[x1, y1, x2, y2]` in source pixels that the grid covers.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Runs of equal classes row by row: `[class, cells]`, the class as its index among the model's labels.
    pub runs: Vec<[usize; 2]>,
}
