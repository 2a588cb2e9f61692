//! A picture out of characters: two pixels in a cell, or a shade where the terminal has no more.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use crate::cli::watch::ascii::SHADES;

/// Shades of one cell that every font of a terminal has, from dark to light.
const BLOCKS: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Pixels whose channels differ by no more are grey.
const GREY_WITHIN: u8 = 24;

/// Means of a terminal to show a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Half blocks in 256 colours.
    Colours,
    /// Blocks in five shades.
    Shades,
    /// Characters in ten shades.
    Ascii,
}

/// A part of a picture: packed RGB, `3 · width · height` bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// The bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The part `[x, y, width, height]` of a packed RGB picture of `size`, as far as it is inside.
    pub fn part(rgb: &[u8], size: [u32; 2], part: [f32; 4]) -> Picture {
        let [width, height] = size.map(|side| side as usize);
        let clamp = |value: f32, most: usize| (value.max(0.0) as usize).min(most);
        let [left, right] = [part[0], part[0] + part[2]].map(|x| clamp(x, width));
        let [top, bottom] = [part[1], part[1] + part[3]].map(|y| clamp(y, height));
        let rows = (top..bottom).map(|y| rgb.get(3 * (y * width + left)..3 * (y * width + right)).unwrap_or_default());
        let rgb: Vec<u8> = rows.flatten().copied().collect();
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        if rgb.len() == 3 * width * height { Picture { width, height, rgb } } else { Picture::default() }
    }

    /// Columns and rows that it takes of at most so many; pixels stay square where a cell is twice as high as wide.
    pub fn fits(&self, columns: usize, rows: usize) -> [usize; 2] {
        if self.width == 0 || self.height == 0 || columns == 0 || rows == 0 {
            return [0, 0];
        }
        let by_rows = self.width * rows * 2 / self.height;
        if by_rows <= columns {
            return [by_rows.max(1), rows];
        }
        [columns, (columns * self.height / (self.width * 2)).clamp(1, rows)]
    }

    /// The mean colour of the part that is cell `[x, y]` of a grid of `[columns, rows]`.
    fn mean(&self, [x, y]: [usize; 2], [columns, rows]: [usize; 2]) -> [u8; 3] {
        let span = |at: usize, of: usize, side: usize| {
            let from = at * side / of;
            from..((at + 1) * side / of).clamp(from + 1, side.max(from + 1))
        };
        let (across, down) = (span(x, columns, self.width), span(y, rows, self.height));
        let mut sum = [0_u32; 3];
        let mut count = 0;
        for row in down {
            let from = 3 * (row * self.width + across.start);
            let line = self.rgb.get(from..from + 3 * across.len()).unwrap_or_default();
            for pixel in line.chunks_exact(3) {
                sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
                count += 1;
            }
        }
        sum.map(|sum| (sum / count.max(1)) as u8)
    }

    /// The picture in at most `columns` and `rows` cells, by what the terminal can show.
    pub fn lines(&self, means: Means, columns: usize, rows: usize) -> Vec<Line<'static>> {
        let [columns, rows] = self.fits(columns, rows);
        match means {
            Means::Colours => self.halves(columns, rows),
            Means::Shades => self.shades(&BLOCKS, columns, rows),
            Means::Ascii => self.shades(&SHADES, columns, rows),
        }
    }

    fn halves(&self, columns: usize, rows: usize) -> Vec<Line<'static>> {
        let grid = [columns, rows * 2];
        let cell = |x: usize, y: usize| {
            let [upper, lower] = [2 * y, 2 * y + 1].map(|y| Color::Indexed(nearest(self.mean([x, y], grid))));
            Span::styled("▀", Style::new().fg(upper).bg(lower))
        };
        (0..rows).map(|y| Line::from((0..columns).map(|x| cell(x, y)).collect::<Vec<_>>())).collect()
    }

    /// Shades between the darkest and the lightest cell.
    fn shades(&self, shades: &[char], columns: usize, rows: usize) -> Vec<Line<'static>> {
        let grey = |x: usize, y: usize| luminance(self.mean([x, y], [columns, rows]));
        let cells: Vec<Vec<u32>> = (0..rows).map(|y| (0..columns).map(|x| grey(x, y)).collect()).collect();
        let all = || cells.iter().flatten().copied();
        let (low, high) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let last = shades.len().saturating_sub(1) as u32;
        let shade = |grey: &u32| {
            let at = ((grey - low) * last + (high - low) / 2) / (high - low).max(1);
            shades.get(at.min(last) as usize).copied().unwrap_or(' ')
        };
        cells.iter().map(|row| Line::raw(row.iter().map(shade).collect::<String>())).collect()
    }
}

