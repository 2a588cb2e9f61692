//! Faults of a block of entropy-coded data.

/// A block could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockFault {
    /// A marker or the end of the file inside the block.
    Early,
    /// Bits that are no code of the table.
    Code,
    /// More than 64 coefficients.
    Coefficients,
    /// An unexpected restart marker.
    Restart {
        /// Number of the marker, 0 to 7.
        found: u8,
        /// Expected number.
        wanted: u8,
    },
    /// Number of bytes beyond the last block.
    Strays(usize),
    /// A value that no encoder writes.
    Value,
}
