//! A class for each place of a picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::labels;
use super::output::{Filter, get, label, real_items, wrong};
use crate::frame::diagnostic::{Diagnostic, unique};
use crate::frame::status::Subject;
use crate::frame::{ClassMap, DType, Geometry, Label, Outcome, Share, TaskSpec, TensorSpec, TensorView};

/// A class with a smaller share is not listed when the configuration does not say.
const MIN_SHARE: f32 = 0.001;
/// Cells of a side of the published map at most: a message is not to be larger than a picture.
const MOST_CELLS: usize = 128;
/// More classes than networks have; an axis that is longer holds places.
const MOST_CLASSES: usize = 1024;

/// A class for each place of the picture.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SemanticConfig {
    /// Labels whose shares are listed; empty = all.
    pub labels: Vec<String>,
    /// Least share of the picture of a class that is listed, 0 to 1; unset = 0.001.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_share: Option<f32>,
}

impl TaskConfig for SemanticConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        if spec.items > 1 {
            let reason = "a class for each place is of one region, or of the whole picture".into();
            return Err(SetupError { key: "type", reason });
        }
        Ok(Box::new(Semantic {
            filter: Filter::new(&self.labels, &spec.labels)?,
            labels: spec.labels.clone(),
            min_share: self.min_share.unwrap_or(MIN_SHARE),
            input_size: spec.input_size,
            items: spec.items,
            values: Vec::new(),
        }))
    }

    fn subject(&self, spec: &TaskSpec) -> Subject {
        let (labels, chosen) = labels::counting(&self.labels, spec);
        Subject::Areas { labels, chosen }
    }

    fn over(self, below: Self) -> Self {
        SemanticConfig {
            labels: labels::either(self.labels, below.labels),
            min_share: self.min_share.or(below.min_share),
        }
    }

    fn check(&self, _regions: usize) -> Vec<Diagnostic> {
        unique(&self.labels, "labels")
    }

    fn check_labels(&self, known: &[Label]) -> Vec<Diagnostic> {
        labels::check(&self.labels, known)
    }
}

struct Semantic {
    filter: Filter,
    labels: Vec<Label>,
    min_share: f32,
    input_size: [usize; 2],
    items: usize,
    values: Vec<f32>,
}

/// An output with a class or the scores of all classes for each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    rows: usize,
    columns: usize,
    /// Classes, of which each place has a score; 0 = the place has the class number itself, 1 = the score of the second of two.
    classes: usize,
    /// Distance in the values from one class to the next, and from one place to the next.
    strides: [usize; 2],
}

impl Grid {
    /// `[N, classes, H, W]`, `[N, H, W, classes]`, `[N, H, W]`, `[N, 1, H, W]` or `[N, H, W, 1]`; the last two with floats hold the score of
    /// the second of two classes.
    fn of(output: &TensorSpec, labels: usize) -> Result<Grid, TaskError> {
        let whole = output.dtype != DType::F32 && output.quant.is_none();
        let planes = |classes: usize, rows, columns| Grid { rows, columns, classes, strides: [rows * columns, 1] };
        let last = |rows, columns, classes: usize| Grid { rows, columns, classes, strides: [1, classes] };
        let numbers = |rows, columns| Grid { rows, columns, classes: 0, strides: [0, 1] };
        let grid = match output.shape[..] {
            [_, h, w] | [_, 1, h, w] | [_, h, w, 1] if whole => Some(numbers(h, w)),
            [_, 1, h, w] | [_, h, w, 1] if labels == 0 || labels == 2 => Some(planes(1, h, w)),
            [_, c, h, w] if labels > 1 && c == labels => Some(planes(c, h, w)),
            [_, h, w, c] if labels > 1 && c == labels => Some(last(h, w, c)),
            // Without labels the classes are the axis that is not a side.
            [_, c, h, w] if labels == 0 && (2..=MOST_CLASSES).contains(&c) && c < w.min(h) => Some(planes(c, h, w)),
            [_, h, w, c] if labels == 0 && (2..=MOST_CLASSES).contains(&c) && c < w.min(h) => Some(last(h, w, c)),
            _ => None,
        };
        grid.filter(|grid| grid.rows > 0 && grid.columns > 0).ok_or_else(|| {
            let classes = if labels > 0 { format!("{labels} classes, one for each label") } else { "classes".into() };
            TaskError {
                tensor: output.name.clone(),
                reason: format!(
                    "shape {:?} where a class for each place needs [N, classes, H, W] or [N, H, W, classes] with {classes}, or \
                     whole numbers [N, H, W]",
                    output.shape
                ),
            }
        })
    }

    /// The score from which the only scores mean the second class: in the middle of 0 to 1, or 0 of logits.
    fn least(&self, values: &[f32]) -> f32 {
        let logits = values.iter().any(|v| v.is_finite() && !(-0.01..=1.01).contains(v));
        if self.classes == 1 && logits { 0.0 } else { 0.5 }
    }

