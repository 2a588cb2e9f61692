//! aarch64 without dot products: the Cortex-A53 and A72 of a Raspberry Pi 3, 4 and Zero 2.
//!
//! All products go through `smull` and `smlal` into 16 bits, eight at a time, so what counts is how many of them may
//! be added there before they must widen to 32. That depends on the weights alone, so packing looks at them and leaves
//! the choice beside them. Dense layers come in two layouts, `short` and `long` by the length of the reduction;
//! their inner loops are in assembly, as is that of the 3×3 in `depthwise`, because the compiler would spill.

use super::reference::Reference;
use super::{AddParams, DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm};

mod depthwise;
pub mod elementwise;
mod long;
mod long_tile;
mod requant;
mod short;
mod short_tile;

/// Variants of packed dense weights: those of [`Reference`], for the rare weights that neither of the others takes, of
/// [`long`] and of [`short`].
const PLAIN: u8 = 0;
const LONG: u8 = 1;
const SHORT: u8 = 2;

/// Set in a variant (of dense or depthwise weights) if all channels are [`requant::tame`].
const TAME: u8 = 0x80;

/// A group of weights whose products are to be added.
#[derive(Clone, Copy, Default)]
struct Group {
    positive: i64,
    negative: i64,
}

impl Group {
    fn of(weights: impl IntoIterator<Item = i8>) -> Self {
        weights.into_iter().map(i64::from).fold(Group::default(), |group, weight| Group {
            positive: group.positive + weight.max(0),
            negative: group.negative - weight.min(0),
        })
    }

    /// The least and the most that the sum of the products can be.
    fn range(self) -> (i64, i64) {
        (-128 * self.positive - 127 * self.negative, 127 * self.positive + 128 * self.negative)
    }

    /// Whether the sum of the products fits 16 bits, whatever the inputs.
    fn fits(self) -> bool {
        let (least, most) = self.range();
        least >= i64::from(i16::MIN) && most <= i64::from(i16::MAX)
    }
}

/// The set.
#[derive(Debug)]
pub struct Neon;

/// Whether this processor can run the set.
pub fn available() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

impl Kernels for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn macs_per_us(&self) -> u64 {
        6_000
    }

    fn gemm_rows(&self, packed: &PackedGemm) -> usize {
        match packed.variant & !TAME {
            PLAIN => Reference.gemm_rows(packed),
            LONG => 8,
            _ => 16,
        }
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        let packed = if short::cost(weights) < long::cost(weights) {
            short::pack(weights).or_else(|| long::pack(weights))
        } else {
            long::pack(weights).or_else(|| short::pack(weights))
        };
        let Some(mut packed) = packed else { return Reference.pack_gemm(weights) };
        let k = weights.segments * weights.segment;
        let tame = |c: usize| {
            let row = weights.data[c * k..][..k].iter().copied();
            requant::tame(weights.start(c, weights.x_zero), row, weights.scale[c])
        };
        if (0..weights.n).all(tame) {
            packed.variant |= TAME;
        }
        packed
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        // SAFETY: the caller's promise is the callee's; the variant says who packed.
        unsafe {
            match call.packed.variant & !TAME {
                PLAIN => Reference.gemm(call),
                LONG => long::gemm(call),
                _ => short::gemm(call),
            }
        }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        if weights.kh * weights.kw > depthwise::MAX_TAPS {
            return Reference.pack_depthwise(weights);
        }
        depthwise::pack(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise is the callee's; the number of taps says who packed.
        unsafe {
            if call.packed.kh * call.packed.kw > depthwise::MAX_TAPS {
                Reference.depthwise(call);
            } else {
                depthwise::depthwise(call);
            }
        }
    }

    unsafe fn add(&self, params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::add(params, a, b, out, len) }
    }

    unsafe fn lut(&self, table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::lut(table, x, out, len) }
    }

    unsafe fn max(&self, x: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { elementwise::max(x, out, len) }
    }
}
