//! Pictures as they go to the group: a file as it is, or made smaller where it is too large for the way.

use std::path::Path;

use bytes::Bytes;

use crate::fleet::Picture;
use crate::frame::Spec;
use crate::pipeline::Planner;
use crate::runtime::{content_of, smaller};
use crate::source::{self, names_pictures};
use crate::sys::file;

/// Larger files are no pictures.
const MOST_BYTES: u64 = 64 << 20;

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
        return Ok(Picture { content, bytes: Bytes::from(image.data), full: None, settings: None });
    }
    smaller(&image, size, most)
}

fn is_stream(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase()).unwrap_or_default();
    ["mjpeg", "mjpg", "y4m"].iter().any(|stream| ending == *stream)
}
