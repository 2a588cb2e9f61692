//! Connected ink: what is darker or lighter than its surroundings and about as large as a digit.

use super::level::Level;

/// Directions in which the extent of ink is measured, evenly over half a turn from -90 degrees on.
pub(super) const DIRECTIONS: usize = 24;
/// Extent of a digit in pixels of its level, lowest and highest.
pub(super) const EXTENT: [f32; 2] = [8.0, 23.0];
/// Pixels on each side over which the surroundings of a pixel are averaged: more than half a digit.
const SURROUNDINGS: usize = 13;
/// Ink differs from its surroundings by so many standard deviations of them, and at least by so many steps of 255.
const DIFFERENCE: [f32; 2] = [0.25, 3.0];
/// Pieces of one level at most; those with the least contrast go.
const MOST: usize = 4000;

/// One piece of connected ink, in pixels of its level.
pub(super) struct Piece {
    /// First and last place along each direction.
    pub spans: [[f32; 2]; DIRECTIONS],
    /// Lighter than its surroundings.
    pub light: bool,
    /// Middle of its bounding box.
    pub middle: [f32; 2],
    /// Pixels, and the sum of their difference from the surroundings.
    weight: [f32; 2],
}

impl Piece {
    /// Pixels that it covers.
    pub fn area(&self) -> f32 {
        self.weight[0]
    }

    /// Mean difference from its surroundings, of 255.
    pub fn contrast(&self) -> f32 {
        self.weight[1] / self.weight[0].max(1.0)
    }

    /// Span along a direction.
    pub fn along(&self, direction: usize) -> [f32; 2] {
        self.spans.get(direction).copied().unwrap_or_default()
    }

    /// Span across a direction, a quarter turn on.
    pub fn across(&self, direction: usize) -> [f32; 2] {
        if direction + DIRECTIONS / 2 < DIRECTIONS {
            return self.along(direction + DIRECTIONS / 2);
        }
        let [first, last] = self.along(direction - DIRECTIONS / 2);
        [-last, -first]
    }
}

/// Cosine and sine of a direction.
pub(super) fn direction(index: usize) -> [f32; 2] {
    let (sin, cos) = angle(index).sin_cos();
    [cos, sin]
}

/// Angle of a direction in radians.
pub(super) fn angle(index: usize) -> f32 {
    (index as f32 / DIRECTIONS as f32 - 0.5) * std::f32::consts::PI
}

/// All pieces of a level that may be digits. Softened more than once, segments of a digit that stand a little apart are one piece.
pub(super) fn pieces(level: &Level, softened: usize) -> Vec<Piece> {
    let (width, height) = (level.width, level.height);
    let mut light: Vec<f32> = level.grey.iter().map(|value| f32::from(*value)).collect();
    for _ in 0..softened {
        light = soften(&light, width, height);
    }
    let marks = marks(&light, width, height);
    let mut pieces = connected(&marks, width, height);
    if pieces.len() > MOST {
        pieces.sort_by(|a, b| b.contrast().total_cmp(&a.contrast()));
        pieces.truncate(MOST);
    }
    pieces
}

/// Luminance without the finest noise: means weighted 1, 2, 1 both ways.
fn soften(light: &[f32], width: usize, height: usize) -> Vec<f32> {
    let line = |y: usize| light.get(y * width..(y + 1) * width).unwrap_or_default();
    let mut across = Vec::with_capacity(width * height);
    for y in 0..height {
        let line = line(y);
        across.extend((0..width).map(|x| {
            let at = |x: usize| line.get(x).copied().unwrap_or(0.0);
            (at(x.saturating_sub(1)) + 2.0 * at(x) + at((x + 1).min(width - 1))) / 4.0
        }));
    }
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
        out.extend((0..width).map(|x| {
            let at = |y: usize| across.get(y * width + x).copied().unwrap_or(0.0);
            (at(above) + 2.0 * at(y) + at(below)) / 4.0
        }));
    }
    out
}

