//! The interface of a set of float kernels.

use std::fmt;

use super::calls::*;
use super::function::{Binary, Function};

/// One instruction set's float kernels.
///
/// A result depends on its operands only: not on where it lies, how many others are computed in the same call, or how work is divided among
/// threads. Sums are taken in the order of `k` with one rounding a product (two where there is no fused multiplication).
///
/// # Safety
/// For every unsafe method: the processor has the set's instructions ([`available`](super::available) saw to it); pointers cover what the call
/// describes and are multiples of 4 bytes. Nothing else is read or written. Outputs overlap no input of the call, but for `unary`, `binary`, `softmax` and
/// `normalize`, which may write exactly where they read.
pub trait FloatKernels: fmt::Debug + Send + Sync {
    /// `avx512`, `neon`, … as logs and `inspect` show it.
    fn name(&self) -> &'static str;

    /// Multiply-accumulates that one core does in a microsecond, about: what tells whether a step is worth sharing.
    fn macs_per_us(&self) -> u64;

    /// Packing of weights of these sizes.
    fn gemm_shape(&self, n: usize, segments: usize, segment: usize) -> GemmShape;

    /// Most rows of a gemm call (1 to [`MAX_ROWS`]) for these weights: as many as make good use of weights once they are in the cache.
    fn gemm_rows(&self, shape: &GemmShape) -> usize;

    /// Packs dense weights.
    fn pack_gemm(&self, weights: &FloatGemmWeights) -> PackedFloatGemm;

    /// Packs blocks of a matrix without biases.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn pack_matrix(&self, call: &PackCall);

    /// Rows × channels: sums of products over every segment.
    ///
    /// # Safety
    /// As the trait says; `rows` and `outs` have the same length, 1 to `gemm_rows`; `residual` has it or is empty.
    unsafe fn gemm(&self, call: &FloatGemmCall);

    /// Packs depthwise weights.
    fn pack_depthwise(&self, weights: &FloatDepthwiseWeights) -> PackedFloatDepthwise;

    /// A rectangle of depthwise outputs.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn depthwise(&self, call: &FloatDepthwiseCall);

    /// A function of every element.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn unary(&self, function: &Function, x: *const f32, out: *mut f32, grid: &Grid<2>);

    /// A function of every pair of elements.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn binary(&self, op: Binary, a: *const f32, b: *const f32, out: *mut f32, grid: &Grid<3>);

    /// Exponentials of every line that add up to 1; of `log`, their logarithms. The result's steps are `[element, line]`.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn softmax(&self, log: bool, x: &Lines, out: *mut f32, out_steps: [usize; 2]);

    /// One number of every line, `out_step` apart.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn reduce(&self, reduction: Reduction, x: &Lines, out: *mut f32, out_step: usize);

    /// Index of the greatest (of `least`, the least) element of every line, `out_step` apart: the first such, or of `last` the last. NaN
    /// counts as infinite, the way that is looked for.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn arg(&self, least: bool, last: bool, x: &Lines, out: *mut i32, out_step: usize);

    /// Rows normalised to mean 0 and variance 1, scaled and shifted.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn normalize(&self, call: &NormCall);

    /// A row of pooled pixels.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn pool(&self, call: &PoolCall);

    /// A row of interpolated pixels.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn resize(&self, call: &ResizeCall);

    /// Copies 32-bit elements of any type; a transposition where the steps of operand and result differ.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn copy(&self, x: *const f32, out: *mut f32, grid: &Grid<2>);

    /// `saturate(round_half_even(x / scale) + zero_point)` to signed bytes; NaN becomes the lowest.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn quantize(&self, quant: (f32, i32), x: *const f32, out: *mut i8, len: usize);

    /// Results of a row by the range of its operand, in place.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn rescale(&self, row: &Rescale, out: *mut f32);

    /// `(x − zero_point) · scale` of signed bytes.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn dequantize(&self, quant: (f32, i32), x: *const i8, out: *mut f32, len: usize);

    /// The least and the greatest element; NaNs are passed over, without any other element `(∞, −∞)`.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn range(&self, x: *const f32, len: usize) -> (f32, f32);

    /// A step of an LSTM with its usual functions (sigmoid, tanh, tanh).
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn lstm(&self, call: &LstmCall);

    /// The update and reset gates of a step of a GRU that resets the hidden state before it is multiplied: `reset · hidden` goes to `out`, `[len]`.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn gru_reset(&self, call: &GruCall, out: *mut f32);

    /// The rest of a step of a GRU; `linear` for `linear_before_reset`, where `recurrent` of the hidden gate is multiplied by the reset gate.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn gru(&self, linear: bool, call: &GruCall);
}
