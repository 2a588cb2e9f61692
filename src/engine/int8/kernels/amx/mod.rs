//! x86-64 with AMX: Intel servers from Sapphire Rapids. Dense products run on tiles of 16 × 64 bytes, everything else in
//! the kernels of [`super::avx512vnni`].

mod gemm;
mod tiles;

use super::avx512vnni::Avx512Vnni;
use super::{ByteKernels, Kernels};

pub use tiles::available;

/// The set.
#[derive(Debug)]
pub struct Amx;

impl Kernels for Amx {
    forward! {
        name: "amx",
        macs_per_us: 700_000,
        gemm_rows: gemm::rows,
        pack_gemm: gemm::pack,
        gemm: gemm::gemm,
    }

    fn pack_depthwise(&self, weights: &super::DepthwiseWeights) -> super::PackedDepthwise {
        Avx512Vnni.pack_depthwise(weights)
    }

    unsafe fn depthwise(&self, call: &super::DepthwiseCall) {
        // SAFETY: the caller's promise; a processor that has this set has that one.
        unsafe { Avx512Vnni.depthwise(call) }
    }

    fn bytes(&self) -> &'static ByteKernels {
        Avx512Vnni.bytes()
    }
}
