//! Depthwise weights that, less their zero points, are sums of several bytes: how many, for each part of a block of channels.

/// Bytes that the widest weight, 255, is the sum of.
const MOST: usize = 3;

/// Bytes that weights are the sum of, which a set multiplies one after the other.
#[derive(Clone, Debug, Default)]
pub struct Passes {
    /// Parts of a block.
    parts: usize,
    /// `[blocks][parts]`; empty where all weights are bytes.
    counts: Vec<u8>,
    /// The greatest of them.
    most: usize,
}

impl Passes {
    /// Of blocks of so many parts, all of which take one pass.
    pub fn new(parts: usize) -> Self {
        Passes { parts, counts: Vec::new(), most: 1 }
    }

    /// Counts a weight in a part of one of `blocks` blocks.
    pub fn add(&mut self, weight: i16, blocks: usize, block: usize, part: usize) {
        let count = bytes_in(weight);
        if count == 1 {
            return;
        }
        if self.counts.is_empty() {
            self.counts = vec![1; blocks * self.parts];
        }
        let of_part = &mut self.counts[block * self.parts + part];
        *of_part = (*of_part).max(count as u8);
        self.most = self.most.max(count);
    }

    /// The greatest number of passes of any part: 1 to 3.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Test for a block that has a part of more than one pass.
    pub fn are_many(&self, block: usize) -> bool {
        !self.counts.is_empty() && self.counts[block * self.parts..][..self.parts].iter().any(|&count| count > 1)
    }

    /// Passes of a part of a block.
    #[inline]
    pub fn count(&self, block: usize, part: usize) -> usize {
        self.counts.get(block * self.parts + part).map_or(1, |&count| count.into())
    }
}

/// Bytes that a weight is the sum of.
fn bytes_in(weight: i16) -> usize {
    (1..MOST as i16).find(|n| (-128 * n..=127 * n).contains(&weight)).map_or(MOST, |n| n as usize)
}

/// Bytes whose sum is a weight less its zero point, as few as can be before the zeros.
pub fn bytes_of(weight: i16) -> [i8; MOST] {
    let mut rest = weight;
    [(); MOST].map(|()| {
        let byte = rest.clamp(i8::MIN.into(), i8::MAX.into());
        rest -= byte;
        byte as i8
    })
}
