//! The head of a detector, from its file's metadata and the shapes and names of its outputs; refused where these leave a choice.

use super::LoadedModel;
use super::exporter::{Said, said};
use crate::frame::{Head, TaskKind, TensorSpec, roles};

/// Boxes for each cell in YOLOv5's head.
const YOLOV5_ANCHORS: usize = 3;
/// More classes than detectors have: an axis that is longer holds boxes.
const MAX_CLASSES: usize = 2000;
/// More objects than a network with queries has.
const MAX_QUERIES: usize = 1000;

/// Facts about a detector.
#[derive(Clone, Debug)]
pub struct Detector<'a> {
    /// Its task, which finds objects.
    pub task: TaskKind,
    /// Its outputs.
    pub outputs: &'a [&'a TensorSpec],
    /// Number of its labels; `None` where it has none.
    pub classes: Option<usize>,
    /// `[height, width]` of its input in pixels.
    pub size: [usize; 2],
    /// Metadata of its file.
    pub said: &'a Said,
}

/// Failure to determine the head.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeadError {
    /// Several heads can be read from the outputs, or it is doubtful whether the only one is right.
    #[error("{shapes} could be {}", words(heads))]
    Unclear {
        /// The outputs.
        shapes: String,
        /// Possible heads, with the number of classes.
        heads: Vec<(Head, Option<usize>)>,
    },
    /// There are as many classes in the outputs as there are not labels.
    #[error("{shapes} has {}, but there {}", other_classes(heads), counted_labels(*labels))]
    Labels {
        /// The outputs.
        shapes: String,
        /// Possible heads, with the number of classes.
        heads: Vec<(Head, Option<usize>)>,
        /// Number of labels.
        labels: usize,
    },
    /// The manifest has another head than the file's own metadata.
    #[error("{shapes} is end to end by the file's own metadata, which is the head end2end, not {}", head.word())]
    Contradicted {
        /// The outputs.
        shapes: String,
        /// The head of the manifest.
        head: Head,
    },
    /// No head can be read from the outputs.
    #[error("{shapes}: {reason}")]
    Unknown {
        /// The outputs.
        shapes: String,
        /// Likely kind of the outputs.
        reason: String,
    },
}

impl HeadError {
    /// True if only the values tell the head: whether boxes are in pixels or relative to their cells.
    pub fn is_yolov5_or_yolox(&self) -> bool {
        self.heads() == [Head::Yolov5, Head::Yolox]
    }

    /// The heads that can be right.
    pub fn heads(&self) -> Vec<Head> {
        let mut heads: Vec<Head> = match self {
            HeadError::Unclear { heads, .. } => heads.iter().map(|(head, _)| *head).collect(),
            HeadError::Contradicted { .. } => vec![Head::End2end],
            HeadError::Labels { .. } | HeadError::Unknown { .. } => Vec::new(),
        };
        heads.dedup();
        heads
    }
}

/// A head with what it would make of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    head: Head,
    /// `None` where the class is a number in the row.
    classes: Option<usize>,
    rows: usize,
    /// True if the first axis holds the classes.
    planes: bool,
}

impl LoadedModel {
    /// The head of a detector for `task` whose plan has these `outputs`: the manifest's, else what file and shapes tell.
    ///
    /// # Errors
    /// [`HeadError`] when they leave a choice, or the manifest contradicts the file.
    pub fn head(&self, task: TaskKind, outputs: &[TensorSpec], size: [usize; 2]) -> Result<Head, HeadError> {
        let said = said(&self.info.metadata);
        let outputs: Vec<&TensorSpec> = outputs.iter().collect();
        if let Some(head) = self.manifest.output.head {
            // One class, and YOLOv5's head has the same shape.
            let end2end = said.end2end == Some(true) && task == TaskKind::Detect && may_be_end2end(&outputs);
            return match head {
                Head::Yolov5 | Head::Yolov8 if end2end => {
                    Err(HeadError::Contradicted { shapes: shown(&outputs), head })
                }
                head => Ok(head),
            };
        }
        let classes = Some(self.labels.len()).filter(|count| *count > 0);
        infer(&Detector { task, outputs: &outputs, classes, size, said: &said }).map(|(head, _)| head)
    }
}

