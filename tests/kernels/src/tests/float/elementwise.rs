//! Functions of one and two floats, conversions, copies.

use proptest::prelude::*;

use crate::kernels::float::*;
use crate::tests::config;
use crate::tests::fault::running;
use crate::tests::rng::Rng;

use super::memory::Floats;
use super::{is_near, sets, ulp, uniform, wild};

/// The error function in 64 bits: its series, and from 3 on the continued fraction of its complement (Abramowitz and Stegun 7.1.5, 7.1.14).
fn erf(x: f64) -> f64 {
    let size = x.abs();
    if size.is_nan() {
        return x;
    }
    if size < 3.0 {
        let (mut term, mut sum) = (size, size);
        for n in 1..80 {
            term *= -size * size / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return (2.0 / std::f64::consts::PI.sqrt() * sum).copysign(x);
    }
    let fraction = (1..60).rev().fold(size, |below, n| size + f64::from(n) / 2.0 / below);
    (1.0 - (-size * size).exp() / fraction / std::f64::consts::PI.sqrt()).copysign(x)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A function's result in 64 bits, and how far off a kernel may be: units in the last place of the result, and of 1.
fn exact(function: Function, x: f64) -> (f64, [f64; 2]) {
    let f = f64::from;
    match function {
        Function::Identity => (x, [0.0; 2]),
        Function::Clip(low, high) => (if x.is_nan() { x } else { x.max(f(low)).min(f(high)) }, [0.0; 2]),
        Function::Affine(a, b) => (x * f(a) + f(b), [2.0, f(b).abs()]),
        Function::ClippedAffine([a, b, low, high]) => {
            let value = x * f(a) + f(b);
            (if x.is_nan() { x } else { value.max(f(low)).min(f(high)) }, [2.0, 1.0])
        }
        Function::HardSwish(a, b) => {
            let share = x * f(a) + f(b);
            (x * if x.is_nan() { x } else { share.clamp(0.0, 1.0) }, [4.0, 2.0])
        }
        Function::LeakyRelu(slope) => (if x < 0.0 { x * f(slope) } else { x }, [1.0, 0.0]),
        Function::Elu([scale, inner, outer]) => {
            (if x > 0.0 { x * f(scale) } else { (x * f(inner)).exp_m1() * f(outer) }, [6.0, 0.0])
        }
        Function::ThresholdedRelu(alpha) => (if x > f(alpha) || x.is_nan() { x } else { 0.0 }, [0.0; 2]),
        Function::Shrink([lambda, bias]) => {
            let shrunk = if x < -f(lambda) {
                x + f(bias)
            } else if x > f(lambda) {
                x - f(bias)
            } else {
                0.0
            };
            (if x.is_nan() { x } else { shrunk }, [1.0, 0.0])
        }
        Function::Steps([scale, low, high]) => {
            // The quotient is rounded to a float first, which decides halves.
            let steps = f64::from(x as f32 / scale).round_ties_even();
            (if x.is_nan() { x } else { steps.clamp(f(low), f(high)) * f(scale) }, [1.0, 0.0])
        }
        Function::Sigmoid => (sigmoid(x), [4.0, 0.0]),
        Function::Swish(alpha) => (x * sigmoid(x * f(alpha)), [5.0 + 1.5 * (x * f(alpha)).abs().min(150.0), 0.0]),
        Function::Gelu => (x / 2.0 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)), [3.0, 3.0]),
        Function::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            (x * sigmoid(2.0 * inner), [8.0 + 10.0 * inner.abs().min(150.0), 0.0])
        }
        Function::Mish => {
            let e = (-x.abs()).exp();
            let (above, rest) = if x < 0.0 { (e * (e + 2.0), 2.0) } else { (2.0 * e + 1.0, 2.0 * e * e) };
            (x * above / (above + rest), [6.0, 0.0])
        }
        Function::Softplus => (x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 }, [4.0, 0.0]),
        Function::Softsign => (if x.is_infinite() { f64::NAN } else { x / (1.0 + x.abs()) }, [2.0, 0.0]),
        Function::Tanh => (x.tanh(), [4.0, 0.0]),
        Function::Erf => (erf(x), [3.0, 0.0]),
        Function::Exp => (x.exp(), [2.0, 0.0]),
        Function::Log => (x.ln(), [3.0, 0.0]),
        Function::Sqrt => (x.sqrt(), [1.0, 0.0]),
        Function::ReciprocalSqrt => (1.0 / x.sqrt(), [2.0, 0.0]),
        Function::Reciprocal => (1.0 / x, [1.0, 0.0]),
        Function::Square => (x * x, [1.0, 0.0]),
        Function::Cube => (x * x * x, [2.0, 0.0]),
        Function::Pow(p) => (x.powf(f(p)), [4.0, 0.0]),
        Function::Abs => (x.abs(), [0.0; 2]),
        Function::Sign => (if x.is_nan() || x == 0.0 { x } else { x.signum() }, [0.0; 2]),
        Function::Floor => (x.floor(), [0.0; 2]),
        Function::Ceil => (x.ceil(), [0.0; 2]),
        Function::Round => (x.round_ties_even(), [0.0; 2]),
        Function::Sin => (x.sin(), [2.0, 0.0]),
        Function::Cos => (x.cos(), [2.0, 0.0]),
    }
}

