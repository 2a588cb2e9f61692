//! Where the digits and dials of a meter are in a photo.
//!
//! Pure: pixels in, shapes out; the models stand behind [`Judge`]. In order: `level` makes smaller copies of the picture, `ink` finds
//! connected ink as large as a digit in each, `chain` rows of such ink, `digits` reads them and keeps the best `row`. `circle` and
//! `pointer` find what may be dials around it, `dials` reads those, and `order` says which counts most.

mod chain;
mod circle;
mod dials;
mod digits;
mod ink;
mod judge;
mod level;
mod order;
mod pointer;
mod row;
#[cfg(test)]
mod tests;

pub use judge::{DialSeen, DigitSeen, Judge};
pub use level::Corners;

use level::Levels;

/// One place of a meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Its corners in pixels of the picture.
    pub corners: Corners,
    /// Evidence that it is one, 0 to 1.
    pub score: f32,
    /// Position of its drum or pointer, 0 up to 10, where it was read.
    pub position: Option<f32>,
}

/// The places of a meter, most significant first; nothing where nothing convinces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// Its digits, in the order of reading.
    pub digits: Vec<Place>,
    /// Its dials.
    pub dials: Vec<Place>,
}

/// Finds the digits and dials of a meter in packed RGB pixels of `[width, height]`.
///
/// # Errors
/// Those of `judge`.
pub fn find<J: Judge>(rgb: &[u8], [width, height]: [u32; 2], judge: &mut J) -> Result<Places, J::Error> {
    let size = [width as usize, height as usize];
    if size.contains(&0) || rgb.len() < size[0] * size[1] * 3 {
        return Ok(Places::default());
    }
    let levels = Levels::new(rgb, size);
    let inside = |corners: &Corners| {
        corners.iter().all(|[x, y]| (0.0..=width as f32).contains(x) && (0.0..=height as f32).contains(y))
    };
    let Some(found) = digits::find(&levels, judge)? else { return Ok(Places::default()) };
    let row = found.row;
    let digits: Vec<Place> = (0..)
        .zip(&found.seen)
        .map(|(index, seen)| Place {
            corners: row.region(index),
            score: seen.evidence(),
            position: seen.position.map(|(position, _)| position),
        })
        .collect();
    let dials: Vec<Place> = dials::find(&levels, judge, &row)?
        .iter()
        .map(|dial| Place {
            corners: dial.region(&row),
            score: dial.seen.evidence(),
            position: dial.seen.position.map(|(position, _)| position),
        })
        .filter(|place| inside(&place.corners))
        .collect();
    Ok(Places { digits: if digits.iter().all(|place| inside(&place.corners)) { digits } else { Vec::new() }, dials })
}
