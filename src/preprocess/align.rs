//! Marks of a reference picture found again in each frame, so that regions follow a camera that was moved a little.
//!
//! Each mark is a small patch. It is looked for by its normalised cross-correlation (J. P. Lewis, "Fast Normalized Cross-Correlation",
//! 1995), which does not see a change of light: first on a coarse grid, then pixel by pixel, then between them. The rotation and shift that
//! fit all marks best must fit each of them, else they were not found.

use std::sync::Arc;

use super::picture::Picture;
use super::region::Region;
use super::store::light_of;
use crate::frame::Channels;

/// Pixels of a picture in one of the coarse grid, on each side.
const COARSE: usize = 4;
/// Largest side of a patch in pixels: of a larger mark, the middle is taken.
const LARGEST: usize = 64;
/// Smallest side of a mark in pixels.
const SMALLEST: f32 = 12.0;
/// A mark is looked for as far away as this part of the picture's width.
const REACH: f32 = 1.0 / 14.0;
/// Places of the coarse grid that are looked at closely.
const PEAKS: usize = 4;
/// Correlation from which on a mark is found.
const FOUND: f32 = 0.6;
/// Distance in pixels from where the other marks say that it is, at most; and as a part of the picture's width.
const OFF: f32 = 1.5;
const OFF_PART: f32 = 0.004;
/// Contrast of a mark below which it looks like any other place: standard deviation of its luminance.
const LEAST_CONTRAST: f32 = 6.0;

/// Luminance of a picture, row by row.
#[derive(Clone, Debug, PartialEq)]
struct Grey {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// Marks in their reference picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Marks {
    reference: Grey,
    /// `[left, top, right, bottom]` in its pixels.
    places: Vec<[f32; 4]>,
}

/// Fault of a mark.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MarkError {
    /// It is not in the picture.
    #[error("mark {0} is not within the reference picture of {1}x{2} pixels")]
    Outside(usize, usize, usize),
    /// Nothing in it can be found again.
    #[error("mark {0} is too plain to be found again: choose a place with edges in both directions")]
    Plain(usize),
    /// It is too small.
    #[error("mark {0} is smaller than {SMALLEST} pixels on a side")]
    Small(usize),
}

/// Rotation and shift from the reference picture to a frame, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Displacement {
    cos: f32,
    sin: f32,
    /// Middle of the marks in the reference picture and in the frame.
    from: [f32; 2],
    to: [f32; 2],
}

impl Displacement {
    /// A point of the reference picture in the frame.
    pub fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (dx, dy) = (x - self.from[0], y - self.from[1]);
        [self.to[0] + dx * self.cos - dy * self.sin, self.to[1] + dx * self.sin + dy * self.cos]
    }

    /// A region of the reference picture in the frame.
    pub(super) fn region(&self, region: &Region) -> Region {
        let [a, b, c, d] = region.corners().map(|corner| self.apply(corner));
        Region::Quad([a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]])
    }
}

impl Marks {
    /// Marks at `regions` of the picture with these packed RGB pixels `[H, W, 3]`.
    ///
    /// # Errors
    /// [`MarkError`] naming the mark, counted from 1.
    pub fn new([width, height]: [u32; 2], rgb: &[u8], regions: &[Region]) -> Result<Marks, MarkError> {
        let picture = Picture { width, height, channels: Channels::Rgb, limited: false, sideways: false, data: rgb };
        let mut reference = Grey::EMPTY;
        reference.take(&picture);
        let (width, height) = (reference.width, reference.height);
        let place = |(index, region): (usize, &Region)| {
            let corners = region.corners();
            let bound =
                |axis: usize, of: fn(f32, f32) -> f32| corners.iter().map(|c| c[axis]).reduce(of).unwrap_or(0.0);
            let [left, top, right, bottom] =
                [bound(0, f32::min), bound(1, f32::min), bound(0, f32::max), bound(1, f32::max)];
            if left < 0.0 || top < 0.0 || right > width as f32 || bottom > height as f32 {
                return Err(MarkError::Outside(index + 1, width, height));
            }
            if right - left < SMALLEST || bottom - top < SMALLEST {
                return Err(MarkError::Small(index + 1));
            }
            Ok([left, top, right, bottom])
        };
        let places = regions.iter().enumerate().map(place).collect::<Result<Vec<_>, _>>()?;
        let coarse = reference.coarse();
        for (index, place) in places.iter().enumerate() {
            let patch = Patch::cut(&reference, &coarse, *place);
            if !patch.is_some_and(|patch| patch.fine.is_distinct()) {
                return Err(MarkError::Plain(index + 1));
            }
        }
        Ok(Marks { reference, places })
    }
}

