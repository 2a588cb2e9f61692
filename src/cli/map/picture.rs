//! Pictures as they go to the group: a file as it is, or made smaller where it is too large for the way.

use std::path::Path;

use bytes::Bytes;

use crate::draw::{self, Canvas};
use crate::fleet::Picture;
use crate::frame::{Image, Spec};
use crate::pipeline::Planner;
use crate::runtime::content_of;
use crate::source::{self, names_pictures};
use crate::sys::file;
use crate::{fleet, preprocess};

/// Larger files are no pictures.
const MOST_BYTES: u64 = 64 << 20;
/// Qualities of a JPEG, the first that is small enough is taken.
const QUALITIES: [u8; 3] = [92, 85, 75];
/// Pixels of a picture for each of the model's input, in each direction, that are kept where there is room.
const OVER: u32 = 2;

/// `[width, height]` of the model's input.
///
/// # Errors
/// The reason for which the model takes no pictures.
pub(super) fn wanted(planner: &Planner) -> Result<[u32; 2], String> {
    let loaded = planner.load(0).map_err(|e| e.to_string())?;
    match loaded.spec(Default::default()).map_err(|e| e.to_string())? {
        Spec::Image(spec) => Ok([spec.width, spec.height].map(|side| u32::try_from(side).unwrap_or(u32::MAX))),
        Spec::Window(_) | Spec::Readings => Err("it takes readings; map is for models that take pictures".into()),
    }
}

/// The picture in a file, of no more than `most` bytes; made smaller, it covers `size` still.
///
/// # Errors
/// The reason for which it cannot be given.
pub(super) fn read(path: &Path, size: [u32; 2], most: usize) -> Result<Picture, String> {
    let data = file::read_regular(path, MOST_BYTES).map_err(|e| e.to_string())?;
    if names_pictures(path) && is_stream(path) {
        return Err("a file of many pictures; map takes files of one".into());
    }
    let image = source::image_of(data)?;
    let content = content_of(image.format).ok_or("neither JPEG, PNG nor BMP")?;
    if image.data.len() <= most {
        return Ok(Picture { content, bytes: Bytes::from(image.data), full: None });
    }
    smaller(&image, size, most)
}

fn is_stream(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
    ["mjpeg", "mjpg", "y4m"].iter().any(|stream| ending == *stream)
}

fn smaller(image: &Image, [width, height]: [u32; 2], most: usize) -> Result<Picture, String> {
    let mut rgb = Vec::new();
    let full = preprocess::to_rgb(image, &mut rgb).map_err(|e| e.to_string())?;
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
                return Ok(Picture { content: fleet::Content::Jpeg, bytes: Bytes::from(bytes), full: Some(full) });
            }
        }
    }
    Err(format!("too large: as small as the model takes it, it has more than the {most} bytes that may be sent"))
}
