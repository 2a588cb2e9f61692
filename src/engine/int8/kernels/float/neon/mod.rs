//! NEON: every 64-bit ARM processor.

use super::generic::float_kernels;
use quad::Quad;

mod quad;
mod tile;

/// Tests that this processor can run the set.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

float_kernels! {
    /// The set.
    Neon, "neon", 8_000, Quad, ["neon"], tile::tile, [16 << 10, 128 << 10], {
        2,
        2: 1 2 3 4 5 6 7 8 => 8;
        1: 1 2 3 4 5 6 7 8 => 8;
    }
}
