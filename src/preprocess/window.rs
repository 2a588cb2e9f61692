//! Sensor windows: match channels by name, normalise, quantise.

use std::sync::Arc;

use super::error::PreprocessError;
use super::quantize::Element;
use crate::frame::{ElementsMut, Quant, TensorViewMut, Window, WindowSpec};

/// Writes windows; caches the column of each model channel until the sensor's channels change.
#[derive(Debug, Default)]
pub(super) struct WindowStore {
    seen: Option<Arc<[String]>>,
    columns: Vec<usize>,
}

impl WindowStore {
    /// Forgets the matched channels, after a change of the specification.
    pub fn reset(&mut self) {
        self.seen = None;
    }

    /// Writes `window` into item `item` of `input`.
    pub fn write(
        &mut self,
        spec: &WindowSpec,
        window: &Window,
        input: &mut TensorViewMut<'_>,
        item: usize,
    ) -> Result<(), PreprocessError> {
        let mismatch = |reason: String| Err(PreprocessError::Mismatch(reason));
        if window.rows != spec.rows {
            return mismatch(format!("the window has {} rows, the model wants {}", window.rows, spec.rows));
        }
        let stride =
            if window.channels.is_empty() { window.data.len() / window.rows.max(1) } else { window.channels.len() };
        if window.rows == 0 || stride == 0 || window.data.len() != window.rows * stride {
            return mismatch(format!(
                "the window has {} values for {} rows of {stride} channels",
                window.data.len(),
                window.rows
            ));
        }
        let elements = input.data.count();
        self.match_columns(spec, window, stride)?;
        let count = self.columns.len();
        let each = spec.rows * count;
        for (what, values) in [("mean", &spec.mean), ("std", &spec.std)] {
            if !values.is_empty() && values.len() != count {
                return mismatch(format!("{} values of `{what}` for {count} channels", values.len()));
            }
        }
        let per_item = elements / input.spec.shape.first().copied().unwrap_or(1).max(1);
        if each != per_item {
            let wants = match per_item.checked_rem(spec.rows) {
                Some(0) => format!("{} values in each of {} readings", per_item / spec.rows, spec.rows),
                _ => format!("{per_item} values"),
            };
            let names =
                if window.channels.is_empty() { String::new() } else { format!(": {}", window.channels.join(", ")) };
            return mismatch(format!("the model takes {wants}, the source has {count} channels{names}"));
        }
        if item >= elements / each {
            let name = &input.spec.name;
            return mismatch(format!(
                "input {name:?} has {elements} elements, a window of {each} as item {item} does not fit"
            ));
        }
        self.check_missing(spec, window, stride)?;
        let real = |row: usize, c: usize| {
            let mean = spec.mean.get(c).copied().unwrap_or(0.0);
            let std = spec.std.get(c).copied().unwrap_or(1.0);
            let x = window.data[row * stride + self.columns[c]];
            // Infinite counts as missing, since it would drown every other reading. The mean replaces both.
            if x.is_finite() { (x - mean) / std } else { 0.0 }
        };
        let quant = spec.quant.unwrap_or(Quant { scale: 1.0, zero_point: 0 });
        let range = item * each..(item + 1) * each;
        match &mut input.data {
            ElementsMut::F32(v) => put(&mut v[range], count, quant, real),
            ElementsMut::I8(v) => put(&mut v[range], count, quant, real),
            ElementsMut::U8(v) => put(&mut v[range], count, quant, real),
            ElementsMut::I32(v) => put(&mut v[range], count, quant, real),
            ElementsMut::I64(v) => put(&mut v[range], count, quant, real),
        }
        Ok(())
    }

    /// Refuses a window with gaps that no value can fill: the model has no mean, or a channel has no reading at all, whose mean
    /// would look normal.
    fn check_missing(&self, spec: &WindowSpec, window: &Window, stride: usize) -> Result<(), PreprocessError> {
        for (c, &column) in self.columns.iter().enumerate() {
            let values = || window.data.iter().skip(column).step_by(stride);
            let missing = values().filter(|x| !x.is_finite()).count();
            if missing == 0 || (missing < spec.rows && !spec.mean.is_empty()) {
                continue;
            }
            let name = window.channels.get(column).or(spec.channels.get(c));
            let name = name.map_or_else(|| format!("channel {c}"), |name| format!("channel {name:?}"));
            let reason = match missing < spec.rows {
                true => format!(
                    "{name} has no value in {missing} of {} readings, and the model has no mean for it",
                    spec.rows
                ),
                false => format!("{name} has no value in any of {} readings", spec.rows),
            };
            return Err(PreprocessError::Mismatch(reason));
        }
        Ok(())
    }

    fn match_columns(&mut self, spec: &WindowSpec, window: &Window, stride: usize) -> Result<(), PreprocessError> {
        if self.columns.len() <= stride
            && self.seen.as_ref().is_some_and(|s| Arc::ptr_eq(s, &window.channels) || **s == *window.channels)
            && !window.channels.is_empty()
        {
            return Ok(());
        }
        self.seen = None;
        self.columns.clear();
        if spec.channels.is_empty() {
            self.columns.extend(0..stride);
        } else if window.channels.is_empty() {
            if stride != spec.channels.len() {
                return Err(PreprocessError::Mismatch(format!(
                    "the window has {stride} unnamed channels, the model wants {}",
                    spec.channels.len()
                )));
            }
            self.columns.extend(0..stride);
        } else {
            let column = |name: &String| window.channels.iter().position(|c| c == name);
            let missing: Vec<&str> = spec.channels.iter().filter(|n| column(n).is_none()).map(String::as_str).collect();
            if !missing.is_empty() {
                return Err(PreprocessError::Mismatch(format!(
                    "the sensor does not give the model's channels {}; it gives {}",
                    missing.join(", "),
                    window.channels.join(", ")
                )));
            }
            self.columns.extend(spec.channels.iter().filter_map(column));
        }
        self.seen = Some(window.channels.clone());
        Ok(())
    }
}

/// Writes the quantised value of each row and channel.
fn put<T: Element>(out: &mut [T], channels: usize, quant: Quant, real: impl Fn(usize, usize) -> f32) {
    for (row, line) in out.chunks_exact_mut(channels).enumerate() {
        for (c, target) in line.iter_mut().enumerate() {
            *target = T::quantize(real(row, c), quant);
        }
    }
}
