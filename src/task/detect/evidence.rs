//! Evidence in the values of a detection network's outputs for or against the head that reads them.
//!
//! A shape fits several heads; the values seldom do. Scores lie between 0 and 1, sizes are not below 0, coordinates are
//! pixels or shares: an output that contradicts this is read by the wrong head, or was exported before its last layers.

use super::heads::item::{IN_PIXELS, MAX_SHARE, MIN_PIXELS, NORMALISED, score_slack};
use super::settings::HeadSettings;
use super::shapes::{self, Table};
use crate::frame::{Boxes, Head, TaskKind, TensorSpec, TensorView};
use crate::task::contract::{TaskError, TaskInput};
use crate::task::output::{get, real_items, wrong};

/// An output that is quantised in larger steps cannot tell scores apart.
const MAX_SCORE_STEP: f32 = 0.1;
/// Boxes of an untrained place may stick out of the picture, but not most of them by more than its size.
const MAX_OUTSIDE: f32 = 0.5;

/// Contents of the rows of a table, over all items of a frame.
struct Rows {
    table: Table,
    values: Vec<f32>,
    each: usize,
}

impl Rows {
    fn of(settings: &HeadSettings<'_>, input: &TaskInput<'_>, count: usize) -> Result<Rows, TaskError> {
        let output = get(input.outputs, 0)?;
        let specs: Vec<&TensorSpec> = input.outputs.iter().map(|output| output.spec).collect();
        let table = shapes::table(settings, &specs)?;
        let mut buffer = Vec::new();
        let (values, each) = real_items(output, input, count, &mut buffer)?;
        Ok(Rows { table, values: values.to_vec(), each })
    }

    /// The finite values of some columns.
    fn columns(&self, columns: std::ops::Range<usize>) -> impl Iterator<Item = f32> + '_ {
        self.rows().flat_map(move |at| columns.clone().map(at)).filter(|v| v.is_finite())
    }

    /// One accessor by column for each row.
    fn rows(&self) -> impl Iterator<Item = impl Fn(usize) -> f32 + '_> + '_ {
        let table = self.table;
        self.values
            .chunks_exact(self.each.max(1))
            .flat_map(move |item| (0..table.rows).map(move |row| move |column| item[table.at(row, column)]))
    }

    /// The best score of each row.
    fn best(&self, head: Head) -> Vec<f32> {
        let columns = self.table.columns - self.table.extras;
        let best = |at: &dyn Fn(usize) -> f32, from| (from..columns).map(at).fold(f32::NEG_INFINITY, f32::max);
        let score = |at: &dyn Fn(usize) -> f32| match head {
            Head::End2end => at(4),
            Head::Yolov5 => at(4) * best(at, 5),
            _ => best(at, 4),
        };
        self.rows().map(|at| score(&at)).filter(|v| v.is_finite()).collect()
    }
}

/// Checks the values of the heads `yolov5` and `yolov8`, which tell of every place of the picture in every frame; those of
/// `end2end` are checked row by row when they are read. Gives whether there was anything to judge by.
///
/// # Errors
/// Contradictions to the head, with the values.
pub(super) fn check(settings: &HeadSettings<'_>, input: &TaskInput<'_>, count: usize) -> Result<bool, TaskError> {
    let scores_from = match settings.head {
        Head::Yolov5 | Head::Yolov8 => 4,
        _ => return Ok(true),
    };
    let output = get(input.outputs, 0)?;
    let head = settings.head.word();
    let rows = Rows::of(settings, input, count)?;
    let Some((low, high)) = range(rows.columns(scores_from..rows.table.columns - rows.table.extras)) else {
        return Err(wrong(output, "no score is a finite number".into()));
    };
    let slack = score_slack(output.spec);
    if low < -slack || high > 1.0 + slack {
        let reason = format!(
            "scores from {low:.2} to {high:.2}, the head {head} has 0 to 1: another head, or an export without its last layers"
        );
        return Err(wrong(output, reason));
    }
    let all = rows.values.len() / rows.table.columns.max(1);
    let negative = rows.rows().filter(|at| at(2) < 0.0 || at(3) < 0.0).count();
    // Rounding makes a few.
    if negative * 4 > all {
        let reason = format!(
            "{negative} of {all} boxes have a width or height below 0, the head {head} has centre and size in columns 0 to 3: \
             another head, or an export whose boxes are not decoded (YOLOX without decode_in_inference, whose head is yolox)"
        );
        return Err(wrong(output, reason));
    }
    let Some((low, high)) = range(rows.columns(0..4)) else { return Ok(false) };
    let largest = high.max(-low);
    if largest == 0.0 {
        return Ok(false);
    }
    match settings.boxes {
        Boxes::Pixels if largest <= MIN_PIXELS => {
            Err(wrong(output, format!("no coordinate of {all} boxes is above {largest:.2}: they are {NORMALISED}")))
        }
        Boxes::Normalised if largest > MAX_SHARE => {
            Err(wrong(output, format!("a coordinate of its boxes is {largest:.0}: they are {IN_PIXELS}")))
        }
        _ => Ok(true),
    }
}

