//! A vector in plain Rust: four floats, as the narrowest vectors of today's processors.

use std::array::from_fn;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::simd::Simd;

/// Four floats.
#[derive(Clone, Copy, Debug)]
pub struct Plain([f32; 4]);

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl $trait for Plain {
            type Output = Plain;

            #[inline(always)]
            fn $method(self, other: Plain) -> Plain {
                Plain(from_fn(|i| self.0[i].$method(other.0[i])))
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl Neg for Plain {
    type Output = Plain;

    #[inline(always)]
    fn neg(self) -> Plain {
        self.map(|x| -x)
    }
}

impl Plain {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Plain(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Plain(from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// Half a step above 2^23: adding and subtracting it rounds what is smaller to an integer.
const ROUNDER: f32 = 8_388_608.0;

/// `2^e` for an integral `e` of −126 to 127.
#[inline(always)]
fn power_of_two(e: f32) -> f32 {
    // Above 2^23 the last bits of a float are its units.
    let units = (e + 1.5 * ROUNDER).to_bits();
    f32::from_bits(units.wrapping_add(127) << 23)
}

impl Simd for Plain {
    const LANES: usize = 4;

    type Mask = [bool; 4];

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Plain([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Plain(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller's promise.
            *lane = unsafe { *from.add(i) };
        }
        Plain(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = lane };
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Without the instruction, a fused product is a call of a function.
        self * factor + addend
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if b > a { b } else { a })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if b < a { b } else { a })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    #[inline(always)]
    fn quick_reciprocal(self) -> Self {
        self.map(|x| 1.0 / x)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        self.zip(sign, f32::copysign)
    }

    #[inline(always)]
    fn round(self) -> Self {
        self.map(|x| if x.abs() < ROUNDER { ((x.abs() + ROUNDER) - ROUNDER).copysign(x) } else { x })
    }

    #[inline(always)]
    fn floor(self) -> Self {
        let rounded = self.round();
        rounded.zip(self, |rounded, x| if rounded > x { rounded - 1.0 } else { rounded })
    }

    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        // Two steps, each within what an exponent holds.
        let half = (exponent * exponent.like(0.5)).floor();
        self * half.map(power_of_two) * (exponent - half).map(power_of_two)
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let parts = self.0.map(split);
        (Plain(parts.map(|(m, _)| m)), Plain(parts.map(|(_, e)| e)))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        from_fn(|i| self.0[i] < other.0[i])
    }

    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        self.0.map(f32::is_nan)
    }

    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        Plain(from_fn(|i| if mask[i] { yes.0[i] } else { no.0[i] }))
    }

    #[inline(always)]
    fn first(self, count: usize, rest: Self) -> Self {
        Plain(from_fn(|i| if i < count { self.0[i] } else { rest.0[i] }))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        Plain(from_fn(|i| self.0[i ^ DISTANCE & 3]))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut i8, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *to.add(i) = lane as i32 as i8 };
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const i8, count: usize) -> Self {
        // SAFETY: the caller's promise.
        Plain(from_fn(|i| if i < count { f32::from(unsafe { *from.add(i) }) } else { 0.0 }))
    }
}

/// See [`Simd::split`].
#[inline(always)]
fn split(x: f32) -> (f32, f32) {
    // What is denormal is brought up first.
    let (x, lift) = if x < f32::MIN_POSITIVE { (x * ROUNDER, 23) } else { (x, 0) };
    let above = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (above as i32) >> 23;
    (f32::from_bits(x.to_bits().wrapping_sub((exponent as u32) << 23)), (exponent - lift) as f32)
}
