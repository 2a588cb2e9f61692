//! Float kernels: every set against a computation in 64 bits that shares nothing with it, within a bound that is stated; nothing read or
//! written but what the call says; the same bits for any division of the work.

mod elementwise;
mod gemm;
mod lines;
mod memory;
mod pixels;
mod recurrent;

use crate::kernels::float::{FloatKernels, available};

use super::rng::Rng;

/// Every set to be tested.
fn sets() -> Vec<&'static dyn FloatKernels> {
    available()
}

/// Floats from −1 to 1.
fn uniform(rng: &mut Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.unit() * 2.0 - 1.0).collect()
}

/// Floats of any size and sign, now and then one that is none, infinite, zero or denormal.
fn wild(rng: &mut Rng, len: usize) -> Vec<f32> {
    let one = |_| match rng.below(16) {
        0 => rng.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN]),
        1 => f32::from_bits(rng.next() as u32),
        2 | 3 => (rng.unit() - 0.5) * 200.0,
        _ => (rng.unit() - 0.5) * 8.0,
    };
    (0..len).map(one).collect()
}

/// `value` is `expected` within `bound`, or both are NaN, or the same infinity.
fn is_near(value: f32, expected: f64, bound: f64) -> bool {
    if expected.is_nan() {
        return value.is_nan();
    }
    // What is too large for 32 bits is infinite, and so may be what is almost.
    let most = f64::from(f32::MAX);
    if expected.abs() > most || value.is_infinite() {
        return value.is_infinite() && f64::from(value) * expected > 0.0 && expected.abs() > most * (1.0 - 1e-5)
            || expected.is_finite()
                && value.is_finite()
                && expected.abs() < most * (1.0 + 1e-5)
                && f64::from(value.abs()) > most * (1.0 - 1e-5);
    }
    (f64::from(value) - expected).abs() <= bound
}

/// One unit in the last place of a float of this size.
fn ulp(value: f64) -> f64 {
    let size = value.abs().clamp(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
    2f64.powi(size.log2().floor() as i32 - 23)
}
