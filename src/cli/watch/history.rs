//! The recent course of a figure, in bounded memory.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Spans that are kept; the oldest goes.
const KEPT: usize = 120;

/// The largest value of each span of time in which there was one.
#[derive(Debug)]
pub struct History {
    span: Duration,
    begun: Option<Instant>,
    values: VecDeque<f32>,
}

impl History {
    /// An empty history with one value for each `span`.
    pub fn new(span: Duration) -> History {
        History { span, begun: None, values: VecDeque::new() }
    }

    /// Takes a value that came at `now`; one that is no number is left out.
    pub fn push(&mut self, value: f64, now: Instant) {
        if !value.is_finite() {
            return;
        }
        let value = value as f32;
        match (self.begun, self.values.back_mut()) {
            (Some(begun), Some(last)) if now.saturating_duration_since(begun) < self.span => *last = last.max(value),
            _ => {
                self.begun = Some(now);
                self.values.push_back(value);
                if self.values.len() > KEPT {
                    self.values.pop_front();
                }
            }
        }
    }

    /// The latest value.
    pub fn last(&self) -> Option<f32> {
        self.values.back().copied()
    }

    /// The last `count` values as bars between `floor` and the largest of them, a character each.
    pub fn bars(&self, count: usize, floor: f32) -> String {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let shown: Vec<f32> = self.values.iter().rev().take(count).rev().copied().collect();
        let top = shown.iter().copied().fold(floor, f32::max);
        let height = |value: f32| {
            let share = if top > floor { ((value - floor) / (top - floor)).clamp(0.0, 1.0) } else { 0.0 };
            BARS[((share * 7.0).round() as usize).min(7)]
        };
        shown.into_iter().map(height).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_keeps_its_largest_value_and_the_oldest_go() {
        let begun = Instant::now();
        let mut history = History::new(Duration::from_secs(1));
        for (ms, value) in [(0, 1.0), (500, 8.0), (999, 2.0), (1000, 4.0), (1500, f64::NAN), (5000, 0.0)] {
            history.push(value, begun + Duration::from_millis(ms));
        }
        assert_eq!(history.bars(10, 0.0), "█▅▁");
        assert_eq!(history.bars(2, 0.0), "█▁");
        assert_eq!(history.last(), Some(0.0));
        for second in 6..2000 {
            history.push(1.0, begun + Duration::from_secs(second));
        }
        assert_eq!(history.values.len(), KEPT);
        assert_eq!(history.bars(3, 1.0), "▁▁▁", "all the same, at the floor");
        assert_eq!(History::new(Duration::from_secs(1)).bars(3, 0.0), "");
    }
}
