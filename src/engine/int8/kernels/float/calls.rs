//! Arguments of float kernels. All lengths, offsets and steps count floats, not bytes.

use super::super::AlignedBytes;
use super::function::Function;

/// Most rows that any set takes in one [`FloatKernels::gemm`](super::FloatKernels::gemm) call.
pub const MAX_ROWS: usize = 128;

/// Weights of a dense convolution or a fully connected layer, before packing; segments as in the integer
/// [`GemmWeights`](super::super::GemmWeights).
#[derive(Clone, Copy, Debug)]
pub struct FloatGemmWeights<'a> {
    /// Output channels.
    pub n: usize,
    /// Runs of adjacent input floats.
    pub segments: usize,
    /// Floats in a run.
    pub segment: usize,
    /// `[n][segments][segment]`.
    pub data: &'a [f32],
    /// `[n]`.
    pub bias: &'a [f32],
}

/// Sizes of packed weights: the same for weights that are packed beforehand and while a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GemmShape {
    /// Output channels.
    pub n: usize,
    /// Runs of adjacent input floats.
    pub segments: usize,
    /// Floats in a run.
    pub segment: usize,
    /// Output channels in a block; the last block may be partly filled.
    pub block: usize,
    /// Floats of a block: starting sums, then weights in an order of the set's own.
    pub block_len: usize,
}

impl GemmShape {
    /// Blocks of output channels.
    pub fn blocks(&self) -> usize {
        self.n.div_ceil(self.block)
    }

    /// Floats of all blocks.
    pub fn len(&self) -> usize {
        self.blocks() * self.block_len
    }

    /// True without output channels.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Length of the reduction.
    pub fn depth(&self) -> usize {
        self.segments * self.segment
    }
}

/// Packed weights; only the set that packed them can read `data`.
#[derive(Clone, Debug)]
pub struct PackedFloatGemm {
    /// Sizes.
    pub shape: GemmShape,
    /// [`GemmShape::len`] floats.
    pub data: AlignedBytes,
}

impl PackedFloatGemm {
    /// The packed floats, at a multiple of 64 bytes.
    pub fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr().cast()
    }
}

/// A matrix to be packed while a model runs, as the right operand of a product: `[k][n]` with any steps.
#[derive(Clone, Copy, Debug)]
pub struct PackCall {
    /// Sizes, of [`FloatKernels::gemm_shape`](super::FloatKernels::gemm_shape)`(n, 1, k)`.
    pub shape: GemmShape,
    /// First element.
    pub b: *const f32,
    /// From a row to the next (along `k`).
    pub k_step: usize,
    /// From a column to the next (along `n`).
    pub n_step: usize,
    /// [`GemmShape::len`] floats at a multiple of 64 bytes; all are written.
    pub out: *mut f32,
    /// First block to be packed.
    pub first_block: usize,
    /// Blocks from there.
    pub blocks: usize,
}

/// Functions applied to a sum before it is written: `after(before(sum) + residual)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue {
    /// Applied to the sum.
    pub before: Function,
    /// Applied to what is written, after the residual was added. Clips cost nothing.
    pub after: Function,
}

impl Epilogue {
    /// The sum as it is.
    pub const NONE: Epilogue = Epilogue { before: Function::Identity, after: Function::Identity };

    /// A function of the sum, without a residual.
    pub fn of(function: Function) -> Self {
        Epilogue { before: Function::Identity, after: function }
    }
}

/// One call of [`FloatKernels::gemm`](super::FloatKernels::gemm): up to [`FloatKernels::gemm_rows`](super::FloatKernels::gemm_rows) rows by a range of
/// blocks of output channels.
#[derive(Clone, Copy)]
pub struct FloatGemmCall<'a> {
    /// Sizes of the weights.
    pub shape: GemmShape,
    /// Packed weights, at a multiple of 64 bytes.
    pub weights: *const f32,
    /// `[segments]`: floats from a row's start to each of its segments.
    pub offsets: &'a [usize],
    /// First block of output channels.
    pub first_block: usize,
    /// Blocks of output channels from there.
    pub blocks: usize,
    /// `[rows]`: where each row's input starts.
    pub rows: &'a [*const f32],
    /// `[rows]`: where each row's output channel 0 goes, whatever `first_block` is; channels are adjacent.
    pub outs: &'a [*mut f32],
    /// `[rows]`, or empty without a residual: channel 0 of what is added to each row, channels adjacent. May be `outs` itself.
    pub residual: &'a [*const f32],
    /// Applied to each sum.
    pub epilogue: Epilogue,
}