/// Finds marks in frames; owns the scratch buffers.
#[derive(Debug)]
pub struct Aligner {
    marks: Arc<Marks>,
    /// The marks for pictures of this size.
    patches: Vec<Patch>,
    size: [usize; 2],
    grey: Grey,
    coarse: Grey,
}

impl Aligner {
    /// A finder of `marks`.
    pub fn new(marks: Arc<Marks>) -> Aligner {
        Aligner { marks, patches: Vec::new(), size: [0, 0], grey: Grey::EMPTY, coarse: Grey::EMPTY }
    }

    /// Displacement of `picture`, whose full size the reference picture has; `None` where the marks are not found.
    pub(super) fn find(&mut self, picture: &Picture<'_>) -> Option<Displacement> {
        self.take(picture);
        // In a picture that is too small some marks are nothing.
        if self.patches.len() < self.marks.places.len() {
            return None;
        }
        let reach = (self.grey.width as f32 * REACH) as usize;
        let found: Option<Vec<Pair>> = self
            .patches
            .iter()
            .map(|patch| Some((patch.middle, patch.find(&self.grey, &self.coarse, reach)?)))
            .collect();
        fitted(&found?, OFF.max(self.grey.width as f32 * OFF_PART))
    }

    /// Takes the luminance of a picture, and cuts the marks anew where its size is another.
    fn take(&mut self, picture: &Picture<'_>) {
        self.grey.take(picture);
        let (width, height) = (self.grey.width, self.grey.height);
        self.grey.shrink(COARSE, &mut self.coarse);
        if self.size == [width, height] {
            return;
        }
        self.size = [width, height];
        let Marks { reference, places } = self.marks.as_ref();
        let resized = reference.resized(width, height);
        let factor = [width as f32 / reference.width.max(1) as f32, height as f32 / reference.height.max(1) as f32];
        let scaled = |place: &[f32; 4]| std::array::from_fn(|i| place[i] * factor[i % 2]);
        let coarse = resized.coarse();
        self.patches = places.iter().filter_map(|place| Patch::cut(&resized, &coarse, scaled(place))).collect();
    }
}

/// A piece of a picture, zero on average and of length 1.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    width: usize,
    height: usize,
    values: Vec<f32>,
    /// Standard deviation before.
    contrast: f32,
    /// The same of the differences from pixel to pixel, across and down.
    edges: [f32; 2],
}

