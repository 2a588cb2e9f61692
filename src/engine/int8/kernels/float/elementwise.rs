//! Functions of one and two elements.

use super::calls::Grid;
use super::function::{Binary, Function};
use super::math;
use super::simd::{Simd, gather, lanes, scatter};

/// Any function of a vector, by one `match` per call of `$run!(|x| …)`.
macro_rules! with_function {
    ($function:expr, $run:ident) => {
        match *$function {
            Function::Identity => $run!(|x| x),
            Function::Clip(low, high) => $run!(|x| x.max(x.like(low)).min(x.like(high))),
            Function::Affine(a, b) => $run!(|x| x.mul_add(x.like(a), x.like(b))),
            Function::ClippedAffine([a, b, low, high]) => {
                $run!(|x| x.mul_add(x.like(a), x.like(b)).max(x.like(low)).min(x.like(high)))
            }
            Function::HardSwish(a, b) => {
                $run!(|x| x * x.mul_add(x.like(a), x.like(b)).max(x.like(0.0)).min(x.like(1.0)))
            }
            Function::LeakyRelu(slope) => $run!(|x| S::select(x.lt(x.like(0.0)), x * x.like(slope), x)),
            Function::Elu([scale, inner, outer]) => $run!(|x| {
                let below = math::exp_minus_one(x * x.like(inner)) * x.like(outer);
                S::select(x.like(0.0).lt(x), x * x.like(scale), below)
            }),
            Function::ThresholdedRelu(alpha) => {
                $run!(|x| S::select(x.is_nan(), x, S::select(x.like(alpha).lt(x), x, x.like(0.0))))
            }
            Function::Shrink([lambda, bias]) => $run!(|x| {
                let above = S::select(x.like(lambda).lt(x), x - x.like(bias), x.like(0.0));
                let shrunk = S::select(x.lt(x.like(-lambda)), x + x.like(bias), above);
                S::select(x.is_nan(), x, shrunk)
            }),
            Function::Steps([scale, low, high]) => {
                $run!(|x| (x / x.like(scale)).round().max(x.like(low)).min(x.like(high)) * x.like(scale))
            }
            Function::Sigmoid => $run!(|x| math::sigmoid(x)),
            Function::Swish(1.0) => $run!(|x| x * math::sigmoid(x)),
            Function::Swish(alpha) => $run!(|x| x * math::sigmoid(x * x.like(alpha))),
            Function::Gelu => $run!(|x| math::gelu(x)),
            Function::GeluTanh => $run!(|x| math::gelu_tanh(x)),
            Function::Mish => $run!(|x| math::mish(x)),
            Function::Softplus => $run!(|x| math::softplus(x)),
            Function::Softsign => $run!(|x| x / (x.abs() + x.like(1.0))),
            Function::Tanh => $run!(|x| math::tanh(x)),
            Function::Erf => $run!(|x| math::erf(x)),
            Function::Exp => $run!(|x| math::exp(x)),
            Function::Log => $run!(|x| math::log(x)),
            Function::Sqrt => $run!(|x| x.sqrt()),
            Function::ReciprocalSqrt => $run!(|x| x.like(1.0) / x.sqrt()),
            Function::Reciprocal => $run!(|x| x.like(1.0) / x),
            Function::Square => $run!(|x| x * x),
            Function::Cube => $run!(|x| x * x * x),
            Function::Pow(p) => $run!(|x| each_lane(x, |x| x.powf(p))),
            Function::Abs => $run!(|x| x.abs()),
            Function::Sign => $run!(|x| {
                let zero = x.like(0.0);
                let of_some = x.like(1.0).copysign(x);
                S::select(x.lt(zero), of_some, S::select(zero.lt(x), of_some, x))
            }),
            Function::Floor => $run!(|x| x.floor()),
            Function::Ceil => $run!(|x| -(-x).floor()),
            Function::Round => $run!(|x| x.round()),
            Function::Sin => $run!(|x| each_lane(x, f32::sin)),
            Function::Cos => $run!(|x| each_lane(x, f32::cos)),
        }
    };
}

/// `f` of every lane, one after another: for functions that are rarely used.
#[inline(always)]
fn each_lane<S: Simd>(x: S, f: impl Fn(f32) -> f32) -> S {
    let mut lanes = lanes(x);
    lanes[..S::LANES].iter_mut().for_each(|lane| *lane = f(*lane));
    // SAFETY: there is a vector of any set.
    unsafe { S::load(lanes.as_ptr()) }
}

