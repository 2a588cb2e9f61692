//! From 32-bit sums to bytes: the definition.

/// Adding this to a float of magnitude below 2²² rounds it to an integer, halves to even, which the low bits of the sum then
/// are: 1.5 × 2²³.
pub const ROUNDER: f32 = 12_582_912.0;

/// Conversion of 32-bit sums to bytes; the scales lie with the packed weights, one per output channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requant {
    /// The byte that stands for 0.0 in the output.
    pub zero_point: i32,
    /// Lowest byte that may come out (`low ≤ high`).
    pub low: i8,
    /// Highest.
    pub high: i8,
}

impl Requant {
    /// One value, as every kernel must compute it.
    #[inline(always)]
    pub fn apply(&self, acc: i32, scale: f32) -> i8 {
        let low = (i32::from(self.low) - self.zero_point) as f32;
        let high = (i32::from(self.high) - self.zero_point) as f32;
        let real = (acc as f32 * scale).max(low).min(high);
        (real.round_ties_even() as i32 + self.zero_point) as i8
    }
}
