//! Pixels: rectangles, lines and text. Whatever lies outside the picture is left out.

use super::font;

/// Red, green and blue.
pub type Colour = [u8; 3];

pub const BLACK: Colour = [0, 0, 0];
pub const WHITE: Colour = [255, 255, 255];

/// A rectangle of whole pixels, its right and bottom edges not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub left: i64,
    /// First row.
    pub top: i64,
    /// Column behind the last.
    pub right: i64,
    /// Row behind the last.
    pub bottom: i64,
}

impl Rect {
    /// The rectangle at a position with a size.
    pub fn at([left, top]: [i64; 2], [width, height]: [i64; 2]) -> Self {
        Rect { left, top, right: left + width, bottom: top + height }
    }

    /// Reports a common pixel.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Grown by `by` pixels on each side.
    pub fn grown(&self, by: i64) -> Rect {
        Rect { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }
}

/// A picture, packed RGB `[H, W, 3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A canvas over a picture of `[width, height]` pixels; missing bytes are black.
    pub fn new([width, height]: [u32; 2], mut rgb: Vec<u8>) -> Self {
        let (width, height) = (width as usize, height as usize);
        rgb.resize(width * height * 3, 0);
        Canvas { width, height, rgb }
    }

    /// `[width, height]` in pixels.
    pub fn size(&self) -> [i64; 2] {
        [self.width as i64, self.height as i64]
    }

    /// The pixels, packed RGB `[H, W, 3]`.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The colour of a pixel; `None` outside the picture.
    #[cfg(test)]
    pub fn pixel(&self, x: usize, y: usize) -> Option<Colour> {
        let at = (y * self.width + x) * 3;
        self.rgb.get(at..at + 3).filter(|_| x < self.width)?.try_into().ok()
    }

    /// The picture with each pixel a square of `factor` pixels.
    pub fn enlarged(&self, factor: usize) -> Canvas {
        let mut rgb = Vec::with_capacity(self.rgb.len() * factor * factor);
        for row in self.rgb.chunks_exact((self.width * 3).max(1)) {
            let wide: Vec<u8> = row.chunks_exact(3).flat_map(|pixel| pixel.repeat(factor)).collect();
            rgb.extend(wide.repeat(factor));
        }
        Canvas { width: self.width * factor, height: self.height * factor, rgb }
    }

    /// The picture with the mean of each square of `factor` pixels as one; what is left over at the right and bottom is cut off.
    pub fn reduced(&self, factor: usize) -> Canvas {
        let factor = factor.clamp(1, self.width.min(self.height).max(1));
        let (width, height) = (self.width / factor, self.height / factor);
        let mut rgb = Vec::with_capacity(width * height * 3);
        let area = (factor * factor) as u64;
        for y in 0..height {
            for x in 0..width {
                for channel in 0..3 {
                    let row = |dy: usize| ((y * factor + dy) * self.width + x * factor) * 3 + channel;
                    let value = |dy: usize, dx: usize| u64::from(self.rgb[row(dy) + dx * 3]);
                    let sum: u64 = (0..factor)
                        .flat_map(|dy| (0..factor).map(move |dx| (dy, dx)))
                        .map(|(dy, dx)| value(dy, dx))
                        .sum();
                    rgb.push((sum / area) as u8);
                }
            }
        }
        Canvas { width, height, rgb }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, rect: Rect, colour: Colour) {
        self.each_pixel(rect, |pixel| pixel.copy_from_slice(&colour));
    }

    /// Mixes a colour into a rectangle, with `part` of 256 of it.
    pub fn blend(&mut self, rect: Rect, colour: Colour, part: u16) {
        self.each_pixel(rect, |pixel| {
            for (value, own) in pixel.iter_mut().zip(colour) {
                *value = ((u16::from(*value) * (256 - part) + u16::from(own) * part) >> 8) as u8;
            }
        });
    }

    /// Changes every pixel of a rectangle, as far as it lies on the canvas.
    fn each_pixel(&mut self, rect: Rect, change: impl Fn(&mut [u8])) {
        let within = |value: i64, most: usize| value.clamp(0, most as i64) as usize;
        let (left, right) = (within(rect.left, self.width), within(rect.right, self.width));
        if left >= right {
            return;
        }
        for y in within(rect.top, self.height)..within(rect.bottom, self.height) {
            let row = (y * self.width + left) * 3..(y * self.width + right) * 3;
            self.rgb.get_mut(row).unwrap_or_default().chunks_exact_mut(3).for_each(&change);
        }
    }

