//! Joins: outputs of several models over one picture, made into one outcome. Pure: `now` is an argument, and equal outputs give equal
//! outcomes.

mod meter;

pub use meter::{Kind, Meter, Remembered, Settings};
