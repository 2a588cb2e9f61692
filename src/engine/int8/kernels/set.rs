//! The interface of a set of kernels.

use std::fmt;

use super::bytes::ByteKernels;
use super::calls::{DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, PackedDepthwise, PackedGemm};
use super::matrix::Matrix;
use super::plain::PLAIN;

/// One instruction set's kernels.
///
/// # Safety
/// For every unsafe method: the processor has the set's instructions ([`available`](super::available) saw to it); pointers cover what the call
/// describes, inputs [`SLACK`](super::SLACK) bytes more; outputs overlap no input of the call. Outputs get exactly the bytes described, none behind.
pub trait Kernels: fmt::Debug + Send + Sync {
    /// `avx512vnni`, `dotprod`, … as logs and `inspect` show it.
    fn name(&self) -> &'static str;

    /// Multiply-accumulates that one core does in a microsecond, about: what tells whether a step is worth sharing.
    fn macs_per_us(&self) -> u64 {
        2_000
    }

    /// Most rows of a gemm call (1 to [`MAX_ROWS`](super::MAX_ROWS)) for these weights.
    fn gemm_rows(&self, packed: &PackedGemm) -> usize;

    /// Packs dense weights.
    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm;

    /// Packs the second operand of a product, as [`Kernels::pack_gemm`] packs weights of one segment.
    ///
    /// # Safety
    /// As the trait says; the matrix is an input.
    unsafe fn pack_matrix(&self, matrix: &Matrix) -> PackedGemm {
        // SAFETY: the caller's promise.
        unsafe { matrix.gathered(|weights| self.pack_gemm(weights)) }
    }

    /// Rows × channels: sums of products over every segment, requantised.
    ///
    /// # Safety
    /// As the trait says; `rows` and `outs` have the same length, 1 to `gemm_rows`.
    unsafe fn gemm(&self, call: &GemmCall);

    /// Packs depthwise weights.
    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise;

    /// A rectangle of depthwise outputs.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn depthwise(&self, call: &DepthwiseCall);

    /// Kernels without weights.
    fn bytes(&self) -> &'static ByteKernels {
        &PLAIN
    }
}
