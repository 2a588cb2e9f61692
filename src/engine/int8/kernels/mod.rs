//! Integer kernels, one set per instruction set, all computing the same bits as [`reference`](mod@reference).
//!
//! Everything here works on signed bytes in NHWC order: unsigned tensors have had their sign bit flipped (and 128 taken
//! from their zero point) before they come here. What a kernel computes, exactly:
//!
//! ```text
//! acc[c]  = bias[c] + Σ (x − x_zero) · w            in wrapping 32-bit integers
//! real    = (acc as f32) · scale[c]                  one f32 multiplication
//! out[c]  = clamp(round_half_even(real) + zero_point, low, high)
//! ```
//!
//! `round(acc · scale)` in f32 is what a `DequantizeLinear → op → QuantizeLinear` pattern asks for (ONNX rounds halves to
//! even), and IEEE arithmetic gives the same bits on every processor.

#![allow(unsafe_code, reason = "vector instructions and memory shared between threads; see each SAFETY line")]

use std::fmt;
use std::sync::OnceLock;

/// Methods of [`Kernels`] in terms of a name, a rate, and functions with the same arguments.
macro_rules! forward {
    (@ name $name:expr) => {
        fn name(&self) -> &'static str {
            $name
        }
    };
    (@ macs_per_us $macs:expr) => {
        fn macs_per_us(&self) -> u64 {
            $macs
        }
    };
    (@ gemm_rows $function:expr) => {
        fn gemm_rows(&self, packed: &super::PackedGemm) -> usize {
            $function(packed)
        }
    };
    (@ pack_gemm $function:expr) => {
        fn pack_gemm(&self, weights: &super::GemmWeights) -> super::PackedGemm {
            $function(weights)
        }
    };
    (@ gemm $function:expr) => {
        unsafe fn gemm(&self, call: &super::GemmCall) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(call) }
        }
    };
    (@ pack_depthwise $function:expr) => {
        fn pack_depthwise(&self, weights: &super::DepthwiseWeights) -> super::PackedDepthwise {
            $function(weights)
        }
    };
    (@ depthwise $function:expr) => {
        unsafe fn depthwise(&self, call: &super::DepthwiseCall) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(call) }
        }
    };
    (@ add $function:expr) => {
        unsafe fn add(&self, params: &super::AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(params, a, b, out, len) }
        }
    };
    (@ lut $function:expr) => {
        unsafe fn lut(&self, table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(table, x, out, len) }
        }
    };
    (@ max $function:expr) => {
        unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(x, out, len) }
        }
    };
    ($($method:ident: $target:expr),+ $(,)?) => {
        $(forward!(@ $method $target);)+
    };
}

mod aligned;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512vnni;
#[cfg(target_arch = "x86_64")]
pub mod avxvnni;
#[cfg(target_arch = "aarch64")]
pub mod dotprod;
mod elementwise;
pub mod executor;
#[cfg(target_arch = "aarch64")]
pub mod i8mm;
mod loops;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod reference;
mod requant;
pub mod run;
pub mod step;
#[cfg(any(target_arch = "aarch64", test))]
mod tame;
mod thread_pool;

pub use aligned::AlignedBytes;
pub use elementwise::quantize;
pub use loops::Loops;
pub use requant::Requant;

/// Bytes behind every buffer that a kernel may read (never write). What lies there is multiplied by zero weights or
/// dropped.
pub const SLACK: usize = 64;

/// Most rows that any set takes in one [`Kernels::gemm`] call.
pub const MAX_ROWS: usize = 16;

/// Weights of a dense convolution or a fully connected layer, before packing.
///
/// The reduction runs over `segments` runs of `segment` adjacent input bytes each: a 1×1 convolution or a matrix product has
/// one segment of `C`; a `kh × kw` convolution over NHWC has `kh` segments of `kw · C` (or `kh · kw` of `C`, when dilated or
/// grouped).
#[derive(Clone, Copy, Debug)]
pub struct GemmWeights<'a> {
    /// Output channels.
    pub n: usize,
    /// Runs of adjacent input bytes.
    pub segments: usize,
    /// Bytes in a run.
    pub segment: usize,
    /// `[n][segments][segment]`.
    pub data: &'a [i8],
    /// `[n]`, in units of the accumulator; zero points not yet in it.
    pub bias: &'a [i32],
    /// `[n]`: input scale × weight scale ÷ output scale; finite.
    pub scale: &'a [f32],
    /// The byte that stands for 0.0 in the input.
    pub x_zero: i32,
}

