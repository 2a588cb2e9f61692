//! Contrast and focus of a region, judged before any model looks at it.
//!
//! The region is averaged down to a grid of at most [`SIDE`] cells a side, never finer than its source pixels, so that the judgement
//! depends neither on the model's input size nor on the capture size. From the grid `g`:
//!
//! 1. Uneven light is taken out: the best quadratic surface is subtracted. On a rectangular grid 1, x, y, x², y² and xy
//!    are orthogonal once x² and y² have no mean, so that each coefficient is one scalar product.
//! 2. White noise of variance N keeps N / 9 of it in means over 3×3 cells, structure of a few cells' size nearly all of its
//!    variance S. The variances of `g` and of the means therefore give both S and N.
//! 3. The root of S is the contrast. The means' standard deviation over the root mean square of their slope is the width of an
//!    edge in cells: focus.

use crate::frame::Unreadable;

/// Cells of the grid along a side at most.
const SIDE: usize = 32;

/// Cells of the grid along a side from which on edges say something about focus.
const FOCUS_SIDE: usize = 12;

/// Least contrast that counts when the configuration does not say, as a standard deviation of luminance, 0 to 255.
pub(super) const MIN_CONTRAST: f32 = 1.2;

/// Least ratio of the structure's standard deviation to the noise's.
const MIN_SIGNAL_TO_NOISE: f32 = 0.45;

/// Widest edge that counts as sharp, in cells: `WIDEST[0] + WIDEST[1] × rows`. The first part is what the grid itself blurs.
const WIDEST: [f32; 2] = [0.85, 0.066];

/// Share of white noise's variance that is left in the squared slopes of means over 3×3 cells, both axes together.
const NOISE_IN_SLOPES: f32 = 2.0 / 27.0;

/// What a region needs to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checks {
    /// Least contrast, a standard deviation of luminance of 0 to 255; 0 = contrast is not looked at.
    pub min_contrast: f32,
    /// Whether edges have to be sharp.
    pub focus: bool,
}

impl Checks {
    /// Checks nothing.
    pub const NONE: Checks = Checks { min_contrast: 0.0, focus: false };

    /// Judges a `width`×`height` picture of a region, whose luminance (0 to 255) at `(x, y)` is `light`. `density` is source pixels
    /// per pixel of it, across and down.
    pub(super) fn judge(
        self,
        [width, height]: [usize; 2],
        density: [f64; 2],
        light: impl Fn(usize, usize) -> f32,
    ) -> Option<Unreadable> {
        if self == Self::NONE {
            return None;
        }
        let mut grid = Grid::new([width, height], density, light);
        grid.subtract_surface();
        let measures = grid.measures();
        let low = measures.contrast < self.min_contrast
            || (self.min_contrast > 0.0 && measures.contrast < MIN_SIGNAL_TO_NOISE * measures.noise);
        let side = grid.columns.min(grid.rows);
        let widest = WIDEST[0] + WIDEST[1] * grid.rows as f32;
        match (low, self.focus && side >= FOCUS_SIDE && measures.edge > widest) {
            (true, _) => Some(Unreadable::LowContrast),
            (false, true) => Some(Unreadable::OutOfFocus),
            (false, false) => None,
        }
    }
}

/// What the grid says of a region.
struct Measures {
    /// Standard deviation of the structure.
    contrast: f32,
    /// Standard deviation of the noise.
    noise: f32,
    /// Width of an edge in cells.
    edge: f32,
}

/// Mean luminance of the cells, row by row.
struct Grid {
    columns: usize,
    rows: usize,
    cells: [f32; SIDE * SIDE],
}

