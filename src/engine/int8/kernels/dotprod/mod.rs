//! aarch64 with the dot product extension (FEAT_DotProd: Cortex-A55, A75, A76 and later).
//!
//! `sdot` multiplies signed bytes by signed bytes, four products to a 32-bit sum, so that nothing saturates on the way and
//! weights of −128 are as good as any. Its intrinsics are not stable in Rust yet, hence the `asm!` of single instructions;
//! registers and order are the compiler's.

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon::elementwise;
use super::{AddParams, DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm};

mod depthwise;
mod gemm;
pub(super) mod requant;

/// The set for processors with `sdot`.
#[derive(Debug)]
pub struct Dotprod;

/// Whether this processor has the instructions.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
}

impl Kernels for Dotprod {
    fn name(&self) -> &'static str {
        "dotprod"
    }

    fn macs_per_us(&self) -> u64 {
        30_000
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
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::lut(table, x, out, len) }
    }

    unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::max(x, out, len) }
    }
}

/// `acc[i] += Σ x[4i + j] · w[4i + j]` for j in 0..4.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(acc: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: reads and writes the named registers only.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) x, in(vreg) w,
            options(nomem, nostack, preserves_flags));
    }
    acc
}

/// The 32 bytes at `p`, read again wherever this is written: the compiler would rather keep or copy what it read once, and
/// spill others.
///
/// # Safety
/// The bytes are readable.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load_pair(p: *const u8) -> (int8x16_t, int8x16_t) {
    let (a, b);
    // SAFETY: reads the bytes the caller vouches for.
    unsafe {
        asm!("ldp {0:q}, {1:q}, [{2}]", out(vreg) a, out(vreg) b, in(reg) p, options(readonly, nostack, preserves_flags));
    }
    (a, b)
}

/// `V` (2 or 4) vectors.
///
/// # Safety
/// `p` has them.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load<const V: usize>(p: *const u8) -> [int8x16_t; V] {
    let mut all = [vdupq_n_s8(0); V];
    // SAFETY: the caller's promise.
    unsafe {
        (all[0], all[1]) = load_pair(p);
        if V == 4 {
            (all[2], all[3]) = load_pair(p.add(32));
        }
    }
    all
}
