//! Arguments of kernels: weights before and after packing, and single calls.

use super::aligned::AlignedBytes;
#[cfg(target_arch = "x86_64")]
use super::excess::Excess;
use super::finish::Finish;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::passes::Passes;

/// Bytes behind every buffer that a kernel may read (never write). What lies there is multiplied by zero weights or
/// dropped.
pub const SLACK: usize = 64;

/// Steps of weights that are packed for all channels of a block before the next ones: what is written stays in the nearest cache.
pub const STEPS_AT_ONCE: usize = 32;

/// Most rows that any set takes in one [`Kernels::gemm`](super::Kernels::gemm) call.
pub const MAX_ROWS: usize = 32;

/// Weights of a dense convolution or a fully connected layer, before packing.
///
/// The reduction runs over `segments` runs of `segment` adjacent input bytes each: a 1×1 convolution or a matrix product has
/// one segment of `C`; a `kh × kw` convolution over NHWC has `kh` segments of `kw · C` (or `kh · kw` of `C`, when dilated or
/// grouped).
#[derive(Clone, Copy, Debug, Default)]
pub struct GemmWeights<'a> {
    /// Output channels.
    pub n: usize,
    /// Runs of adjacent input bytes.
    pub segments: usize,
    /// Bytes in a run.
    pub segment: usize,
    /// `[n][segments][segment]`.
    pub data: &'a [i8],
    /// `[n]`: the byte that stands for 0.0 in each row of `data`; empty where all are 0.
    pub zeros: &'a [i8],
    /// `[n]`, in units of the accumulator; zero points not yet in it. Empty where results are floats.
    pub bias: &'a [i32],
    /// `[n]`, finite. For results in bytes: input scale × weight scale ÷ output scale; in floats: the weight scale.
    pub scale: &'a [f32],
    /// The byte that stands for 0.0 in the input; 0 where results are floats, as it comes with each call then.
    pub x_zero: i32,
    /// `[n]`, in units of the result: results are floats. `None` for results in bytes.
    pub floats: Option<&'a [f32]>,
}

impl GemmWeights<'_> {
    /// `bias[c] − offset · Σ (w[c] − zero[c])` (wrapping): what the accumulator starts with when the kernel multiplies
    /// `x − x_zero + offset`. A kernel that multiplies `x` itself passes `x_zero`, one that multiplies `x + 128` passes
    /// `x_zero + 128`.
    pub fn start(&self, channel: usize, offset: i32) -> i32 {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        bias.wrapping_sub(offset.wrapping_mul(self.sum(channel)))
    }

    /// `Σ (w[c] − zero[c])`, wrapping.
    pub fn sum(&self, channel: usize) -> i32 {
        self.row(channel).map(i32::from).fold(0i32, i32::wrapping_add)
    }

    /// `Σ |w[c] − zero[c]|`.
    pub fn magnitudes(&self, channel: usize) -> u64 {
        let (len, zero) = (self.segments * self.segment, i16::from(self.zero(channel)));
        // Sums of so many fit 32 bits.
        let chunks = self.data[channel * len..][..len].chunks(1 << 16);
        let sum = |chunk: &[i8]| chunk.iter().map(|&w| u32::from((i16::from(w) - zero).unsigned_abs())).sum::<u32>();
        chunks.map(|chunk| u64::from(sum(chunk))).sum()
    }

    /// `w[c] − zero[c]` of all inputs: −255 to 255.
    pub fn row(&self, channel: usize) -> impl Iterator<Item = i16> {
        let (len, zero) = (self.segments * self.segment, i16::from(self.zero(channel)));
        self.data[channel * len..][..len].iter().map(move |&w| i16::from(w) - zero)
    }

    /// The zero point of a channel's weights.
    pub fn zero(&self, channel: usize) -> i8 {
        self.zeros.get(channel).copied().unwrap_or(0)
    }

    /// `w[c][index] − zero[c]`: −255 to 255.
    pub fn weight(&self, channel: usize, index: usize) -> i16 {
        i16::from(self.data[channel * self.segments * self.segment + index]) - i16::from(self.zero(channel))
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
    /// Added to the sums of products.
    pub terms: Terms,
    /// A choice between variants that the set made while packing (0 where there is none).
    pub variant: u8,
}

impl PackedGemm {
    /// Blocks of output channels; the last one may be partly filled.
    pub fn blocks(&self) -> usize {
        self.n.div_ceil(self.block)
    }
}

