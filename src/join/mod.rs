//! Joins: outputs of several models over one picture, or of one model over its tiles, made into one outcome. Pure: `now` is an argument, and
//! equal outputs give equal outcomes.

mod meter;
mod tiles;

pub use meter::{Kind, Meter, Remembered, Settings};
pub use tiles::merge as merge_tiles;