/// Weights of a depthwise convolution (one input channel for each output channel), before packing.
#[derive(Clone, Copy, Debug)]
pub struct FloatDepthwiseWeights<'a> {
    /// Channels.
    pub channels: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// `[kh · kw][channels]`.
    pub data: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
}

/// Packed weights of a [`FloatDepthwiseWeights`].
#[derive(Clone, Debug)]
pub struct PackedFloatDepthwise {
    /// Channels.
    pub channels: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// In an order of the set's own.
    pub data: AlignedBytes,
}

/// One call of [`FloatKernels::depthwise`](super::FloatKernels::depthwise): a rectangle of output pixels, all channels. The input has its padding around
/// it, so no pixel is special.
#[derive(Clone, Copy)]
pub struct FloatDepthwiseCall<'a> {
    /// The weights.
    pub packed: &'a PackedFloatDepthwise,
    /// Applied to each sum.
    pub function: Function,
    /// First tap of the first output pixel.
    pub input: *const f32,
    /// From a tap to the tap below it (the row pitch × the dilation).
    pub tap_row: usize,
    /// From a tap to the tap right of it.
    pub tap_col: usize,
    /// From an output pixel's first tap to that of the pixel below (the row pitch × the stride).
    pub step_row: usize,
    /// From an output pixel's first tap to that of the pixel to the right.
    pub step_col: usize,
    /// Channel 0 of the first output pixel.
    pub out: *mut f32,
    /// From an output pixel to the one below.
    pub out_row: usize,
    /// From an output pixel to the one to the right.
    pub out_col: usize,
    /// Output rows.
    pub rows: usize,
    /// Output columns.
    pub cols: usize,
}

/// The two innermost loops over a result and `N − 1` operands: `rows` times `len` elements. The last entry of each array is the
/// result's. A step of 0 repeats an operand; the result's steps are not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid<const N: usize> {
    /// Runs.
    pub rows: usize,
    /// Elements of a run.
    pub len: usize,
    /// From a run to the next.
    pub row_steps: [usize; N],
    /// From an element to the next: 1 for all (or 0 for an operand that is one value a run) is what is fast.
    pub steps: [usize; N],
}

impl<const N: usize> Grid<N> {
    /// One run of adjacent elements.
    pub fn flat(len: usize) -> Self {
        Grid { rows: 1, len, row_steps: [0; N], steps: [1; N] }
    }
}

/// `lines` lines of `len` elements each: a function along one axis of a tensor.
///
/// Lines may lie one behind another (`step` is 1) or side by side (`line_step` is 1), which both are fast; anything else is walked element
/// by element.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Lines.
    pub lines: usize,
    /// Elements of a line, at least 1.
    pub len: usize,
    /// First element of the first line.
    pub x: *const f32,
    /// From an element of a line to the next.
    pub step: usize,
    /// From a line to the next.
    pub line_step: usize,
}

/// Reduction of a line to one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Σ x.
    Sum,
    /// Σ x / len.
    Mean,
    /// The greatest; NaN if there is one.
    Max,
    /// The least; NaN if there is one.
    Min,
    /// Π x.
    Product,
    /// Σ x².
    SumSquare,
    /// Σ |x|.
    L1,
    /// √(Σ x²).
    L2,
    /// ln Σ x.
    LogSum,
    /// ln Σ e^x.
    LogSumExp,
}

