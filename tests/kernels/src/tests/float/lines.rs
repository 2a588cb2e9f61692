//! Functions along lines: softmax, reductions, where the greatest is, normalisation.

use proptest::prelude::*;

use crate::kernels::float::*;
use crate::tests::config;
use crate::tests::fault::running;
use crate::tests::rng::Rng;

use super::memory::Floats;
use super::{is_near, sets, uniform};

/// Layout of the elements of lines.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// One line behind another.
    Rows,
    /// Side by side.
    Columns,
    /// Neither.
    Apart,
}

fn order() -> impl Strategy<Value = Order> {
    proptest::sample::select(&[Order::Rows, Order::Columns, Order::Apart][..])
}

/// Step of an element, step of a line.
fn steps(order: Order, lines: usize, len: usize, extra: usize) -> [usize; 2] {
    match order {
        Order::Rows => [1, len + extra],
        Order::Columns => [lines + extra, 1],
        Order::Apart => [2 * lines + extra, 2],
    }
}

fn span(lines: usize, len: usize, [step, line_step]: [usize; 2]) -> usize {
    (len - 1) * step + (lines - 1) * line_step + 1
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn softmax(
        lines in 1usize..=80, len in 1usize..=80, from in order(), to in order(), is_log in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let (from, to) = (steps(from, lines, len, rng.below(3)), steps(to, lines, len, rng.below(3)));
        let mut values = uniform(rng, span(lines, len, from));
        let size = rng.pick(&[1.0, 30.0, 1e4]);
        values.iter_mut().for_each(|x| *x *= size);
        let mut x = Floats::new(&values, seed % 2 == 0);
        for set in sets() {
            let mut out = Floats::output(span(lines, len, to), rng);
            let call = Lines { lines, len, x: x.ptr(), step: from[0], line_step: from[1] };
            running(set.name(), &call);
            // SAFETY: `sets` gives what this processor can run; both have what the lines cover.
            unsafe { set.softmax(is_log, &call, out.ptr(), to) };
            let results = out.values();
            let mut written = vec![false; results.len()];
            for line in 0..lines {
                let x = |i: usize| f64::from(values[i * from[0] + line * from[1]]);
                let most = (0..len).map(x).fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = (0..len).map(|i| (x(i) - most).exp()).sum();
                for i in 0..len {
                    let at = i * to[0] + line * to[1];
                    written[at] = true;
                    let log = x(i) - most - sum.ln();
                    let (want, bound) = if is_log { (log, 1e-6 * (1.0 + log.abs())) } else { (log.exp(), log.exp() * 2e-6 + 1e-38) };
                    // Distances are rounded to 24 bits of the largest element.
                    let bound = bound + if is_log { 0.0 } else { f64::from(size) * 1.2e-7 * log.exp() };
                    prop_assert!(is_near(results[at], want, bound), "{}: {} for {}", set.name(), results[at], want);
                }
            }
            out.check_untouched(|i| written[i], &call);
        }
    }

    #[test]
    fn reductions(
        lines in 1usize..=80, len in 1usize..=100, order in order(), out_step in 1usize..=2, nan in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let from = steps(order, lines, len, rng.below(3));
        let mut values = uniform(rng, span(lines, len, from));
        if nan {
            let at = rng.below(values.len());
            values[at] = f32::NAN;
        }
        let mut x = Floats::new(&values, seed % 2 == 0);
        for set in sets() {
            for reduction in [
                Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min, Reduction::Product, Reduction::SumSquare,
                Reduction::L1, Reduction::L2, Reduction::LogSum, Reduction::LogSumExp,
            ] {
                let mut out = Floats::output((lines - 1) * out_step + 1, rng);
                let call = Lines { lines, len, x: x.ptr(), step: from[0], line_step: from[1] };
                running(set.name(), &(reduction, call));
                // SAFETY: `sets` gives what this processor can run; both have what the lines cover.
                unsafe { set.reduce(reduction, &call, out.ptr(), out_step) };
                out.check_untouched(|i| i % out_step == 0, &call);
                for (line, got) in out.values().into_iter().step_by(out_step).enumerate() {
                    let x = || (0..len).map(|i| f64::from(values[i * from[0] + line * from[1]]));
                    let sum: f64 = x().sum();
                    let size: f64 = x().map(f64::abs).sum();
                    let n = len as f64;
                    let near = |want: f64, size: f64| (want, (n + 4.0) * 1.2e-7 * size);
                    let has_nan = x().any(f64::is_nan);
                    let (want, bound) = match reduction {
                        Reduction::Sum => near(sum, size),
                        Reduction::Mean => near(sum / n, size / n),
                        Reduction::Max if has_nan => (f64::NAN, 0.0),
                        Reduction::Min if has_nan => (f64::NAN, 0.0),
                        Reduction::Max => (x().fold(f64::NEG_INFINITY, f64::max), 0.0),
                        Reduction::Min => (x().fold(f64::INFINITY, f64::min), 0.0),
                        Reduction::Product => near(x().product(), x().product::<f64>().abs() + 1e-37),
                        Reduction::SumSquare => near(x().map(|x| x * x).sum(), size),
                        Reduction::L1 => near(size, size),
                        Reduction::L2 => near(x().map(|x| x * x).sum::<f64>().sqrt(), 1.0),
                        // Where the sum nearly cancels, its logarithm is anything.
                        Reduction::LogSum if sum.abs() < 1e-3 * size => continue,
                        Reduction::LogSum => near(sum.ln(), size / sum.abs() + sum.ln().abs()),
                        Reduction::LogSumExp => near(x().map(f64::exp).sum::<f64>().ln(), 2.0),
                    };
                    prop_assert!(is_near(got, want, bound), "{}: {:?} {} for {}", set.name(), reduction, got, want);
                }
            }
        }
    }

    #[test]
    fn places_of_the_greatest(
        lines in 1usize..=80, len in 1usize..=100, order in order(), out_step in 1usize..=2, few in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let from = steps(order, lines, len, rng.below(3));
        let mut values = uniform(rng, span(lines, len, from));
        if few {
            // Many that are equal.
            values.iter_mut().for_each(|x| *x = rng.pick(&[-1.0, 0.0, 1.0, f32::NAN, f32::NEG_INFINITY]));
        }
        let mut x = Floats::new(&values, seed % 2 == 0);
        for set in sets() {
            for (least, last) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut out = Floats::output((lines - 1) * out_step + 1, rng);
                let call = Lines { lines, len, x: x.ptr(), step: from[0], line_step: from[1] };
                running(set.name(), &(least, last, call));
                // SAFETY: `sets` gives what this processor can run; both have what the lines cover.
                unsafe { set.arg(least, last, &call, out.ptr().cast(), out_step) };
                out.check_untouched(|i| i % out_step == 0, &call);
                for (line, got) in out.values().into_iter().step_by(out_step).enumerate() {
                    let key = |i: usize| {
                        let x = values[i * from[0] + line * from[1]];
                        if x.is_nan() { f32::INFINITY } else if least { -x } else { x }
                    };
                    let better = |best: usize, i: usize| key(i) > key(best) || last && key(i) == key(best);
                    let want = (1..len).fold(0, |best, i| if better(best, i) { i } else { best });
                    prop_assert_eq!(got.to_bits() as usize, want, "{}: {} {}", set.name(), least, last);
                }
            }
        }
    }

    #[test]
    fn normalisation(
        rows in 1usize..=5, len in 1usize..=200, centre in any::<bool>(), has_scale in any::<bool>(), has_bias in any::<bool>(),
        over in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let (x_row, out_row) = (len + rng.below(3), len + rng.below(3));
        let out_row = if over { x_row } else { out_row };
        let shift = rng.pick(&[0.0, 5.0]);
        let values: Vec<f32> = uniform(rng, (rows - 1) * x_row + len).iter().map(|x| x + shift).collect();
        let (scale, bias) = (uniform(rng, len), uniform(rng, len));
        let (mut scales, mut biases) = (Floats::new(&scale, seed % 2 == 0), Floats::new(&bias, seed % 2 == 0));
        for set in sets() {
            let mut x = Floats::new(&values, seed % 2 == 0);
            let mut out = Floats::output((rows - 1) * out_row + len, rng);
            let call = NormCall {
                rows,
                len,
                x: x.ptr(),
                x_row,
                out: if over { x.ptr() } else { out.ptr() },
                out_row,
                epsilon: 1e-3,
                centre,
                scale: if has_scale { scales.ptr() } else { std::ptr::null() },
                bias: if has_bias { biases.ptr() } else { std::ptr::null() },
            };
            running(set.name(), &call);
            // SAFETY: `sets` gives what this processor can run; everything has the rows' length.
            unsafe { set.normalize(&call) };
            let results = if over { &mut x } else { &mut out };
            results.check_untouched(|i| i % out_row < len, &call);
            let results = results.values();
            for row in 0..rows {
                let x = || values[row * x_row..][..len].iter().map(|&x| f64::from(x));
                let mean = if centre { x().sum::<f64>() / len as f64 } else { 0.0 };
                let variance = x().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len as f64;
                for (i, x) in x().enumerate() {
                    let scale = if has_scale { f64::from(scale[i]) } else { 1.0 };
                    let bias = if has_bias { f64::from(bias[i]) } else { 0.0 };
                    let want = (x - mean) / (variance + f64::from(1e-3f32)).sqrt() * scale + bias;
                    let got = results[row * out_row + i];
                    prop_assert!(is_near(got, want, 1e-4), "{}: {} for {}", set.name(), got, want);
                }
            }
        }
    }
}