const FUNCTIONS: [Function; 41] = [
    Function::Identity,
    Function::RELU,
    Function::Clip(-1.0, 6.0),
    Function::Affine(1.5, -0.25),
    Function::ClippedAffine([1.0 / 6.0, 0.5, 0.0, 1.0]),
    Function::HardSwish(1.0 / 6.0, 0.5),
    Function::LeakyRelu(0.1),
    Function::Elu([1.0, 1.0, 1.0]),
    Function::Elu([1.050_701, 1.0, 1.758_099_3]),
    Function::Elu([1.0, 0.5, 2.0]),
    Function::ThresholdedRelu(1.0),
    Function::Shrink([0.5, 0.25]),
    Function::Steps([0.125, -100.0, 60.0]),
    Function::Sigmoid,
    Function::Swish(1.0),
    Function::Swish(1.702),
    Function::Gelu,
    Function::GeluTanh,
    Function::Mish,
    Function::Softplus,
    Function::Softsign,
    Function::Tanh,
    Function::Erf,
    Function::Exp,
    Function::Log,
    Function::Sqrt,
    Function::ReciprocalSqrt,
    Function::Reciprocal,
    Function::Square,
    Function::Cube,
    Function::Pow(2.5),
    Function::Pow(-1.25),
    Function::Abs,
    Function::Sign,
    Function::Floor,
    Function::Ceil,
    Function::Round,
    Function::Sin,
    Function::Cos,
    Function::Clip(f32::NEG_INFINITY, f32::INFINITY),
    Function::LeakyRelu(-0.5),
];

