//! x86-64 with AVX2: nearly every processor since 2013. The bodies of the kernels also serve [`super::avxvnni`].

pub(super) mod depthwise;
pub(super) mod dot;
pub(super) mod elementwise;
pub(super) mod gemm;
mod output;

/// The set.
#[derive(Debug)]
pub struct Avx2;

/// Tests that this processor has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Implements [`Kernels`](super::Kernels) with 256-bit vectors: a set, its name, how it sums products, what that takes.
macro_rules! ymm_kernels {
    ($set:ty, $name:literal, $dot:ty, $features:literal) => {
        impl super::Kernels for $set {
            fn name(&self) -> &'static str {
                $name
            }

            fn macs_per_us(&self) -> u64 {
                60_000
            }

            fn gemm_rows(&self, _packed: &super::PackedGemm) -> usize {
                super::avx2::gemm::ROWS
            }

            fn pack_gemm(&self, weights: &super::GemmWeights) -> super::PackedGemm {
                super::avx2::gemm::pack::<$dot>(weights)
            }

            unsafe fn gemm(&self, call: &super::GemmCall) {
                #[target_feature(enable = $features)]
                unsafe fn gemm(call: &super::GemmCall) {
                    // SAFETY: the caller's promise is the callee's.
                    unsafe { super::avx2::gemm::gemm::<$dot>(call) }
                }
                // SAFETY: the caller's promise is the callee's.
                unsafe { gemm(call) }
            }

            fn pack_depthwise(&self, weights: &super::DepthwiseWeights) -> super::PackedDepthwise {
                super::avx2::depthwise::pack::<$dot>(weights)
            }

            unsafe fn depthwise(&self, call: &super::DepthwiseCall) {
                #[target_feature(enable = $features)]
                unsafe fn depthwise(call: &super::DepthwiseCall) {
                    // SAFETY: the caller's promise is the callee's.
                    unsafe { super::avx2::depthwise::depthwise::<$dot>(call) }
                }
                // SAFETY: the caller's promise is the callee's.
                unsafe { depthwise(call) }
            }

            fn bytes(&self) -> &'static super::ByteKernels {
                &super::avx2::elementwise::BYTES
            }
        }
    };
}

pub(super) use ymm_kernels;

ymm_kernels!(Avx2, "avx2", dot::Words, "avx2");
