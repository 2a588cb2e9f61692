//! Search for the digits and dials of a meter in a photo.
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

/// Part of its diagonal by which a region may reach beyond the picture: its margin, but nothing of the digit or dial.
const BEYOND: f32 = 0.06;

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
    let Some(found) = digits::find(&levels, judge)? else { return Ok(Places::default()) };
    let row = found.row;
    let whole = [width as f32, height as f32];
    let place = |corners: Corners, score: f32, position: Option<(f32, f32)>| {
        let position = position.map(|(position, _)| position);
        inside(&corners, whole).map(|corners| Place { corners, score, position })
    };
    let digits = (0..).zip(&found.seen).map(|(index, seen)| place(row.region(index), seen.evidence(), seen.position));
    // A row that the picture cuts off is no whole number.
    let Some(digits) = digits.collect() else { return Ok(Places::default()) };
    let dials = dials::find(&levels, judge, &row)?;
    let dials = dials.iter().filter_map(|dial| place(dial.region(&row), dial.seen.evidence(), dial.seen.position));
    Ok(Places { digits, dials: dials.collect() })
}

/// Corners that reach a little beyond a picture, moved to its edge; `None` where they reach further.
fn inside(corners: &Corners, size: [f32; 2]) -> Option<Corners> {
    let [a, _, c, _] = corners;
    let most = BEYOND * (a[0] - c[0]).hypot(a[1] - c[1]);
    let fits = |v: f32, size: f32| (-most..=size + most).contains(&v);
    let all = corners.iter().all(|p| fits(p[0], size[0]) && fits(p[1], size[1]));
    all.then(|| corners.map(|[x, y]| [x.clamp(0.0, size[0]), y.clamp(0.0, size[1])]))
}
