//! Faults of a block of entropy-coded data.

/// Why a block is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockFault {
    /// A marker or the end of the file where its bits belong.
    Early,
    /// Bits that are no code of the table.
    Code,
    /// More than 64 coefficients.
    Coefficients,
    /// Another restart marker than the one whose turn it is.
    Restart {
        /// Its number, 0 to 7.
        found: u8,
        /// The number of the one that belongs there.
        wanted: u8,
    },
    /// So many bytes more than the blocks need.
    Strays(usize),
    /// A value that no encoder writes there.
    Value,
}