/// As [`each_lane`], of two.
#[inline(always)]
fn each_pair<S: Simd>(a: S, b: S, f: impl Fn(f32, f32) -> f32) -> S {
    let mut left = lanes(a);
    left.iter_mut().zip(lanes(b)).take(S::LANES).for_each(|(a, b)| *a = f(*a, b));
    // SAFETY: there is a vector of any set.
    unsafe { S::load(left.as_ptr()) }
}

/// See [`FloatKernels::unary`](super::FloatKernels::unary).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn unary<S: Simd>(function: &Function, x: *const f32, out: *mut f32, grid: &Grid<2>) {
    let Grid { len, row_steps, steps: [x_step, out_step], .. } = *grid;
    let whole = if [x_step, out_step] == [1, 1] { len - len % S::LANES } else { 0 };
    // A macro for the reason that `vectors` is one.
    macro_rules! run {
        (|$x:ident| $body:expr) => {
            for row in 0..grid.rows {
                // SAFETY: the grid covers every element.
                unsafe {
                    let (x, out) = (x.add(row * row_steps[0]), out.add(row * row_steps[1]));
                    let mut i = 0;
                    while i < whole {
                        let $x = S::load(x.add(i));
                        S::store($body, out.add(i));
                        i += S::LANES;
                    }
                    while i < len {
                        let count = (len - i).min(S::LANES);
                        let $x: S = gather(x.add(i * x_step), x_step, count);
                        scatter($body, out.add(i * out_step), out_step, count);
                        i += count;
                    }
                }
            }
        };
    }
    with_function!(function, run)
}

/// See [`FloatKernels::binary`](super::FloatKernels::binary).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn binary<S: Simd>(op: Binary, a: *const f32, b: *const f32, out: *mut f32, grid: &Grid<3>) {
    let Grid { len, row_steps, steps: [a_step, b_step, out_step], .. } = *grid;
    let whole = len - len % S::LANES;
    macro_rules! run {
        (|$a:ident, $b:ident| $body:expr) => {
            for row in 0..grid.rows {
                // SAFETY: the grid covers every element.
                unsafe {
                    let [a_row, b_row, out_row] = row_steps.map(|step| row * step);
                    let (a, b, out) = (a.add(a_row), b.add(b_row), out.add(out_row));
                    let mut i = 0;
                    match grid.steps {
                        [1, 1, 1] => {
                            while i < whole {
                                let ($a, $b) = (S::load(a.add(i)), S::load(b.add(i)));
                                S::store($body, out.add(i));
                                i += S::LANES;
                            }
                        }
                        [1, 0, 1] => {
                            let $b = S::splat(*b);
                            while i < whole {
                                let $a = S::load(a.add(i));
                                S::store($body, out.add(i));
                                i += S::LANES;
                            }
                        }
                        [0, 1, 1] => {
                            let $a = S::splat(*a);
                            while i < whole {
                                let $b = S::load(b.add(i));
                                S::store($body, out.add(i));
                                i += S::LANES;
                            }
                        }
                        _ => {}
                    }
                    while i < len {
                        let count = (len - i).min(S::LANES);
                        let $a: S = gather(a.add(i * a_step), a_step, count);
                        let $b: S = gather(b.add(i * b_step), b_step, count);
                        scatter($body, out.add(i * out_step), out_step, count);
                        i += count;
                    }
                }
            }
        };
    }
    match op {
        Binary::Add => run!(|a, b| a + b),
        Binary::Sub => run!(|a, b| a - b),
        Binary::Mul => run!(|a, b| a * b),
        Binary::Div => run!(|a, b| a / b),
        Binary::Min => run!(|a, b| S::select(b.is_nan(), b, a.min(b))),
        Binary::Max => run!(|a, b| S::select(b.is_nan(), b, a.max(b))),
        Binary::Pow => run!(|a, b| each_pair(a, b, f32::powf)),
        Binary::PRelu => run!(|a, b| S::select(a.lt(a.like(0.0)), a * b, a)),
        Binary::SquaredDifference => run!(|a, b| (a - b) * (a - b)),
        Binary::Gate => run!(|a, b| a * math::sigmoid(b)),
    }
}
