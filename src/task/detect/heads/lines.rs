//! Lines of text in a map of probabilities.

use super::item::{Found, Item, Scratch, around};
use crate::frame::TaskKind;
use crate::task::contract::TaskError;
use crate::task::detect::nms::Candidate;
use crate::task::detect::settings::HeadSettings;
use crate::task::detect::shapes;

/// A place is of a line from this probability.
const IS_LINE: f32 = 0.3;
/// The map shows the core of a line: its area by its perimeter times this is what is missing on each side.
const UNCLIP: f32 = 1.5;
/// Least short side of a core in places of the map.
const LEAST_CORE: f32 = 3.0;
/// Least short side of a line in places of the map.
const LEAST_LINE: f32 = 5.0;
/// Slack of a place's middle on the side of a core.
const ON_SIDE: f32 = 1e-3;

/// `[N, 1, H, W]`: the probability that a place is of the core of a line. Cores are connected places; each becomes the smallest turned
/// box around the middles of its places, which is scored by the mean probability in it and then grown (M. Liao et al., "Real-time Scene
/// Text Detection with Differentiable Binarization", 2020; PaddleOCR's `DBPostProcess`).
pub(super) fn dbnet(
    settings: &HeadSettings<'_>,
    item: &Item<'_>,
    _: &mut Scratch,
    found: Found<'_>,
) -> Result<(), TaskError> {
    let [rows, columns, stride] = shapes::probabilities(settings, item.specs)?;
    let map = Map { values: item.values[0], rows, columns };
    let stride = stride as f32;
    map.cores(|outer| {
        let Some(core) = Turned::around(&hull(outer)) else { return };
        if core.w.min(core.h) < LEAST_CORE {
            return;
        }
        let score = map.mean_in(&core);
        let missing = core.w * core.h * UNCLIP / (2.0 * (core.w + core.h));
        let [w, h] = [core.w, core.h].map(|side| (side + 2.0 * missing) * stride);
        if score < settings.min_score || w.min(h) < LEAST_LINE * stride {
            return;
        }
        // From the middles of places to pixels.
        let [x, y] = core.centre.map(|v| (v + 0.5) * stride);
        let (sin, cos) = (core.angle.sin().abs(), core.angle.cos().abs());
        let bbox = around([x, y], [w * cos + h * sin, w * sin + h * cos]);
        let turned = [x, y, w, h, core.angle];
        let extra: &[f32] = if settings.kind == TaskKind::Obb { &turned } else { &[] };
        found(Candidate::new(0, score, bbox), extra);
    });
    Ok(())
}

/// Probabilities row by row.
struct Map<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

impl Map<'_> {
    /// Gives the outermost places `[column, row]` of each row of every core, from top to bottom. Places touch at sides and corners.
    fn cores(&self, mut found: impl FnMut(&[[f32; 2]])) {
        let mut left: Vec<bool> = self.values.iter().map(|value| *value > IS_LINE).collect();
        let mut ends = vec![[usize::MAX, 0]; self.rows];
        let mut stack = Vec::new();
        let mut outer = Vec::new();
        for first in 0..left.len() {
            if !std::mem::replace(&mut left[first], false) {
                continue;
            }
            stack.push(first);
            let (top, mut bottom) = (first / self.columns, first / self.columns);
            while let Some(place) = stack.pop() {
                let (row, column) = (place / self.columns, place % self.columns);
                ends[row] = [ends[row][0].min(column), ends[row][1].max(column)];
                bottom = bottom.max(row);
                for row in row.saturating_sub(1)..=(row + 1).min(self.rows - 1) {
                    for column in column.saturating_sub(1)..=(column + 1).min(self.columns - 1) {
                        let next = row * self.columns + column;
                        if std::mem::replace(&mut left[next], false) {
                            stack.push(next);
                        }
                    }
                }
            }
            outer.clear();
            for (row, ends) in ends.iter_mut().enumerate().take(bottom + 1).skip(top) {
                let [first, last] = std::mem::replace(ends, [usize::MAX, 0]);
                outer.push([first as f32, row as f32]);
                if last > first {
                    outer.push([last as f32, row as f32]);
                }
            }
            found(&outer);
        }
    }

    /// Mean of the probabilities whose places have their middle in a box; 0 without any.
    fn mean_in(&self, core: &Turned) -> f32 {
        let (sin, cos) = core.angle.sin_cos();
        let reach = core.w.hypot(core.h) / 2.0;
        let range = |middle: f32, count: usize| {
            let (low, high) = ((middle - reach).floor().max(0.0), (middle + reach).ceil().max(0.0));
            low as usize..(high as usize + 1).min(count)
        };
        let (mut sum, mut count) = (0.0_f64, 0_u32);
        for row in range(core.centre[1], self.rows) {
            for column in range(core.centre[0], self.columns) {
                let (dx, dy) = (column as f32 - core.centre[0], row as f32 - core.centre[1]);
                let along = (dx * cos + dy * sin).abs() <= core.w / 2.0 + ON_SIDE;
                if along && (dy * cos - dx * sin).abs() <= core.h / 2.0 + ON_SIDE {
                    sum += f64::from(self.values[row * self.columns + column]);
                    count += 1;
                }
            }
        }
        if count > 0 { (sum / f64::from(count)) as f32 } else { 0.0 }
    }
}

