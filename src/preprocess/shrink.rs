//! Luminance of a whole picture on a coarse grid, for those who ask whether anything moved.

use super::decode::Decoder;
use super::error::PreprocessError;
use super::picture::{Channels, Picture};
use crate::frame::{Payload, SharedFrame};

/// Most cells across and down.
const SIDE: usize = 160;

/// Rows of pixels that are read for one row of cells at most: more would cost time and take out little more noise.
const ROWS: usize = 4;

/// Luminance of a picture on a coarse grid, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coarse<'a> {
    /// Cells across, above 0.
    pub width: usize,
    /// Cells down, above 0.
    pub height: usize,
    /// `height × width` mean luminances.
    pub cells: &'a [u8],
}

/// Makes coarse pictures; owns the buffers.
#[derive(Debug, Default)]
pub struct Shrinker {
    decoder: Decoder,
    sums: Vec<u32>,
    cells: Vec<u8>,
}

impl Shrinker {
    /// The coarse picture of a frame, which is decoded at most once for all of its readers. Squares of pixels become cells, so that
    /// neither side has more than 160; what is left over at the right and at the bottom is not looked at.
    ///
    /// # Errors
    /// [`PreprocessError`]; a window of readings is a mismatch.
    pub fn shrink(&mut self, frame: &SharedFrame) -> Result<Coarse<'_>, PreprocessError> {
        let Payload::Image(image) = &frame.payload else {
            return Err(PreprocessError::Mismatch("a window of readings has no pixels".into()));
        };
        let Shrinker { decoder, sums, cells } = self;
        let picture = decoder.shared(frame, image, true)?;
        let (width, height) = (picture.width as usize, picture.height as usize);
        let side = width.max(height).div_ceil(SIDE);
        let [width, height] = [(width / side).max(1), (height / side).max(1)];
        average(&picture, side, [width, height], sums, cells);
        Ok(Coarse { width, height, cells })
    }
}

/// Means over squares of `side` pixels.
fn average(picture: &Picture<'_>, side: usize, [width, height]: [usize; 2], sums: &mut Vec<u32>, cells: &mut Vec<u8>) {
    let bytes = picture.channels.bytes();
    let line = picture.width as usize * bytes;
    let used = (width * side * bytes).min(line);
    let (columns, lines) = (side.min(picture.width as usize), side.min(picture.height as usize));
    let rows = lines.min(ROWS);
    cells.clear();
    cells.reserve(width * height);
    for row in 0..height {
        sums.clear();
        sums.resize(width, 0);
        for read in 0..rows {
            let y = row * side + read * lines / rows;
            let pixels = picture.data.get(y * line..y * line + used).unwrap_or_default();
            let squares = pixels.chunks(side * bytes);
            match picture.channels {
                Channels::Grey => add(sums, squares, |square| square.iter().map(|v| u32::from(*v)).sum()),
                Channels::GreyChroma => {
                    add(sums, squares, |square| square.iter().step_by(2).map(|v| u32::from(*v)).sum());
                }
                // Green twice: near enough to luminance, and the same for both orders.
                Channels::Rgb | Channels::Bgr => add(sums, squares, |square| {
                    let all: u32 = square.iter().map(|v| u32::from(*v)).sum();
                    let green: u32 = square.iter().skip(1).step_by(3).map(|v| u32::from(*v)).sum();
                    (all + green) / 4
                }),
            }
        }
        let count = (rows * columns).max(1) as u32;
        cells.extend(sums.iter().map(|sum| (sum / count).min(255) as u8));
    }
}

fn add<'a>(sums: &mut [u32], squares: impl Iterator<Item = &'a [u8]>, sum: impl Fn(&[u8]) -> u32) {
    for (total, square) in sums.iter_mut().zip(squares) {
        *total += sum(square);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frame::{Frame, FramePool, PixelFormat};

    fn shared(format: PixelFormat, [width, height]: [u32; 2], data: Vec<u8>) -> Arc<SharedFrame> {
        let mut frame = Frame::empty();
        let image = frame.image_mut();
        (image.format, image.width, image.height, image.data) = (format, width, height, data);
        Arc::new(FramePool::default()).share(frame, true)
    }

    #[test]
    fn every_format_gives_the_same_means() {
        // The left half dark, the right half light, 8 pixels a cell.
        let light = |x: usize| if x < 640 { 40 } else { 200 };
        let pixels = || (0..720).flat_map(|_| (0..1280).map(light));
        let grey: Vec<u8> = pixels().collect();
        let rgb: Vec<u8> = pixels().flat_map(|v| [v; 3]).collect();
        let yuyv: Vec<u8> = pixels().flat_map(|v| [v, 128]).collect();
        let i420: Vec<u8> = grey.iter().copied().chain(std::iter::repeat_n(128, 1280 * 720 / 2)).collect();
        for (format, data) in [
            (PixelFormat::Gray8, grey),
            (PixelFormat::Rgb8, rgb.clone()),
            (PixelFormat::Bgr8, rgb),
            (PixelFormat::Yuyv, yuyv),
            (PixelFormat::I420, i420),
        ] {
            let mut shrinker = Shrinker::default();
            let frame = shared(format, [1280, 720], data);
            let coarse = shrinker.shrink(&frame).unwrap();
            assert_eq!((coarse.width, coarse.height, coarse.cells.len()), (160, 90, 160 * 90), "{format:?}");
            assert!(coarse.cells.chunks(160).all(|row| row[..80] == [40; 80] && row[80..] == [200; 80]), "{format:?}");
        }
    }

    #[test]
    fn odd_sizes_stay_within_the_grid() {
        for (size, expected) in [
            ([1, 1], [1, 1]),
            ([159, 3], [159, 3]),
            ([161, 161], [80, 80]),
            ([352, 288], [117, 96]),
            ([3, 4000], [1, 160]),
            ([1080, 1920], [90, 160]),
        ] {
            let frame = shared(PixelFormat::Gray8, size, vec![9; (size[0] * size[1]) as usize]);
            let mut shrinker = Shrinker::default();
            let coarse = shrinker.shrink(&frame).unwrap();
            assert_eq!([coarse.width, coarse.height], expected, "{size:?}");
            assert_eq!(coarse.cells.len(), coarse.width * coarse.height);
            assert!(coarse.cells.iter().all(|v| *v == 9), "{size:?}");
        }
    }

    #[test]
    fn a_broken_picture_is_an_error() {
        let frame = shared(PixelFormat::Jpeg, [640, 480], vec![0xff, 0xd8, 1, 2]);
        assert!(Shrinker::default().shrink(&frame).is_err());
        let mut window = Frame::empty();
        window.window_mut();
        let window = Arc::new(FramePool::default()).share(window, false);
        assert!(matches!(Shrinker::default().shrink(&window), Err(PreprocessError::Mismatch(_))));
    }
}
