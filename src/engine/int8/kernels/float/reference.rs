//! Plain Rust: what runs where no better set fits. Compiled for whatever every processor of the target has.

use super::generic::float_kernels;
use super::plain::Plain;

float_kernels! {
    /// The plain set.
    Reference, "reference", 2_000, Plain, [], super::gemm::tile, [16 << 10, 128 << 10], {
        2,
        2: 1 2 3 4 => 4;
        1: 1 2 3 4 => 4;
    }
}