/// A turned box, its width the longer side, turned by `angle` radians, more than -π/2 and at most π/2, from the x axis towards the y axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turned {
    centre: [f32; 2],
    w: f32,
    h: f32,
    angle: f32,
}

impl Turned {
    /// The smallest box around the corners of a convex polygon; one of its sides lies on one of the polygon's (H. Freeman and R.
    /// Shapira, 1975). `None` for a line or a point.
    fn around(polygon: &[[f32; 2]]) -> Option<Turned> {
        if polygon.len() < 3 {
            return None;
        }
        let ends = polygon.iter().skip(1).chain(polygon.first());
        let boxes = polygon.iter().zip(ends).map(|(a, b)| {
            let length = (b[0] - a[0]).hypot(b[1] - a[1]);
            let [cos, sin] = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
            let span = |of: &dyn Fn(&[f32; 2]) -> f32| {
                let values = polygon.iter().map(of);
                values.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)])
            };
            let along = span(&|p| p[0] * cos + p[1] * sin);
            let across = span(&|p| p[1] * cos - p[0] * sin);
            let [u, v] = [along, across].map(|[low, high]| (low + high) / 2.0);
            let [w, h] = [along, across].map(|[low, high]| high - low);
            Turned { centre: [u * cos - v * sin, u * sin + v * cos], w, h, angle: sin.atan2(cos) }
        });
        let area = |turned: &Turned| turned.w * turned.h;
        boxes.reduce(|a, b| if area(&b) < area(&a) { b } else { a }).map(Turned::lying)
    }

    /// The same box with its longer side as its width.
    fn lying(self) -> Turned {
        use std::f32::consts::{FRAC_PI_2, PI};
        let Turned { centre, w, h, angle } = self;
        let (w, h, mut angle) = if w >= h { (w, h, angle) } else { (h, w, angle + FRAC_PI_2) };
        while angle > FRAC_PI_2 {
            angle -= PI;
        }
        while angle <= -FRAC_PI_2 {
            angle += PI;
        }
        Turned { centre, w, h, angle }
    }
}

/// Corners of the convex hull of points that are sorted by row, then column (A. M. Andrew, 1979).
fn hull(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let turns =
        |a: [f32; 2], b: [f32; 2], c: [f32; 2]| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0.0;
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut chain: Vec<[f32; 2]> = Vec::new();
        for point in points {
            while matches!(chain[..], [.., a, b] if !turns(a, b, point)) {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &[&str]) -> (Vec<f32>, usize, usize) {
        let values = text.iter().flat_map(|row| row.bytes()).map(|c| if c == b'#' { 0.9 } else { 0.1 }).collect();
        (values, text.len(), text[0].len())
    }

    #[test]
    fn places_that_touch_are_one_core() {
        let (values, rows, columns) = map(&["##....#", "..#....", "......#", ".....##"]);
        let mut found = Vec::new();
        Map { values: &values, rows, columns }.cores(|outer| found.push(outer.to_vec()));
        let wanted =
            [vec![[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]], vec![[6.0, 0.0]], vec![[6.0, 2.0], [5.0, 3.0], [6.0, 3.0]]];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_smallest_box_lies_along_the_points() {
        let upright = Turned::around(&hull(&[[2.0, 1.0], [5.0, 1.0], [2.0, 8.0], [5.0, 8.0]])).unwrap();
        assert_eq!((upright.centre, upright.w, upright.h), ([3.5, 4.5], 7.0, 3.0));
        assert!((upright.angle - std::f32::consts::FRAC_PI_2).abs() < 1e-6, "{upright:?}");
        let slanted = Turned::around(&hull(&[[4.0, 0.0], [6.0, 2.0], [0.0, 4.0], [2.0, 6.0]])).unwrap();
        assert!((slanted.angle + std::f32::consts::FRAC_PI_4).abs() < 1e-6, "{slanted:?}");
        assert!((slanted.w - 32.0_f32.sqrt()).abs() < 1e-5 && (slanted.h - 8.0_f32.sqrt()).abs() < 1e-5);
        assert_eq!(Turned::around(&hull(&[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])), None, "a line");
        assert_eq!(Turned::around(&hull(&[[1.0, 1.0]])), None, "a point");
    }
}