/// Every function at what has many sizes: of each exponent and sign some mantissas, and the ends.
#[test]
fn functions_are_as_near_as_stated() {
    let rng = &mut Rng(1);
    let mantissas = if cfg!(miri) { 1 } else { 40 };
    let mut x = vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
    for exponent in 0u32..255 {
        for _ in 0..mantissas {
            x.push(f32::from_bits((rng.next() as u32 & 0x807F_FFFF) | exponent << 23));
        }
    }
    x.extend((0..mantissas * 1000).map(|_| (rng.unit() - 0.5) * 40.0));
    x.extend((0..mantissas * 500).map(|_| (rng.unit() - 0.5) * 220.0));
    let mut wrong = Vec::new();
    for set in sets() {
        for function in FUNCTIONS {
            let mut input = Floats::new(&x, false);
            let mut out = Floats::output(x.len(), rng);
            running(set.name(), &function);
            // SAFETY: `sets` gives what this processor can run; both have as many floats.
            unsafe { set.unary(&function, input.ptr(), out.ptr(), &Grid::flat(x.len())) };
            let mut worst = 0.0f64;
            for (&x, got) in x.iter().zip(out.values()) {
                if matches!(function, Function::Sin | Function::Cos) && x.is_infinite() {
                    continue;
                }
                let (want, [relative, absolute]) = exact(function, f64::from(x));
                if want.is_finite() && got.is_finite() {
                    worst = worst.max((f64::from(got) - want).abs() / ulp(want));
                }
                // A product of `x` and what is denormal has few bits.
                let denormal = f64::from(x.abs().min(150.0) + 1.0) * f64::from(f32::from_bits(1));
                let bound = relative * ulp(want) + absolute * ulp(1.0) + if relative > 0.0 { denormal } else { 0.0 };
                if !is_near(got, want, bound) {
                    wrong.push(format!("{}: {function:?}({x:e}) = {got:e}, not {want:e}", set.name()));
                    break;
                }
            }
            println!("{:10} {function:?}: at most {worst:.2} units in the last place", set.name());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Operand, result and steps of a grid: adjacent, repeated, or apart.
fn steps() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(1usize), 1 => Just(0), 1 => 2usize..=5]
}

/// Floats that a grid covers with these steps.
fn span(rows: usize, len: usize, row_step: usize, step: usize) -> usize {
    (rows - 1) * row_step + (len - 1) * step + 1
}

fn exact_pair(op: Binary, a: f64, b: f64) -> f64 {
    let nan = a.is_nan() || b.is_nan();
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Min => {
            if nan {
                f64::NAN
            } else {
                a.min(b)
            }
        }
        Binary::Max => {
            if nan {
                f64::NAN
            } else {
                a.max(b)
            }
        }
        Binary::Pow => a.powf(b),
        Binary::PRelu => {
            if a < 0.0 {
                a * b
            } else {
                a
            }
        }
        Binary::SquaredDifference => (a - b) * (a - b),
        Binary::Gate => a * sigmoid(b),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pairs(
        op in proptest::sample::select(&[
            Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Min, Binary::Max, Binary::Pow, Binary::PRelu,
            Binary::SquaredDifference, Binary::Gate,
        ][..]),
        rows in 1usize..=5, len in 1usize..=70, a_step in steps(), b_step in steps(), out_step in 1usize..=2,
        over in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let out_row = len * out_step + rng.below(3);
        let over = over && a_step == out_step;
        let row = |step: usize, rng: &mut Rng| if rng.below(3) == 0 { 0 } else { (len - 1) * step + 1 + rng.below(3) };
        let (a_row, b_row) = (if over { out_row } else { row(a_step, rng) }, row(b_step, rng));
        let (a, b) = (wild(rng, span(rows, len, a_row, a_step)), wild(rng, span(rows, len, b_row, b_step)));
        let grid = Grid { rows, len, row_steps: [a_row, b_row, out_row], steps: [a_step, b_step, out_step] };
        for set in sets() {
            let (mut first, mut second) = (Floats::new(&a, seed.is_multiple_of(2)), Floats::new(&b, seed.is_multiple_of(3)));
            let mut out = Floats::output(span(rows, len, out_row, out_step), rng);
            let to = if over { first.ptr() } else { out.ptr() };
            running(set.name(), &(op, grid));
            // SAFETY: `sets` gives what this processor can run; all have what the grid covers.
            unsafe { set.binary(op, first.ptr(), second.ptr(), to, &grid) };
            let results = if over { &mut first } else { &mut out };
            results.check_untouched(|i| (i % out_row).is_multiple_of(out_step) && i % out_row / out_step < len, &(op, grid));
            let results = results.values();
            for row in 0..rows {
                for i in 0..len {
                    let (x, y) = (f64::from(a[row * a_row + i * a_step]), f64::from(b[row * b_row + i * b_step]));
                    let (want, got) = (exact_pair(op, x, y), results[row * out_row + i * out_step]);
                    let bound = 4.0 * ulp(want) + if op == Binary::SquaredDifference { 4.0 * ulp(x * x) } else { 0.0 };
                    // A gate that is nearly closed is a denormal, which has few bits.
                    let gate = y.abs().min(150.0) * ulp(want) + 4.0 * x.abs().min(1e38) * f64::from(f32::from_bits(1));
                    let bound = bound + if op == Binary::Gate { gate } else { 0.0 };
                    // One that is closed is 0, which with infinity gives NaN.
                    let closed = op == Binary::Gate && x.is_infinite() && sigmoid(y) < f64::from(f32::MIN_POSITIVE);
                    prop_assert!(closed || is_near(got, want, bound), "{}: {:?}({}, {}) = {}, not {}", set.name(), op, x, y, got, want);
                }
            }
        }
    }

    #[test]
    fn any_grid_of_a_function(
        rows in 1usize..=5, len in 1usize..=70, x_step in steps(), out_step in 1usize..=3, seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let (x_row, out_row) = (len * x_step + rng.below(3), len * out_step + rng.below(3));
        let x = uniform(rng, span(rows, len, x_row, x_step));
        let grid = Grid { rows, len, row_steps: [x_row, out_row], steps: [x_step, out_step] };
        for set in sets() {
            for is_copy in [false, true] {
                let mut input = Floats::new(&x, seed % 2 == 0);
                let mut out = Floats::output(span(rows, len, out_row, out_step), rng);
                running(set.name(), &grid);
                // SAFETY: `sets` gives what this processor can run; both have what the grid covers.
                unsafe {
                    if is_copy {
                        set.copy(input.ptr(), out.ptr(), &grid);
                    } else {
                        set.unary(&Function::Square, input.ptr(), out.ptr(), &grid);
                    }
                }
                out.check_untouched(|i| (i % out_row).is_multiple_of(out_step) && i % out_row / out_step < len, &grid);
                let results = out.values();
                for i in 0..rows * len {
                    let (row, i) = (i / len, i % len);
                    let x = x[row * x_row + i * x_step];
                    prop_assert_eq!(results[row * out_row + i * out_step], if is_copy { x } else { x * x });
                }
            }
        }
    }

    #[test]
    fn transpositions(rows in 1usize..=70, len in 1usize..=70, seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let (x_row, out_row) = (len + rng.below(3), rows + rng.below(3));
        let x = wild(rng, span(rows, len, x_row, 1));
        let grid = Grid { rows, len, row_steps: [x_row, 1], steps: [1, out_row] };
        for set in sets() {
            let mut input = Floats::new(&x, seed % 2 == 0);
            let mut out = Floats::output(span(len, rows, out_row, 1), rng);
            running(set.name(), &grid);
            // SAFETY: `sets` gives what this processor can run; both have what the grid covers.
            unsafe { set.copy(input.ptr(), out.ptr(), &grid) };
            out.check_untouched(|i| i % out_row < rows, &grid);
            let results = out.values();
            for i in 0..rows * len {
                let (row, i) = (i / len, i % len);
                prop_assert_eq!(results[i * out_row + row].to_bits(), x[row * x_row + i].to_bits());
            }
        }
    }

    #[test]
    fn bytes_and_back(
        len in 1usize..=100, zero in -128i32..=127, scale in proptest::sample::select(&[1.0f32, 0.5, 0.037, 1e-3, 7.0][..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let mut x = wild(rng, len);
        x.iter_mut().step_by(2).for_each(|x| *x = scale * (rng.below(300) as f32 - 150.0 + rng.pick(&[0.0, 0.5, 0.25])));
        for set in sets() {
            let (mut input, mut out) = (Floats::new(&x, seed % 2 == 0), crate::tests::memory::Output::new(len, 9, rng));
            running(set.name(), &(len, zero, scale));
            // SAFETY: `sets` gives what this processor can run; both have `len` elements.
            unsafe { set.quantize((scale, zero), input.ptr(), out.ptr(), len) };
            let byte = |x: f32| {
                let real = x / scale;
                let bounded = if real.is_nan() { -1e9 } else { real.round_ties_even().clamp(-1e9, 1e9) };
                Some((bounded as i64 + i64::from(zero)).clamp(-128, 127) as i8)
            };
            out.check(&x.iter().map(|&x| byte(x)).collect::<Vec<_>>(), (set.name(), scale, zero, &x));

            let bytes = out.bytes().to_vec();
            let mut real = Floats::output(len, rng);
            // SAFETY: as above; the bytes end where nothing can be touched or in a vector of their own.
            unsafe { set.dequantize((scale, zero), bytes.as_ptr(), real.ptr(), len) };
            for (byte, real) in bytes.iter().zip(real.values()) {
                prop_assert_eq!((i32::from(*byte) - zero) as f32 * scale, real);
            }

            // SAFETY: as above.
            let range = unsafe { set.range(input.ptr(), len) };
            // By comparisons: on ARM the minimum of a number and a signalling NaN is none.
            let least = x.iter().fold(f32::INFINITY, |a, &b| if b < a { b } else { a });
            let most = x.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            prop_assert_eq!(range, (least, most));
        }
    }
}
