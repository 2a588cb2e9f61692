//! Integer kernels, one set per instruction set, all computing the same bits as [`reference`](mod@reference).
//!
//! Everything here works on signed bytes in NHWC order: unsigned tensors have had their sign bit flipped (and 128 taken
//! from their zero point) before they come here. What a kernel computes, exactly:
//!
//! ```text
//! acc[c]  = bias[c] + Σ (x − x_zero) · (w − zero[c]) in wrapping 32-bit integers
//! real    = (acc as f32) · scale[c]                  one f32 multiplication
//! out[c]  = clamp(round_half_even(real) + zero_point, low, high)
//! ```
//!
//! `round(acc · scale)` in f32 is what a `DequantizeLinear → op → QuantizeLinear` pattern asks for (ONNX rounds halves to
//! even), and IEEE arithmetic gives the same bits on every processor.

#![allow(unsafe_code, reason = "vector instructions and memory shared between threads; see each SAFETY line")]

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
    (@ pack_matrix $function:expr) => {
        unsafe fn pack_matrix(&self, matrix: &super::Matrix) -> super::PackedGemm {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function(matrix) }
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
    (@ bytes $table:expr) => {
        fn bytes(&self) -> &'static super::ByteKernels {
            &$table
        }
    };
    ($($method:ident: $target:expr),+ $(,)?) => {
        $(forward!(@ $method $target);)+
    };
}

/// A block for each row of a tile, which has at most 8.
///
/// Not a loop: where a long one over a tile's sums is not unrolled, the sums lie in memory, and every product writes to it.
#[cfg(target_arch = "x86_64")]
macro_rules! for_rows {
    ($row:ident in $rows:ident $block:block) => {
        for_rows!(@ $row, $rows, $block, 0 1 2 3 4 5 6 7)
    };
    (@ $row:ident, $rows:ident, $block:block, $($index:literal)*) => {
        $(
            if $index < $rows {
                let $row: usize = $index;
                $block
            }
        )*
    };
}

mod aligned;
#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "arm")]
pub mod armv7;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512vnni;
#[cfg(target_arch = "x86_64")]
pub mod avxvnni;
mod behind;
mod bytes;
mod calls;
#[cfg(target_arch = "aarch64")]
pub mod dotprod;
mod edges;
#[cfg(target_arch = "x86_64")]
mod excess;
pub mod executor;
mod finish;
pub mod float;
#[cfg(target_arch = "aarch64")]
pub mod i8mm;
mod loops;
pub mod matmul;
mod matrix;
mod moves;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod normalize;
mod pairs;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod passes;
mod plain;
mod pool;
pub mod reference;
mod requant;
pub mod run;
mod set;
mod sets;
#[cfg(target_arch = "x86_64")]
mod split;
pub mod step;
#[cfg(any(target_arch = "aarch64", test))]
mod tame;
mod terms;
mod thread_pool;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod transpose;
mod walk;

pub use aligned::AlignedBytes;
pub use bytes::{Blend, ByteKernels, Lines, MulParams, Pair, SoftmaxParams};
pub use calls::{
    AddParams, DepthwiseCall, DepthwiseWeights, FACTOR_BITS, GemmCall, GemmWeights, MAX_ROWS, PackedDepthwise,
    PackedGemm, SLACK, STEPS_AT_ONCE, Terms,
};
pub use finish::{Dequant, Finish};
pub use loops::Loops;
pub use matrix::Matrix;
pub use plain::quantize;
pub use requant::Requant;
pub use set::Kernels;
pub use sets::{available, best};
