//! A batch of products of two tensors.

use super::super::{Loops, Requant};
use super::place::Address;

/// A batch of products `[M, K] · [K, N]`.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// Rows of the result.
    pub m: usize,
    /// Terms of every sum.
    pub k: usize,
    /// Columns of the result.
    pub n: usize,
    /// Bytes between rows of the first operand, whose terms are adjacent.
    pub a_row: usize,
    /// Bytes between the terms and between the columns of the second operand.
    pub b_steps: [usize; 2],
    /// Bytes between rows of the result, whose columns are adjacent.
    pub out_row: usize,
    /// Zero points of both operands.
    pub zeros: [i32; 2],
    /// From sums to bytes of the result.
    pub scale: f32,
    /// Rounding and activation.
    pub requant: Requant,
    /// First operand, second operand, result.
    pub places: [Address; 3],
    /// Over the products of the batch: first operand, second operand, result.
    pub batches: Loops<3>,
}