/// Luminance (BT.601), 0 to 255.
fn luminance([r, g, b]: [u8; 3]) -> u32 {
    (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) / 1000
}

/// The colour of the 256 that is nearest: one of 24 greys, or of a cube of six steps a side.
fn nearest(rgb: [u8; 3]) -> u8 {
    let (least, most) = (rgb.iter().min().copied().unwrap_or(0), rgb.iter().max().copied().unwrap_or(0));
    if most - least <= GREY_WITHIN {
        return match luminance(rgb) {
            0..=3 => 16,
            247.. => 231,
            // From 8 to 238 in steps of ten.
            grey => 232 + ((grey.saturating_sub(3)) / 10).min(23) as u8,
        };
    }
    let step = |value: u8| match value {
        0..48 => 0,
        48..115 => 1,
        _ => (value - 35) / 40,
    };
    16 + 36 * step(rgb[0]) + 6 * step(rgb[1]) + step(rgb[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The left half black, the right half white.
    fn halved(width: usize, height: usize) -> Picture {
        let row: Vec<u8> = (0..width).flat_map(|x| [if x < width / 2 { 0 } else { 255 }; 3]).collect();
        Picture { width, height, rgb: row.repeat(height) }
    }

    fn text(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_keeps_its_shape_in_the_room_that_there_is() {
        let picture = halved(40, 20);
        assert_eq!(picture.fits(80, 5), [20, 5]);
        assert_eq!(picture.fits(10, 24), [10, 2]);
        assert_eq!(picture.fits(0, 5), [0, 0]);
        assert_eq!(Picture::default().fits(10, 10), [0, 0]);
        for (columns, rows) in [(1, 1), (3, 1), (200, 100), (7, 3)] {
            for means in [Means::Colours, Means::Shades, Means::Ascii] {
                let lines = picture.lines(means, columns, rows);
                assert!(lines.len() <= rows && lines.iter().all(|line| line.width() <= columns), "{columns} {rows}");
            }
        }
    }

    #[test]
    fn light_and_dark_are_told_apart_by_every_means() {
        let picture = halved(40, 20);
        assert_eq!(text(&picture.lines(Means::Shades, 8, 2)), ["    ████", "    ████"]);
        assert_eq!(text(&picture.lines(Means::Ascii, 8, 2)), ["    @@@@", "    @@@@"]);
        let lines = picture.lines(Means::Colours, 8, 2);
        let colours: Vec<_> = lines[0].spans.iter().map(|span| (span.style.fg, span.style.bg)).collect();
        let [black, white] = [16, 231].map(|index| Some(Color::Indexed(index)));
        assert_eq!(colours, [[(black, black); 4], [(white, white); 4]].concat());
        let even = Picture { width: 4, height: 4, rgb: vec![90; 48] };
        assert_eq!(text(&even.lines(Means::Shades, 4, 2)), ["    ", "    "], "nothing to tell apart");
    }

    #[test]
    fn colours_are_those_of_the_terminal_that_are_nearest() {
        for (rgb, expected) in
            [([255, 0, 0], 196), ([0, 0, 0], 16), ([255, 255, 255], 231), ([128, 128, 128], 244), ([95, 135, 0], 64)]
        {
            assert_eq!(nearest(rgb), expected, "{rgb:?}");
        }
    }

    #[test]
    fn a_part_is_cut_out_and_one_outside_is_none() {
        let picture = halved(8, 4);
        let part = Picture::part(&picture.rgb, [8, 4], [3.0, 1.0, 2.0, 2.0]);
        assert_eq!((part.width, part.height), (2, 2));
        assert_eq!(part.rgb, [[0; 3], [255; 3], [0; 3], [255; 3]].concat());
        assert_eq!(Picture::part(&picture.rgb, [8, 4], [6.0, -5.0, 20.0, 20.0]).width, 2);
        assert_eq!(Picture::part(&picture.rgb, [8, 4], [9.0, 9.0, 2.0, 2.0]), Picture::default());
        assert_eq!(Picture::part(&[0; 3], [8, 4], [0.0, 0.0, 8.0, 4.0]), Picture::default(), "too few bytes");
    }
}