impl Grid {
    fn new([width, height]: [usize; 2], density: [f64; 2], light: impl Fn(usize, usize) -> f32) -> Self {
        // A region that the model's size enlarges has no more in it than its source pixels.
        let count =
            |size: usize, density: f64| ((size as f64 * density.min(1.0)).round() as usize).clamp(1, SIDE.min(size));
        let (columns, rows) = (count(width, density[0]), count(height, density[1]));
        let mut cells = [0.0; SIDE * SIDE];
        for (row, line) in cells.chunks_exact_mut(columns).take(rows).enumerate() {
            let ys = row * height / rows..(row + 1) * height / rows;
            for (column, cell) in line.iter_mut().enumerate() {
                let xs = column * width / columns..(column + 1) * width / columns;
                let sum: f32 = ys.clone().map(|y| xs.clone().map(|x| light(x, y)).sum::<f32>()).sum();
                *cell = sum / (ys.len() * xs.len()) as f32;
            }
        }
        Grid { columns, rows, cells }
    }

    fn cells(&self) -> &[f32] {
        &self.cells[..self.columns * self.rows]
    }

    /// Subtracts the quadratic surface that is nearest to the cells.
    fn subtract_surface(&mut self) {
        let (columns, rows) = (self.columns, self.rows);
        let (x, y) = (axis(columns), axis(rows));
        let (xx, yy) = (square(&x, columns), square(&y, rows));
        let one = [1.0; SIDE];
        for (across, down) in [(&one, &one), (&x, &one), (&one, &y), (&xx, &one), (&one, &yy), (&x, &y)] {
            let (mut product, mut norm) = (0.0, 0.0);
            for (line, v) in self.cells.chunks_exact(columns).zip(&down[..rows]) {
                for (cell, u) in line.iter().zip(across) {
                    product += cell * u * v;
                    norm += (u * v) * (u * v);
                }
            }
            if norm > 0.0 {
                let factor = product / norm;
                for (line, v) in self.cells.chunks_exact_mut(columns).zip(&down[..rows]) {
                    line.iter_mut().zip(across).for_each(|(cell, u)| *cell -= factor * u * v);
                }
            }
        }
    }

    /// Means over 3×3 cells, fewer at the edges.
    fn means(&self) -> [f32; SIDE * SIDE] {
        let mut means = [0.0; SIDE * SIDE];
        let around = |i: usize, count: usize| i.saturating_sub(1)..(i + 2).min(count);
        for (row, line) in means.chunks_exact_mut(self.columns).take(self.rows).enumerate() {
            for (column, mean) in line.iter_mut().enumerate() {
                let (ys, xs) = (around(row, self.rows), around(column, self.columns));
                let count = ys.len() * xs.len();
                let sum: f32 = ys.map(|y| self.cells()[y * self.columns..][xs.clone()].iter().sum::<f32>()).sum();
                *mean = sum / count as f32;
            }
        }
        means
    }

    fn measures(&self) -> Measures {
        let (columns, rows) = (self.columns, self.rows);
        let means = self.means();
        let means = &means[..columns * rows];
        let (all, smooth) = (mean_square(self.cells()), mean_square(means));
        let signal = ((smooth - all / 9.0) * 9.0 / 8.0).max(0.0);
        let noise = (all - signal).max(0.0);
        let (mut slopes, mut count) = (0.0, 0);
        for row in 1..rows.saturating_sub(1) {
            for at in (row * columns + 1..).take(columns.saturating_sub(2)) {
                let (across, down) = (means[at + 1] - means[at - 1], means[at + columns] - means[at - columns]);
                slopes += (across * across + down * down) / 4.0;
                count += 1;
            }
        }
        let slope = (slopes / count.max(1) as f32 - NOISE_IN_SLOPES * noise).max(0.0);
        Measures { contrast: signal.sqrt(), noise: noise.sqrt(), edge: (signal / (slope + 1e-3)).sqrt() }
    }
}

/// `count` places from -1 to 1.
fn axis(count: usize) -> [f32; SIDE] {
    let last = count.saturating_sub(1).max(1) as f32;
    std::array::from_fn(|i| if count > 1 { 2.0 * i as f32 / last - 1.0 } else { 0.0 })
}

/// The squares of the first `count` values, less their mean.
fn square(axis: &[f32; SIDE], count: usize) -> [f32; SIDE] {
    let mean = mean_square(&axis[..count]);
    axis.map(|v| v * v - mean)
}

fn mean_square(values: &[f32]) -> f32 {
    values.iter().map(|v| v * v).sum::<f32>() / values.len().max(1) as f32
}
