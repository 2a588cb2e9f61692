//! Elementary functions of vectors. Polynomials are minimax fits of this project's own on the ranges given (Lawson's reweighted
//! least squares), in the forms of Cody and Waite, "Software Manual for the Elementary Functions" (1980).

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use super::simd::Simd;

/// ln 2 in two parts, the first exact in products with exponents.
const LN_2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];

/// `c[0] + c[1] x + …` by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: S, c: [f32; N]) -> S {
    let mut sum = x.like(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = sum.mul_add(x, x.like(c));
    }
    sum
}

/// [`exp_parts_near`] of any `x`, which is cut off where the result is 0 or ∞.
#[inline(always)]
fn exp_parts<S: Simd>(x: S) -> (S, S) {
    exp_parts_near(x.max(x.like(-104.0)).min(x.like(89.0)))
}

/// `(n, e^r − 1)` for `x = n · ln 2 + r` with an integral `n`.
#[inline(always)]
fn exp_parts_near<S: Simd>(x: S) -> (S, S) {
    let n = (x * x.like(LOG2_E)).round();
    let r = n.mul_add(x.like(-LN_2[1]), n.mul_add(x.like(-LN_2[0]), x));
    // (e^r − 1 − r) / r² for |r| ≤ ln 2 / 2.
    let p = polynomial(r, [0.5, 1.666_651_2e-1, 4.166_618_7e-2, 8.369_599e-3, 1.395_171_7e-3]);
    (n, p.mul_add(r * r, r))
}

/// `e^x`: 0 from −104 down, ∞ from 89 up.
#[inline(always)]
pub fn exp<S: Simd>(x: S) -> S {
    let (n, p) = exp_parts(x);
    (p + x.like(1.0)).scale(n)
}

/// `e^x` for `x` from −87 to 87.
#[inline(always)]
fn exp_near<S: Simd>(x: S) -> S {
    let (n, p) = exp_parts_near(x);
    (p + x.like(1.0)).scale_near(n)
}

/// `e^x − 1`, without loss near 0.
#[inline(always)]
pub fn exp_minus_one<S: Simd>(x: S) -> S {
    let (n, p) = exp_parts(x);
    // 2^n · (p + 1) − 1, halved, since 2^128 is infinite.
    let half = x.like(0.5).scale(n);
    let result = p.mul_add(half, half - x.like(0.5));
    result + result
}

/// Natural logarithm: −∞ of 0, NaN below.
#[inline(always)]
pub fn log<S: Simd>(x: S) -> S {
    let (m, e) = x.split();
    let f = m - x.like(1.0);
    // (ln(1 + f) − f + f²/2) / f³ for 1 + f from √½ to 1½.
    let c = [
        3.333_331_3e-1,
        -2.500_024_7e-1,
        2.000_219_5e-1,
        -1.665_552_1e-1,
        1.420_912_9e-1,
        -1.260_759_5e-1,
        1.215_049_4e-1,
        -1.063_455_6e-1,
        4.975_755_5e-2,
    ];
    let p = polynomial(f, c);
    let square = f * f;
    let low = e.mul_add(x.like(LN_2[1]), p * f * square);
    let finite = e.mul_add(x.like(LN_2[0]), f + (low - square * x.like(0.5)));
    let zero = x.like(0.0);
    let of_edges = S::select(x.lt(zero), x.like(f32::NAN), S::select(zero.lt(x), x, x.like(f32::NEG_INFINITY)));
    let of_edges = S::select(x.is_nan(), x, of_edges);
    let within = S::select(zero.lt(x), finite, of_edges);
    S::select(x.lt(x.like(f32::INFINITY)), within, of_edges)
}

/// `ln(1 + x)` for `x` from 0 to 1.
#[inline(always)]
pub fn log_one_plus<S: Simd>(x: S) -> S {
    let one = x.like(1.0);
    let u = one + x;
    // What rounding `1 + x` lost is made up for to first order.
    log(u) + (x - (u - one)) * u.quick_reciprocal()
}

/// `1 / (1 + e^−x)`.
#[inline(always)]
pub fn sigmoid<S: Simd>(x: S) -> S {
    // By e^−|x| the division's operand lies between 1 and 2, and small results keep their precision.
    let e = exp(-x.abs());
    let share = (e + x.like(1.0)).quick_reciprocal();
    S::select(x.lt(x.like(0.0)), e * share, share)
}

/// Hyperbolic tangent: with `e = e^2|x| − 1`, `e / (e + 2)`.
#[inline(always)]
pub fn tanh<S: Simd>(x: S) -> S {
    let e = exp_minus_one(x.abs().min(x.like(10.0)) * x.like(2.0));
    (e * (e + x.like(2.0)).quick_reciprocal()).copysign(x)
}

/// The error function.
#[inline(always)]
pub fn erf<S: Simd>(x: S) -> S {
    let size = x.abs();
    let s = x * x;
    // erf(x) / x − 1 in x² for |x| ≤ 0.93.
    let small =
        polynomial(s, [1.283_791_5e-1, -3.761_248e-1, 1.128_168_26e-1, -2.676_172e-2, 4.985_94e-3, -5.953_739e-4]);
    let small = small.mul_add(x, x);
    // −ln(1 − erf(x)) for 0.92 ≤ x ≤ 4; from there on the result is 1.
    let t = size.min(x.like(4.0));
    let large = polynomial(
        t,
        [
            -1.758_745_6e-4,
            1.129_520_8,
            6.333_346_4e-1,
            1.082_939_4e-1,
            -2.512_862_5e-2,
            4.174_643e-3,
            -4.352_188_8e-4,
            2.116_190_6e-5,
        ],
    );
    let large = (x.like(1.0) - exp_near(-large)).copysign(x);
    S::select(size.lt(x.like(0.925)), small, large)
}

/// `x / 2 · (1 + erf(x / √2))`.
#[inline(always)]
pub fn gelu<S: Simd>(x: S) -> S {
    let half = x * x.like(0.5);
    half.mul_add(erf(x * x.like(FRAC_1_SQRT_2)), half)
}

/// `x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`, which is `x · sigmoid(2 √(2/π) · (x + 0.044715 · x³))`.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(x: S) -> S {
    let inner = (x * x).mul_add(x.like(0.071_354_814), x.like(1.595_769)) * x;
    x * sigmoid(inner)
}

/// `ln(1 + e^x)`.
#[inline(always)]
pub fn softplus<S: Simd>(x: S) -> S {
    x.max(x.like(0.0)) + log_one_plus(exp(-x.abs()))
}

/// `x · tanh(softplus(x))`: with `e = e^−|x|`, a ratio of polynomials in it.
#[inline(always)]
pub fn mish<S: Simd>(x: S) -> S {
    let e = exp(-x.abs());
    let (one, two) = (x.like(1.0), x.like(2.0));
    // tanh(ln(1 + y)) = (y² + 2y) / (y² + 2y + 2) with y = e^x; for positive x both parts are divided by y².
    let negative = e.mul_add(e, two * e);
    let positive = two.mul_add(e, one);
    let rest = S::select(x.lt(x.like(0.0)), two, two * e * e);
    let above = S::select(x.lt(x.like(0.0)), negative, positive);
    x * (above / (above + rest))
}