    /// Mixes a colour into what lies within an odd number of closed lines, with `part` of 256 of it.
    pub fn tint(&mut self, rings: &[Vec<[f32; 2]>], colour: Colour, part: u16) {
        let points = || rings.iter().flatten().filter(|point| point[1].is_finite());
        let (low, high) = points().fold((f32::MAX, f32::MIN), |(low, high), [_, y]| (low.min(*y), high.max(*y)));
        let mut crossed: Vec<f32> = Vec::new();
        for y in (low.max(0.0) as usize)..(high.min(self.height as f32).max(0.0) as usize + 1).min(self.height) {
            let middle = y as f32 + 0.5;
            crossed.clear();
            for ring in rings {
                for (i, [x1, y1]) in ring.iter().enumerate() {
                    let [x2, y2] = ring[(i + 1) % ring.len()];
                    if (*y1 <= middle) != (y2 <= middle) {
                        crossed.push(x1 + (middle - y1) / (y2 - y1) * (x2 - x1));
                    }
                }
            }
            crossed.sort_by(f32::total_cmp);
            for pair in crossed.chunks_exact(2) {
                let [left, right] = [pair[0], pair[1]].map(|x| x.round().clamp(-1e6, 1e6) as i64);
                self.blend(Rect { left, top: y as i64, right, bottom: y as i64 + 1 }, colour, part);
            }
        }
    }

    /// Draws the lines from corner to corner and back to the first one, `thickness` pixels wide with a dark edge of one step on both
    /// sides, so that they are seen on any background.
    pub fn outline(&mut self, corners: &[[f32; 2]], thickness: i64, colour: Colour) {
        for (thickness, colour) in [(thickness * 3, BLACK), (thickness, colour)] {
            for (i, from) in corners.iter().enumerate() {
                self.line(*from, corners[(i + 1) % corners.len()], thickness, colour);
            }
        }
    }

    /// Draws a line of `thickness` pixels.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], thickness: i64, colour: Colour) {
        let [width, height] = self.size();
        // Coordinates far outside would only make the line long to walk.
        let near = |[x, y]: [f32; 2]| {
            [x.clamp(-(width as f32), 2.0 * width as f32), y.clamp(-(height as f32), 2.0 * height as f32)]
        };
        let (from, to) = (near(from), near(to));
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0) as i64;
        for step in 0..=steps {
            let part = step as f32 / steps as f32;
            let x = (from[0] + dx * part).round() as i64;
            let y = (from[1] + dy * part).round() as i64;
            self.fill(Rect::at([x - thickness / 2, y - thickness / 2], [thickness, thickness]), colour);
        }
    }

    /// Writes a line of text with its top left corner at a position, each pixel of the font a square of `scale` pixels.
    pub fn text(&mut self, [x, y]: [i64; 2], scale: i64, text: &str, colour: Colour) {
        for (i, character) in text.chars().enumerate() {
            let left = x + i as i64 * advance(scale);
            for (column, bits) in font::glyph(character).into_iter().enumerate() {
                for row in (0..font::HEIGHT).filter(|row| bits >> row & 1 == 1) {
                    let at = [left + column as i64 * scale, y + row as i64 * scale];
                    self.fill(Rect::at(at, [scale, scale]), colour);
                }
            }
        }
    }
}

/// Pixels from one character to the next.
pub fn advance(scale: i64) -> i64 {
    (font::WIDTH as i64 + 1) * scale
}

/// `[width, height]` of a line of text in pixels.
pub fn text_size(text: &str, scale: i64) -> [i64; 2] {
    let characters = text.chars().count() as i64;
    [(characters * advance(scale) - scale).max(0), font::HEIGHT as i64 * scale]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut canvas = Canvas::new([8, 6], vec![9; 8 * 6 * 3]);
        canvas.fill(Rect::at([-5, -5], [100, 7]), WHITE);
        canvas.fill(Rect::at([20, 0], [4, 4]), BLACK);
        assert_eq!((canvas.pixel(0, 0), canvas.pixel(0, 2)), (Some(WHITE), Some([9; 3])));
        canvas.outline(&[[-1e9, 5.0], [1e9, 5.0], [f32::MAX, f32::MIN], [f32::NAN, 0.0]], 1, [1, 2, 3]);
        canvas.text([6, -3], 2, "Wg", BLACK);
        canvas.text([-500, 900], 3, "far", BLACK);
        assert_eq!(canvas.rgb().len(), 8 * 6 * 3);
        assert_eq!((canvas.pixel(8, 0), canvas.pixel(0, 6)), (None, None));
    }

    #[test]
    fn text_is_written_pixel_by_pixel() {
        let mut canvas = Canvas::new([12, 12], Vec::new());
        canvas.text([1, 0], 1, "L", WHITE);
        let row = |y: usize| (0..12).map(|x| if canvas.pixel(x, y) == Some(WHITE) { '#' } else { '.' }).collect();
        let shown: Vec<String> = (0..10).map(row).collect();
        let stem = ".#..........";
        let (empty, foot) = ("............", ".#####......");
        assert_eq!(shown, [empty, empty, stem, stem, stem, stem, stem, stem, foot, empty]);
        assert_eq!((text_size("ab", 2), text_size("", 2)), ([22, 20], [0, 20]));
    }

    #[test]
    fn enlarging_makes_squares_of_pixels() {
        let small = Canvas::new([2, 1], vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(small.enlarged(3).reduced(3), small);
        assert_eq!(Canvas::new([3, 2], vec![10; 18]).reduced(2), Canvas::new([1, 1], vec![10; 3]));
        let large = small.enlarged(2);
        assert_eq!(large.size(), [4, 2]);
        assert_eq!((large.pixel(1, 1), large.pixel(2, 0)), (Some([1, 2, 3]), Some([4, 5, 6])));
    }
}
