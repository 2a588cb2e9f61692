//! Steps of dense blocks beyond those of their bytes: what weights, less their zero points, are more than a byte.

use std::ops::Range;

use super::aligned::AlignedBytes;

/// Input bytes in a step.
pub const STEP: usize = 4;

/// Steps of a block beyond those of its bytes.
#[derive(Clone, Debug, Default)]
pub struct Excess {
    /// Segment, and first byte in it, of every block's steps. Empty where no block has any.
    pub steps: Vec<[u32; 2]>,
    /// `[blocks + 1]`: where each block's steps begin.
    pub begins: Vec<u32>,
    /// For every step, four weights of each of a block's values, in the order in which the set's sums lie.
    pub data: AlignedBytes,
}

impl Excess {
    /// The steps of a block.
    pub fn of(&self, block: usize) -> Range<usize> {
        match self.begins.get(block..block + 2) {
            Some(&[begin, end]) => begin as usize..end as usize,
            _ => 0..0,
        }
    }

    /// Segment of a step, and the first of its four bytes there.
    pub fn place(&self, step: usize) -> (usize, usize) {
        let [segment, byte] = self.steps[step];
        (segment as usize, byte as usize)
    }

    /// Weights of a step of blocks of `block` channels.
    pub fn weights(&self, step: usize, block: usize) -> *const u8 {
        self.data.as_slice()[step * block * STEP..].as_ptr()
    }
}