/// The head, and what tells so.
///
/// # Errors
/// [`HeadError`] when file and shapes leave a choice.
pub fn infer(detector: &Detector<'_>) -> Result<(Head, &'static str), HeadError> {
    match (detector.task, detector.outputs) {
        (TaskKind::Detect | TaskKind::Obb, outputs)
            if detector.classes.is_none_or(|classes| classes == 1)
                && roles::probabilities(outputs, detector.size).is_some() =>
        {
            Ok((Head::DbNet, "by the shape of its output: one probability for each place of its input"))
        }
        (TaskKind::Detect, [output]) => single(detector, output),
        (TaskKind::Detect, _) => several(detector),
        (TaskKind::Pose, outputs) if roles::is_movenet(outputs) => Ok((Head::MoveNet, "by the shape of its output")),
        (TaskKind::Pose, outputs) if roles::landmarks(outputs).is_some() => {
            Ok((Head::Landmarks, "by the shapes of its outputs: as many points as a body, a hand or a face has"))
        }
        (TaskKind::Segment, [first, second]) => {
            let masks = |output: &TensorSpec| matches!(output.shape[..], [_, _, _, _]);
            match (masks(first), masks(second)) {
                (false, true) => with_extras(detector, first, second.shape[1]),
                _ => Err(unknown(detector, "instance segmentation has rows, then prototypes [1, channels, H, W]")),
            }
        }
        (TaskKind::Segment, _) => {
            Err(unknown(detector, "instance segmentation has rows, then prototypes [1, channels, H, W]"))
        }
        (TaskKind::Pose, [output]) => with_extras(detector, output, pose_columns(detector, output)),
        (TaskKind::Obb, [output]) => with_extras(detector, output, 1),
        (TaskKind::Pose, _) => several(detector),
        _ => Err(unknown(detector, "several outputs are not read for this task; export it with its last layers")),
    }
}

fn unknown(detector: &Detector<'_>, reason: &str) -> HeadError {
    HeadError::Unknown { shapes: shown(detector.outputs), reason: reason.into() }
}

/// The head of one output of rows with a box and scores.
fn single(detector: &Detector<'_>, output: &TensorSpec) -> Result<(Head, &'static str), HeadError> {
    let said = detector.said;
    let shape = &output.shape;
    if said.end2end == Some(true) {
        return match may_be_end2end(detector.outputs) {
            true => Ok((Head::End2end, "by the file's own metadata")),
            false => {
                Err(unknown(detector, "the file's own metadata says that it is end to end, which would be [1, N, 6]"))
            }
        };
    }
    if let [_, 7] = shape[..] {
        return Ok((Head::Yolov7, "by the shape of its output, rows of item, box, class and score"));
    }
    let mut candidates = candidates(shape, detector.size);
    candidates.retain(|c| !(said.end2end == Some(false) && c.head == Head::End2end));
    let others = [Head::Yolov5, Head::FastestDet, Head::Yolox, Head::NanoDet];
    candidates.retain(|c| !(said.by_ultralytics() && others.contains(&c.head)));
    if candidates.is_empty() {
        return Err(unknown(detector, unread(shape)));
    }
    choose(detector, candidates)
}

