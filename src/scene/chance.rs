//! A seeded stream of numbers, the same on every machine and in every version of the toolchain.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A stream for `seed` and a `purpose`, so that what one part draws does not shift what another part draws.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut stream = Chance(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        stream.bits();
        stream
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The 64 bits that the stream will give after `n` others, without moving it.
    pub fn nth(&self, n: u64) -> u64 {
        Chance(self.0.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).bits()
    }

    /// Even in `from..to`.
    pub fn within(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.bits() >> 40) as f32 / (1u32 << 24) as f32)
    }

    /// Even in `0..count` (0 for an empty range).
    pub fn below(&mut self, count: u32) -> u32 {
        ((self.bits() >> 32).wrapping_mul(u64::from(count)) >> 32) as u32
    }

    /// True with this probability.
    pub fn often(&mut self, probability: f32) -> bool {
        self.within(0.0, 1.0) < probability
    }

    /// Nearly normal with mean 0 and standard deviation 1: the sum of twelve even numbers less 6.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.within(0.0, 1.0)).sum::<f32>() - 6.0
    }
}
