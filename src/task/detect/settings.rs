//! Settings for reading the outputs of a detection network.

use super::anchors::Anchors;
use crate::frame::{Boxes, Head, TaskKind, TensorSpec};

/// Settings for reading a head.
pub(super) struct HeadSettings<'a> {
    /// The layout.
    pub head: Head,
    /// The task, which says what is read of an object beside its box.
    pub kind: TaskKind,
    /// Number of labels; 0 = unknown.
    pub labels: usize,
    /// Key points and values of each; `None` = by the shape.
    pub keypoints: Option<[usize; 2]>,
    /// Model input `[height, width]` in pixels.
    pub input_size: [usize; 2],
    /// Unit of the boxes, for the heads that leave it open.
    pub boxes: Boxes,
    /// For `ssd`.
    pub anchors: Option<&'a Anchors>,
    /// Least score that counts.
    pub min_score: f32,
    /// For `ssd` and `detr`: softmax over the class scores; `None` = by their values.
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

    /// Columns of the heads `yolov8` and `end2end` that belong to the task, with these outputs, of which `known` columns are not of it
    /// where there are no labels.
    pub fn extras(&self, outputs: &[&TensorSpec]) -> usize {
        match (self.kind, self.head) {
            (TaskKind::Obb, Head::Yolov8 | Head::End2end) => 1,
            (TaskKind::Segment, Head::Yolov8 | Head::End2end) => {
                outputs.iter().find_map(|output| prototypes(output)).map_or(0, |[channels, _, _]| channels)
            }
            (TaskKind::Pose, Head::Yolov8 | Head::End2end) => {
                self.keypoints.map(|[count, values]| count * values).unwrap_or_else(|| self.pose_columns(outputs))
            }
            _ => 0,
        }
    }

    /// Columns of key points where the model does not tell them: those that boxes and classes leave.
    fn pose_columns(&self, outputs: &[&TensorSpec]) -> usize {
        let Some(&[_, a, b]) = outputs.first().map(|output| output.shape.as_slice()) else { return 0 };
        match self.head {
            Head::End2end => b.saturating_sub(6),
            _ => a.min(b).saturating_sub(4 + self.labels.max(1)),
        }
    }

    /// Key points of an object, with the values of each, where their columns are `extras`.
    pub fn keypoint_shape(&self, extras: usize) -> [usize; 2] {
        match self.keypoints {
            Some(shape) => shape,
            None if extras.is_multiple_of(3) => [extras / 3, 3],
            None => [extras / 2, 2],
        }
    }
}

/// `[channels, height, width]` of an output of prototypes of masks.
pub(super) fn prototypes(output: &TensorSpec) -> Option<[usize; 3]> {
    match output.shape[..] {
        [_, channels, height, width] if channels > 0 && height > 0 && width > 0 => Some([channels, height, width]),
        _ => None,
    }
}
