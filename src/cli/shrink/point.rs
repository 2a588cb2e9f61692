//! One form of a model at one resolution, with its figures.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::cli::eval::Judged;
use crate::evaluate::Tradeoff;

/// A form at one resolution.
pub(super) struct Point {
    /// Share of the multiplications that was to be removed; 0 = none.
    pub ratio: f64,
    /// Weights and activations are bytes.
    pub int8: bool,
    /// `[height, width]`; `None` for what is no picture.
    pub size: Option<[usize; 2]>,
    /// The resolution is the model's own.
    pub own_size: bool,
    /// The file.
    pub file: Rc<Vec<u8>>,
    /// Multiplications and additions of one inference.
    pub macs: u64,
    /// Its figures.
    pub judged: Judged,
    /// Time of one inference in milliseconds.
    pub ms: f64,
}

/// Place of a point among all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// No other form beats it.
    pub front: bool,
    /// Rung of the ladder.
    pub rung: Option<usize>,
}

impl Point {
    /// Name that says what it is made of: `int8-r30-24x24`.
    pub fn name(&self) -> String {
        let mut name = if self.int8 { "int8" } else { "float" }.to_owned();
        if self.ratio > 0.0 {
            name.push_str(&format!("-r{}", (self.ratio * 1000.0).round() / 10.0).replace('.', "_"));
        }
        if let (Some([height, width]), false) = (self.size, self.own_size) {
            name.push_str(&format!("-{height}x{width}"));
        }
        name
    }

    /// Worth and cost.
    pub fn tradeoff(&self) -> Tradeoff {
        Tradeoff { worth: self.judged.value, cost_ms: self.ms }
    }

    /// All of it.
    pub fn json(&self, standing: Standing) -> Value {
        let Judged { measure, value, difference, time_ratio } = self.judged;
        let interval = difference.and_then(|(_, interval)| interval);
        json!({
            "name": self.name(),
            "removed": self.ratio,
            "int8": self.int8,
            "size": self.size,
            "macs": self.macs,
            "bytes": self.file.len(),
            "ms": self.ms,
            "time_ratio": time_ratio,
            "measure": measure,
            "value": value,
            "difference": difference.map(|(value, _)| value),
            "difference_low": interval.map(|interval| interval.low),
            "difference_high": interval.map(|interval| interval.high),
            "front": standing.front,
            "rung": standing.rung,
        })
    }
}
