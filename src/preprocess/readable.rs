//! Contrast and focus of a region, judged before the model runs.
//!
//! The region is averaged down to a grid of at most [`SIDE`] cells a side, never finer than its source pixels, so the judgement
//! depends neither on the model's input size nor on the capture size. From the grid:
//!
//! 1. Focus: means over 3×3 cells take out noise; the root mean square of their slopes over that of their Laplacian is the width
//!    of an edge in cells (√⅔ of a Gaussian bar's standard deviation).
//! 2. Uneven light is taken out: the best quadratic surface is subtracted. On a rectangular grid 1, x, y, x², y² and xy
//!    are orthogonal once x² and y² have no mean, so that each coefficient is one scalar product.
//! 3. Contrast: white noise of variance N keeps N / 9 of it in means over 3×3 cells, structure of a few cells' size nearly all of
//!    its variance S. The variances of the cells and of the means therefore give both S and N; the root of S is the contrast.

use crate::frame::Unreadable;

/// Most cells along a side of the grid.
const SIDE: usize = 32;

/// Fewest cells along a side for which edges indicate focus.
const FOCUS_SIDE: usize = 12;

/// Default least contrast, a standard deviation of luminance of 0 to 255.
pub(super) const MIN_CONTRAST: f32 = 1.2;

/// Least ratio of the structure's standard deviation to the noise's.
const MIN_SIGNAL_TO_NOISE: f32 = 0.45;

/// Widest edge that counts as sharp, in cells: `WIDEST[0] + WIDEST[1] × rows`. The first part is the blur of the grid itself.
const WIDEST: [f32; 2] = [1.0, 0.1];

/// Checks that a region has to pass before it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checks {
    /// Least contrast, a standard deviation of luminance of 0 to 255; 0 = no check.
    pub min_contrast: f32,
    /// Require sharp edges.
    pub focus: bool,
}

impl Checks {
    /// Checks nothing.
    pub const NONE: Checks = Checks { min_contrast: 0.0, focus: false };

    /// Judges a `width`×`height` picture of a region with luminance (0 to 255) `light(x, y)`. `density` is source pixels per
    /// pixel of it, across and down.
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
        let edge = grid.edge_width();
        grid.subtract_surface();
        let [contrast, noise] = grid.contrast_and_noise();
        let low = contrast < self.min_contrast || (self.min_contrast > 0.0 && contrast < MIN_SIGNAL_TO_NOISE * noise);
        let side = grid.columns.min(grid.rows);
        let widest = WIDEST[0] + WIDEST[1] * grid.rows as f32;
        match (low, self.focus && side >= FOCUS_SIDE && edge > widest) {
            (true, _) => Some(Unreadable::LowContrast),
            (false, true) => Some(Unreadable::OutOfFocus),
            (false, false) => None,
        }
    }
}

/// Mean luminance of the cells, row by row.
struct Grid {
    columns: usize,
    rows: usize,
    cells: [f32; SIDE * SIDE],
}

impl Grid {
    fn new([width, height]: [usize; 2], density: [f64; 2], light: impl Fn(usize, usize) -> f32) -> Self {
        // An enlarged region has no more detail than its source pixels.
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

    /// Subtracts the best-fitting quadratic surface.
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

    /// Standard deviations of structure and of noise.
    fn contrast_and_noise(&self) -> [f32; 2] {
        let means = self.means();
        let (all, smooth) = (mean_square(self.cells()), mean_square(&means[..self.columns * self.rows]));
        let signal = ((smooth - all / 9.0) * 9.0 / 8.0).max(0.0);
        [signal.sqrt(), (all - signal).max(0.0).sqrt()]
    }

    /// Width of an edge in cells. Excludes the means at the grid's border, which cover fewer cells.
    fn edge_width(&self) -> f32 {
        let (columns, means) = (self.columns, self.means());
        let (mut slopes, mut bends) = (0.0, 0.0);
        for row in 2..self.rows.saturating_sub(2) {
            for at in (row * columns + 2..).take(columns.saturating_sub(4)) {
                let (left, right, up, down) = (means[at - 1], means[at + 1], means[at - columns], means[at + columns]);
                let bend = left + right + up + down - 4.0 * means[at];
                slopes += ((right - left) * (right - left) + (down - up) * (down - up)) / 4.0;
                bends += bend * bend;
            }
        }
        (slopes / (bends + f32::EPSILON)).sqrt()
    }
}

/// `count` positions from -1 to 1.
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
