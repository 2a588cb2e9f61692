//! Drawn scenes with the right answer: a five-digit counter of a water or power meter, and a [street](Street).
//!
//! For the counter, a seed decides the meter, font, colours, position, light, sharpness, noise and number; equal seeds and frame numbers give
//! equal pictures. The digits stand in the same place for every seed, within a few pixels: see [`regions`].

mod chance;
mod counter;
mod dial;
mod draw;
mod fault;
mod font;
mod gears;
mod look;
mod meter;
mod paint;
mod skeleton;
mod street;
#[cfg(test)]
mod tests;

pub use chance::Chance;
pub use counter::{Counter, DIGITS, ROLLED, Shown};
pub use draw::{Knock, Scene};
pub use fault::Fault;
pub use gears::{DIALS, Gears, Household, Positions, running, truth};
pub use look::Fonts;
pub use street::{Street, TruthObject, Weather};

/// Places of the four dials in a picture of this size, for every seed, most significant first: `[x, y, width, height]` in pixels. At
/// 640×480 each is 84×84.
pub fn dial_regions(width: u32, height: u32) -> [[f32; 4]; DIALS] {
    let unit = look::unit(width, height);
    let side = 2.0 * dial::HALF * unit;
    dial::PLACES.map(|[x, y]| {
        let middle = [width as f32 / 2.0 + x * unit, height as f32 / 2.0 + y * unit];
        [middle[0] - side / 2.0, middle[1] - side / 2.0, side, side]
    })
}

/// Places of the five digits in a picture of this size, for every seed: `[x, y, width, height]` in pixels, left to right.
/// At 640×480 each is 72×96.
pub fn regions(width: u32, height: u32) -> [[f32; 4]; DIGITS] {
    let unit = look::unit(width, height);
    let (w, h) = (look::CELL_WIDTH * unit, look::CELL_HEIGHT * unit);
    let (left, top) = (width as f32 / 2.0 - 2.5 * w, height as f32 / 2.0 - h / 2.0);
    std::array::from_fn(|i| [left + i as f32 * w, top, w, h])
}
