//! A vector of floats: what the kernels are written in, once for all sets.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Lanes of the widest vector of any set.
pub const MOST_LANES: usize = 16;

/// Floats of one vector register.
///
/// A value of such a type exists only where the processor has its instructions: [`Simd::splat`] and loads, which make the first ones, are unsafe, and
/// everything else takes a value. Operators round once, as IEEE 754 says.
pub trait Simd:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Floats of a vector.
    const LANES: usize;

    /// One truth a lane.
    type Mask: Copy;

    /// The same float in every lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat(value: f32) -> Self;

    /// As many floats as there are lanes.
    ///
    /// # Safety
    /// The processor has the instructions, and they can be read.
    unsafe fn load(from: *const f32) -> Self;

    /// The first `count` (at most [`Simd::LANES`]) floats, zeros behind.
    ///
    /// # Safety
    /// The processor has the instructions, and they can be read.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;

    /// Writes all lanes.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// They can be written.
    unsafe fn store_part(self, to: *mut f32, count: usize);

    /// Asks for what will be loaded soon; any address will do.
    #[inline(always)]
    fn prefetch(_at: *const f32) {}

    /// `value` in every lane.
    #[inline(always)]
    fn like(self, value: f32) -> Self {
        // SAFETY: `self` shows that the processor has the instructions.
        unsafe { Self::splat(value) }
    }

    /// `self · factor + addend`, rounded once where the set has such an instruction.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// The greater; NaN if `self` is. If only `other` is, either of them.
    fn max(self, other: Self) -> Self;

    /// The less; NaN if `self` is. If only `other` is, either of them.
    fn min(self, other: Self) -> Self;

    /// Square root.
    fn sqrt(self) -> Self;

    /// About `1 / self`, to 2 units in the last place, for what lies between 1 and 2^60.
    fn quick_reciprocal(self) -> Self;

    /// Magnitude.
    fn abs(self) -> Self;

    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;

    /// Nearest integer, halves to even.
    fn round(self) -> Self;

    /// Largest integer not above.
    fn floor(self) -> Self;

    /// `self · 2^exponent`, for an integral exponent of −250 to 250.
    fn scale(self, exponent: Self) -> Self;

    /// The same for an exponent of −126 to 127.
    #[inline(always)]
    fn scale_near(self, exponent: Self) -> Self {
        self.scale(exponent)
    }

    /// `(m, e)` with `self = m · 2^e` and `m` between √½ and 1½, for a positive finite `self`.
    fn split(self) -> (Self, Self);

    /// `self < other`; false for NaN.
    fn lt(self, other: Self) -> Self::Mask;

    /// True for NaN.
    fn is_nan(self) -> Self::Mask;

    /// `yes` where the mask is true, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The first `count` lanes of `self`, the others of `rest`.
    fn first(self, count: usize, rest: Self) -> Self;

    /// Lane `i` from lane `i ^ DISTANCE`, a power of two below [`Simd::LANES`].
    fn swap<const DISTANCE: usize>(self) -> Self;

    /// The lanes as integers, converted; only the lowest 8 bits are kept.
    ///
    /// # Safety
    /// As [`Simd::store_part`], `count` bytes.
    unsafe fn store_bytes(self, to: *mut i8, count: usize);

    /// `count` signed bytes, converted; zeros behind.
    ///
    /// # Safety
    /// As [`Simd::load_part`], `count` bytes.
    unsafe fn load_bytes(from: *const i8, count: usize) -> Self;
}

/// Runs `$body` for every vector of `$len` adjacent elements, with its first element and the number of its elements: all lanes, but for the last.
///
/// A macro, since a closure that the compiler does not merge into its caller is compiled for a processor without the instructions.
macro_rules! vectors {
    ($simd:ident, $len:expr, |$i:ident, $count:ident| $body:expr) => {{
        let len: usize = $len;
        let whole = len - len % $simd::LANES;
        let mut at = 0;
        while at < whole {
            let ($i, $count) = (at, $simd::LANES);
            $body;
            at += $simd::LANES;
        }
        if whole < len {
            let ($i, $count) = (whole, len - whole);
            $body;
        }
    }};
}

pub(super) use vectors;

/// Lanes, one by one.
#[inline(always)]
pub fn lanes<S: Simd>(x: S) -> [f32; MOST_LANES] {
    let mut lanes = [0.0; MOST_LANES];
    // SAFETY: there is room for a vector of any set.
    unsafe { x.store(lanes.as_mut_ptr()) };
    lanes
}

/// A way to make one number of many.
pub trait Fold: Copy {
    /// Result of no elements.
    const START: f32;

    /// Adds one more element to a result.
    fn step<S: Simd>(self, made: S, x: S) -> S;

    /// Joins the results of two sets of elements.
    fn merge<S: Simd>(self, a: S, b: S) -> S;
}

/// All lanes merged into one, halves with halves.
#[inline(always)]
pub fn fold_lanes<S: Simd>(x: S, fold: impl Fold) -> f32 {
    let x = if S::LANES > 8 { fold.merge(x, x.swap::<8>()) } else { x };
    let x = if S::LANES > 4 { fold.merge(x, x.swap::<4>()) } else { x };
    let x = fold.merge(x, x.swap::<2>());
    lanes(fold.merge(x, x.swap::<1>()))[0]
}

/// Up to a vector of elements that lie `step` apart.
///
/// # Safety
/// The processor has the instructions, and there are `count` elements.
#[inline(always)]
pub unsafe fn gather<S: Simd>(from: *const f32, step: usize, count: usize) -> S {
    // SAFETY: the caller's promise; a buffer has a vector of any set.
    unsafe {
        match step {
            0 => S::splat(*from),
            1 => S::load_part(from, count),
            _ => {
                let mut lanes = [0.0; MOST_LANES];
                for (i, lane) in lanes.iter_mut().enumerate().take(count) {
                    *lane = *from.add(i * step);
                }
                S::load(lanes.as_ptr())
            }
        }
    }
}

/// Writes up to a vector of elements `step` apart.
///
/// # Safety
/// There is room for `count` elements.
#[inline(always)]
pub unsafe fn scatter<S: Simd>(value: S, to: *mut f32, step: usize, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if step == 1 {
            return value.store_part(to, count);
        }
        for (i, lane) in lanes(value).into_iter().enumerate().take(count) {
            *to.add(i * step) = lane;
        }
    }
}

/// [`Simd::load`] or [`Simd::load_part`]: with a constant `count` the choice costs nothing.
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn load<S: Simd>(from: *const f32, count: usize) -> S {
    // SAFETY: the caller's promise.
    unsafe { if count == S::LANES { S::load(from) } else { S::load_part(from, count) } }
}

/// [`Simd::store`] or [`Simd::store_part`].
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn store<S: Simd>(value: S, to: *mut f32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { if count == S::LANES { value.store(to) } else { value.store_part(to, count) } }
}
