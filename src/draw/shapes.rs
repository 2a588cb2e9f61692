//! Shapes of objects: outlines that are filled, skeletons, maps of classes.

use super::Sheet;
use super::canvas::{BLACK, Colour, Rect, WHITE};
use crate::frame::{ClassMap, Keypoint};

/// A key point with a lower score is not drawn.
const LEAST_SCORE: f32 = 0.3;
/// Parts of 256 of a colour in what is filled with it.
const FILLED: u16 = 110;

/// Bones between the 17 key points of COCO: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
const COCO: [[usize; 2]; 16] = [
    [15, 13],
    [13, 11],
    [16, 14],
    [14, 12],
    [11, 12],
    [5, 11],
    [6, 12],
    [5, 6],
    [5, 7],
    [6, 8],
    [7, 9],
    [8, 10],
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 4],
];
/// Bones between the 33 key points of BlazePose, of which the first eleven are of the face.
const BODY: [[usize; 2]; 16] = [
    [11, 12],
    [11, 13],
    [13, 15],
    [15, 19],
    [12, 14],
    [14, 16],
    [16, 20],
    [11, 23],
    [12, 24],
    [23, 24],
    [23, 25],
    [25, 27],
    [27, 31],
    [24, 26],
    [26, 28],
    [28, 32],
];
/// Bones between the 21 key points of a hand: the wrist, then four for each finger from the thumb on.
const HAND: [[usize; 2]; 21] = [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
    [0, 5],
    [5, 6],
    [6, 7],
    [7, 8],
    [5, 9],
    [9, 10],
    [10, 11],
    [11, 12],
    [9, 13],
    [13, 14],
    [14, 15],
    [15, 16],
    [13, 17],
    [17, 18],
    [18, 19],
    [19, 20],
    [0, 17],
];

impl Sheet {
    /// Fills what lies within an odd number of rings, and draws them.
    pub(super) fn polygons(&mut self, rings: &[Vec<[f32; 2]>], colour: Colour) {
        let factor = self.factor;
        let rings: Vec<Vec<[f32; 2]>> =
            rings.iter().map(|ring| ring.iter().map(|point| point.map(|v| v * factor)).collect()).collect();
        self.canvas.tint(&rings, colour, FILLED);
        rings.iter().for_each(|ring| self.canvas.outline(ring, self.scale, colour));
    }

    /// Draws key points with a score, and bones between them where their number tells what they are.
    pub(super) fn skeleton(&mut self, points: &[Keypoint], colour: Colour) {
        let bones: &[[usize; 2]] = match points.len() {
            17 => &COCO,
            21 => &HAND,
            33 => &BODY,
            _ => &[],
        };
        let at = |point: &Keypoint| [point.x * self.factor, point.y * self.factor];
        let seen = |point: &&Keypoint| point.score >= LEAST_SCORE && point.x.is_finite() && point.y.is_finite();
        for &[from, to] in bones {
            if let (Some(from), Some(to)) = (Some(&points[from]).filter(seen), Some(&points[to]).filter(seen)) {
                self.canvas.outline(&[at(from), at(to)], self.scale, colour);
            }
        }
        for point in points.iter().filter(seen) {
            let [x, y] = at(point).map(|v| v.round().clamp(-super::FAR, super::FAR) as i64);
            let half = self.scale;
            let dot = Rect { left: x - half, top: y - half, right: x + half + 1, bottom: y + half + 1 };
            self.canvas.fill(dot.grown(self.scale), BLACK);
            self.canvas.fill(dot, WHITE);
        }
    }

    /// Lays the colour of each class that has one over its places.
    pub(super) fn map(&mut self, map: &ClassMap, of: impl Fn(usize) -> Option<Colour>) {
        let [left, top, right, bottom] = map.bbox.map(|side| side * self.factor);
        let (columns, rows) = (map.width.max(1), map.height.max(1));
        let classes = map.runs.iter().flat_map(|[class, cells]| std::iter::repeat_n(*class, *cells));
        let edge = |low: f32, high: f32, place: usize, of: usize| {
            (low + (high - low) * place as f32 / of as f32).round().clamp(-super::FAR, super::FAR) as i64
        };
        for (place, class) in classes.take(columns * rows).enumerate() {
            let (column, row) = (place % columns, place / columns);
            let Some(colour) = of(class) else { continue };
            let cell = Rect {
                left: edge(left, right, column, columns),
                top: edge(top, bottom, row, rows),
                right: edge(left, right, column + 1, columns),
                bottom: edge(top, bottom, row + 1, rows),
            };
            self.canvas.blend(cell, colour, FILLED);
        }
    }
}
