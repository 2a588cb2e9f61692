//! Test data from a seed: what proptest shrinks is the shape and one number.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Rng(pub u64);

/// What bytes a tensor is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Every byte as likely as any other.
    Any,
    /// −128 and 127 only.
    Ends,
    /// −128 everywhere.
    Lowest,
    /// 127 everywhere.
    Highest,
    /// −127 to 127, as most weights are: sets may have a faster way where −128 is not among them.
    Symmetric,
    /// −127 and 127 only.
    SymmetricEnds,
    /// Small values, so that sums stay within the output's range.
    Small,
    /// −50 to 49, and any byte now and then: weights of which few do not fit bytes once they are less zero points of this fill.
    Rare,
}

/// Every fill.
pub const FILLS: [Fill; 8] =
    [Fill::Any, Fill::Ends, Fill::Lowest, Fill::Highest, Fill::Symmetric, Fill::SymmetricEnds, Fill::Small, Fill::Rare];

impl Rng {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// `0.0..1.0`, 24 bits.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// One byte of a fill.
    pub fn byte(&mut self, fill: Fill) -> i8 {
        match fill {
            Fill::Any => self.next() as i8,
            Fill::Ends => self.pick(&[-128, 127]),
            Fill::Lowest => -128,
            Fill::Highest => 127,
            Fill::Symmetric => (self.below(255) as i32 - 127) as i8,
            Fill::SymmetricEnds => self.pick(&[-127, 127]),
            Fill::Rare if self.below(40) > 0 => self.below(100) as i8 - 50,
            Fill::Rare => self.next() as i8,
            Fill::Small => self.below(7) as i8 - 3,
        }
    }

    /// `len` bytes of a fill.
    pub fn bytes(&mut self, fill: Fill, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.byte(fill)).collect()
    }

    /// A bias: mostly of the size that layers have, sometimes an end of the accumulator.
    pub fn bias(&mut self) -> i32 {
        match self.below(8) {
            0 => self.pick(&[i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1, 0, 1, -1]),
            1 => self.next() as i32,
            2..=4 => self.next() as i32 >> 14,
            _ => self.next() as i32 >> 22,
        }
    }

    /// A float between −8 and 8, one in eight 0.
    pub fn real(&mut self) -> f32 {
        if self.below(8) == 0 { 0.0 } else { self.unit() * 16.0 - 8.0 }
    }

    /// A scale for sums of `terms` products: mostly such that results are within range, else anything from 1e-9 to 1e3, exact
    /// powers of two (whose products end in halves), or an end of what is finite. One in four is negative.
    pub fn scale(&mut self, terms: usize) -> f32 {
        let size = match self.below(8) {
            0 => 10f32.powf(self.unit() * 12.0 - 9.0),
            1 | 2 => 2f32.powi(-(self.below(12) as i32)),
            3 => self.pick(&[f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), 1e-9, 1e3, 0.0]),
            _ => (0.1 + self.unit()) / (32.0 * (terms as f32).sqrt()),
        };
        if self.below(4) == 0 { -size } else { size }
    }
}