    /// The class of a place; `None` where no score is a finite number.
    fn class(&self, values: &[f32], place: usize, least: f32) -> Option<usize> {
        if self.classes == 1 {
            return Some(values[place]).filter(|score| score.is_finite()).map(|score| usize::from(score > least));
        }
        if self.classes == 0 {
            return Some(values[place]).filter(|number| *number >= 0.0).map(|number| number as usize);
        }
        let [class_stride, place_stride] = self.strides;
        let score = |class: usize| values[class * class_stride + place * place_stride];
        let finite = (0..self.classes).map(|class| (class, score(class))).filter(|(_, score)| score.is_finite());
        finite.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(class, _)| class)
    }
}

impl Semantic {
    /// The map of the places that are of the picture, and the number of places of each class.
    ///
    /// # Errors
    /// The row and column of a place without a class.
    fn map(&self, grid: &Grid, values: &[f32], geometry: &Geometry) -> Result<(ClassMap, Vec<usize>), [usize; 2]> {
        let [height, width] = self.input_size.map(|side| side as f32);
        let size = [width / grid.columns as f32, height / grid.rows as f32];
        // Places whose middle is in what pads the picture are not of it.
        let of_picture = |axis: usize, count: usize| {
            let at = |place: f32| (place * size[axis]) * geometry.scale[axis] + geometry.offset[axis];
            let inside: Vec<usize> =
                (0..count).filter(|i| (0.0..geometry.source[axis] as f32).contains(&at(*i as f32 + 0.5))).collect();
            let (first, end) = (inside.first().copied().unwrap_or(0), inside.last().map_or(0, |last| last + 1));
            (first, end, at(first as f32), at(end as f32))
        };
        let (left, right, x1, x2) = of_picture(0, grid.columns);
        let (top, bottom, y1, y2) = of_picture(1, grid.rows);
        let mut counts = Vec::new();
        let least = grid.least(values);
        let (columns, rows) = (right - left, bottom - top);
        // Every place counts; of the map only some where it is large.
        let step = columns.max(rows).div_ceil(MOST_CELLS).max(1);
        let mut runs: Vec<[usize; 2]> = Vec::new();
        for row in top..bottom {
            for column in left..right {
                let class = grid.class(values, row * grid.columns + column, least).ok_or([row, column])?;
                if class >= counts.len() {
                    counts.resize(class.min(MOST_CLASSES) + 1, 0);
                }
                counts[class.min(MOST_CLASSES)] += 1;
                let is_shown = |at: usize, first: usize| (at - first) % step == step / 2;
                if !is_shown(row, top) || !is_shown(column, left) {
                    continue;
                }
                match runs.last_mut() {
                    Some([known, cells]) if *known == class => *cells += 1,
                    _ => runs.push([class, 1]),
                }
            }
        }
        let shown = |count: usize| (0..count).filter(|at| at % step == step / 2).count();
        let bbox = geometry.clamped([x1, y1, x2, y2]);
        Ok((ClassMap { width: shown(columns), height: shown(rows), bbox, runs }, counts))
    }
}

impl Task for Semantic {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let output = get(input.outputs, 0)?;
        let grid = Grid::of(output.spec, self.labels.len())?;
        let [height, width] = self.input_size;
        let whole = Geometry { scale: [1.0; 2], offset: [0.0; 2], source: [width as u32, height as u32] };
        let geometry = input.geometry.first().unwrap_or(&whole);
        let mut buffer = std::mem::take(&mut self.values);
        let made = self.outcome(&grid, output, input, geometry, &mut buffer);
        self.values = buffer;
        Ok(made?.into())
    }

    fn fits(&self, outputs: &[TensorSpec]) -> Result<(), TaskError> {
        match outputs.first() {
            Some(output) if self.items <= 1 => Grid::of(output, self.labels.len()).map(drop),
            Some(output) => Err(TaskError {
                tensor: output.name.clone(),
                reason: format!("{} regions, of which a class for each place has one", self.items),
            }),
            None => Err(TaskError { tensor: "output 0".into(), reason: "the model has no outputs".into() }),
        }
    }
}

impl Semantic {
    fn outcome(
        &self,
        grid: &Grid,
        output: &TensorView<'_>,
        input: &TaskInput<'_>,
        geometry: &Geometry,
        buffer: &mut Vec<f32>,
    ) -> Result<Outcome, TaskError> {
        let (values, _) = real_items(output, input, 1, buffer)?;
        let (map, counts) = self.map(grid, values, geometry).map_err(|[row, column]| {
            wrong(output, format!("the place in row {row} and column {column} has no class"))
        })?;
        let known = self.labels.len();
        if let Some(class) = (known > 0).then(|| counts.iter().skip(known).position(|count| *count > 0)).flatten() {
            return Err(wrong(
                output,
                format!("a place has the class {}, the model has {known} labels", class + known),
            ));
        }
        let all: usize = counts.iter().sum();
        let mut classes: Vec<Share> = (counts.iter().enumerate())
            .filter(|(class, _)| self.filter.has(*class))
            .map(|(class, count)| Share {
                label: label(&self.labels, class),
                class,
                share: *count as f32 / all.max(1) as f32,
            })
            .filter(|share| share.share > 0.0 && share.share >= self.min_share)
            .collect();
        classes.sort_by(|a, b| b.share.total_cmp(&a.share));
        let [source_width, source_height] = geometry.source;
        Ok(Outcome::Semantic { classes, map, source_width, source_height })
    }
}

#[cfg(test)]
#[path = "semantic_tests.rs"]
mod tests;
