//! 32-bit ARM with NEON: a Raspberry Pi 2, and the 32-bit system on a Pi 3, 4 or Zero 2.
//!
//! Rust has no stable names for the vector instructions of this architecture, and the target does not promise that they are there: the inner
//! loops are functions of their own in assembly ([`loops`]), called only where the kernel says that the processor has NEON.
//!
//! Weights are packed as 16-bit numbers less their zero points, and bytes of activations are widened once for all channels, so that every
//! product is a `vmlal.s16` by a lane: four exact products added to 32 bits at a time, whatever the bytes and zero points.
//! (`vmull.s8`, with two products in 16 bits, adds eight at a time, but its sums end up across lanes: 64 bits wide units gain little by it.)

use super::{DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm};

mod dense;
mod depthwise;
mod loops;
mod results;

/// The set.
#[derive(Debug)]
pub struct Armv7;

/// Tests that this processor has NEON, by what the Linux kernel says of it.
pub fn available() -> bool {
    const AT_HWCAP: usize = 16;
    const HWCAP_NEON: usize = 1 << 12;
    // SAFETY: the C library's function takes any number and only reads what the kernel left.
    unsafe { loops::getauxval(AT_HWCAP) & HWCAP_NEON != 0 }
}

impl Kernels for Armv7 {
    fn gemm_rows(&self, _packed: &PackedGemm) -> usize {
        dense::ROWS
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        dense::pack(weights)
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { dense::gemm(call) }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        depthwise::pack(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { depthwise::depthwise(call) }
    }

    forward! { name: "armv7", macs_per_us: 2_000 }
}