impl Piece {
    fn cut(grey: &Grey, left: usize, top: usize, width: usize, height: usize) -> Option<Piece> {
        if width < 3 || height < 3 || left + width > grey.width || top + height > grey.height {
            return None;
        }
        let rows = (top..top + height).filter_map(|y| grey.data.get(y * grey.width + left..)?.get(..width));
        let mut values: Vec<f32> = rows.flatten().map(|v| f32::from(*v)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        values.iter_mut().for_each(|v| *v -= mean);
        let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let rms = |sum: f32, count: usize| (sum / count.max(1) as f32).sqrt();
        let across: f32 =
            values.chunks_exact(width).flat_map(|row| row.windows(2)).map(|w| (w[1] - w[0]).powi(2)).sum();
        let down: f32 = values.iter().zip(values.iter().skip(width)).map(|(a, b)| (b - a).powi(2)).sum();
        let edges = [rms(across, (width - 1) * height), rms(down, width * (height - 1))];
        let contrast = length / (values.len() as f32).sqrt();
        values.iter_mut().for_each(|v| *v /= length.max(1e-6));
        Some(Piece { width, height, values, contrast, edges })
    }

    /// True where it can be told from its surroundings in both directions.
    fn is_distinct(&self) -> bool {
        self.contrast >= LEAST_CONTRAST && self.edges.iter().all(|edge| *edge >= self.contrast * 0.04)
    }

    /// Correlation with the piece of `grey` whose top left corner is there, -1 to 1; 0 where that is not within the picture.
    fn correlation(&self, grey: &Grey, left: isize, top: isize) -> f32 {
        let (Ok(left), Ok(top)) = (usize::try_from(left), usize::try_from(top)) else { return 0.0 };
        if left + self.width > grey.width || top + self.height > grey.height {
            return 0.0;
        }
        let (mut sum, mut squares, mut product) = (0.0f32, 0.0f32, 0.0f32);
        for (row, y) in self.values.chunks_exact(self.width).zip(top..) {
            let start = y * grey.width + left;
            let seen = grey.data.get(start..start + self.width).unwrap_or_default();
            for (own, seen) in row.iter().zip(seen) {
                let seen = f32::from(*seen);
                sum += seen;
                squares += seen * seen;
                product += own * seen;
            }
        }
        let count = self.values.len() as f32;
        let length = (squares - sum * sum / count).max(0.0).sqrt();
        if length < count.sqrt() { 0.0 } else { product / length }
    }
}

/// One mark, cut out of its picture on both grids.
#[derive(Clone, Debug, PartialEq)]
struct Patch {
    /// Its middle, in pixels.
    middle: [f32; 2],
    left: usize,
    top: usize,
    fine: Piece,
    coarse: Piece,
}

impl Patch {
    /// The middle of `[left, top, right, bottom]`, on whole pixels of the coarse grid.
    fn cut(grey: &Grey, coarse: &Grey, [left, top, right, bottom]: [f32; 4]) -> Option<Patch> {
        let side = |from: f32, to: f32| (((to - from) as usize).min(LARGEST) / COARSE * COARSE).max(COARSE * 3);
        let (width, height) = (side(left, right), side(top, bottom));
        let start = |from: f32, to: f32, side: usize| {
            ((((from + to) / 2.0 - side as f32 / 2.0).max(0.0) as usize + COARSE / 2) / COARSE) * COARSE
        };
        let (left, top) = (start(left, right, width), start(top, bottom, height));
        let coarse = Piece::cut(coarse, left / COARSE, top / COARSE, width / COARSE, height / COARSE)?;
        let fine = Piece::cut(grey, left, top, width, height)?;
        let middle = [left as f32 + width as f32 / 2.0, top as f32 + height as f32 / 2.0];
        Some(Patch { middle, left, top, fine, coarse })
    }