/// Difference of each pixel from its surroundings where it is ink, else 0: below 0 dark, above 0 light.
fn marks(light: &[f32], width: usize, height: usize) -> Vec<f32> {
    // Sums over all pixels above and to the left.
    let columns = width + 1;
    let mut sums = vec![[0.0_f64; 2]; columns * (height + 1)];
    for y in 0..height {
        let mut row = [0.0_f64; 2];
        for x in 0..width {
            let value = f64::from(light.get(y * width + x).copied().unwrap_or(0.0));
            row = [row[0] + value, row[1] + value * value];
            let above = sums.get(y * columns + x + 1).copied().unwrap_or_default();
            if let Some(sum) = sums.get_mut((y + 1) * columns + x + 1) {
                *sum = [above[0] + row[0], above[1] + row[1]];
            }
        }
    }
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(SURROUNDINGS), (y + SURROUNDINGS + 1).min(height));
        for x in 0..width {
            let (left, right) = (x.saturating_sub(SURROUNDINGS), (x + SURROUNDINGS + 1).min(width));
            let at = |x: usize, y: usize| sums.get(y * columns + x).copied().unwrap_or_default();
            let [a, b, c, d] = [at(left, top), at(right, top), at(left, bottom), at(right, bottom)];
            let count = ((bottom - top) * (right - left)) as f64;
            let [mean, square] = [0, 1].map(|i| (d[i] - b[i] - c[i] + a[i]) / count);
            let deviation = (square - mean * mean).max(0.0).sqrt() as f32;
            let difference = light.get(y * width + x).copied().unwrap_or(0.0) - mean as f32;
            let least = (DIFFERENCE[0] * deviation).max(DIFFERENCE[1]);
            out.push(if difference.abs() >= least { difference } else { 0.0 });
        }
    }
    out
}

/// Pieces of ink of one sign that touch each other, also at corners.
fn connected(marks: &[f32], width: usize, height: usize) -> Vec<Piece> {
    let largest = EXTENT[1] * 1.5;
    let at = |x: usize, y: usize| marks.get(y * width + x).copied().unwrap_or(0.0);
    let mut seen = vec![false; width * height];
    let mut found = Vec::new();
    let (mut stack, mut pixels) = (Vec::new(), Vec::new());
    for start in 0..width * height {
        let sign = marks.get(start).copied().unwrap_or(0.0);
        if sign == 0.0 || seen.get(start).copied().unwrap_or(true) {
            continue;
        }
        let same = |x: usize, y: usize| at(x, y) * sign > 0.0;
        stack.clear();
        pixels.clear();
        stack.push((start % width, start / width));
        if let Some(cell) = seen.get_mut(start) {
            *cell = true;
        }
        let mut bounds = [width, height, 0, 0];
        let mut weight = [0.0_f32; 2];
        while let Some((x, y)) = stack.pop() {
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
            weight = [weight[0] + 1.0, weight[1] + at(x, y).abs()];
            // Only what lies on the outline is needed for the extents.
            let inner = x > 0 && x + 1 < width && same(x - 1, y) && same(x + 1, y);
            if !inner && pixels.len() < 4096 {
                pixels.push([x as f32 + 0.5, y as f32 + 0.5]);
            }
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    if let Some(cell) = seen.get_mut(ny * width + nx)
                        && !*cell
                        && same(nx, ny)
                    {
                        *cell = true;
                        stack.push((nx, ny));
                    }
                }
            }
        }
        let size = [bounds[2] - bounds[0] + 1, bounds[3] - bounds[1] + 1].map(|v| v as f32);
        let touches = bounds[0] == 0 || bounds[1] == 0 || bounds[2] + 1 == width || bounds[3] + 1 == height;
        let long = size[0].max(size[1]);
        if touches || long > largest || long < EXTENT[0] * 0.7 || weight[0] < EXTENT[0] {
            continue;
        }
        let spans = std::array::from_fn(|index| {
            let [cos, sin] = direction(index);
            // A pixel is half a pixel wide on each side.
            let half = (cos.abs() + sin.abs()) / 2.0;
            let places = pixels.iter().map(|[x, y]| x * cos + y * sin);
            let [first, last] =
                places.fold([f32::MAX, f32::MIN], |[first, last], place| [first.min(place), last.max(place)]);
            [first - half, last + half]
        });
        let middle = [(bounds[0] + bounds[2] + 1) as f32 / 2.0, (bounds[1] + bounds[3] + 1) as f32 / 2.0];
        found.push(Piece { spans, light: sign > 0.0, middle, weight });
    }
    found
}
