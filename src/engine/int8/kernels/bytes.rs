//! The interface of the kernels without weights: sums, products, tables, pools, moves, one table of functions for each family of
//! instruction sets.

use super::AddParams;
use super::requant::Requant;
use super::step::Means;

/// A product of two quantised tensors: `out = requant((a − zeros[0]) · (b − zeros[1]), scale)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MulParams {
    /// Zero points of `a` and `b`, each a byte's.
    pub zeros: [i32; 2],
    /// Their scales' product over the result's; finite, not negative.
    pub scale: f32,
    /// Rounding and activation.
    pub requant: Requant,
}

/// A softmax: `out = requant(exp(x) · (inverse ÷ Σ exp(x)))`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxParams<'a> {
    /// `exp(−d · scale)` for a distance of `d` bytes from the greatest.
    pub table: &'a [f32; 256],
    /// One over the result's scale.
    pub inverse: f32,
    /// Rounding.
    pub requant: Requant,
}

/// A pixel made of four.
#[derive(Clone, Copy, Debug)]
pub struct Blend {
    /// Channel 0 of each corner.
    pub corners: [*const i8; 4],
    /// Weight of each corner, in units that the scale makes good.
    pub shares: [i32; 4],
    /// Zero point of the corners.
    pub zero: i32,
    /// Unit of the shares times the operand's scale over the result's.
    pub scale: f32,
    /// Rounding.
    pub requant: Requant,
}

/// Rows of two operands and a result. Pitches are bytes from a row to the next, 0 for an operand whose row serves all of them.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// First operand.
    pub a: *const i8,
    /// Second operand.
    pub b: *const i8,
    /// Result.
    pub out: *mut i8,
    /// Of `a`, `b` and the result.
    pub pitches: [usize; 3],
    /// Rows.
    pub rows: usize,
    /// Bytes of a row.
    pub len: usize,
}

/// Rows of an operand and a result.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Operand.
    pub x: *const i8,
    /// Result.
    pub out: *mut i8,
    /// Of operand and result: bytes from a row to the next.
    pub pitches: [usize; 2],
    /// Rows.
    pub rows: usize,
    /// Bytes of a row.
    pub len: usize,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Pair {
    /// The same work in one row, where rows follow one another in all three.
    pub(super) fn joined(self) -> Self {
        if self.pitches == [self.len; 3] { Pair { rows: 1, len: self.rows * self.len, ..self } } else { self }
    }
}

impl Lines {
    /// As [`Pair::joined`].
    pub(super) fn joined(self) -> Self {
        if self.pitches == [self.len; 2] { Lines { rows: 1, len: self.rows * self.len, ..self } } else { self }
    }
}

/// One family's kernels without weights. All of them give the bits of the functions of the same names in `plain`.
///
/// # Safety
/// For every function: as for [`Kernels`](super::Kernels). `add`, `mul`, `lut` and `max` may write exactly where they read.
#[derive(Clone, Copy, Debug)]
pub struct ByteKernels {
    /// Sums.
    pub add: unsafe fn(&AddParams, &Pair),
    /// Products.
    pub mul: unsafe fn(&MulParams, &Pair),
    /// `out = table[x as u8]`.
    pub lut: unsafe fn(&[i8; 256], &Lines),
    /// The greatest of `count` (1 at least) rows for each row of the result: the operand's own and those behind it, `step` bytes
    /// apart. `[count, step]`.
    pub max: unsafe fn([usize; 2], &Lines),
    /// `out[r][c] = x[c][r]`: `rows` and `len` are those of the result, pitches those of operand and result.
    pub transpose: unsafe fn(&Lines),
    /// `out[i] = x[i · step]`: step, operand, result, length.
    pub pick: unsafe fn(usize, *const i8, *mut i8, usize),
    /// See [`quantize`](super::quantize).
    pub quantize: unsafe fn(&[f32], (f32, i32), &mut [i8]),
    /// `(x − zero point) · scale`.
    pub dequantize: unsafe fn(&[i8], (f32, i32), &mut [f32]),
    /// The mean of a window of `[height, width]` pixels, `[row, column]` bytes apart, for so many channels.
    pub average: unsafe fn(&Means, *const i8, [usize; 2], [usize; 2], *mut i8, usize),
    /// Rows that become probabilities.
    pub softmax: unsafe fn(&SoftmaxParams, &Lines),
    /// Length from which on a row is quicker by a table of its own.
    pub long: usize,
    /// Table from each byte of a row to its softmax in that row.
    pub softmax_table: unsafe fn(&SoftmaxParams, *const i8, usize) -> [i8; 256],
    /// `out = requant(Σ (corner − zero) · share, scale)` for so many channels.
    pub blend: unsafe fn(&Blend, *mut i8, usize),
}

/// A [`ByteKernels`] whose functions are those of `plain`, compiled for a processor with some features, but for those that are named
/// (whose own are not compiled so): `byte_kernels! { "avx2"; add: add, lut: lut, transpose: transpose }`. Called from `SET/elementwise.rs`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! byte_kernels {
    ($features:literal; $($name:ident: $function:expr),* $(,)?) => {{
        use super::super::bytes::{self, Blend, ByteKernels, SoftmaxParams};
        use super::super::step::Means;
        use super::super::plain;
        bytes::compiled! { $features;
            quantize(values: &[f32], quant: (f32, i32), out: &mut [i8]) -> ();
            dequantize(values: &[i8], quant: (f32, i32), out: &mut [f32]) -> ();
            average(means: &Means, x: *const i8, size: [usize; 2], steps: [usize; 2], out: *mut i8, channels: usize) -> ();
            softmax_table(params: &SoftmaxParams, x: *const i8, len: usize) -> [i8; 256];
            blend(mixture: &Blend, out: *mut i8, channels: usize) -> ();
        }
        ByteKernels {
            $($name: $function,)*
            ..ByteKernels { quantize, dequantize, average, softmax_table, blend, ..plain::PLAIN }
        }
    }};
}

/// Functions of `plain`, compiled for a processor with some features.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! compiled {
    ($features:literal; $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {$(
        #[target_feature(enable = $features)]
        unsafe fn $name($($arg: $type),*) -> $out {
            #[allow(unused_unsafe, reason = "some of them are safe")]
            // SAFETY: the caller's promise is the callee's.
            unsafe {
                plain::$name($($arg),*)
            }
        }
    )+};
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use {byte_kernels, compiled};
