//! Rows normalised, from bytes to bytes.

use std::sync::Arc;

use super::super::{Loops, Requant};
use super::place::Address;

/// Rows to be normalised, each by itself.
#[derive(Clone, Debug)]
pub struct Normalize {
    /// Elements of a row, adjacent in operand and result.
    pub len: usize,
    /// `[len]`: factors over the result's scale.
    pub factors: Arc<[f32]>,
    /// `[len]`: terms over the result's scale.
    pub terms: Arc<[f32]>,
    /// Scale and zero point of the operand.
    pub from: (f32, i32),
    /// False where no mean is subtracted.
    pub centre: bool,
    /// Added to the variance.
    pub epsilon: f32,
    /// Rounding.
    pub requant: Requant,
    /// Operand and result.
    pub places: [Address; 2],
    /// Over the rows of operand and result.
    pub rows: Loops<2>,
}
