//! Checks that the outputs of a model have the shapes that its head is read from.

use super::settings::HeadSettings;
use crate::frame::roles::{self, Anchored, Chosen, Landmarks, Level, Pair};
use crate::frame::{Head, TaskKind, TensorSpec};
use crate::task::contract::TaskError;

/// Order of the values of an output with one box a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `[N, rows, columns]`.
    Rows,
    /// `[N, columns, rows]`.
    Planes,
}

/// An output with one possible object a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub order: Order,
    pub rows: usize,
    pub columns: usize,
    /// The last columns, which hold neither box nor scores.
    pub extras: usize,
}

impl Table {
    /// Index of a value within one item.
    pub fn at(self, row: usize, column: usize) -> usize {
        match self.order {
            Order::Rows => row * self.columns + column,
            Order::Planes => column * self.rows + row,
        }
    }
}

/// Checks every output that the head reads.
///
/// # Errors
/// The output with its shape, and the shape or number of classes that it should have.
pub(super) fn fits(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<(), TaskError> {
    match settings.head {
        Head::FastestDet => grid(settings, output(outputs, 0)?).map(drop),
        Head::Yolov5 | Head::Yolov8 | Head::End2end => table(settings, outputs).map(drop),
        Head::Yolox | Head::NanoDet => {
            let table = table(settings, outputs)?;
            strides(settings, output(outputs, 0)?, table.rows).map(drop)
        }
        Head::Ssd => anchored(settings, output(outputs, 0)?, output(outputs, 1)?).map(drop),
        Head::YoloNas | Head::Yolov4 => pair(settings, outputs, 0).map(drop),
        Head::UltraFace => pair(settings, outputs, 1).map(drop),
        Head::Detr => logits(settings, outputs).map(drop),
        Head::PicoDet => distributions(settings, outputs).map(drop),
        Head::YuNet => yunet(settings, outputs).map(drop),
        Head::Scrfd => scrfd(settings, outputs).map(drop),
        Head::RetinaFace => retinaface(settings, outputs).map(drop),
        Head::DbNet => probabilities(settings, outputs).map(drop),
        Head::Landmarks => landmarks(settings, outputs).map(drop),
        Head::MediaPipe => mediapipe(settings, outputs).map(drop),
        Head::TensorFlow | Head::Selected => chosen(settings, outputs).map(drop),
        Head::Yolov7 => match output(outputs, 0)?.shape[..] {
            [_, 7] => Ok(()),
            _ => Err(other_shape(outputs[0], settings)),
        },
        Head::Paddle => paddle(settings, outputs).map(drop),
        Head::MmDet => mmdet(settings, outputs).map(drop),
        Head::MoveNet if roles::is_movenet(outputs) => Ok(()),
        Head::MoveNet => Err(other_shape(output(outputs, 0)?, settings)),
    }?;
    match settings.kind {
        TaskKind::Pose if matches!(settings.head, Head::Yolov8 | Head::End2end) => {
            let extras = settings.extras(outputs);
            let [count, values] = settings.keypoint_shape(extras);
            let sure = count > 0 && (2..=3).contains(&values) && count * values == extras;
            let reason = format!(
                "{extras} values are no key points of x, y and perhaps a score: [output] keypoints says how many"
            );
            if sure { Ok(()) } else { Err(wrong(outputs[0], reason)) }
        }
        TaskKind::Segment if settings.extras(outputs) == 0 => {
            Err(wrong(output(outputs, 0)?, "no output [N, channels, height, width] has prototypes of masks".into()))
        }
        _ => Ok(()),
    }
}

fn output<'a>(outputs: &[&'a TensorSpec], index: usize) -> Result<&'a TensorSpec, TaskError> {
    outputs.get(index).copied().ok_or_else(|| TaskError {
        tensor: format!("output {index}"),
        reason: format!("the model has {} outputs", outputs.len()),
    })
}

/// `[channels, rows, columns]` of the head `fastestdet`.
pub(super) fn grid(settings: &HeadSettings<'_>, output: &TensorSpec) -> Result<[usize; 3], TaskError> {
    let &[_, channels, rows, columns] = output.shape.as_slice() else {
        return Err(other_shape(output, settings));
    };
    classes(output, channels.checked_sub(5), settings)?;
    Ok([channels, rows, columns])
}

