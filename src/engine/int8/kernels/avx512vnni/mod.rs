//! x86-64 with AVX-512 and its VNNI: Intel servers from Cascade Lake, Intel clients from Ice Lake to Rocket Lake, AMD
//! from Zen 4.

mod depthwise;
mod elementwise;
mod gemm;
mod output;

use super::{AddParams, DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm};

/// The set.
#[derive(Debug)]
pub struct Avx512Vnni;

/// Whether this processor has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

impl Kernels for Avx512Vnni {
    fn name(&self) -> &'static str {
        "avx512vnni"
    }

    fn macs_per_us(&self) -> u64 {
        180_000
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
        depthwise::pack(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { depthwise::depthwise(call) }
    }

    unsafe fn add(&self, params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::add(params, a, b, out, len) }
    }

    unsafe fn lut(&self, table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's, and the processor was asked.
        unsafe {
            if is_x86_feature_detected!("avx512vbmi") {
                elementwise::lut_vbmi(table, x, out, len);
            } else {
                super::reference::lut(table, x, out, len);
            }
        }
    }

    unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::max(x, out, len) }
    }
}