/// The head of rows that end with `extras` values of the task.
fn with_extras(detector: &Detector<'_>, output: &TensorSpec, extras: usize) -> Result<(Head, &'static str), HeadError> {
    let said = detector.said;
    let &[_, a, b] = &output.shape[..] else { return Err(unknown(detector, unread(&output.shape))) };
    let needs = "boxes and classes leave no values for the task";
    if extras == 0 {
        return Err(unknown(detector, needs));
    }
    let is_end2end = b == 6 + extras;
    if said.end2end == Some(true) {
        return match is_end2end {
            true => Ok((Head::End2end, "by the file's own metadata")),
            false => {
                Err(unknown(detector, "the file's own metadata says that it is end to end, which has other columns"))
            }
        };
    }
    let mut candidates = Vec::new();
    let mut add = |head, classes: Option<usize>, rows, planes| {
        if classes.is_none_or(|classes| (1..=MAX_CLASSES).contains(&classes)) && rows > 0 {
            candidates.push(Candidate { head, classes, rows, planes });
        }
    };
    add(Head::Yolov8, Some(a.saturating_sub(4 + extras)), b, true);
    add(Head::Yolov8, Some(b.saturating_sub(4 + extras)), a, false);
    if is_end2end && said.end2end != Some(false) {
        add(Head::End2end, None, a, false);
    }
    if candidates.is_empty() {
        return Err(unknown(detector, needs));
    }
    choose(detector, candidates)
}

/// Values of the key points in a row: by the file, else those that box and classes leave.
fn pose_columns(detector: &Detector<'_>, output: &TensorSpec) -> usize {
    if let Some([count, values]) = detector.said.keypoints {
        return count * values;
    }
    let &[_, a, b] = &output.shape[..] else { return 0 };
    let before = if detector.said.end2end == Some(true) { 6 } else { 4 + detector.classes.unwrap_or(1) };
    let left = a.min(b).saturating_sub(before);
    if left % 3 == 0 || left % 2 == 0 { left } else { 0 }
}

/// The head among `candidates` that labels, metadata and the number of boxes leave.
fn choose(detector: &Detector<'_>, mut candidates: Vec<Candidate>) -> Result<(Head, &'static str), HeadError> {
    let Detector { classes, said, .. } = *detector;
    let shapes = shown(detector.outputs);
    let possible = candidates.clone();
    candidates.retain(|c| c.classes.is_none() || classes.is_none_or(|known| c.classes == Some(known)));
    let named = |candidates: &[Candidate]| candidates.iter().map(|c| (c.head, c.classes)).collect::<Vec<_>>();
    if let (Some(labels), true) = (classes, candidates.is_empty()) {
        let sure: Vec<Candidate> = possible.iter().copied().filter(|c| detector.is_grid(c)).collect();
        let heads = named(if sure.is_empty() { &possible } else { &sure });
        return Err(HeadError::Labels { shapes, heads, labels });
    }
    let mut grids: Vec<Candidate> = candidates.iter().copied().filter(|c| detector.is_grid(c)).collect();
    // As many boxes as values a box: the same head, and the order of the axes is the usual one.
    grids.dedup_by_key(|c| (c.head, c.classes));
    match (&grids[..], &candidates[..]) {
        // Without labels, nothing tells one order of the axes from the other when it runs.
        ([only], _) if classes.is_none() && only.head == Head::Yolov8 && !only.planes => {}
        ([only], _) => {
            return Ok((only.head, "by the shape of its output: as many boxes as its input has places for them"));
        }
        ([], [only]) if said.by_ultralytics() => {
            return Ok((only.head, "by the file's own metadata and the shape of its output"));
        }
        // Only a row of numbers can be so much else: boxes with angles, key points, masks.
        ([], [only]) if classes.is_some() && (only.planes || only.head == Head::End2end) => {
            return Ok((only.head, "by the shape of its output, which no other fits"));
        }
        _ => {}
    }
    let left = if grids.is_empty() { &candidates } else { &grids };
    Err(HeadError::Unclear { shapes, heads: named(left) })
}

