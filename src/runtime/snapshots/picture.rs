//! A result's frame as JPEG, with what was found drawn on it, no larger than a message may be.

use crate::draw::{self, Canvas, EncodeError};
use crate::frame::{Image, Output, Payload, PixelFormat};
use crate::preprocess::{self, PreprocessError};

/// Qualities that are tried one after the other, 1 to 100; after the last one, the picture is made smaller.
const QUALITIES: [u8; 2] = [85, 65];
/// Longest side of a picture in pixels.
const LONGEST_SIDE: i64 = 1920;
/// A picture is not made smaller than this, in pixels.
const LEAST_SIDE: i64 = 64;

/// Reason for which there is no picture.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum PictureError {
    /// The frame holds no picture.
    #[error("the pipeline reads numbers, not pictures")]
    NoPicture,
    /// It cannot be decoded.
    #[error("the frame cannot be decoded: {0}")]
    Decode(#[from] PreprocessError),
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No picture of it is small enough.
    #[error("more than {0} bytes")]
    TooLarge(usize),
}

/// The picture of a result: with boxes, and without them where `clean`. Each has `most` bytes at most.
pub(super) struct Pictures {
    /// With boxes and labels.
    pub(super) drawn: Vec<u8>,
    /// Without.
    pub(super) clean: Option<Vec<u8>>,
}

impl Pictures {
    /// Decodes the frame of `output`, draws and encodes it.
    ///
    /// # Errors
    /// [`PictureError`].
    pub(super) fn of(output: &Output, clean: bool, most: usize) -> Result<Pictures, PictureError> {
        let (image, canvas) = decoded(output)?;
        let canvas = reduced(canvas, LONGEST_SIDE);
        let clean = match clean {
            // As it came from the camera.
            true if image.format == PixelFormat::Jpeg && image.data.len() <= most => Some(image.data.clone()),
            true => Some(encoded(&canvas, most)?),
            false => None,
        };
        let outcome = draw::scaled(&output.outcome, canvas.size());
        let drawn = encoded(&draw::annotated(canvas, &outcome, &[]), most)?;
        Ok(Pictures { drawn, clean })
    }
}

/// The picture of a result's frame, as captured and as pixels.
///
/// # Errors
/// [`PictureError::NoPicture`], [`PictureError::Decode`].
pub(in crate::runtime) fn decoded(output: &Output) -> Result<(&Image, Canvas), PictureError> {
    let frame = output.frame.as_deref().ok_or(PictureError::NoPicture)?;
    let Payload::Image(image) = &frame.payload else { return Err(PictureError::NoPicture) };
    let mut rgb = Vec::new();
    let size = preprocess::to_rgb(image, &mut rgb)?;
    Ok((image, Canvas::new(size, rgb)))
}

/// The picture with no side longer than `longest`, reduced by a whole factor.
fn reduced(canvas: Canvas, longest: i64) -> Canvas {
    let side = canvas.size().into_iter().max().unwrap_or(1).max(1);
    let factor = (side + longest - 1) / longest;
    if factor > 1 { canvas.reduced(factor as usize) } else { canvas }
}

fn encoded(canvas: &Canvas, most: usize) -> Result<Vec<u8>, PictureError> {
    let mut smaller: Option<Canvas> = None;
    loop {
        let canvas = smaller.as_ref().unwrap_or(canvas);
        for quality in QUALITIES {
            let bytes = draw::jpeg(canvas, quality)?;
            if bytes.len() <= most {
                return Ok(bytes);
            }
        }
        if canvas.size().into_iter().min().unwrap_or(0) < 2 * LEAST_SIDE {
            return Err(PictureError::TooLarge(most));
        }
        smaller = Some(canvas.reduced(2));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frame::{Detection, Frame, FramePool, Outcome, PipelineName, Stamp, TaskKind, Timing};

    /// A result with a grey JPEG of `side` pixels, with `noise` of so many levels, and one box around its middle, in pixels of a source of twice the size.
    fn output(side: u32, noise: u8) -> Output {
        let grey = |i: u32| 100 + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % noise;
        let rgb: Vec<u8> = (0..side * side * 3).map(grey).collect();
        let data = draw::jpeg(&Canvas::new([side; 2], rgb), 90).unwrap();
        let mut frame = Frame::empty();
        *frame.image_mut() = Image { format: PixelFormat::Jpeg, data, ..Image::default() };
        let half = side as f32;
        Output {
            pipeline: PipelineName::new("door").unwrap(),
            stamp: Stamp::of(&frame),
            frame: Some(Arc::new(FramePool::default()).share(frame, true)),
            outcome: Outcome::Detect {
                task: TaskKind::Detect,
                detections: vec![Detection::new(
                    "person".into(),
                    0.9,
                    [half * 0.5, half * 0.5, half * 1.5, half * 1.5],
                )],
                counts: Default::default(),
                zones: Default::default(),
                lines: Default::default(),
                source_width: side * 2,
                source_height: side * 2,
            },
            events: Vec::new(),
            timing: Timing::default(),
        }
    }

    fn pixels(jpeg: &[u8]) -> ([u32; 2], Vec<u8>) {
        let image = Image { format: PixelFormat::Jpeg, data: jpeg.to_vec(), ..Image::default() };
        let mut rgb = Vec::new();
        (preprocess::to_rgb(&image, &mut rgb).unwrap(), rgb)
    }

    #[test]
    fn boxes_are_drawn_where_they_are_and_the_clean_one_is_the_camera_s() {
        let output = output(400, 2);
        let pictures = Pictures::of(&output, true, 1 << 20).unwrap();
        let Payload::Image(image) = &output.frame.as_ref().unwrap().payload else { panic!() };
        assert_eq!(pictures.clean.as_ref(), Some(&image.data));
        let ([width, height], drawn) = pixels(&pictures.drawn);
        let (_, clean) = pixels(&image.data);
        assert_eq!([width, height], [400, 400]);
        let differs = |x: usize, y: usize| {
            let at = (y * 400 + x) * 3;
            drawn[at..at + 3].iter().zip(&clean[at..at + 3]).any(|(a, b)| a.abs_diff(*b) > 60)
        };
        let edge = (120..280).filter(|y| differs(100, *y) || differs(101, *y)).count();
        let inside = (120..280).filter(|y| differs(200, *y)).count();
        assert!(edge > 120 && inside < 20, "{edge} {inside}");
    }

    #[test]
    fn a_picture_is_made_to_fit_into_a_message() {
        let output = output(700, 150);
        for most in [200_000, 40_000, 12_000] {
            let pictures = Pictures::of(&output, true, most).unwrap();
            assert!(pictures.drawn.len() <= most && pictures.clean.unwrap().len() <= most);
        }
        assert!(matches!(Pictures::of(&output, false, 100), Err(PictureError::TooLarge(100))));
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        let mut damaged = output(64, 2);
        let mut frame = Frame::empty();
        *frame.image_mut() = Image { format: PixelFormat::Jpeg, data: vec![1, 2, 3], ..Image::default() };
        damaged.frame = Some(Arc::new(FramePool::default()).share(frame, true));
        assert!(matches!(Pictures::of(&damaged, false, 1 << 20), Err(PictureError::Decode(_))));
        damaged.frame = None;
        assert!(matches!(Pictures::of(&damaged, false, 1 << 20), Err(PictureError::NoPicture)));
    }
}
