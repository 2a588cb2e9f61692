//! Checks that the outputs of a model have the shape that its head is read from.

use super::settings::HeadSettings;
use crate::frame::{Head, TensorSpec};
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
        Head::Yolov5 | Head::Yolov8 | Head::End2end => table(settings, output(outputs, 0)?).map(drop),
        Head::Ssd => pair(settings, output(outputs, 0)?, output(outputs, 1)?).map(drop),
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

/// The table of the heads `yolov5`, `yolov8` and `end2end`.
pub(super) fn table(settings: &HeadSettings<'_>, output: &TensorSpec) -> Result<Table, TaskError> {
    let &[_, a, b] = output.shape.as_slice() else {
        return Err(other_shape(output, settings));
    };
    let by_rows = Table { order: Order::Rows, rows: a, columns: b };
    let by_planes = Table { order: Order::Planes, rows: b, columns: a };
    match settings.head {
        Head::End2end if b == 6 && a > 0 => Ok(by_rows),
        Head::Yolov5 => classes(output, b.checked_sub(5), settings).map(|()| by_rows),
        // Exports for TensorFlow and those of RT-DETR have one box a row.
        Head::Yolov8 if settings.labels > 0 && b == settings.labels + 4 && a != b => {
            classes(output, b.checked_sub(4), settings).map(|()| by_rows)
        }
        Head::Yolov8 => classes(output, a.checked_sub(4), settings).map(|()| by_planes),
        _ => Err(other_shape(output, settings)),
    }
}

/// Boxes and scores of the head `ssd` in the order of the outputs: whether the boxes come second, and how many scores a box has.
pub(super) fn pair(
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

fn classes(output: &TensorSpec, found: Option<usize>, settings: &HeadSettings<'_>) -> Result<(), TaskError> {
    match found {
        Some(classes @ 1..) if output.shape.iter().all(|d| *d > 0) => match settings.labels {
            0 => Ok(()),
            labels if labels == classes => Ok(()),
            labels => {
                let (shape, head) = (&output.shape, settings.head.word());
                let reason =
                    format!("shape {shape:?} has {classes} classes for the head {head}, the model has {labels} labels");
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
    wrong(output, format!("shape {shape:?} where the head {word} needs {form}{classes}"))
}

fn wrong(output: &TensorSpec, reason: String) -> TaskError {
    TaskError { tensor: output.name.clone(), reason }
}
