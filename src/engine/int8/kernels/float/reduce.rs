//! Lines to one number each.

use super::calls::{Lines, Reduction};
use super::math::{exp, log};
use super::simd::{Fold, Simd, fold_lanes, gather, lanes, load, scatter, vectors};

/// Lines side by side that are reduced together, in vectors.
const WIDE: usize = 4;

/// Implements [`Fold`] for a type: what nothing makes, a step, a merger.
macro_rules! fold {
    ($(#[$doc:meta])* $fold:ident, $start:expr, |$made:ident, $x:ident| $step:expr, $merge:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $fold;

        impl Fold for $fold {
            const START: f32 = $start;

            #[inline(always)]
            fn step<S: Simd>(self, $made: S, $x: S) -> S {
                $step
            }

            #[inline(always)]
            fn merge<S: Simd>(self, a: S, b: S) -> S {
                $merge(a, b)
            }
        }
    };
}

fold! {
    /// Σ x.
    Sum, 0.0, |sum, x| sum + x, S::add
}
fold! {
    /// Π x.
    Product, 1.0, |product, x| product * x, S::mul
}
fold! {
    /// Σ x².
    SumSquare, 0.0, |sum, x| x.mul_add(x, sum), S::add
}
fold! {
    /// Σ |x|.
    SumMagnitude, 0.0, |sum, x| sum + x.abs(), S::add
}
fold! {
    /// The greatest, NaN if there is one.
    Greatest, f32::NEG_INFINITY, |most, x| greater(most, x), greater
}
fold! {
    /// The least, NaN if there is one.
    Least, f32::INFINITY, |least, x| less(least, x), less
}
fold! {
    /// The greatest of what is not NaN; anything where there is one.
    Highest, f32::NEG_INFINITY, |most, x| most.max(x), S::max
}
fold! {
    /// The least of what is not NaN; anything where there is one.
    Lowest, f32::INFINITY, |least, x| least.min(x), S::min
}
fold! {
    /// The greatest; NaN is passed over.
    GreatestNumber, f32::NEG_INFINITY, |most, x| S::select(most.lt(x), x, most), S::max
}
fold! {
    /// The least; NaN is passed over.
    LeastNumber, f32::INFINITY, |least, x| S::select(x.lt(least), x, least), S::min
}

/// Σ (x − mean)².
#[derive(Clone, Copy)]
pub struct Deviation(pub f32);

impl Fold for Deviation {
    const START: f32 = 0.0;

    #[inline(always)]
    fn step<S: Simd>(self, sum: S, x: S) -> S {
        let distance = x - x.like(self.0);
        distance.mul_add(distance, sum)
    }

    #[inline(always)]
    fn merge<S: Simd>(self, a: S, b: S) -> S {
        a + b
    }
}

/// Σ e^(x − base).
#[derive(Clone, Copy)]
struct SumExp(f32);

impl Fold for SumExp {
    const START: f32 = 0.0;

    #[inline(always)]
    fn step<S: Simd>(self, sum: S, x: S) -> S {
        sum + exp(x - x.like(self.0))
    }

    #[inline(always)]
    fn merge<S: Simd>(self, a: S, b: S) -> S {
        a + b
    }
}

/// The greater, NaN if either is.
#[inline(always)]
pub fn greater<S: Simd>(a: S, b: S) -> S {
    S::select(b.is_nan(), b, a.max(b))
}

/// The less, NaN if either is.
#[inline(always)]
fn less<S: Simd>(a: S, b: S) -> S {
    S::select(b.is_nan(), b, a.min(b))
}

/// See [`FloatKernels::reduce`](super::FloatKernels::reduce).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn reduce<S: Simd>(reduction: Reduction, x: &Lines, out: *mut f32, out_step: usize) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        match reduction {
            Reduction::Sum | Reduction::Mean | Reduction::LogSum => fold::<S, _>(x, out, out_step, Sum),
            Reduction::Max => fold::<S, _>(x, out, out_step, Greatest),
            Reduction::Min => fold::<S, _>(x, out, out_step, Least),
            Reduction::Product => fold::<S, _>(x, out, out_step, Product),
            Reduction::SumSquare | Reduction::L2 => fold::<S, _>(x, out, out_step, SumSquare),
            Reduction::L1 => fold::<S, _>(x, out, out_step, SumMagnitude),
            Reduction::LogSumExp => log_sum_exp::<S>(x, out, out_step),
        }
        let results = (0..x.lines).map(|line| out.add(line * out_step));
        match reduction {
            Reduction::Mean => results.for_each(|result| *result /= x.len as f32),
            Reduction::L2 => results.for_each(|result| *result = (*result).sqrt()),
            Reduction::LogSum => results.for_each(|result| *result = (*result).ln()),
            _ => {}
        }
    }
}

/// Folds every line.
///
/// # Safety
/// As [`reduce`].
#[inline(always)]
unsafe fn fold<S: Simd, F: Fold>(x: &Lines, out: *mut f32, out_step: usize, fold: F) {
    // SAFETY: the caller's promise.
    unsafe {
        if x.step == 1 {
            for line in 0..x.lines {
                *out.add(line * out_step) = row::<S, _>(x.x.add(line * x.line_step), x.len, fold);
            }
            return;
        }
        let mut line = 0;
        while x.line_step == 1 && x.lines - line >= WIDE * S::LANES {
            let mut sums = [S::splat(F::START); WIDE];
            for i in 0..x.len {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = fold.step(*sum, S::load(x.x.add(line + i * x.step + v * S::LANES)));
                }
            }
            for sum in sums {
                scatter(sum, out.add(line * out_step), out_step, S::LANES);
                line += S::LANES;
            }
        }
        while line < x.lines {
            let count = (x.lines - line).min(S::LANES);
            let from = x.x.add(line * x.line_step);
            let mut sum = S::splat(F::START);
            for i in 0..x.len {
                sum = fold.step(sum, gather(from.add(i * x.step), x.line_step, count));
            }
            scatter(sum, out.add(line * out_step), out_step, count);
            line += count;
        }
    }
}

/// Folds a row of adjacent elements, four vectors apart from one another.
///
/// # Safety
/// The row has `len` elements.
#[inline(always)]
pub unsafe fn row<S: Simd, F: Fold>(x: *const f32, len: usize, fold: F) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [S::splat(F::START); 4];
        let whole = len - len % (4 * S::LANES);
        for i in (0..whole).step_by(4 * S::LANES) {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = fold.step(*sum, S::load(x.add(i + v * S::LANES)));
            }
        }
        let mut sum = fold.merge(fold.merge(sums[0], sums[1]), fold.merge(sums[2], sums[3]));
        vectors!(S, len - whole, |i, count| {
            let next = fold.step(sum, load::<S>(x.add(whole + i), count));
            sum = if count == S::LANES { next } else { next.first(count, sum) };
        });
        fold_lanes(sum, fold)
    }
}

/// # Safety
/// As [`reduce`].
#[inline(always)]
unsafe fn log_sum_exp<S: Simd>(x: &Lines, out: *mut f32, out_step: usize) {
    for line in 0..x.lines {
        // SAFETY: the caller's promise.
        unsafe {
            let one = Lines { lines: 1, x: x.x.add(line * x.line_step), ..*x };
            let out = out.add(line * out_step);
            fold::<S, _>(&one, out, 1, Greatest);
            // An infinite line has no distances to its greatest.
            let base = if (*out).is_finite() { *out } else { 0.0 };
            fold::<S, _>(&one, out, 1, SumExp(base));
            *out = lanes(log(S::splat(*out)))[0] + base;
        }
    }
}
