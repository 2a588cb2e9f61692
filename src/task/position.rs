//! Positions of drums and pointers: how far each has turned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::output::{Scores, items, wrong};
use crate::frame::status::Subject;
use crate::frame::{Label, Outcome, PositionRead, TaskSpec, TensorSpec, TensorView, Unreadable};

/// A position counts from this score when the configuration does not say.
const MIN_SCORE: f32 = 0.6;

/// Places of a turn that count as one digit each.
const DIGITS: usize = 10;

/// The position of a drum or pointer, or one for each region.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PositionConfig {
    /// Least score of a position that counts, 0 to 1; unset = as the model bundle says, else 0.6.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Applies softmax to the model's output; unset = unless the output is a distribution already.
    pub softmax: Option<bool>,
}

impl PositionConfig {
    /// Positions of any score: what they are worth is decided by who reads them.
    pub fn of_any_score() -> PositionConfig {
        PositionConfig { min_score: Some(0.0), softmax: None }
    }
}

impl TaskConfig for PositionConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        let classes = match &spec.position {
            Some(_) => Classes::Turn,
            None => Classes::labelled(&spec.labels, spec.none)?,
        };
        Ok(Box::new(Positions {
            output: spec.position.clone(),
            classes,
            items: spec.items.max(1),
            min_score: self.min_score.unwrap_or(MIN_SCORE),
            scores: Scores::new(self.softmax),
            values: Vec::new(),
        }))
    }

    fn over(self, below: Self) -> Self {
        PositionConfig { min_score: self.min_score.or(below.min_score), softmax: self.softmax.or(below.softmax) }
    }

    fn least_score(&self) -> Option<f32> {
        Some(self.min_score.unwrap_or(MIN_SCORE))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Positions
    }
}

/// Meaning of a row's classes.
enum Classes {
    /// Positions at even distances from 0 on, and behind them "none".
    Turn,
    /// Class of each of the evenly spaced positions, in their order, and that of "none".
    Labelled { classes: Vec<usize>, none: Option<usize>, count: usize },
}

impl Classes {
    /// Labels that are numbers from 0 up to 10, such as `0` to `9` or `0.0` to `9.9`.
    ///
    /// # Errors
    /// They are not, or not evenly spaced.
    fn labelled(labels: &[Label], none: Option<usize>) -> Result<Classes, SetupError> {
        let unfit = |reason: String| SetupError { key: "labels", reason };
        let mut numbered: Vec<(f32, usize)> = labels
            .iter()
            .enumerate()
            .filter_map(|(class, label)| Some((label.parse::<f32>().ok().filter(|v| v.is_finite())?, class)))
            .collect();
        numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = numbered.len();
        let even = numbered
            .iter()
            .enumerate()
            .all(|(k, (value, _))| (value - (k * DIGITS) as f32 / count as f32).abs() < 1e-3);
        if count < DIGITS || !even {
            let reason = "a model that reads positions has an output for them (output.position in its model.toml), or labels \
                          that are numbers at even distances from 0 up to 10";
            return Err(unfit(reason.into()));
        }
        let classes = numbered.into_iter().map(|(_, class)| class).collect();
        Ok(Classes::Labelled { classes, none, count: labels.len() })
    }
}

/// Output `[N, K + 1]`: for each item the score of K positions at even distances around the turn and of "none", or the scores of
/// labels that are numbers.
///
/// "None" is the answer where it is the likeliest class. Else, with one position a digit, the position is the mean of the likeliest
/// pair of neighbours; with more, the mean of those within one digit of the likeliest. Its score is what these have together: a pointer
/// that may be seen either way round has two peaks, and a low score.
struct Positions {
    output: Option<String>,
    classes: Classes,
    items: usize,
    min_score: f32,
    scores: Scores,
    values: Vec<f32>,
}

/// Index of the output that gives the positions.
fn index_of<'a>(name: Option<&str>, mut names: impl Iterator<Item = &'a str>) -> Result<usize, TaskError> {
    let Some(name) = name else { return Ok(0) };
    names.position(|found| found == name).ok_or_else(|| TaskError {
        tensor: name.into(),
        reason: "the model has no output of this name, which output.position of its model.toml gives".into(),
    })
}

