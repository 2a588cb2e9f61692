//! Objects with boxes.

mod anchors;
pub(super) mod config;
mod evidence;
mod heads;
mod nms;
mod settings;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anchors::Anchors;
use config::DetectConfig;
use heads::Reader;
use nms::{Candidate, keep_best, suppress};
use settings::HeadSettings;

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::output::{Filter, label};
use crate::frame::diagnostic::Diagnostic;
use crate::frame::status::Subject;
use crate::frame::{Detection, Geometry, Head, Label, LabelCounts, Outcome, TaskSpec, TensorSpec};

/// Overlap of one object with itself when the configuration does not say.
const NMS_IOU: f32 = 0.45;
/// Objects at most when the configuration does not say.
const MAX_DETECTIONS: u32 = 100;

impl TaskConfig for DetectConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        Ok(Box::new(Detect::new(self, spec)?))
    }

    fn subject(&self, spec: &TaskSpec) -> Subject {
        let chosen = !self.labels.is_empty();
        let configured = || self.labels.iter().map(|label| label.as_str().into()).collect();
        let labels = if chosen { configured() } else { spec.labels.clone() };
        Subject::Objects { labels, chosen }
    }

    fn over(self, below: Self) -> Self {
        self.merged(below)
    }

    fn check(&self, _regions: usize) -> Vec<Diagnostic> {
        self.faults()
    }

    fn check_labels(&self, labels: &[Label]) -> Vec<Diagnostic> {
        self.label_faults(labels)
    }
}

/// Objects of one frame. Boxes of all its items (regions as tiles) are mapped to the source picture and clamped to it, then
/// suppressed together, class by class, so that an object in two overlapping tiles is reported once.
///
/// The detections of an outcome are those of its frame. What can be relied on over frames, and so its counts, is not known here.
struct Detect {
    spec: TaskSpec,
    head: Head,
    filter: Filter,
    anchors: Option<Anchors>,
    min_score: f32,
    nms_iou: f32,
    max_detections: usize,
    softmax: Option<bool>,
    reader: Reader,
    candidates: Vec<Candidate>,
    /// Set once the values of a frame were found to be those of the head.
    checked: bool,
}

impl Detect {
    /// # Errors
    /// The head is not known, a wanted label is none of the model's, or an SSD head's anchors are missing or wrong.
    fn new(config: &DetectConfig, spec: &TaskSpec) -> Result<Self, SetupError> {
        let Some(head) = spec.head else {
            let reason = "neither a manifest nor the file itself says how the outputs are laid out: `leptond model add` makes a bundle \
                          that does"
                .into();
            return Err(SetupError { key: "output.head", reason });
        };
        let anchors = match (head, &spec.anchors) {
            (Head::Ssd, None) => {
                return Err(SetupError { key: "anchors", reason: "the head `ssd` needs anchors".into() });
            }
            (Head::Ssd, Some(text)) => Some(Anchors::parse(text)?),
            _ => None,
        };
        Ok(Detect {
            head,
            filter: Filter::new(&config.labels, &spec.labels)?,
            anchors,
            min_score: config.min_score(),
            nms_iou: config.nms_iou.unwrap_or(NMS_IOU),
            max_detections: config.max_detections.unwrap_or(MAX_DETECTIONS) as usize,
            softmax: config.softmax,
            reader: Reader::default(),
            candidates: Vec::new(),
            checked: false,
            spec: spec.clone(),
        })
    }

    fn settings(&self, input_size: [usize; 2]) -> HeadSettings<'_> {
        HeadSettings {
            head: self.head,
            labels: self.spec.labels.len(),
            input_size,
            boxes: self.spec.boxes,
            anchors: self.anchors.as_ref(),
            min_score: self.min_score,
            softmax: self.softmax,
        }
    }

    fn items(&self) -> usize {
        self.spec.items.max(1)
    }
}

impl Task for Detect {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let [height, width] = input_size(input).unwrap_or(self.spec.input_size);
        let whole = Geometry { scale: [1.0; 2], offset: [0.0; 2], source: [width as u32, height as u32] };
        let mut reader = std::mem::take(&mut self.reader);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let own = self.settings([height, width]);
        let settings =
            HeadSettings { min_score: input.faint_score.map_or(own.min_score, |s| s.min(own.min_score)), ..own };
        let read = reader.read(&settings, input, self.items(), |item, candidate| {
            let bbox = input.geometry.get(item).unwrap_or(&whole).to_source(candidate.bbox);
            if self.filter.has(candidate.class) && bbox[0] < bbox[2] && bbox[1] < bbox[3] {
                candidates.push(Candidate { bbox, ..candidate });
            }
        });
        let checked = match (&read, self.checked) {
            (Ok(()), false) => evidence::check(&settings, input, self.items()),
            _ => Ok(self.checked),
        };
        (self.reader, self.candidates) = (reader, candidates);
        read?;
        self.checked = checked?;
        if self.head == Head::End2end && self.items() == 1 {
            keep_best(&mut self.candidates, self.max_detections);
        } else {
            suppress(&mut self.candidates, self.nms_iou, self.max_detections);
        }
        let found = self.candidates.iter();
        let mut detections: Vec<Detection> =
            found.map(|c| Detection::new(label(&self.spec.labels, c.class), c.score, c.bbox)).collect();
        // Most confident first.
        let faint = detections.split_off(detections.partition_point(|d| d.score >= self.min_score));
        let [source_width, source_height] = input.geometry.first().unwrap_or(&whole).source;
        let outcome = Outcome::Detect {
            detections,
            counts: LabelCounts::new(),
            zones: BTreeMap::new(),
            lines: BTreeMap::new(),
            source_width,
            source_height,
        };
        Ok(TaskOutput { faint, ..outcome.into() })
    }

    fn fits(&self, outputs: &[TensorSpec]) -> Result<(), TaskError> {
        let outputs: Vec<&TensorSpec> = outputs.iter().collect();
        shapes::fits(&self.settings(self.spec.input_size), &outputs)
    }

    fn doubts(&mut self, input: &TaskInput<'_>) -> Result<Vec<String>, TaskError> {
        let size = input_size(input).unwrap_or(self.spec.input_size);
        evidence::doubts(&self.settings(size), input, self.items())
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
