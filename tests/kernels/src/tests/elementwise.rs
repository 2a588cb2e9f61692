//! Sums, products, tables, maxima: everything that goes byte by byte, over rows with gaps between them.

use proptest::prelude::*;

use crate::kernels::{AddParams, FACTOR_BITS, Lines, MulParams, Pair, SLACK};

use super::fault::running;
use super::memory::{Input, Output};
use super::rng::{FILLS, Fill, Rng};
use super::{config, naive, requant, sets, zero_point};

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

/// Rows of a call: how many, how long, and bytes between the starts of two of them in two operands and the result.
#[derive(Clone, Copy, Debug)]
struct Rows {
    rows: usize,
    len: usize,
    pitches: [usize; 3],
}

/// One row, several without gaps, or several with gaps; operands that are the same for all of them.
fn rows() -> impl Strategy<Value = Rows> {
    let gap = || prop_oneof![2 => Just(0usize), 1 => 1usize..=70];
    prop_oneof![
        2 => len().prop_map(|len| Rows { rows: 1, len, pitches: [len; 3] }),
        3 => (1usize..=5, 1usize..=150, [gap(), gap(), gap()], any::<[bool; 2]>()).prop_map(|(rows, len, gaps, same)| {
            let pitch = |v: usize| if v < 2 && same[v] { 0 } else { len + gaps[v] };
            Rows { rows, len, pitches: [pitch(0), pitch(1), pitch(2)] }
        }),
    ]
}

impl Rows {
    /// Bytes from the first to behind the last of operand or result `v`.
    fn span(&self, v: usize) -> usize {
        (self.rows - 1) * self.pitches[v] + self.len
    }

    /// Expected bytes of the result, from those of the operands.
    fn expected(&self, a: &[i8], b: &[i8], f: impl Fn(i8, i8) -> i8) -> Vec<Option<i8>> {
        let mut want = vec![None; self.span(2)];
        for row in 0..self.rows {
            let [x, y, z] = self.pitches.map(|pitch| row * pitch);
            for i in 0..self.len {
                want[z + i] = Some(f(a[x + i], b[y + i]));
            }
        }
        want
    }

