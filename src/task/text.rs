//! Lines of text, read character by character.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::output::{Scores, get, items, wrong};
use crate::frame::status::Subject;
use crate::frame::{Label, Outcome, TaskSpec, TensorSpec, TextRead};

/// A line counts from this score when the configuration does not say.
const MIN_SCORE: f32 = 0.85;
/// A character counts from this share of the line's least score: a sure line has no guess in it.
const CHARACTER: f32 = 0.7;
/// Class of PaddleOCR's recognisers behind the characters of the dictionary.
const SPACE: &str = " ";

/// A line of text for the picture, or one for each region.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Least score of a line that counts, the mean of its characters', 0 to 1; each character needs 0.7 of it. Unset = as the
    /// model bundle says, else 0.85.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Applies softmax to the model's output; unset = unless the output is a distribution already.
    pub softmax: Option<bool>,
}

impl TaskConfig for TextConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        if spec.labels.is_empty() {
            let reason = "a model that reads text needs its characters, one label each".into();
            return Err(SetupError { key: "labels", reason });
        }
        Ok(Box::new(Text {
            characters: spec.labels.clone(),
            none: spec.none,
            items: spec.items.max(1),
            min_score: self.min_score.unwrap_or(MIN_SCORE),
            scores: Scores::new(self.softmax),
            values: Vec::new(),
        }))
    }

    fn over(self, below: Self) -> Self {
        TextConfig { min_score: self.min_score.or(below.min_score), softmax: self.softmax.or(below.softmax) }
    }

    fn least_score(&self) -> Option<f32> {
        Some(self.min_score.unwrap_or(MIN_SCORE))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Text
    }
}

/// Output 0, `[N, steps, classes]` or for one item `[steps, 1, classes]`: for each step from left to right the score of every
/// character and of the blank between them (A. Graves et al., "Connectionist Temporal Classification", 2006). The likeliest class of
/// each step is taken, repetitions and blanks are left out; a line's score is the mean of what is left, as in PaddleOCR.
///
/// The blank is the class `none`, else the first one, before the characters; a class behind them is a space.
struct Text {
    characters: Vec<Label>,
    none: Option<usize>,
    items: usize,
    min_score: f32,
    scores: Scores,
    values: Vec<f32>,
}

/// Place of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Classes {
    count: usize,
    blank: usize,
    /// Class of the first character.
    first: usize,
}

/// The line that some steps say.
#[derive(Debug, Default, PartialEq)]
struct Line {
    text: String,
    /// Mean and least score of the characters; 0 without any.
    mean: f32,
    least: f32,
}

impl Text {
    /// # Errors
    /// The output has another form, or another number of classes.
    fn classes(&self, output: &TensorSpec) -> Result<Classes, TaskError> {
        let known = self.characters.len();
        let &[a, b, count] = &output.shape[..] else { return Err(self.unfit(output)) };
        if a == 0 || b == 0 {
            return Err(self.unfit(output));
        }
        match self.none {
            Some(blank) if count == known => Ok(Classes { count, blank, first: 0 }),
            None if count == known + 1 || count == known + 2 => Ok(Classes { count, blank: 0, first: 1 }),
            _ => Err(self.unfit(output)),
        }
    }

    fn unfit(&self, output: &TensorSpec) -> TaskError {
        let known = self.characters.len();
        let wanted = match self.none {
            Some(_) => format!("{known} classes, one for each label"),
            None => format!(
                "{} classes, a blank before the {known} labels, or {}, a space behind them",
                known + 1,
                known + 2
            ),
        };
        TaskError {
            tensor: output.name.clone(),
            reason: format!("shape {:?} where text needs [N, steps, classes] with {wanted}", output.shape),
        }
    }

    fn character(&self, classes: Classes, class: usize) -> &str {
        self.characters.get(class - classes.first).map_or(SPACE, |character| character)
    }

    /// The line of these steps, each with one score for every class.
    fn line(&self, classes: Classes, steps: &[f32]) -> Line {
        let mut line = Line { least: 1.0, ..Line::default() };
        let (mut before, mut sum, mut count) = (classes.blank, 0.0, 0);
        for step in steps.chunks_exact(classes.count) {
            let best = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
            let Some((class, score)) = step.iter().copied().enumerate().reduce(best) else { continue };
            if class != classes.blank && class != before {
                line.text.push_str(self.character(classes, class));
                line.least = line.least.min(score);
                sum += score;
                count += 1;
            }
            before = class;
        }
        if count == 0 {
            return Line::default();
        }
        Line { mean: (sum / count as f32).min(1.0), least: line.least.min(1.0), ..line }
    }

    /// The line as it is told: without its text where that is a guess, or nothing.
    fn told(&self, line: Line) -> TextRead {
        let sure = line.mean >= self.min_score && line.least >= self.min_score * CHARACTER;
        let text = line.text.trim();
        TextRead { text: (sure && !text.is_empty()).then(|| text.to_owned()), score: line.mean }
    }
}

impl Task for Text {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let output = get(input.outputs, 0)?;
        let classes = self.classes(output.spec)?;
        let mut buffer = std::mem::take(&mut self.values);
        let by_steps = is_by_steps(output.spec, input);
        let (values, each) = if by_steps {
            output.dequantize_into(&mut buffer);
            let all = buffer.len();
            (&mut buffer[..], all)
        } else {
            items(output, input, self.items, &mut buffer)?
        };
        if values.iter().any(|v| !v.is_finite()) {
            return Err(wrong(output, "it holds values that are not finite".into()));
        }
        self.scores.apply(output, values, classes.count);
        let read = |(index, steps): (usize, &[f32])| match input.unreadable.get(index).copied().flatten() {
            Some(_) => TextRead { text: None, score: 0.0 },
            None => self.told(self.line(classes, steps)),
        };
        let regions: Vec<TextRead> = values.chunks_exact(each).enumerate().map(|(i, v)| read((i, v))).collect();
        self.values = buffer;
        let text: Option<Vec<&str>> = regions.iter().map(|read| read.text.as_deref()).collect();
        let outcome = Outcome::Text {
            text: text.map(|parts| parts.join(SPACE)),
            score: regions.iter().map(|read| read.score).reduce(f32::min).unwrap_or(0.0),
            regions: if regions.len() > 1 { regions } else { Vec::new() },
        };
        Ok(outcome.into())
    }

    fn fits(&self, outputs: &[TensorSpec]) -> Result<(), TaskError> {
        match outputs.first() {
            Some(output) => self.classes(output).map(drop),
            None => Err(TaskError { tensor: "output 0".into(), reason: "the model has no outputs".into() }),
        }
    }
}

/// True for `[steps, 1, classes]`, where the model's input is one item.
fn is_by_steps(output: &TensorSpec, input: &TaskInput<'_>) -> bool {
    let batch = input.inputs.first().and_then(|input| input.spec.shape.first().copied());
    matches!(output.shape[..], [steps, 1, _] if steps > 1 && batch == Some(1))
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