/// The head of several outputs.
fn several(detector: &Detector<'_>) -> Result<(Head, &'static str), HeadError> {
    let Detector { task, outputs, classes, size, .. } = *detector;
    let faces = classes.is_none_or(|classes| classes == 1);
    let grids = "by the shapes of its outputs: as many boxes as its input has places for them";
    if faces && roles::yunet(outputs, size).is_some() {
        return Ok((Head::YuNet, grids));
    }
    if faces && roles::scrfd(outputs, size).is_some() {
        return Ok((Head::Scrfd, grids));
    }
    if faces && roles::retinaface(outputs, size).is_some() {
        return Ok((Head::RetinaFace, grids));
    }
    if faces && roles::mediapipe(outputs, size).is_some() {
        return Ok((Head::MediaPipe, grids));
    }
    if task != TaskKind::Detect {
        return Err(unknown(detector, "none of the heads with key points has outputs of these shapes"));
    }
    if roles::distributions(outputs, size, classes).is_some() {
        return Ok((Head::PicoDet, grids));
    }
    if let Some(chosen) = roles::chosen(outputs) {
        let shapes = "by the shapes of its outputs: boxes, classes and scores that the network selected";
        return Ok((if chosen.whole { Head::Selected } else { Head::TensorFlow }, shapes));
    }
    if roles::mmdet(outputs).is_some() {
        return Ok((Head::MmDet, "by the shapes of its outputs, rows of box and score, and class numbers"));
    }
    if outputs.len() > 1 && roles::paddle(outputs).is_some() {
        return Ok((Head::Paddle, "by the shapes of its outputs, rows of class, score and box, and their number"));
    }
    let Some(pair) = roles::pair(outputs) else { return Err(unknown(detector, of_several(outputs))) };
    let fits = |more: usize| classes.is_none_or(|classes| pair.classes == classes + more);
    let named = ["pred_boxes", "logits", "dets"];
    if pair.wide {
        return if fits(0) {
            Ok((Head::Yolov4, "by the shapes of its outputs"))
        } else {
            Err(labels(detector, Head::Yolov4, pair.classes))
        };
    }
    if faces && pair.classes == 2 && !pair.planes && pair.rows == ultraface_boxes(size) {
        return Ok((Head::UltraFace, grids));
    }
    if roles::strides(size, pair.rows, 1).is_some() {
        return if fits(0) { Ok((Head::YoloNas, grids)) } else { Err(labels(detector, Head::YoloNas, pair.classes)) };
    }
    if outputs.iter().any(|output| roles::is_named(output, &named)) && !pair.planes {
        let why = "by the names of its outputs";
        return if fits(0) || fits(1) {
            Ok((Head::Detr, why))
        } else {
            Err(labels(detector, Head::Detr, pair.classes))
        };
    }
    if classes.is_some() && pair.rows <= MAX_QUERIES && !pair.planes && (fits(0) || fits(1)) {
        return Err(HeadError::Unclear {
            shapes: shown(outputs),
            heads: vec![(Head::Detr, classes), (Head::YoloNas, classes)],
        });
    }
    Err(unknown(detector, of_several(outputs)))
}

fn labels(detector: &Detector<'_>, head: Head, classes: usize) -> HeadError {
    HeadError::Labels {
        shapes: shown(detector.outputs),
        heads: vec![(head, Some(classes))],
        labels: detector.classes.unwrap_or(0),
    }
}

/// Boxes of UltraFace for an input of `[height, width]`: so many of different sizes for each cell of a stride.
fn ultraface_boxes([height, width]: [usize; 2]) -> usize {
    let cells = |(stride, each): (usize, usize)| height.div_ceil(stride) * width.div_ceil(stride) * each;
    [(8, 3), (16, 2), (32, 2), (64, 3)].into_iter().map(cells).sum()
}

fn may_be_end2end(outputs: &[&TensorSpec]) -> bool {
    matches!(outputs, [only] if matches!(only.shape[..], [_, rows, 6] if rows > 0))
}

