//! Lines: crossings with their direction, counted once however an object jitters on the line.

use super::config::LineConfig;
use super::geometry::{Point, segments_meet, side};
use crate::frame::{Direction, Label, LineName};

/// Distance from a line within which an object is on neither side, in sizes of its box.
const BAND: f32 = 0.12;
/// The same in heights of the picture, for small objects.
const LEAST_BAND: f32 = 0.004;

/// A line, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: LineName,
    from: Point,
    to: Point,
    labels: Vec<String>,
}

/// One object and one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Way {
    /// On its right when last clear of it, and where that was, in shares of the picture's sides.
    last: Option<(bool, Point)>,
}

impl Line {
    /// The line of a configuration that was checked.
    pub(super) fn new(config: &LineConfig) -> Line {
        Line { name: config.name.clone(), from: config.from, to: config.to, labels: config.labels.clone() }
    }

    /// True for objects that count.
    pub(super) fn wants(&self, label: &Label) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|wanted| **wanted == **label)
    }
}

impl Way {
    /// An object of `scale` pixels was seen at `anchor`, in shares of the `[width, height]` in pixels of the picture. Gives the direction in
    /// which it has crossed the line since it was last clear of it.
    pub(super) fn look(&mut self, line: &Line, anchor: Point, scale: f32, size: [f32; 2]) -> Option<Direction> {
        let pixels = |point: Point| [point[0] * size[0], point[1] * size[1]];
        let (from, to, at) = (pixels(line.from), pixels(line.to), pixels(anchor));
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let distance = side(from, to, at) / length.max(f32::MIN_POSITIVE);
        let band = (BAND * scale).max(LEAST_BAND * size[1]);
        if !distance.is_finite() || distance.abs() < band {
            return None;
        }
        let right = distance > 0.0;
        let before = self.last.replace((right, anchor));
        let (was_right, point) = before.filter(|(was_right, _)| *was_right != right)?;
        let crossed = segments_meet(pixels(point), at, from, to);
        crossed.then_some(if was_right { Direction::Backward } else { Direction::Forward })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line down the middle of a picture of 1000 by 500 pixels, from its top to 0.8 of its height.
    fn line() -> Line {
        Line::new(&LineConfig {
            name: LineName::new("gate").unwrap(),
            from: [0.5, 0.0],
            to: [0.5, 0.8],
            labels: vec!["car".into()],
        })
    }

    fn ways(points: &[[f32; 2]]) -> Vec<Direction> {
        let mut way = Way::default();
        let line = line();
        points.iter().filter_map(|point| way.look(&line, *point, 100.0, [1000.0, 500.0])).collect()
    }

    use Direction::{Backward, Forward};

    #[test]
    fn right_is_as_seen_from_the_first_point() {
        // Downwards on the screen, the right hand is to the left.
        assert_eq!(ways(&[[0.6, 0.5], [0.4, 0.5]]), [Forward]);
        assert_eq!(ways(&[[0.4, 0.5], [0.6, 0.5]]), [Backward]);
        assert_eq!(ways(&[[0.4, 0.5], [0.6, 0.5], [0.4, 0.5]]), [Backward, Forward], "there and back is two");
    }

    #[test]
    fn jitter_on_the_line_counts_once() {
        let mut points = vec![[0.6, 0.5]];
        points.extend((0..50).map(|i| [if i % 2 == 0 { 0.509 } else { 0.491 }, 0.5]));
        assert_eq!(ways(&points), [], "it has not left the line");
        points.push([0.4, 0.5]);
        assert_eq!(ways(&points), [Forward]);
        points.extend((0..50).map(|i| [if i % 2 == 0 { 0.509 } else { 0.491 }, 0.5]));
        assert_eq!(ways(&points), [Forward]);
    }

    #[test]
    fn past_its_end_nothing_is_crossed() {
        assert_eq!(ways(&[[0.6, 0.9], [0.4, 0.9]]), []);
        assert_eq!(ways(&[[0.6, 0.5], [0.55, 0.9], [0.45, 0.9], [0.4, 0.5]]), [], "round it");
    }

    #[test]
    fn a_leap_over_the_line_counts_and_no_number_is_no_place() {
        assert_eq!(ways(&[[0.95, 0.3], [0.05, 0.6]]), [Forward]);
        assert_eq!(ways(&[[0.95, 0.3], [f32::NAN, 0.6], [0.9, 0.3]]), []);
        assert!(line().wants(&"car".into()) && !line().wants(&"dog".into()));
    }
}
