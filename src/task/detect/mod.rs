//! Objects with boxes.

mod anchors;
pub(super) mod config;
mod evidence;
mod heads;
pub(super) mod kinds;
mod masks;
mod nms;
mod outline;
#[cfg(test)]
mod reference_tests;
mod settings;
mod shapes;
#[cfg(test)]
mod tests;
mod turned;

use anchors::Anchors;
use config::DetectConfig;
use heads::Reader;
use nms::{Candidate, keep_best, suppress};
use settings::HeadSettings;

use super::contract::{SetupError, Task, TaskError, TaskInput, TaskOutput};
use super::output::{Filter, label, real_items};
use crate::frame::{Detection, Geometry, Head, Keypoint, Outcome, TaskKind, TaskSpec, TensorSpec};
use turned::Turned;

/// Objects of one frame. Boxes of all its items (regions as tiles) are mapped to the source picture and clamped to it, then
/// suppressed together, class by class, so that an object in two overlapping tiles is reported once.
///
/// The detections of an outcome are those of its frame. What can be relied on over frames, and so its counts, is not known here.
struct Detect {
    spec: TaskSpec,
    head: Head,
    kind: TaskKind,
    filter: Filter,
    anchors: Option<Anchors>,
    min_score: f32,
    nms_iou: f32,
    max_detections: usize,
    softmax: Option<bool>,
    reader: Reader,
    candidates: Vec<Candidate>,
    /// Further values of the candidates, one after the other.
    extras: Vec<f32>,
    /// Set once the values of a frame were found to be those of the head.
    checked: bool,
}

impl Detect {
    /// # Errors
    /// The head is not known, a wanted label is none of the model's, or an SSD head's anchors are missing or wrong.
    fn new(config: &DetectConfig, kind: TaskKind, spec: &TaskSpec) -> Result<Self, SetupError> {
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
        let fits = match kind {
            TaskKind::Pose => matches!(
                head,
                Head::Yolov8
                    | Head::End2end
                    | Head::MoveNet
                    | Head::MediaPipe
                    | Head::YuNet
                    | Head::Scrfd
                    | Head::RetinaFace
                    | Head::Landmarks
            ),
            TaskKind::Segment => matches!(head, Head::Yolov8 | Head::End2end),
            TaskKind::Obb => matches!(head, Head::Yolov8 | Head::End2end | Head::DbNet),
            _ => true,
        };
        if !fits {
            let reason = format!("the head {} has nothing for the task {}", head.word(), kind.word());
            return Err(SetupError { key: "output.head", reason });
        }
        Ok(Detect {
            head,
            kind,
            filter: Filter::new(&config.labels, &spec.labels)?,
            anchors,
            min_score: config.min_score(),
            nms_iou: config.nms_iou(),
            max_detections: config.max_detections(),
            softmax: config.softmax,
            reader: Reader::default(),
            candidates: Vec::new(),
            extras: Vec::new(),
            checked: false,
            spec: spec.clone(),
        })
    }

