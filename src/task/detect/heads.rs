//! From the outputs of a detection network to candidates in model pixels: a table of heads, each with a small decoder.

mod anchored;
mod cells;
mod faces;
pub(super) mod item;
mod lines;
mod pairs;
mod rows;
mod selected;

use item::{Found, Item, Scratch, score_slack};

use super::nms::Candidate;
use super::settings::HeadSettings;
use super::shapes;
use crate::frame::{Elements, Head, TensorSpec, TensorView};
use crate::task::contract::{TaskError, TaskInput};
use crate::task::output::{real_items, wrong};

/// Reads the candidates of one item, whose outputs have the shapes of the head.
type Decode = fn(&HeadSettings<'_>, &Item<'_>, &mut Scratch, Found<'_>) -> Result<(), TaskError>;

/// The decoder of each head.
fn decoder(head: Head) -> Decode {
    match head {
        Head::FastestDet => cells::fastestdet,
        Head::Yolov5 => rows::yolov5,
        Head::Yolov8 => rows::yolov8,
        Head::End2end => rows::end2end,
        Head::Yolox => cells::yolox,
        Head::NanoDet => cells::nanodet,
        Head::PicoDet => cells::picodet,
        Head::Ssd => anchored::ssd,
        Head::MediaPipe => anchored::mediapipe,
        Head::YoloNas => pairs::yolonas,
        Head::Yolov4 => pairs::yolov4,
        Head::Detr => pairs::detr,
        Head::UltraFace => pairs::ultraface,
        Head::YuNet => faces::yunet,
        Head::Scrfd => faces::scrfd,
        Head::RetinaFace => faces::retinaface,
        Head::DbNet => lines::dbnet,
        Head::Landmarks => rows::landmarks,
        Head::TensorFlow => selected::tensorflow,
        Head::Selected => selected::selected,
        Head::Yolov7 => selected::yolov7,
        Head::Paddle => selected::paddle,
        Head::MmDet => selected::mmdet,
        Head::MoveNet => rows::movenet,
    }
}

/// Reads one head; owns the buffers.
#[derive(Default)]
pub(super) struct Reader {
    buffers: Vec<Vec<f32>>,
    scratch: Scratch,
}

impl Reader {
    /// Calls `found(item, candidate, extra)` for every candidate of this frame's `count` items whose score counts. Boxes are
    /// `[x1, y1, x2, y2]` in model pixels, not clamped; what is not finite is left out.
    ///
    /// # Errors
    /// Shapes that are not the head's, or a score or class number shows that the values are not.
    pub fn read(
        &mut self,
        settings: &HeadSettings<'_>,
        input: &TaskInput<'_>,
        count: usize,
        mut found: impl FnMut(usize, Candidate, &[f32]),
    ) -> Result<(), TaskError> {
        let specs: Vec<&TensorSpec> = input.outputs.iter().map(|output| output.spec).collect();
        shapes::fits(settings, &specs)?;
        let decode = decoder(settings.head);
        let mut parts = Vec::with_capacity(input.outputs.len());
        self.buffers.resize_with(input.outputs.len(), Vec::new);
        for (output, buffer) in input.outputs.iter().zip(&mut self.buffers) {
            parts.push(part(settings.head, output, input, count, buffer)?);
        }
        let mut highest = 0.0_f32;
        for index in 0..count {
            let values: Vec<&[f32]> = parts
                .iter()
                .map(|(values, each)| values.get(index * each..(index + 1) * each).unwrap_or(values))
                .collect();
            let item = Item { specs: &specs, values: &values, index: input.first_item + index };
            let mut checked = |candidate: Candidate, extra: &[f32]| {
                let [x1, y1, x2, y2] = candidate.bbox;
                let finite = candidate.bbox.iter().all(|v| v.is_finite()) && candidate.score.is_finite();
                if finite && candidate.score >= settings.min_score && x1 < x2 && y1 < y2 {
                    highest = highest.max(candidate.score);
                    found(index, Candidate { score: candidate.score.min(1.0), ..candidate }, extra);
                }
            };
            decode(settings, &item, &mut self.scratch, &mut checked)?;
        }
        match input.outputs.first() {
            Some(output) if highest > 1.0 + score_slack(output.spec) => {
                let head = settings.head.word();
                Err(wrong(output, format!("a score is {highest}, the head {head} has scores from 0 to 1")))
            }
            _ => Ok(()),
        }
    }
}

/// This frame's part of an output, and how many values of it an item has; the whole of one whose rows are of all items.
fn part<'a>(
    head: Head,
    output: &TensorView<'a>,
    input: &TaskInput<'_>,
    count: usize,
    buffer: &'a mut Vec<f32>,
) -> Result<(&'a [f32], usize), TaskError> {
    let batchless = match head {
        Head::Yolov7 | Head::Paddle => true,
        Head::Selected => shapes::is_batchless(input.outputs.iter().map(|output| output.spec)),
        Head::Scrfd => output.spec.shape.len() < 3,
        _ => false,
    };
    if !batchless {
        return real_items(output, input, count, buffer);
    }
    let values = match output.data {
        Elements::F32(values) => values,
        _ => {
            output.dequantize_into(buffer);
            buffer
        }
    };
    // The rows of others name their item.
    let named = matches!(head, Head::Yolov7 | Head::Paddle);
    if named || (input.first_item, count) == (0, 1) {
        return Ok((values, values.len()));
    }
    Err(wrong(output, format!("shape {:?} holds the objects of one picture, not of several", output.spec.shape)))
}