impl Detector<'_> {
    /// True if a candidate has exactly as many boxes as there are cells in two or more feature maps of the input.
    fn is_grid(&self, candidate: &Candidate) -> bool {
        let of = |per_cell| roles::strides(self.size, candidate.rows, per_cell).is_some();
        match candidate.head {
            Head::Yolov8 | Head::Yolox | Head::NanoDet => of(1),
            // YOLOv6 and YOLOX have the same layout with one box for each cell.
            Head::Yolov5 => of(YOLOV5_ANCHORS) || of(1),
            _ => false,
        }
    }
}

/// Every head that can be read from one output of this shape.
fn candidates(shape: &[usize], size: [usize; 2]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |head, classes: Option<usize>, rows, planes| {
        if classes.is_none_or(|classes| (1..=MAX_CLASSES).contains(&classes)) && rows > 0 {
            found.push(Candidate { head, classes, rows, planes });
        }
    };
    match *shape {
        [_, a, b] => {
            if b == 6 {
                add(Head::End2end, None, a, false);
            }
            add(Head::Yolov8, Some(a.saturating_sub(4)), b, true);
            add(Head::Yolov8, Some(b.saturating_sub(4)), a, false);
            add(Head::Yolov5, Some(b.saturating_sub(5)), a, false);
            if roles::strides(size, a, 1).is_some() {
                add(Head::Yolox, Some(b.saturating_sub(5)), a, false);
                add(Head::NanoDet, Some(b.saturating_sub(4 * roles::BINS)), a, false);
            }
        }
        [_, channels, h, w] => add(Head::FastestDet, Some(channels.saturating_sub(5)), h * w, true),
        _ => {}
    }
    found
}

/// Likely kind of several outputs that no head can be read from.
fn of_several(outputs: &[&TensorSpec]) -> &'static str {
    let ranks: Vec<usize> = outputs.iter().map(|output| output.shape.len()).collect();
    let boxes = outputs.iter().any(|output| matches!(output.shape[..], [_, _, 4]));
    match ranks[..] {
        [] => "there is no output",
        [3, 3] if boxes => "boxes and scores apart: with the head ssd it needs anchors and a bundle's directory",
        [3, 4] | [4, 3] => "it seems to be a model for instance segmentation, which is --task segment",
        _ => "no head has several outputs of these shapes; export it with its last layers, so that it has one",
    }
}

/// Likely kind of one output that no head can be read from.
fn unread(shape: &[usize]) -> &'static str {
    match *shape {
        [_, _, _, _, _] => "boxes before the last layers of the network: export it with them",
        _ => "no head has outputs of this shape",
    }
}

/// `its output [1, 84, 8400]`, `its outputs [1, 4, 10] and [1, 10]`.
fn shown(outputs: &[&TensorSpec]) -> String {
    let shapes: Vec<String> = outputs.iter().map(|output| format!("{:?}", output.shape)).collect();
    let noun = if shapes.len() == 1 { "output" } else { "outputs" };
    format!("its {noun} {}", list(&shapes, "and"))
}

fn words(heads: &[(Head, Option<usize>)]) -> String {
    let word = |(head, classes): &(Head, Option<usize>)| match classes {
        None => format!("{} (x1, y1, x2, y2, score, class)", head.word()),
        Some(classes) => format!("{} with {}", head.word(), counted(*classes)),
    };
    list(&heads.iter().map(word).collect::<Vec<_>>(), "or")
}

fn other_classes(heads: &[(Head, Option<usize>)]) -> String {
    let of = |(head, classes): &(Head, Option<usize>)| {
        classes.map(|classes| format!("{} for the head {}", counted(classes), head.word()))
    };
    list(&heads.iter().filter_map(of).collect::<Vec<_>>(), "or")
}

fn counted(classes: usize) -> String {
    if classes == 1 { "1 class".into() } else { format!("{classes} classes") }
}

fn counted_labels(labels: usize) -> String {
    if labels == 1 { "is 1 label".into() } else { format!("are {labels} labels") }
}

/// `a`, `a or b`, `a, b or c`.
fn list(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
