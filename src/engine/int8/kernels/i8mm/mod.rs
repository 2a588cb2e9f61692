//! aarch64 with 8-bit matrix products (FEAT_I8MM: Cortex-A510, A710, X2 and later, Neoverse V1, Apple M2).
//!
//! `smmla` multiplies two rows of eight bytes by two of another eight, twice what `sdot` does, so dense layers use it. What is no
//! matrix product is done as [`super::dotprod`] does it, whose instructions all these processors have.

use super::Kernels;
use super::dotprod::depthwise;
use super::neon::elementwise;

mod gemm;

/// The set for processors with `smmla`.
#[derive(Debug)]
pub struct I8mm;

/// Tests that this processor has the instructions.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("i8mm") && super::dotprod::available()
}

impl Kernels for I8mm {
    forward! {
        name: "i8mm",
        macs_per_us: 50_000,
        gemm_rows: gemm::rows,
        pack_gemm: gemm::pack,
        gemm: gemm::gemm,
        pack_depthwise: depthwise::pack,
        depthwise: depthwise::depthwise,
        bytes: elementwise::BYTES,
    }
}
