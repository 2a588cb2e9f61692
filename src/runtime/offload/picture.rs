//! Pictures as they go to the group: a frame as its camera encoded it, or made smaller where it is too large for the way.

use bytes::Bytes;

use crate::draw::{self, Canvas};
use crate::fleet::{Content, Picture};
use crate::frame::{Image, Payload, SharedFrame};
use crate::preprocess;
use crate::runtime::content_of;

/// Largest encoded picture of a camera that goes as it is, in bytes: five a second are 4 Mbit/s.
const AS_IT_IS: usize = 100_000;
/// Qualities of a JPEG, the first that is small enough is taken.
const QUALITIES: [u8; 3] = [92, 85, 75];
/// Pixels of a picture for each of the model's input, in each direction, that are kept where there is room.
const OVER: u32 = 2;

/// The picture of a frame, of no more than `most` bytes, for a model with an input of `size` = `[width, height]`.
///
/// # Errors
/// The reason for which it cannot be given.
pub(super) fn of(frame: &SharedFrame, size: [u32; 2], most: usize) -> Result<Picture, String> {
    let Payload::Image(image) = &frame.payload else { return Err("readings are no picture".into()) };
    if let Some(content) = content_of(image.format)
        && image.data.len() <= most.min(AS_IT_IS)
    {
        return Ok(Picture { content, bytes: Bytes::copy_from_slice(&image.data), full: image.full, settings: None });
    }
    let mut rgb = Vec::new();
    let full = preprocess::shared_to_rgb(frame, image, &mut rgb).map_err(|e| e.to_string())?;
    let picture = reduced(full, rgb, size, most)?;
    Ok(Picture { full: image.full.or(picture.full), ..picture })
}

/// `image` made smaller, to no more than `most` bytes; it covers `[width, height]` of the model's input still.
///
/// # Errors
/// The reason for which that cannot be.
pub fn smaller(image: &Image, size: [u32; 2], most: usize) -> Result<Picture, String> {
    let mut rgb = Vec::new();
    let full = preprocess::to_rgb(image, &mut rgb).map_err(|e| e.to_string())?;
    reduced(full, rgb, size, most)
}

fn reduced(full: [u32; 2], rgb: Vec<u8>, [width, height]: [u32; 2], most: usize) -> Result<Picture, String> {
    let whole = Canvas::new(full, rgb);
    let by = |over: u32| {
        let [x, y] = [full[0] / (width * over).max(1), full[1] / (height * over).max(1)];
        x.min(y).max(1) as usize
    };
    for factor in by(OVER)..=by(1) {
        let reduced = whole.reduced(factor);
        for quality in QUALITIES {
            let bytes = draw::jpeg(&reduced, quality).map_err(|e| e.to_string())?;
            if bytes.len() <= most {
                let (content, bytes) = (Content::Jpeg, Bytes::from(bytes));
                return Ok(Picture { content, bytes, full: Some(full), settings: None });
            }
        }
    }
    Err(format!("too large: as small as the model takes it, it has more than the {most} bytes that may be sent"))
}
