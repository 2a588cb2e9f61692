//! x86-64 with AVX-512 and its VNNI: Intel servers from Cascade Lake, Intel clients from Ice Lake to Rocket Lake, AMD
//! from Zen 4.

mod depthwise;
mod elementwise;
mod gemm;
pub(super) mod output;

pub(super) use gemm::{BLOCK, VECTORS, packed, place, vectors};

use super::{ByteKernels, Kernels};

/// The set.
#[derive(Debug)]
pub struct Avx512Vnni;

/// Tests that this processor has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

impl Kernels for Avx512Vnni {
    forward! {
        name: "avx512vnni",
        macs_per_us: 180_000,
        gemm_rows: gemm::rows,
        pack_gemm: gemm::pack,
        gemm: gemm::gemm,
        pack_depthwise: depthwise::pack,
        depthwise: depthwise::depthwise,
    }

    fn bytes(&self) -> &'static ByteKernels {
        if is_x86_feature_detected!("avx512vbmi") { &elementwise::BYTES_VBMI } else { &elementwise::BYTES }
    }
}