    fn settings(&self, input_size: [usize; 2]) -> HeadSettings<'_> {
        HeadSettings {
            head: self.head,
            kind: self.kind,
            keypoints: self.spec.keypoints,
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

    /// The candidates that are left, with all that is known of them.
    fn detections(
        &self,
        input: &TaskInput<'_>,
        input_size: [usize; 2],
        whole: &Geometry,
    ) -> Result<Vec<Detection>, TaskError> {
        let mut buffer = Vec::new();
        let masks = input.outputs.iter().find_map(|o| settings::prototypes(o.spec).map(|shape| (o, shape)));
        let masks = match masks.filter(|_| self.kind == TaskKind::Segment && !self.candidates.is_empty()) {
            Some((output, shape)) => Some((real_items(output, input, self.items(), &mut buffer)?, shape)),
            None => None,
        };
        let mut detections = Vec::with_capacity(self.candidates.len());
        for candidate in &self.candidates {
            let [first, count] = candidate.extra;
            let extra = self.extras.get(first..first + count).unwrap_or_default();
            let mut detection =
                Detection::new(label(&self.spec.labels, candidate.class), candidate.score, candidate.bbox);
            detection.corners = candidate.turned.map(|turned| turned.corners);
            match (&masks, extra) {
                (Some(((prototypes, each), shape)), &[item, x1, y1, x2, y2, ref coefficients @ ..]) => {
                    let item = item as usize;
                    detection.polygons = masks::outline(
                        prototypes.get(item * each..(item + 1) * each).unwrap_or_default(),
                        *shape,
                        coefficients,
                        [x1, y1, x2, y2],
                        input_size,
                        input.geometry.get(item).unwrap_or(whole),
                    );
                }
                _ => {
                    let points = extra.as_chunks::<3>().0.iter();
                    // JSON has no other numbers than finite ones.
                    let finite = |point: &[f32; 3]| point.iter().all(|v| v.is_finite());
                    let point = |point: &[f32; 3]| if finite(point) { *point } else { [0.0; 3] };
                    detection.keypoints = points.map(point).map(|[x, y, score]| Keypoint { x, y, score }).collect();
                }
            }
            detections.push(detection);
        }
        Ok(detections)
    }
}

impl Task for Detect {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let [height, width] = input_size(input).unwrap_or(self.spec.input_size);
        let whole = Geometry { scale: [1.0; 2], offset: [0.0; 2], source: [width as u32, height as u32] };
        let mut reader = std::mem::take(&mut self.reader);
        let mut candidates = std::mem::take(&mut self.candidates);
        let mut extras = std::mem::take(&mut self.extras);
        candidates.clear();
        extras.clear();
        let own = self.settings([height, width]);
        let settings =
            HeadSettings { min_score: input.faint_score.map_or(own.min_score, |s| s.min(own.min_score)), ..own };
        let read = reader.read(&settings, input, self.items(), |item, candidate, extra| {
            let geometry = input.geometry.get(item).unwrap_or(&whole);
            let turned = match *extra {
                [x, y, w, h, angle] if self.kind == TaskKind::Obb => Some(Turned::new([x, y, w, h], angle, geometry)),
                _ => None,
            };
            let bbox = match &turned {
                Some(turned) => geometry.clamped(turned.hull()),
                None => geometry.to_source(candidate.bbox),
            };
            let finite = turned.is_none_or(|turned| turned.is_finite());
            if finite && self.filter.has(candidate.class) && bbox[0] < bbox[2] && bbox[1] < bbox[3] {
                let first = extras.len();
                if self.kind == TaskKind::Segment {
                    extras.push(item as f32);
                    extras.extend(candidate.bbox);
                    extras.extend(extra);
                } else if turned.is_none() {
                    let points = extra.as_chunks::<3>().0.iter();
                    extras.extend(points.flat_map(|[x, y, score]| [geometry.x(*x), geometry.y(*y), *score]));
                }
                candidates.push(Candidate { bbox, turned, extra: [first, extras.len() - first], ..candidate });
            }
        });
        let checked = match (&read, self.checked) {
            (Ok(()), false) => evidence::check(&settings, input, self.items()),
            _ => Ok(self.checked),
        };
        (self.reader, self.candidates, self.extras) = (reader, candidates, extras);
        read?;
        self.checked = checked?;
        if self.head.is_suppressed() && self.items() == 1 {
            keep_best(&mut self.candidates, self.max_detections);
        } else {
            suppress(&mut self.candidates, self.nms_iou, self.max_detections);
        }
        let mut detections = self.detections(input, [height, width], &whole)?;
        // Most confident first.
        let faint = detections.split_off(detections.partition_point(|d| d.score >= self.min_score));
        let size = input.geometry.first().unwrap_or(&whole).source;
        let outcome = Outcome::objects(self.kind, detections, size);
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