/// Normalisation of rows of adjacent elements: `(x − mean) / √(variance + epsilon) · scale + bias`.
#[derive(Clone, Copy, Debug)]
pub struct NormCall {
    /// Rows.
    pub rows: usize,
    /// Elements of a row, at least 1.
    pub len: usize,
    /// First element.
    pub x: *const f32,
    /// From a row to the next.
    pub x_row: usize,
    /// First result; may be `x`.
    pub out: *mut f32,
    /// From a row of results to the next.
    pub out_row: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// False for a root mean square: the mean is neither subtracted from the elements nor from the variance.
    pub centre: bool,
    /// `[len]`, or null for 1.
    pub scale: *const f32,
    /// `[len]`, or null for 0.
    pub bias: *const f32,
}

/// Reduction of a window to one element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pool {
    /// The greatest; NaN if there is one.
    Max,
    /// The mean; the divisor, or `None` for the number of pixels in the window.
    Average(Option<f32>),
}

/// One row of pooled pixels. Parts of windows in the padding are cut off.
#[derive(Clone, Copy)]
pub struct PoolCall<'a> {
    /// Applied to each window.
    pub pool: Pool,
    /// Channel 0 of column 0 of the first input row of the windows.
    pub x: *const f32,
    /// Input rows of a window, at least 1.
    pub height: usize,
    /// From one of them to the next (the row pitch × the dilation).
    pub tap_row: usize,
    /// `[output columns]`: first input column of the window, and how many, at least 1.
    pub cols: &'a [(usize, usize)],
    /// Between the input columns of a window.
    pub dilation: usize,
    /// From an input column to the next.
    pub x_col: usize,
    /// Channel 0 of the first output pixel.
    pub out: *mut f32,
    /// From an output pixel to the next.
    pub out_col: usize,
    /// Channels.
    pub channels: usize,
}

/// One row of pixels interpolated between two rows.
#[derive(Clone, Copy)]
pub struct ResizeCall<'a> {
    /// Channel 0 of column 0 of the upper row.
    pub top: *const f32,
    /// Channel 0 of column 0 of the lower row.
    pub bottom: *const f32,
    /// Share of the lower row, 0 to 1.
    pub down: f32,
    /// `[output columns]`: floats from column 0 to the left and to the right pixel, and the share of the right one.
    pub cols: &'a [(usize, usize, f32)],
    /// Channel 0 of the first output pixel.
    pub out: *mut f32,
    /// From an output pixel to the next.
    pub out_col: usize,
    /// Channels.
    pub channels: usize,
}

/// State and results of a step of an LSTM, `[hidden]` each.
#[derive(Clone, Copy, Debug)]
pub struct LstmCall {
    /// `[4 · hidden]`: input, output, forget and cell gate before their functions, as ONNX orders them.
    pub gates: *const f32,
    /// Peephole weights `[3 · hidden]` of input, output and forget gate, or null.
    pub peepholes: *const f32,
    /// Cell state, read and written.
    pub cell: *mut f32,
    /// Hidden state, written.
    pub hidden: *mut f32,
    /// Number of units.
    pub len: usize,
    /// Gates are clipped to `±clip` before their functions; ∞ for none.
    pub clip: f32,
}

/// State and results of a step of a GRU.
#[derive(Clone, Copy, Debug)]
pub struct GruCall {
    /// `[3 · hidden]`: `x · W + biases` of update, reset and hidden gate. For `linear_before_reset` the hidden gate's has no recurrent bias; for the
    /// other form the update and reset gates' are not read.
    pub input: *const f32,
    /// `[3 · hidden]`: `h · R (+ recurrent bias)` of the same.
    pub recurrent: *const f32,
    /// Hidden state, read and written.
    pub hidden: *mut f32,
    /// Number of units.
    pub len: usize,
    /// Gates are clipped to `±clip` before their functions; ∞ for none.
    pub clip: f32,
}

/// Conversion of a row of products by the range of its operand: `clamp(scale · (x − zero · sums[c]) + bias[c], limits)`, one operation after the
/// other.
#[derive(Clone, Copy, Debug)]
pub struct Rescale<'a> {
    /// The operand's scale.
    pub scale: f32,
    /// The byte that stands for 0.0 in it.
    pub zero: f32,
    /// Of each channel's weights, in units of the products.
    pub sums: &'a [f32],
    /// As many.
    pub bias: &'a [f32],
    /// Least and greatest result.
    pub limits: (f32, f32),
}