impl GemmWeights<'_> {
    /// `bias[c] − offset · Σ w[c]` (wrapping): what the accumulator starts with when the kernel multiplies `x − x_zero +
    /// offset`. A kernel that multiplies `x` itself passes `x_zero`, one that multiplies `x + 128` passes `x_zero + 128`.
    pub fn start(&self, channel: usize, offset: i32) -> i32 {
        let row = &self.data[channel * self.segments * self.segment..][..self.segments * self.segment];
        let sum = row.iter().map(|&w| i32::from(w)).fold(0i32, i32::wrapping_add);
        self.bias[channel].wrapping_sub(offset.wrapping_mul(sum))
    }
}

/// Packed weights of a [`GemmWeights`]; only the set that packed them can read `data`.
#[derive(Clone, Debug)]
pub struct PackedGemm {
    /// Output channels.
    pub n: usize,
    /// Runs of adjacent input bytes.
    pub segments: usize,
    /// Bytes in a run.
    pub segment: usize,
    /// Output channels in a block.
    pub block: usize,
    /// Bytes of a block in `data`.
    pub block_bytes: usize,
    /// Block after block: starting sums, weights, scales, in an order of the set's own.
    pub data: AlignedBytes,
    /// A choice between variants that the set made while packing (0 where there is none).
    pub variant: u8,
}

impl PackedGemm {
    /// Blocks of output channels; the last one may be partly filled.
    pub fn blocks(&self) -> usize {
        self.n.div_ceil(self.block)
    }
}

/// One call of [`Kernels::gemm`]: up to [`Kernels::gemm_rows`] rows by a range of blocks of output channels.
#[derive(Clone, Copy)]
pub struct GemmCall<'a> {
    /// The weights.
    pub packed: &'a PackedGemm,
    /// Conversion of sums to bytes.
    pub requant: Requant,
    /// `[segments]`: bytes from a row's start to each of its segments.
    pub offsets: &'a [usize],
    /// First block of output channels.
    pub first_block: usize,
    /// Blocks of output channels from there.
    pub blocks: usize,
    /// `[rows]`: where each row's input starts.
    pub rows: &'a [*const i8],
    /// `[rows]`: where each row's output channel 0 goes, whatever `first_block` is.
    pub outs: &'a [*mut i8],
}

/// Weights of a depthwise convolution (one input channel for each output channel), before packing.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseWeights<'a> {
    /// Channels.
    pub channels: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// `[kh · kw][channels]`.
    pub data: &'a [i8],
    /// `[channels]`, in units of the accumulator; zero points not yet in it.
    pub bias: &'a [i32],
    /// `[channels]`; finite.
    pub scale: &'a [f32],
    /// The byte that stands for 0.0 in the input.
    pub x_zero: i32,
}

impl DepthwiseWeights<'_> {
    /// As [`GemmWeights::start`].
    pub fn start(&self, channel: usize, offset: i32) -> i32 {
        let taps = (0..self.kh * self.kw).map(|t| i32::from(self.data[t * self.channels + channel]));
        self.bias[channel].wrapping_sub(offset.wrapping_mul(taps.sum::<i32>()))
    }
}

/// Packed weights of a [`DepthwiseWeights`].
#[derive(Clone, Debug)]
pub struct PackedDepthwise {
    /// Channels.
    pub channels: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// Channels in a block.
    pub block: usize,
    /// Bytes of a block in `data`.
    pub block_bytes: usize,
    /// Block after block, in an order of the set's own.
    pub data: AlignedBytes,
    /// A choice between variants that the set made while packing.
    pub variant: u8,
}

/// One call of [`Kernels::depthwise`]: a rectangle of output pixels, all channels. The input has its padding around it (bytes of
/// `x_zero`), so no pixel is special. All distances in bytes.
#[derive(Clone, Copy)]
pub struct DepthwiseCall<'a> {
    /// The weights.
    pub packed: &'a PackedDepthwise,
    /// Conversion of sums to bytes.
    pub requant: Requant,
    /// First tap of the first output pixel.
    pub input: *const i8,
    /// From a tap to the tap below it (the row pitch × the dilation).
    pub tap_row: usize,
    /// From a tap to the tap right of it.
    pub tap_col: usize,
    /// From an output pixel's first tap to that of the pixel below (the row pitch × the stride).
    pub step_row: usize,
    /// From an output pixel's first tap to that of the pixel to the right.
    pub step_col: usize,
    /// Output byte of channel 0 of the first pixel.
    pub out: *mut i8,
    /// From an output pixel to the one below.
    pub out_row: usize,
    /// From an output pixel to the one to the right.
    pub out_col: usize,
    /// Output rows.
    pub rows: usize,
    /// Output columns.
    pub cols: usize,
}