    /// Place of its middle in a frame, no further than `reach` pixels away.
    fn find(&self, grey: &Grey, coarse: &Grey, reach: usize) -> Option<[f32; 2]> {
        let reach = (reach / COARSE).cast_signed();
        let around = |at: usize| (at / COARSE).cast_signed() - reach..=(at / COARSE).cast_signed() + reach;
        let mut peaks: Vec<(f32, isize, isize)> = Vec::new();
        for y in around(self.top) {
            for x in around(self.left) {
                let score = self.coarse.correlation(coarse, x, y);
                // Of neighbours, the better one.
                match peaks.iter_mut().find(|(_, px, py)| (x - px).abs() <= 2 && (y - py).abs() <= 2) {
                    Some(peak) if peak.0 < score => *peak = (score, x, y),
                    Some(_) => {}
                    None => peaks.push((score, x, y)),
                }
            }
        }
        peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
        let step = COARSE.cast_signed();
        let close = |(_, x, y): &(f32, isize, isize)| {
            let near = |at: isize| at * step - step..=at * step + step;
            let all = near(*y).flat_map(|y| near(*x).map(move |x| (x, y)));
            all.map(|(x, y)| (self.fine.correlation(grey, x, y), x, y)).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let (score, x, y) = peaks.iter().take(PEAKS).filter_map(close).max_by(|a, b| a.0.total_cmp(&b.0))?;
        if score < FOUND {
            return None;
        }
        let at = |dx: isize, dy: isize| self.fine.correlation(grey, x + dx, y + dy);
        let between = |before: f32, after: f32| {
            let bend = before - 2.0 * score + after;
            if bend < -1e-6 { ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
        };
        let place = [x as f32 + between(at(-1, 0), at(1, 0)), y as f32 + between(at(0, -1), at(0, 1))];
        Some([place[0] + self.fine.width as f32 / 2.0, place[1] + self.fine.height as f32 / 2.0])
    }
}

/// A point of the reference picture, and the same in a frame.
type Pair = ([f32; 2], [f32; 2]);

/// Rotation and shift that bring each first point nearest to its second; `None` where one stays further off than `most`.
fn fitted(pairs: &[Pair], most: f32) -> Option<Displacement> {
    let count = pairs.len() as f32;
    let mean = |of: fn(&Pair) -> [f32; 2]| {
        let sum = pairs.iter().map(of).fold([0.0, 0.0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        [sum[0] / count, sum[1] / count]
    };
    let (from, to) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut dot, mut cross) = (0.0, 0.0);
    for (a, b) in pairs {
        let ([ax, ay], [bx, by]) = ([a[0] - from[0], a[1] - from[1]], [b[0] - to[0], b[1] - to[1]]);
        dot += ax * bx + ay * by;
        cross += ax * by - ay * bx;
    }
    let angle = if pairs.len() > 1 { cross.atan2(dot) } else { 0.0 };
    let displacement = Displacement { cos: angle.cos(), sin: angle.sin(), from, to };
    let off = |(a, b): &Pair| {
        let [x, y] = displacement.apply(*a);
        (x - b[0]).hypot(y - b[1])
    };
    (!pairs.is_empty() && pairs.iter().all(|pair| off(pair) <= most)).then_some(displacement)
}

impl Grey {
    const EMPTY: Grey = Grey { width: 0, height: 0, data: Vec::new() };

    /// Becomes the luminance of `picture`.
    fn take(&mut self, picture: &Picture<'_>) {
        (self.width, self.height) = (picture.width as usize, picture.height as usize);
        self.data.clear();
        self.data.extend(picture.data.chunks_exact(picture.channels.bytes()).map(|pixel| light_of(picture, pixel)));
    }

    /// Writes the means of `factor` × `factor` pixels over `out`.
    fn shrink(&self, factor: usize, out: &mut Grey) {
        (out.width, out.height) = (self.width / factor, self.height / factor);
        out.data.clear();
        let area = (factor * factor) as u32;
        for y in 0..out.height {
            for x in 0..out.width {
                let rows = (0..factor).filter_map(|dy| self.data.get((y * factor + dy) * self.width + x * factor..));
                let sum: u32 = rows.flat_map(|row| row.iter().take(factor)).map(|v| u32::from(*v)).sum();
                out.data.push(((sum + area / 2) / area) as u8);
            }
        }
    }

    /// The picture on the coarse grid.
    fn coarse(&self) -> Grey {
        let mut coarse = Grey::EMPTY;
        self.shrink(COARSE, &mut coarse);
        coarse
    }

    /// The picture in another size, between its pixels.
    fn resized(&self, width: usize, height: usize) -> Grey {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let at = |x: usize, y: usize| self.data.get(y * self.width + x).map_or(0.0, |v| f32::from(*v));
        let place = |i: usize, to: usize, from: usize| {
            let place = ((i as f32 + 0.5) * from as f32 / to.max(1) as f32 - 0.5).clamp(0.0, from.max(1) as f32 - 1.0);
            let low = place as usize;
            (low, (low + 1).min(from.saturating_sub(1)), place.fract())
        };
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            let (y0, y1, ty) = place(y, height, self.height);
            for x in 0..width {
                let (x0, x1, tx) = place(x, width, self.width);
                let (top, bottom) =
                    (at(x0, y0) + (at(x1, y0) - at(x0, y0)) * tx, at(x0, y1) + (at(x1, y1) - at(x0, y1)) * tx);
                data.push((top + (bottom - top) * ty + 0.5) as u8);
            }
        }
        Grey { width, height, data }
    }
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
