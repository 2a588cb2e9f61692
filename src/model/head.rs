//! The head of a detector, from its file's metadata and the shapes of its outputs; refused where these leave a choice.

use super::LoadedModel;
use super::exporter::{Said, said};
use crate::frame::{Head, TensorSpec};

/// Distances of the cells of which detectors have a feature map, in pixels.
const STRIDES: [usize; 5] = [4, 8, 16, 32, 64];
/// Boxes for each cell in YOLOv5's head.
const YOLOV5_ANCHORS: usize = 3;
/// More classes than detectors have: an axis that is longer holds boxes.
const MAX_CLASSES: usize = 2000;

/// Facts about a detector.
#[derive(Clone, Debug)]
pub struct Detector<'a> {
    /// Shapes of its outputs.
    pub outputs: &'a [Vec<usize>],
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
    /// The head of a detector whose plan has these `outputs`: the manifest's, else what file and shapes tell.
    ///
    /// # Errors
    /// [`HeadError`] when they leave a choice, or the manifest contradicts the file.
    pub fn head(&self, outputs: &[TensorSpec], size: [usize; 2]) -> Result<Head, HeadError> {
        let said = said(&self.info.metadata);
        let shapes: Vec<Vec<usize>> = outputs.iter().map(|output| output.shape.clone()).collect();
        if let Some(head) = self.manifest.output.head {
            // One class, and YOLOv5's head has the same shape.
            let end2end = said.end2end == Some(true) && matches!(shapes[..], [ref shape] if may_be_end2end(shape));
            return match head {
                Head::Yolov5 | Head::Yolov8 if end2end => Err(HeadError::Contradicted { shapes: shown(&shapes), head }),
                head => Ok(head),
            };
        }
        let classes = Some(self.labels.len()).filter(|count| *count > 0);
        infer(&Detector { outputs: &shapes, classes, size, said: &said }).map(|(head, _)| head)
    }
}

/// The head, and what tells so.
///
/// # Errors
/// [`HeadError`] when file and shapes leave a choice.
pub fn infer(detector: &Detector<'_>) -> Result<(Head, &'static str), HeadError> {
    let Detector { outputs, classes, said, .. } = *detector;
    let shapes = shown(outputs);
    let unknown = |reason: &str| Err(HeadError::Unknown { shapes: shapes.clone(), reason: reason.into() });
    let [shape] = outputs else { return unknown(several(outputs)) };
    let mut candidates = candidates(shape);
    if said.end2end == Some(true) {
        return match may_be_end2end(shape) {
            true => Ok((Head::End2end, "by the file's own metadata")),
            false => unknown("the file's own metadata says that it is end to end, which would be [1, N, 6]"),
        };
    }
    candidates.retain(|c| !(said.end2end == Some(false) && c.head == Head::End2end));
    candidates.retain(|c| !(said.by_ultralytics() && matches!(c.head, Head::Yolov5 | Head::FastestDet)));
    let possible = candidates.clone();
    candidates.retain(|c| c.classes.is_none() || classes.is_none_or(|known| c.classes == Some(known)));
    let named = |candidates: &[Candidate]| candidates.iter().map(|c| (c.head, c.classes)).collect::<Vec<_>>();
    match (classes, candidates.is_empty(), possible.is_empty()) {
        (_, _, true) => return unknown(single(shape)),
        (Some(labels), true, false) => {
            let sure: Vec<Candidate> = possible.iter().copied().filter(|c| detector.is_grid(c)).collect();
            let heads = named(if sure.is_empty() { &possible } else { &sure });
            return Err(HeadError::Labels { shapes, heads, labels });
        }
        _ => {}
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

fn may_be_end2end(shape: &[usize]) -> bool {
    candidates(shape).iter().any(|candidate| candidate.head == Head::End2end)
}

impl Detector<'_> {
    /// True if a candidate has exactly as many boxes as there are cells in two or more feature maps of the input.
    fn is_grid(&self, candidate: &Candidate) -> bool {
        let boxes = match candidate.head {
            Head::Yolov8 => 1,
            Head::Yolov5 => YOLOV5_ANCHORS,
            Head::FastestDet | Head::Ssd | Head::End2end => return false,
        };
        let [height, width] = self.size;
        let cells = |stride: &usize| height.div_ceil(*stride) * width.div_ceil(*stride);
        (0..STRIDES.len()).any(|first| {
            (first + 2..=STRIDES.len()).any(|end| {
                let all: usize = STRIDES[first..end].iter().map(cells).sum();
                all * boxes == candidate.rows
            })
        })
    }
}

/// Every head that can be read from one output of this shape.
fn candidates(shape: &[usize]) -> Vec<Candidate> {
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
        }
        [_, channels, h, w] => add(Head::FastestDet, Some(channels.saturating_sub(5)), h * w, true),
        _ => {}
    }
    found
}

/// Likely kind of several outputs.
fn several(outputs: &[Vec<usize>]) -> &'static str {
    let ranks: Vec<usize> = outputs.iter().map(Vec::len).collect();
    let boxes = outputs.iter().any(|shape| matches!(shape[..], [_, _, 4]));
    match ranks[..] {
        [] => "there is no output",
        [3, 3] if boxes => {
            "boxes and scores apart: with the head ssd it needs anchors and a bundle's directory, and the heads of YOLO-NAS and DETR are \
             not read"
        }
        [3, 4] | [4, 3] => "it seems to be a model for instance segmentation, whose outputs are not read",
        [_, _, _, _] if boxes => {
            "boxes, classes, scores and their number apart, as suppression within the network gives them (TensorRT, TensorFlow): not \
             read; export it without"
        }
        _ => "detectors with several outputs are not read; export it with its last layers, so that it has one",
    }
}

/// Likely kind of one output that no head can be read from.
fn single(shape: &[usize]) -> &'static str {
    match *shape {
        [_, 7] => {
            "rows of picture, box, class and score, as suppression within the network gives them (YOLOv7 with --end2end): not read; export \
             it without"
        }
        [_, _, _, _, _] => "boxes before the last layers of the network: export it with them",
        _ => "no head has outputs of this shape",
    }
}

/// `its output [1, 84, 8400]`, `its outputs [1, 4, 10] and [1, 10]`.
fn shown(outputs: &[Vec<usize>]) -> String {
    let shapes: Vec<String> = outputs.iter().map(|shape| format!("{shape:?}")).collect();
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
