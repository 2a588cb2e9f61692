//! aarch64 with 8-bit matrix products (FEAT_I8MM: Cortex-A510, A710, X2 and later, Neoverse V1, Apple M2).
//!
//! `smmla` multiplies two rows of eight bytes by two of another eight, twice what `sdot` does, so dense layers use it. What is no
//! matrix product is done as [`Dotprod`] does it, whose instructions all these processors have.

use super::dotprod::Dotprod;
use super::{AddParams, DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm};

mod gemm;

/// The set for processors with `smmla`.
#[derive(Debug)]
pub struct I8mm;

/// Whether this processor has the instructions.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("i8mm") && super::dotprod::available()
}

impl Kernels for I8mm {
    fn name(&self) -> &'static str {
        "i8mm"
    }

    fn macs_per_us(&self) -> u64 {
        50_000
    }

    fn gemm_rows(&self, packed: &PackedGemm) -> usize {
        gemm::rows(packed)
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        gemm::pack(weights)
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { gemm::gemm(call) }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        Dotprod.pack_depthwise(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { Dotprod.depthwise(call) }
    }

    unsafe fn add(&self, params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { Dotprod.add(params, a, b, out, len) }
    }

    unsafe fn lut(&self, table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { Dotprod.lut(table, x, out, len) }
    }

    unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { Dotprod.max(x, out, len) }
    }
}
