//! Objects with boxes.

mod anchors;
mod heads;
mod nms;
#[cfg(test)]
mod tests;

use anchors::Anchors;
use heads::{Reader, Settings};
use nms::{Candidate, suppress};

use super::output::{Filter, label};
use super::{Config, SetupError, Task, TaskError, TaskInput, TaskOutput};
use crate::frame::{Detection, Geometry, Head, Label, Outcome, TaskSpec};

/// Least score when the configuration does not say.
const MIN_SCORE: f32 = 0.4;
/// Overlap of one object with itself when the configuration does not say.
const NMS_IOU: f32 = 0.45;
/// Objects at most when the configuration does not say.
const MAX_DETECTIONS: u32 = 100;

/// Objects of one frame. Boxes of all its items (regions as tiles) are mapped to the source picture and clamped to it, then
/// suppressed together, class by class, so that an object in two overlapping tiles is reported once.
pub(super) struct Detect {
    spec: TaskSpec,
    filter: Filter,
    anchors: Option<Anchors>,
    min_score: f32,
    nms_iou: f32,
    max_detections: usize,
    softmax: Option<bool>,
    reader: Reader,
    candidates: Vec<Candidate>,
    labels: Vec<Label>,
}

impl Detect {
    /// # Errors
    /// When a wanted label is none of the model's, or an SSD head's anchors are missing or wrong.
    pub fn new(config: &Config, spec: &TaskSpec) -> Result<Self, SetupError> {
        let anchors = match (spec.head, &spec.anchors) {
            (Head::Ssd, None) => {
                return Err(SetupError { key: "anchors", reason: "the head `ssd` needs anchors".into() });
            }
            (Head::Ssd, Some(text)) => Some(Anchors::parse(text)?),
            _ => None,
        };
        Ok(Detect {
            filter: Filter::new(&config.labels, &spec.labels)?,
            anchors,
            min_score: config.min_score.unwrap_or(MIN_SCORE),
            nms_iou: config.nms_iou.unwrap_or(NMS_IOU),
            max_detections: config.max_detections.unwrap_or(MAX_DETECTIONS) as usize,
            softmax: config.softmax,
            reader: Reader::default(),
            candidates: Vec::new(),
            labels: spec.labels.clone(),
            spec: spec.clone(),
        })
    }
}

impl Task for Detect {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let [height, width] = input_size(input).unwrap_or(self.spec.input_size);
        let whole = Geometry { scale: [1.0; 2], offset: [0.0; 2], source: [width as u32, height as u32] };
        let settings = Settings {
            head: self.spec.head,
            labels: self.spec.labels.len(),
            input_size: [height, width],
            anchors: self.anchors.as_ref(),
            min_score: self.min_score,
            softmax: self.softmax,
        };
        let Detect { reader, candidates, filter, .. } = self;
        candidates.clear();
        reader.read(&settings, input, self.spec.items.max(1), |item, candidate| {
            let bbox = input.geometry.get(item).unwrap_or(&whole).to_source(candidate.bbox);
            if filter.has(candidate.class) && bbox[0] < bbox[2] && bbox[1] < bbox[3] {
                candidates.push(Candidate { bbox, ..candidate });
            }
        })?;
        suppress(candidates, self.nms_iou, self.max_detections);
        let found = self.candidates.iter();
        let detections =
            found.map(|c| Detection { label: label(&self.labels, c.class), score: c.score, bbox: c.bbox }).collect();
        let [source_width, source_height] = input.geometry.first().unwrap_or(&whole).source;
        Ok(TaskOutput { outcome: Outcome::Detect { detections, source_width, source_height }, events: Vec::new() })
    }
}

/// `[height, width]` of the picture that went in, which the governor may have changed: the two larger of an image
/// tensor's last three axes.
fn input_size(input: &TaskInput<'_>) -> Option<[usize; 2]> {
    match *input.inputs.first()?.spec.shape.as_slice() {
        [_, h, w, c] if c <= 4 && h > 4 => Some([h, w]),
        [_, _, h, w] => Some([h, w]),
        _ => None,
    }
}
