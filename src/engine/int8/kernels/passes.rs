//! Depthwise weights that, less their zero points, are sums of several bytes: how many, for each part of a block of channels.

use super::DepthwiseWeights;

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
    /// Of blocks of `block` channels; the weights of a tap lie in the parts `parts_of(tap)`, of which there are `parts`.
    pub fn of(weights: &DepthwiseWeights, block: usize, parts: usize, parts_of: impl Fn(usize) -> [usize; 2]) -> Self {
        let mut passes = Passes { parts, counts: Vec::new(), most: 1 };
        for channel in (0..weights.channels).filter(|&channel| weights.zeros.get(channel).is_some_and(|&z| z != 0)) {
            for tap in 0..weights.kh * weights.kw {
                let count = bytes_in(weights.weight(channel, tap));
                if count == 1 {
                    continue;
                }
                if passes.counts.is_empty() {
                    passes.counts = vec![1; weights.channels.div_ceil(block) * parts];
                }
                for part in parts_of(tap) {
                    let of_part = &mut passes.counts[channel / block * parts + part];
                    *of_part = (*of_part).max(count as u8);
                }
                passes.most = passes.most.max(count);
            }
        }
        passes
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
