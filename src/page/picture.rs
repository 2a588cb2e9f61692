//! A result's frame as a JPEG for the page: no wider than [`MOST_WIDTH`], with what was found drawn on it.

use super::backend::Backend;
use crate::draw::{self, Corners};
use crate::frame::Output;

/// Width of a picture in pixels at most.
const MOST_WIDTH: i64 = 960;
/// Quality, 1 to 100.
const QUALITY: u8 = 75;

/// Decodes, draws and encodes the frame of `output`.
///
/// # Errors
/// A line for the log.
pub fn drawn(backend: &dyn Backend, output: &Output) -> Result<Vec<u8>, String> {
    let (canvas, full) = backend.picture(output)?;
    let factor = (canvas.size()[0] + MOST_WIDTH - 1) / MOST_WIDTH;
    let canvas = if factor > 1 { canvas.reduced(factor as usize) } else { canvas };
    let layout = backend.layout(&output.pipeline).unwrap_or_default();
    let size = canvas.size();
    let scale = [0, 1].map(|axis: usize| size[axis] as f32 / full[axis].max(1) as f32);
    let corner = |[x, y]: [f32; 2]| [x * scale[0], y * scale[1]];
    let regions: Vec<Corners> = layout.regions.iter().map(|region| region.map(corner)).collect();
    let outcome = draw::scaled(&output.outcome, size);
    let canvas = draw::annotated(draw::marked(canvas, &layout.marks), &outcome, &regions);
    draw::jpeg(&canvas, QUALITY).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::testing::{Fake, output};

    #[test]
    fn wide_pictures_are_made_smaller() {
        let jpeg = drawn(&Fake, &output("meter", 1, true)).unwrap();
        // SOF0: marker, length, precision, height, width.
        let at = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        let side = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
        assert_eq!([side(at + 7), side(at + 5)], [960, 540]);
    }
}