/// Doubts that the outputs for a picture like any other are what the head reads; none as a rule.
///
/// # Errors
/// As [`check`].
pub(super) fn doubts(
    settings: &HeadSettings<'_>,
    input: &TaskInput<'_>,
    count: usize,
) -> Result<Vec<String>, TaskError> {
    check(settings, input, count)?;
    let output = get(input.outputs, 0)?;
    if let Some(infinite) = input.outputs.iter().find(|o| not_finite(o)) {
        return Err(wrong(infinite, "it holds values that are not finite".into()));
    }
    if settings.head == Head::End2end {
        whole_classes(settings, input, count)?;
    }
    let mut doubts = Vec::new();
    if !matches!(settings.head, Head::Yolov5 | Head::Yolov8 | Head::End2end) {
        return Ok(doubts);
    }
    if let Some(quant) = output.spec.quant.filter(|quant| quant.scale > MAX_SCORE_STEP) {
        doubts.push(format!(
            "output {:?} is quantised in steps of {:.2}, so that scores between 0 and 1 are lost: boxes and scores need outputs \
             of their own, or floats",
            output.spec.name, quant.scale
        ));
    }
    let rows = Rows::of(settings, input, count)?;
    let best = rows.best(settings.head);
    if let Some((low, high)) = range(best.iter().copied())
        && best.len() > 1
        && high - low < 1e-6
        // Without an object, every row of an end-to-end head has the score 0.
        && (settings.head != Head::End2end || high > 0.0)
    {
        doubts.push(format!("each of its {} boxes has the same score, {high:.3}", best.len()));
    }
    let [height, width] = settings.input_size.map(|v| v as f32);
    let [sx, sy] = settings.scale();
    let used = |at: &dyn Fn(usize) -> f32| settings.head != Head::End2end || at(4) >= settings.min_score;
    let outside = |at: &dyn Fn(usize) -> f32| {
        let [x, y] = match settings.head {
            Head::End2end if settings.kind != TaskKind::Obb => [(at(0) + at(2)) / 2.0, (at(1) + at(3)) / 2.0],
            _ => [at(0), at(1)],
        };
        let far = |v: f32, size: f32| v < -MAX_OUTSIDE * size || v > (1.0 + MAX_OUTSIDE) * size;
        far(x * sx, width) || far(y * sy, height)
    };
    let all = rows.rows().filter(|at| used(&at)).count();
    let far = rows.rows().filter(|at| used(&at) && outside(&at)).count();
    if far * 10 > all {
        doubts.push(format!("{far} of its {all} boxes lie outside of the picture of {width}x{height}"));
    }
    Ok(doubts)
}

/// Checks every row of an end-to-end head, also those whose score is too low to be read.
fn whole_classes(settings: &HeadSettings<'_>, input: &TaskInput<'_>, count: usize) -> Result<(), TaskError> {
    let output = get(input.outputs, 0)?;
    let slack = score_slack(output.spec);
    let rows = Rows::of(settings, input, count)?;
    for (index, at) in rows.rows().enumerate() {
        let (score, class) = (at(4), at(5));
        // Some exports pad with -1.
        let is_score = (-slack..=1.0 + slack).contains(&score) || score == -1.0;
        if !is_score || (class - class.round()).abs() > slack.min(0.4) {
            let reason = format!(
                "row {index} has the score {score} and the class {class}, the head end2end has scores from 0 to 1 in column 4 and whole \
                 numbers in column 5"
            );
            return Err(wrong(output, reason));
        }
    }
    Ok(())
}

fn not_finite(output: &TensorView<'_>) -> bool {
    let mut values = Vec::new();
    output.dequantize_into(&mut values);
    values.iter().any(|v| !v.is_finite())
}

/// Least and greatest of finite values; `None` where there is none.
fn range(values: impl Iterator<Item = f32>) -> Option<(f32, f32)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| {
        let (low, high) = range.unwrap_or((v, v));
        Some((low.min(v), high.max(v)))
    })
}