    /// Runs `call` on every set, elsewhere or in place, and compares.
    fn check(
        &self,
        to: To,
        [a, b]: [&[i8]; 2],
        want: &[Option<i8>],
        rng: &mut Rng,
        name: impl std::fmt::Debug,
        call: impl Fn(&crate::kernels::ByteKernels, &Pair),
    ) {
        let tight = rng.below(2) == 0;
        let (mut first, mut second) = (Input::new(a, tight, rng), Input::new(b, tight, rng));
        let Rows { rows, len, pitches } = *self;
        // Only an operand that lies as the result does can be written over.
        let to = match to {
            To::OverFirst if pitches[0] == pitches[2] => to,
            To::OverSecond if pitches[1] == pitches[2] => to,
            _ => To::Elsewhere,
        };
        for set in sets() {
            let mut out = match to {
                To::Elsewhere => Output::new(self.span(2), rng.below(65), rng),
                To::OverFirst => Output::over(a, SLACK, rng),
                To::OverSecond => Output::over(b, SLACK, rng),
            };
            let o = out.ptr();
            let mut want = want.to_vec();
            if to == To::Elsewhere {
                want.resize(self.span(2), None);
            }
            let pair = Pair {
                a: if to == To::OverFirst { o.cast_const() } else { first.ptr() },
                b: if to == To::OverSecond { o.cast_const() } else { second.ptr() },
                out: o,
                pitches,
                rows,
                len,
            };
            running(set.name(), &(self, &name));
            call(set.bytes(), &pair);
            out.check(&want, (set.name(), self, to, &name));
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn add(
        params in add_params(),
        rows in rows(),
        to in proptest::sample::select(&[To::Elsewhere, To::OverFirst, To::OverSecond][..]),
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let (a, b) = (rng.bytes(fill, rows.span(0)), rng.bytes(fill, rows.span(1)));
        let want = rows.expected(&a, &b, |a, b| {
            let sum = i64::from(a) * i64::from(params.a_factor) + i64::from(b) * i64::from(params.b_factor);
            let floor = (sum + i64::from(params.offset)).div_euclid(1 << params.shift);
            floor.clamp(params.low.into(), params.high.into()) as i8
        });
        // SAFETY: `sets` gives what this processor can run; all three have the rows described, the operands slack behind them.
        rows.check(to, [&a, &b], &want, rng, params, |bytes, pair| unsafe { (bytes.add)(&params, pair) });
    }

    #[test]
    fn mul(
        requant in requant(),
        zeros in [zero_point(), zero_point()],
        rows in rows(),
        to in proptest::sample::select(&[To::Elsewhere, To::OverFirst, To::OverSecond][..]),
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let params = MulParams { zeros, scale: rng.scale(4).abs(), requant };
        let (a, b) = (rng.bytes(fill, rows.span(0)), rng.bytes(fill, rows.span(1)));
        let want = rows.expected(&a, &b, |a, b| {
            let product = (i32::from(a) - zeros[0]) * (i32::from(b) - zeros[1]);
            naive::requantise(&requant, product, params.scale)
        });
        // SAFETY: as above.
        rows.check(to, [&a, &b], &want, rng, params, |bytes, pair| unsafe { (bytes.mul)(&params, pair) });
    }

    #[test]
    fn lut(
        rows in rows(),
        over in any::<bool>(),
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let table: [i8; 256] = std::array::from_fn(|_| rng.next() as i8);
        let x = rng.bytes(fill, rows.span(0));
        let zeros = vec![0; rows.span(1)];
        let want = rows.expected(&x, &zeros, |x, _| table[(i32::from(x) & 255) as usize]);
        let to = if over { To::OverFirst } else { To::Elsewhere };
        // SAFETY: as above.
        rows.check(to, [&x, &zeros], &want, rng, "lut", |bytes, pair| unsafe { (bytes.lut)(&table, &lines(pair)) });
    }

    #[test]
    fn max(
        rows in rows(),
        count in 1usize..=7,
        step in 0usize..=300,
        fill in proptest::sample::select(&FILLS[..]),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let x = rng.bytes(fill, rows.span(0) + (count - 1) * step);
        let most: Vec<i8> = (0..rows.span(0)).map(|i| (0..count).map(|r| x[i + r * step]).max().unwrap_or(0)).collect();
        let zeros = vec![0; rows.span(1)];
        let want = rows.expected(&most, &zeros, |x, _| x);
        // SAFETY: as above; every row has those behind it that are asked for.
        rows.check(To::Elsewhere, [&x, &zeros], &want, rng, (count, step), |bytes, pair| unsafe {
            (bytes.max)([count, step], &lines(pair));
        });
    }

    #[test]
    fn transpose(
        rows in prop_oneof![3 => 1usize..=40, 1 => 1usize..=200],
        len in prop_oneof![2 => 1usize..=5, 3 => 1usize..=40, 1 => 1usize..=200],
        gaps in [prop_oneof![1 => Just(0usize), 1 => 1usize..=20], prop_oneof![1 => Just(0usize), 1 => 1usize..=20]],
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let pitches = [rows + gaps[0], len + gaps[1]];
        let x = rng.bytes(Fill::Any, (len - 1) * pitches[0] + rows);
        let mut want = vec![None; (rows - 1) * pitches[1] + len];
        for row in 0..rows {
            for col in 0..len {
                want[row * pitches[1] + col] = Some(x[col * pitches[0] + row]);
            }
        }
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        for set in sets() {
            let mut out = Output::new(want.len(), rng.below(65), rng);
            running(set.name(), &(rows, len, gaps));
            // SAFETY: as above.
            unsafe { (set.bytes().transpose)(&Lines { x: input.ptr(), out: out.ptr(), pitches, rows, len }) };
            out.check(&want, (set.name(), rows, len, gaps));
        }
    }

    #[test]
    fn pick(step in 0usize..=9, len in len(), seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let x = rng.bytes(Fill::Any, (len - 1) * step + 1);
        let want: Vec<_> = (0..len).map(|i| Some(x[i * step])).collect();
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        for set in sets() {
            let mut out = Output::new(len, rng.below(65), rng);
            running(set.name(), &(step, len));
            // SAFETY: as above.
            unsafe { (set.bytes().pick)(step, input.ptr(), out.ptr(), len) };
            out.check(&want, (set.name(), step, len));
        }
    }
}

/// The first operand and the result of a pair.
fn lines(pair: &Pair) -> Lines {
    let Pair { a, out, pitches, rows, len, .. } = *pair;
    Lines { x: a, out, pitches: [pitches[0], pitches[2]], rows, len }
}