/// The table of the heads with one output and one box a row.
pub(super) fn table(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Table, TaskError> {
    let output = output(outputs, 0)?;
    let &[_, a, b] = output.shape.as_slice() else {
        return Err(other_shape(output, settings));
    };
    let extras = settings.extras(outputs);
    let by_rows = Table { order: Order::Rows, rows: a, columns: b, extras };
    let by_planes = Table { order: Order::Planes, rows: b, columns: a, extras };
    match settings.head {
        Head::End2end if b == 6 + extras && a > 0 => Ok(by_rows),
        Head::Yolov5 | Head::Yolox => classes(output, b.checked_sub(5), settings).map(|()| by_rows),
        Head::NanoDet => {
            let extras = if settings.labels > 0 { b.saturating_sub(settings.labels) } else { 4 * roles::BINS };
            if extras == 0 || extras % 4 != 0 {
                return Err(other_shape(output, settings));
            }
            classes(output, b.checked_sub(extras), settings).map(|()| Table { extras, ..by_rows })
        }
        // Exports for TensorFlow and those of RT-DETR have one box a row.
        Head::Yolov8 if settings.labels > 0 && b == settings.labels + 4 + extras && a != b => {
            classes(output, b.checked_sub(4 + extras), settings).map(|()| by_rows)
        }
        Head::Yolov8 => classes(output, a.checked_sub(4 + extras), settings).map(|()| by_planes),
        _ => Err(other_shape(output, settings)),
    }
}

/// The strides whose cells are the rows of an output.
pub(super) fn strides(
    settings: &HeadSettings<'_>,
    output: &TensorSpec,
    rows: usize,
) -> Result<&'static [usize], TaskError> {
    let [height, width] = settings.input_size;
    roles::strides(settings.input_size, rows, 1).ok_or_else(|| {
        let head = settings.head.word();
        wrong(
            output,
            format!("{rows} boxes, but the head {head} has one for each cell of an input of {width}x{height}"),
        )
    })
}

/// Boxes and scores of the head `ssd` in the order of the outputs: whether the boxes come second, and how many scores a box has.
pub(super) fn anchored(
    settings: &HeadSettings<'_>,
    first: &TensorSpec,
    second: &TensorSpec,
) -> Result<(bool, usize), TaskError> {
    let Some(anchors) = settings.anchors else {
        return Err(wrong(first, "the bundle has no anchors for it".into()));
    };
    let is_boxes = |o: &TensorSpec| matches!(o.shape.as_slice(), [_, _, 4]);
    let (swapped, boxes, scores) = match (is_boxes(first), is_boxes(second)) {
        (true, _) => (false, first, second),
        (false, true) => (true, second, first),
        (false, false) => return Err(other_shape(first, settings)),
    };
    let &[_, rows, columns] = scores.shape.as_slice() else {
        return Err(other_shape(scores, settings));
    };
    let background = usize::from(anchors.background);
    let found = columns.checked_sub(background).filter(|classes| *classes > 0);
    if found.is_none() || settings.labels > 0 && found != Some(settings.labels) {
        let reason = format!(
            "shape {:?} has {columns} scores a box, expected {} ({} labels{})",
            scores.shape,
            settings.labels.max(1) + background,
            settings.labels,
            if anchors.background { " and the background" } else { "" },
        );
        return Err(wrong(scores, reason));
    }
    let count = anchors.boxes.len();
    if boxes.shape[1] != count || rows != count {
        let reason = format!("{} boxes and {rows} scores for {count} anchors", boxes.shape[1]);
        return Err(wrong(boxes, reason));
    }
    Ok((swapped, columns))
}

/// Boxes and scores of which `background` are of no class.
pub(super) fn pair(settings: &HeadSettings<'_>, outputs: &[&TensorSpec], background: usize) -> Result<Pair, TaskError> {
    let first = output(outputs, 0)?;
    let pair = roles::pair(outputs).filter(|pair| pair.wide == (settings.head == Head::Yolov4));
    let pair = pair.ok_or_else(|| other_shape(first, settings))?;
    classes(outputs[pair.scores], pair.classes.checked_sub(background), settings)?;
    if settings.head == Head::UltraFace && (pair.classes != 2 || pair.planes) {
        return Err(other_shape(outputs[pair.scores], settings));
    }
    Ok(pair)
}

