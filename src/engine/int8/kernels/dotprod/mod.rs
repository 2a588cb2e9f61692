//! aarch64 with the dot product extension (FEAT_DotProd: Cortex-A55, A75, A76 and later).
//!
//! `sdot` multiplies signed bytes by signed bytes, four products to a 32-bit sum, so that nothing saturates on the way and
//! weights of −128 are as good as any. Its intrinsics are not stable in Rust yet, hence the `asm!` of single instructions;
//! registers and order are the compiler's.

use super::Kernels;
use super::neon::elementwise;

pub(super) mod depthwise;
mod gemm;
pub(super) mod instructions;
mod matrix;
pub(super) mod requant;

/// The set for processors with `sdot`.
#[derive(Debug)]
pub struct Dotprod;

/// Tests that this processor has the instructions.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
}

impl Kernels for Dotprod {
    forward! {
        name: "dotprod",
        macs_per_us: 30_000,
        gemm_rows: gemm::rows,
        pack_gemm: gemm::pack,
        pack_matrix: matrix::pack,
        gemm: gemm::gemm,
        pack_depthwise: depthwise::pack,
        depthwise: depthwise::depthwise,
        bytes: elementwise::BYTES,
    }
}