impl Positions {
    fn check(&self, output: &TensorSpec) -> Result<(), TaskError> {
        let width = output.shape.last().copied().unwrap_or(0);
        let fits = match &self.classes {
            Classes::Turn => width > DIGITS && (width - 1) % DIGITS == 0,
            Classes::Labelled { count, .. } => width == *count,
        };
        if fits && output.shape.len() == 2 {
            return Ok(());
        }
        let wanted = match &self.classes {
            Classes::Turn => "[N, K + 1], K positions around the turn, a multiple of ten, and none".into(),
            Classes::Labelled { count, .. } => format!("[N, {count}], one score for each label"),
        };
        Err(TaskError {
            tensor: output.name.clone(),
            reason: format!("shape {:?} where positions need {wanted}", output.shape),
        })
    }

    /// The position that a row of scores says, and its score; no position where "none" is likeliest.
    fn read(&self, row: &[f32]) -> (Option<f32>, f32) {
        match &self.classes {
            Classes::Turn => {
                let (none, turn) = row.split_last().unwrap_or((&0.0, &[]));
                position(turn.len(), |k| turn.get(k).copied().unwrap_or(0.0), *none)
            }
            Classes::Labelled { classes, none, .. } => {
                let at = |class: usize| row.get(class).copied().unwrap_or(0.0);
                let score = |k: usize| classes.get(k).copied().map_or(0.0, at);
                position(classes.len(), score, none.map_or(0.0, at))
            }
        }
    }
}

/// The position that `count` evenly spaced scores say, and the part of them that says it; none where `none` is above each.
fn position(count: usize, score: impl Fn(usize) -> f32, none: f32) -> (Option<f32>, f32) {
    let best = |of: &mut dyn Iterator<Item = (usize, f32)>| of.reduce(|a, b| if b.1 > a.1 { b } else { a });
    let single = best(&mut (0..count).map(|k| (k, score(k))));
    let Some((peak, highest)) = single else { return (None, 0.0) };
    if none >= highest && none > 0.0 {
        return (None, none);
    }
    let step = DIGITS as f32 / count as f32;
    let (from, width) = if count == DIGITS {
        let pair = best(&mut (0..count).map(|k| (k, score(k) + score((k + 1) % count))));
        (pair.map_or(peak, |(k, _)| k), 2)
    } else {
        let side = count / DIGITS;
        (peak + count - side, 2 * side + 1)
    };
    let (sum, moment) = (0..width).fold((0.0, 0.0), |(sum, moment), offset| {
        let part = score((from + offset) % count);
        (sum + part, moment + part * offset as f32)
    });
    if sum <= 0.0 {
        return (None, 0.0);
    }
    let position = ((from as f32 + moment / sum) * step).rem_euclid(DIGITS as f32);
    // Rounding may give the end of the turn, which is its begin.
    (Some(if position >= DIGITS as f32 { 0.0 } else { position }), sum.min(1.0))
}

impl Task for Positions {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let index = index_of(self.output.as_deref(), input.outputs.iter().map(|o| o.spec.name.as_str()))?;
        let output: &TensorView<'_> = super::output::get(input.outputs, index)?;
        self.check(output.spec)?;
        let mut buffer = std::mem::take(&mut self.values);
        let (values, each) = items(output, input, self.items, &mut buffer)?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(wrong(output, "it holds values that are not finite".into()));
        }
        self.scores.apply(output, values, each);
        let read = |(index, row): (usize, &[f32])| {
            let nothing = |reason| PositionRead { position: None, score: 0.0, unreadable: Some(reason) };
            match (input.unreadable.get(index).copied().flatten(), self.read(row)) {
                (Some(reason), _) => nothing(reason),
                (None, (None, _)) => nothing(Unreadable::NoDigit),
                (None, (position, score)) => {
                    PositionRead { position: position.filter(|_| score >= self.min_score), score, unreadable: None }
                }
            }
        };
        let positions = values.chunks_exact(each).enumerate().map(read).collect();
        self.values = buffer;
        Ok(Outcome::Position { positions }.into())
    }

    fn fits(&self, outputs: &[TensorSpec]) -> Result<(), TaskError> {
        let index = index_of(self.output.as_deref(), outputs.iter().map(|o| o.name.as_str()))?;
        match outputs.get(index) {
            Some(output) => self.check(output),
            None => Err(TaskError { tensor: "output 0".into(), reason: "the model has no outputs".into() }),
        }
    }
}

#[cfg(test)]
#[path = "position_tests.rs"]
mod tests;
