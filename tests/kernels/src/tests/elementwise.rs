//! Sums, tables, maxima: everything that goes byte by byte.

use proptest::prelude::*;

use crate::kernels::{AddParams, FACTOR_BITS, SLACK};

use super::fault::running;
use super::memory::{Input, Output};
use super::rng::{FILLS, Rng};
use super::{config, sets};

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Elsewhere,
    OverFirst,
    OverSecond,
}

/// Lengths around every vector's, and longer ones.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..=130, 1 => 1usize..=if cfg!(miri) { 200 } else { 5000 }]
}

/// The largest factor of a sum.
const MOST: i32 = (1 << FACTOR_BITS) - 1;

fn add_params() -> impl Strategy<Value = AddParams> {
    let factor = || prop_oneof![1 => Just(MOST), 1 => Just(-MOST), 1 => Just(0), 4 => -MOST..=MOST];
    // Whatever the bytes, a · a_factor + b · b_factor is within ±128 · 2 · MOST.
    let room = i32::MAX - 128 * 2 * MOST;
    let offset = prop_oneof![1 => Just(room), 1 => Just(-room), 2 => -room..=room, 4 => -4_000_000i32..=4_000_000];
    (factor(), factor(), offset, 0u32..=22, any::<(i8, i8)>(), any::<bool>()).prop_map(
        |(a_factor, b_factor, offset, shift, (one, two), whole)| AddParams {
            a_factor,
            b_factor,
            offset,
            shift,
            low: if whole { -128 } else { one.min(two) },
            high: if whole { 127 } else { one.max(two) },
        },
    )
}

/// Memory for a result that goes over its operand: the bytes in the middle, [`SLACK`] bytes around.
fn in_place(bytes: &[i8], rng: &mut Rng) -> Output {
    let mut out = Output::new(bytes.len(), SLACK, rng);
    // SAFETY: the output has as many bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.ptr(), bytes.len()) };
    out
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn add(
        params in add_params(),
        len in len(),
        to in proptest::sample::select(&[To::Elsewhere, To::OverFirst, To::OverSecond][..]),
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let (a, b) = (rng.bytes(fill, len), rng.bytes(fill, len));
        let want: Vec<_> = a.iter().zip(&b).map(|(&a, &b)| {
            let sum = i64::from(a) * i64::from(params.a_factor) + i64::from(b) * i64::from(params.b_factor);
            let floor = (sum + i64::from(params.offset)).div_euclid(1 << params.shift);
            Some(floor.clamp(params.low.into(), params.high.into()) as i8)
        }).collect();
        let (mut first, mut second) = (Input::new(&a, seed % 2 == 0, rng), Input::new(&b, seed % 2 == 0, rng));
        for set in sets() {
            let mut out = match to {
                To::Elsewhere => Output::new(len, rng.below(65), rng),
                To::OverFirst => in_place(&a, rng),
                To::OverSecond => in_place(&b, rng),
            };
            let o = out.ptr();
            let a = if to == To::OverFirst { o.cast_const() } else { first.ptr() };
            let b = if to == To::OverSecond { o.cast_const() } else { second.ptr() };
            running(set.name(), &params);
            // SAFETY: `sets` gives what this processor can run; all three have `len` bytes, the operands slack behind them.
            unsafe { set.add(&params, a, b, o, len) };
            out.check(&want, (set.name(), len, to, params));
        }
    }

    #[test]
    fn lut(
        len in len(),
        over in any::<bool>(),
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let table: [i8; 256] = std::array::from_fn(|_| rng.next() as i8);
        let x = rng.bytes(fill, len);
        let want: Vec<_> = x.iter().map(|&x| Some(table[(i32::from(x) & 255) as usize])).collect();
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        for set in sets() {
            let mut out = if over { in_place(&x, rng) } else { Output::new(len, rng.below(65), rng) };
            let o = out.ptr();
            running(set.name(), &(len, over));
            // SAFETY: `sets` gives what this processor can run; both have `len` bytes, the operand slack behind it.
            unsafe { set.lut(&table, if over { o.cast_const() } else { input.ptr() }, o, len) };
            out.check(&want, (set.name(), len, over));
        }
    }

    #[test]
    fn max(len in len(), fill in proptest::sample::select(&FILLS[..]), seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let x = rng.bytes(fill, len);
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        for set in sets() {
            let mut out = Output::new(len, rng.below(65), rng);
            let want: Vec<_> = out.initial().iter().zip(&x).map(|(&o, &x)| Some(if x > o { x } else { o })).collect();
            running(set.name(), &len);
            // SAFETY: `sets` gives what this processor can run; both have `len` bytes, the operand slack behind it.
            unsafe { set.max(input.ptr(), out.ptr(), len) };
            out.check(&want, (set.name(), len));
        }
    }
}