/// Boxes and logits, one for each label and perhaps one for no object.
pub(super) fn logits(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Pair, TaskError> {
    let first = output(outputs, 0)?;
    let pair = roles::pair(outputs).filter(|pair| !pair.wide && !pair.planes);
    let pair = pair.ok_or_else(|| other_shape(first, settings))?;
    let nothing = settings.labels > 0 && pair.classes == settings.labels + 1 || settings.softmax == Some(true);
    classes(outputs[pair.scores], pair.classes.checked_sub(usize::from(nothing)), settings)?;
    Ok(pair)
}

/// Scores and distances of the head `picodet` for each stride, and their columns.
pub(super) fn distributions(
    settings: &HeadSettings<'_>,
    outputs: &[&TensorSpec],
) -> Result<(Vec<Level>, [usize; 2]), TaskError> {
    let classes = Some(settings.labels).filter(|labels| *labels > 0);
    roles::distributions(outputs, settings.input_size, classes).ok_or_else(|| of_levels(settings, outputs))
}

/// Outputs of the head `yunet` for each stride.
pub(super) fn yunet(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Vec<Level>, TaskError> {
    one_label(settings, outputs)?;
    roles::yunet(outputs, settings.input_size).ok_or_else(|| of_levels(settings, outputs))
}

/// Outputs of the head `scrfd` for each stride.
pub(super) fn scrfd(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Vec<Level>, TaskError> {
    one_label(settings, outputs)?;
    roles::scrfd(outputs, settings.input_size).ok_or_else(|| of_levels(settings, outputs))
}

/// Boxes, scores and points of the head `retinaface`.
pub(super) fn retinaface(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<[usize; 3], TaskError> {
    one_label(settings, outputs)?;
    roles::retinaface(outputs, settings.input_size).ok_or_else(|| of_levels(settings, outputs))
}

/// Rows, columns and stride of the head `dbnet`.
pub(super) fn probabilities(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<[usize; 3], TaskError> {
    one_label(settings, outputs)?;
    roles::probabilities(outputs, settings.input_size).ok_or_else(|| of_levels(settings, outputs))
}

/// Outputs of the head `landmarks`.
pub(super) fn landmarks(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Landmarks, TaskError> {
    one_label(settings, outputs)?;
    let first = output(outputs, 0)?;
    roles::landmarks(outputs).ok_or_else(|| other_shape(first, settings))
}

/// Outputs of the head `mediapipe`.
pub(super) fn mediapipe(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Anchored, TaskError> {
    one_label(settings, outputs)?;
    roles::mediapipe(outputs, settings.input_size).ok_or_else(|| of_levels(settings, outputs))
}

/// Outputs of the heads `tensorflow` and `selected`.
pub(super) fn chosen(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<Chosen, TaskError> {
    let first = output(outputs, 0)?;
    roles::chosen(outputs).ok_or_else(|| other_shape(first, settings))
}

/// Rows and their numbers of the head `paddle`.
pub(super) fn paddle(
    settings: &HeadSettings<'_>,
    outputs: &[&TensorSpec],
) -> Result<(usize, Option<usize>), TaskError> {
    let first = output(outputs, 0)?;
    roles::paddle(outputs).ok_or_else(|| other_shape(first, settings))
}

/// Rows and class numbers of the head `mmdet`.
pub(super) fn mmdet(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<[usize; 2], TaskError> {
    let first = output(outputs, 0)?;
    roles::mmdet(outputs).ok_or_else(|| other_shape(first, settings))
}

/// True if the boxes of the head `selected` have no axis of the batch.
pub(super) fn is_batchless<'a>(mut outputs: impl Iterator<Item = &'a TensorSpec>) -> bool {
    !outputs.any(|output| matches!(output.shape[..], [_, _, 4]))
}

fn one_label(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> Result<(), TaskError> {
    let (labels, head) = (settings.labels, settings.head.word());
    match labels {
        0 | 1 => Ok(()),
        _ => Err(wrong(output(outputs, 0)?, format!("the head {head} has 1 class, the model has {labels} labels"))),
    }
}

fn of_levels(settings: &HeadSettings<'_>, outputs: &[&TensorSpec]) -> TaskError {
    let [height, width] = settings.input_size;
    let shapes: Vec<&[usize]> = outputs.iter().map(|output| output.shape.as_slice()).collect();
    TaskError {
        tensor: outputs.first().map_or_else(|| "output 0".into(), |output| output.name.clone()),
        reason: format!(
            "shapes {shapes:?} where the head {} needs {} for the cells of an input of {width}x{height}",
            settings.head.word(),
            settings.head.form()
        ),
    }
}

fn classes(output: &TensorSpec, found: Option<usize>, settings: &HeadSettings<'_>) -> Result<(), TaskError> {
    match found {
        Some(classes @ 1..) if output.shape.iter().all(|d| *d > 0) => match settings.labels {
            0 => Ok(()),
            labels if labels == classes => Ok(()),
            labels => {
                let (shape, head) = (&output.shape, settings.head.word());
                // The data set numbers its 80 classes up to 90, and some lists begin with the background.
                let gaps = if classes == 80 && matches!(labels, 90 | 91) {
                    " (COCO's list with the gaps in its numbers; that of its 80 names is wanted)"
                } else {
                    ""
                };
                let reason = format!(
                    "shape {shape:?} has {classes} classes for the head {head}, the model has {labels} labels{gaps}"
                );
                Err(wrong(output, reason))
            }
        },
        _ => Err(other_shape(output, settings)),
    }
}

fn other_shape(output: &TensorSpec, settings: &HeadSettings<'_>) -> TaskError {
    let head = settings.head;
    let classes = match (settings.labels, head) {
        (0, _) | (_, Head::End2end) => String::new(),
        (n, _) => format!(" with {n} classes"),
    };
    let (shape, word, form) = (&output.shape, head.word(), head.form());
    let more = match settings.kind {
        TaskKind::Detect => String::new(),
        kind => format!(" and what belongs to the task {}", kind.word()),
    };
    wrong(output, format!("shape {shape:?} where the head {word} needs {form}{classes}{more}"))
}

/// The error that `output` is not of the form that is needed.
pub(super) fn wrong(output: &TensorSpec, reason: String) -> TaskError {
    TaskError { tensor: output.name.clone(), reason }
}