/// Bits of the larger factor of a sum. With fewer, one sum in a thousand is rounded to the other side than the floats of the format
/// would be, which deep residual networks carry to their outputs.
pub const FACTOR_BITS: u32 = 21;

/// `out = clamp((a · a_factor + b · b_factor + offset) >> shift, low, high)` in 32-bit integers (arithmetic shift): a sum of two quantised
/// tensors. Rounding and zero points are in `offset`; `offset` leaves room so that nothing overflows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddParams {
    /// Factor of `a`, below 2^[`FACTOR_BITS`] in magnitude.
    pub a_factor: i32,
    /// Factor of `b`, below 2^[`FACTOR_BITS`] in magnitude.
    pub b_factor: i32,
    /// Zero points and half a step.
    pub offset: i32,
    /// 0 to 22.
    pub shift: u32,
    /// Lowest byte.
    pub low: i8,
    /// Highest byte.
    pub high: i8,
}

/// The sets that this processor can run, plainest first.
pub fn available() -> Vec<&'static dyn Kernels> {
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(unused_mut, reason = "other processors have the reference only")
    )]
    let mut sets: Vec<&'static dyn Kernels> = vec![&reference::Reference];
    #[cfg(target_arch = "x86_64")]
    {
        if avx2::available() {
            sets.push(&avx2::Avx2);
        }
        #[cfg(test)]
        if avxvnni::avx512_encoded_available() {
            sets.push(&avxvnni::Avx512Encoded);
        }
        if avxvnni::available() {
            sets.push(&avxvnni::AvxVnni);
        }
        if avx512vnni::available() {
            sets.push(&avx512vnni::Avx512Vnni);
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if neon::available() {
            sets.push(&neon::Neon);
        }
        if dotprod::available() {
            sets.push(&dotprod::Dotprod);
        }
        if i8mm::available() {
            sets.push(&i8mm::I8mm);
        }
    }
    sets
}

/// The set to use.
pub fn best() -> &'static dyn Kernels {
    static BEST: OnceLock<&'static dyn Kernels> = OnceLock::new();
    *BEST.get_or_init(|| available().pop().unwrap_or(&reference::Reference))
}

/// One instruction set's kernels.
///
/// # Safety
/// For every unsafe method: the processor has the set's instructions ([`available`] saw to it); pointers cover what the call
/// describes, inputs [`SLACK`] bytes more; outputs overlap no input of the call, but for `add` and `lut`, which may write
/// exactly where they read. Outputs get exactly the bytes described, none behind.
pub trait Kernels: fmt::Debug + Send + Sync {
    /// `avx512vnni`, `dotprod`, … as logs and `inspect` show it.
    fn name(&self) -> &'static str;

    /// Multiply-accumulates that one core does in a microsecond, about: what tells whether a step is worth sharing.
    fn macs_per_us(&self) -> u64 {
        2_000
    }

    /// Most rows of a gemm call (1 to [`MAX_ROWS`]) for these weights.
    fn gemm_rows(&self, packed: &PackedGemm) -> usize;

    /// Packs dense weights.
    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm;

    /// Rows × channels: sums of products over every segment, requantised.
    ///
    /// # Safety
    /// As the trait says; `rows` and `outs` have the same length, 1 to `gemm_rows`.
    unsafe fn gemm(&self, call: &GemmCall);

    /// Packs depthwise weights.
    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise;

    /// A rectangle of depthwise outputs.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn depthwise(&self, call: &DepthwiseCall);

    /// `len` sums of two tensors.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn add(&self, params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { reference::add(params, a, b, out, len) }
    }

    /// `out[i] = table[x[i] as u8]`.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn lut(&self, table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { reference::lut(table, x, out, len) }
    }

    /// `out[c] = max(out[c], x[c])`.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { reference::max(x, out, len) }
    }
}
