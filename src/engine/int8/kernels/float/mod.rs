//! Float kernels, one set per instruction set, for what of a network is not quantised.
//!
//! Tensors are NHWC, channels adjacent, as those of bytes are. The arithmetic is written once, over a vector type ([`simd`]); a set is that
//! type, the tiles that its registers hold, and the instructions it is compiled for. Sets differ in the last bits of their results (fused products,
//! reciprocals); each gives the same bits for any division of the work.

mod arg;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
mod calls;
mod convert;
mod depthwise;
mod elementwise;
mod function;
mod gemm;
mod generic;
mod math;
mod moves;
#[cfg(target_arch = "aarch64")]
pub mod neon;
mod norm;
mod plain;
mod pool;
mod recurrent;
mod reduce;
pub mod reference;
mod resize;
mod set;
mod sets;
mod simd;
mod softmax;

pub use calls::*;
pub use function::{Binary, Function};
pub use set::FloatKernels;
pub use sets::{available, best};
