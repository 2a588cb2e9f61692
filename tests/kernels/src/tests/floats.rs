//! Kernels without weights that go through floats: every set must give the reference's bits, and the reference what is computed here
//! plainly.

use proptest::prelude::*;

use crate::kernels::reference::Reference;
use crate::kernels::step::Means;
use crate::kernels::{Blend, ByteKernels, Kernels, Lines, SoftmaxParams, quantize};

use super::fault::running;
use super::memory::{Input, Output};
use super::rng::{FILLS, Fill, Rng};
use super::{config, naive, requant, sets, zero_point};

fn fill() -> impl Strategy<Value = Fill> {
    proptest::sample::select(&FILLS[..])
}

/// Runs `call` on every set into outputs of `len` bytes; all have to give `want`.
fn check(want: &[Option<i8>], rng: &mut Rng, name: impl std::fmt::Debug, mut call: impl FnMut(&ByteKernels, *mut i8)) {
    for set in sets() {
        let mut out = Output::new(want.len(), rng.below(65), rng);
        running(set.name(), &name);
        call(set.bytes(), out.ptr());
        out.check(want, (set.name(), &name));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn quantising(
        scale in prop_oneof![Just(0.5f32), Just(1.0), 1e-6f32..100.0],
        zero in zero_point(),
        len in 1usize..200,
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        // Halves of a step, what is far beyond, and what is no number.
        let values: Vec<f32> = (0..len).map(|_| match rng.below(8) {
            0 => rng.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0]),
            1 | 2 => (rng.below(600) as f32 - 300.0) * 0.5 * scale,
            _ => (rng.unit() - 0.5) * 300.0 * scale,
        }).collect();
        let want: Vec<_> = values.iter().map(|value| {
            let real = f64::from(value / scale);
            let rounded = if real.is_nan() { f64::NEG_INFINITY } else { real.round_ties_even() };
            Some((rounded + f64::from(zero)).clamp(-128.0, 127.0) as i8)
        }).collect();
        check(&want, rng, (scale, zero, &values), |bytes, out| {
            // SAFETY: `sets` gives what this processor can run; the output has as many bytes.
            unsafe { (bytes.quantize)(&values, (scale, zero), std::slice::from_raw_parts_mut(out, len)) };
        });
        let mut plain = vec![0; len];
        quantize(&values, (scale, zero), &mut plain);
        prop_assert_eq!(want, plain.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn dequantising(scale in 1e-6f32..100.0, zero in zero_point(), len in 1usize..200, fill in fill(), seed in any::<u64>()) {
        let x = Rng(seed).bytes(fill, len);
        let want: Vec<f32> = x.iter().map(|&x| (f32::from(x) - zero as f32) * scale).collect();
        for set in sets() {
            let mut out = vec![f32::NAN; len + 1];
            // SAFETY: `sets` gives what this processor can run.
            unsafe { (set.bytes().dequantize)(&x, (scale, zero), &mut out[..len]) };
            prop_assert_eq!(&out[..len], &want[..], "{}", set.name());
            prop_assert!(out[len].is_nan());
        }
    }

    #[test]
    fn average(
        size in [1usize..=5, 1usize..=5],
        channels in prop_oneof![1usize..=70, 1usize..=200],
        gaps in [0usize..=40, 0usize..=40],
        from in (1e-3f32..2.0, zero_point()),
        to in (1e-3f32..2.0, zero_point()),
        divisor in proptest::option::of(1usize..=30),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let means = Means { from, to, divisor };
        let col = channels + gaps[0];
        let row = size[1] * col + gaps[1];
        let x = rng.bytes(fill, (size[0] - 1) * row + (size[1] - 1) * col + channels);
        let want: Vec<_> = (0..channels).map(|channel| {
            let mut sum = 0f32;
            for y in 0..size[0] {
                for z in 0..size[1] {
                    sum += (i32::from(x[y * row + z * col + channel]) - from.1) as f32 * from.0;
                }
            }
            let real = sum / divisor.unwrap_or(size[0] * size[1]) as f32 / to.0;
            Some((f64::from(real).round_ties_even() + f64::from(to.1)).clamp(-128.0, 127.0) as i8)
        }).collect();
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        check(&want, rng, (means, size, channels, gaps), |bytes, out| {
            // SAFETY: `sets` gives what this processor can run; the window has slack behind it.
            unsafe { (bytes.average)(&means, input.ptr(), size, [row, col], out, channels) };
        });
    }

    #[test]
    fn softmax(
        rows in 1usize..=4,
        len in prop_oneof![1 => Just(16usize), 1 => Just(32), 3 => 1usize..=140, 2 => 141usize..=300],
        gaps in [0usize..=40, 0usize..=40],
        scale in 1e-3f32..1.0,
        inverse in 1.0f32..300.0,
        requant in requant(),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let table: [f32; 256] = std::array::from_fn(|d| (-(d as f64) * f64::from(scale)).exp() as f32);
        let params = SoftmaxParams { table: &table, inverse, requant };
        let pitches = gaps.map(|gap| len + gap);
        let x = rng.bytes(fill, (rows - 1) * pitches[0] + len);
        let mut want = vec![None; (rows - 1) * pitches[1] + len];
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        for row in 0..rows {
            let x = &x[row * pitches[0]..][..len];
            let most = i32::from(*x.iter().max().expect("a byte"));
            let total: f64 = x.iter().map(|&x| f64::from(table[(most - i32::from(x)) as usize])).sum();
            let mut out = vec![0i8; len];
            let lines = Lines { x: x.as_ptr(), out: out.as_mut_ptr(), pitches: [0; 2], rows: 1, len };
            // SAFETY: the reference reads and writes what is described and nothing else.
            unsafe { (Reference.bytes().softmax)(&params, &lines) };
            for (i, (&x, &out)) in x.iter().zip(&out).enumerate() {
                let real = f64::from(table[(most - i32::from(x)) as usize]) / total * f64::from(inverse);
                let near = (real + f64::from(requant.zero_point)).clamp(requant.low.into(), requant.high.into());
                prop_assert!((near - f64::from(out)).abs() < 0.501, "{near} {out}");
                want[row * pitches[1] + i] = Some(out);
            }
            for set in sets() {
                // SAFETY: `sets` gives what this processor can run; slack is behind the row.
                let table = unsafe { (set.bytes().softmax_table)(&params, input.ptr().add(row * pitches[0]), len) };
                let through: Vec<_> = x.iter().map(|&x| table[usize::from(x as u8)]).collect();
                prop_assert_eq!(&through, &out, "{}", set.name());
            }
        }
        check(&want, rng, (rows, len, gaps, scale, inverse, requant), |bytes, out| {
            // SAFETY: as above.
            unsafe { (bytes.softmax)(&params, &Lines { x: input.ptr(), out, pitches, rows, len }) };
        });
    }

    #[test]
    fn blend(
        channels in 1usize..=140,
        shares in [0i32..=2048, 0i32..=2048],
        zero in zero_point(),
        requant in requant(),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let [down, across] = shares;
        let shares = [(2048 - down) * (2048 - across), (2048 - down) * across, down * (2048 - across), down * across];
        let scale = rng.scale(1 << 16);
        let x = rng.bytes(fill, 4 * channels);
        let want: Vec<_> = (0..channels).map(|c| {
            let sum = (0..4).map(|i| (i32::from(x[i * channels + c]) - zero) * shares[i]).sum();
            Some(naive::requantise(&requant, sum, scale))
        }).collect();
        let mut input = Input::new(&x, seed % 2 == 0, rng);
        check(&want, rng, (channels, shares, zero, requant, scale), |bytes, out| {
            // SAFETY: `sets` gives what this processor can run; corners have the channels and slack behind them.
            unsafe {
                let corners = [0, 1, 2, 3].map(|i| input.ptr().add(i * channels));
                (bytes.blend)(&Blend { corners, shares, zero, scale, requant }, out, channels);
            }
        });
    }
}
