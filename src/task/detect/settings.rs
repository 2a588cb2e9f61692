//! Settings for reading the outputs of a detection network.

use super::anchors::Anchors;
use crate::frame::{Boxes, Head};

/// Settings for reading a head.
pub(super) struct HeadSettings<'a> {
    /// The layout.
    pub head: Head,
    /// Number of labels; 0 = unknown.
    pub labels: usize,
    /// Model input `[height, width]` in pixels.
    pub input_size: [usize; 2],
    /// Unit of the boxes, for the heads with one box a row.
    pub boxes: Boxes,
    /// For `ssd`.
    pub anchors: Option<&'a Anchors>,
    /// Least score that counts.
    pub min_score: f32,
    /// For `ssd`: class scores are still logits; `None` = by their values.
    pub softmax: Option<bool>,
}

impl HeadSettings<'_> {
    /// Model pixels per unit of a box, along x and y.
    pub fn scale(&self) -> [f32; 2] {
        match self.boxes {
            Boxes::Pixels => [1.0; 2],
            Boxes::Normalised => [self.input_size[1] as f32, self.input_size[0] as f32],
        }
    }
}
