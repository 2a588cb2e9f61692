//! aarch64 without dot products: the Cortex-A53 and A72 of a Raspberry Pi 3, 4 and Zero 2.
//!
//! All products go through `smull` and `smlal` into 16 bits, eight at a time, so what counts is how many of them may
//! be added there before they must widen to 32. That depends on the weights alone, so packing looks at them and leaves
//! the choice beside them. Dense layers come in two layouts, `short` and `long` by the length of the reduction;
//! their inner loops are in assembly, as is that of the 3×3 in `depthwise`, because the compiler would spill.

use super::reference::Reference;
use super::{DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, Matrix, PackedDepthwise, PackedGemm};

mod block;
pub(super) mod columns;
mod depthwise;
pub mod elementwise;
mod long;
mod long_tile;
mod matrix;
mod requant;
pub(super) mod results;
mod short;
mod short_tile;
mod variant;
mod wide;

use variant::{LONG, PLAIN, TAME};

/// The set.
#[derive(Debug)]
pub struct Neon;

/// Tests that this processor can run the set.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

impl Kernels for Neon {
    fn gemm_rows(&self, packed: &PackedGemm) -> usize {
        match packed.variant & !TAME {
            PLAIN => Reference.gemm_rows(packed),
            LONG => 8,
            _ => 16,
        }
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        let packed = if short::cost(weights) < long::cost(weights) {
            short::pack(weights).or_else(|| long::pack(weights))
        } else {
            long::pack(weights).or_else(|| short::pack(weights))
        };
        let Some(mut packed) = packed else { return Reference.pack_gemm(weights) };
        if weights.are_tame() {
            packed.variant |= TAME;
        }
        packed
    }

    unsafe fn pack_matrix(&self, matrix: &Matrix) -> PackedGemm {
        // SAFETY: the caller's promise is the callee's.
        unsafe { matrix::pack(matrix).unwrap_or_else(|| matrix.gathered(|weights| self.pack_gemm(weights))) }
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        // SAFETY: the caller's promise is the callee's; the variant says who packed.
        unsafe {
            match call.packed.variant & !TAME {
                PLAIN => Reference.gemm(call),
                LONG => long::gemm(call),
                _ => short::gemm(call),
            }
        }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        if weights.kh * weights.kw > block::MAX_TAPS {
            return Reference.pack_depthwise(weights);
        }
        depthwise::pack(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise is the callee's; the number of taps says who packed.
        unsafe {
            if call.packed.kh * call.packed.kw > block::MAX_TAPS {
                Reference.depthwise(call);
            } else {
                depthwise::depthwise(call);
            }
        }
    }

    forward! { name: "neon", macs_per_us: 6_000, bytes: elementwise::BYTES }
}