/// One call of [`Kernels::gemm`](super::Kernels::gemm): up to [`Kernels::gemm_rows`](super::Kernels::gemm_rows) rows by a range of blocks of output channels.
#[derive(Clone, Copy)]
pub struct GemmCall<'a> {
    /// The weights.
    pub packed: &'a PackedGemm,
    /// Conversion of sums to results, of the kind that the weights were packed for.
    pub finish: Finish,
    /// `[segments]`: bytes from a row's start to each of its segments.
    pub offsets: &'a [usize],
    /// First block of output channels.
    pub first_block: usize,
    /// Blocks of output channels from there.
    pub blocks: usize,
    /// `[rows]`: where each row's input starts.
    pub rows: &'a [*const i8],
    /// `[rows]`: where each row's output channel 0 goes, whatever `first_block` is; the address of an `f32` for results in
    /// floats.
    pub outs: &'a [*mut i8],
}

/// Weights of a depthwise convolution (one input channel for each output channel), before packing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DepthwiseWeights<'a> {
    /// Channels.
    pub channels: usize,
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// `[kh · kw][channels]`.
    pub data: &'a [i8],
    /// `[channels]`, as [`GemmWeights::zeros`].
    pub zeros: &'a [i8],
    /// `[channels]`, as [`GemmWeights::bias`].
    pub bias: &'a [i32],
    /// `[channels]`, as [`GemmWeights::scale`].
    pub scale: &'a [f32],
    /// As [`GemmWeights::x_zero`].
    pub x_zero: i32,
    /// `[channels]`, as [`GemmWeights::floats`].
    pub floats: Option<&'a [f32]>,
}

impl DepthwiseWeights<'_> {
    /// As [`GemmWeights::start`].
    pub fn start(&self, channel: usize, offset: i32) -> i32 {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        bias.wrapping_sub(offset.wrapping_mul(self.sum(channel)))
    }

    /// `Σ (w[c] − zero[c])`.
    pub fn sum(&self, channel: usize) -> i32 {
        (0..self.kh * self.kw).map(|tap| i32::from(self.weight(channel, tap))).sum()
    }

    /// Bytes that weights are the sum of, in blocks of `block` channels; those of a tap lie in the parts `parts_of(tap)`, of which
    /// there are `parts`.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub fn passes(&self, block: usize, parts: usize, parts_of: impl Fn(usize) -> [usize; 2]) -> Passes {
        let mut passes = Passes::new(parts);
        for channel in (0..self.channels).filter(|&channel| self.zeros.get(channel).is_some_and(|&zero| zero != 0)) {
            for tap in 0..self.kh * self.kw {
                for part in parts_of(tap) {
                    passes.add(self.weight(channel, tap), self.channels.div_ceil(block), channel / block, part);
                }
            }
        }
        passes
    }

    /// `w[tap][c] − zero[c]`: −255 to 255.
    pub fn weight(&self, channel: usize, tap: usize) -> i16 {
        let zero = self.zeros.get(channel).copied().unwrap_or(0);
        i16::from(self.data[tap * self.channels + channel]) - i16::from(zero)
    }
}

/// Packed weights of a [`DepthwiseWeights`].
#[derive(Clone, Debug, Default)]
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
    /// Added to the sums of products.
    pub terms: Terms,
    /// Bytes that weights are the sum of, for sets that take them one after the other.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub passes: Passes,
    /// A choice between variants that the set made while packing.
    pub variant: u8,
}

/// One call of [`Kernels::depthwise`](super::Kernels::depthwise): a rectangle of output pixels, all channels. The input has its padding around it (bytes of
/// `x_zero`), so no pixel is special. All distances in bytes.
#[derive(Clone, Copy)]
pub struct DepthwiseCall<'a> {
    /// The weights.
    pub packed: &'a PackedDepthwise,
    /// Conversion of sums to results, of the kind that the weights were packed for.
    pub finish: Finish,
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
    /// Output of channel 0 of the first pixel; the address of an `f32` for results in floats.
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

/// A value for each output channel and term, in the order in which a set's sums lie; a block's may be read as whole vectors.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// `−zero[c]`, i32: times the sum of a row's inputs. Empty where no weight has a zero point, or the set's weights hold
    /// it.
    pub zeros: AlignedBytes,
    /// `−Σ (w[c] − zero[c])`, i32: times the input's zero point. Empty where results are bytes.
    pub sums: AlignedBytes,
    /// f32. Empty where results are bytes.
    pub bias: AlignedBytes,
    /// Excess of the weights over bytes.
    #[cfg(target_arch = "x86_64")]
    pub excess: Excess,
}
