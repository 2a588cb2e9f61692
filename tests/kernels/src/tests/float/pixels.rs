//! Pools and interpolation.

use proptest::prelude::*;

use crate::kernels::float::*;
use crate::tests::config;
use crate::tests::fault::running;
use crate::tests::rng::Rng;

use super::memory::Floats;
use super::{is_near, sets, uniform};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pools(
        channels in 1usize..=70, height in 1usize..=5, width in 1usize..=120, kernel in 1usize..=9, stride in 1usize..=3,
        dilation in 1usize..=2, wide in any::<bool>(), nan in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let channels = if cfg!(miri) { channels % 10 + 1 } else { channels };
        let kernel = if wide { kernel * 10 } else { kernel };
        let pad = rng.below(kernel / 2 + 1);
        let pixel = channels + rng.pick(&[0, 3]);
        let pitch = width * pixel + rng.pick(&[0, 5]);
        let mut values = uniform(rng, (height - 1) * pitch + (width - 1) * pixel + channels);
        if nan {
            let at = rng.below(values.len());
            values[at] = f32::NAN;
        }
        // Windows with what lies in the padding cut off; one in the wrong order now and then.
        let spans = (0..).map(|i| i * stride).take_while(|at| at + 1 < width + pad + kernel).filter_map(|at| {
            let taps: Vec<usize> = (0..kernel).map(|k| at + k * dilation).filter(|&x| x >= pad && x < width + pad).collect();
            Some((taps.first()? - pad, taps.len()))
        });
        let mut cols: Vec<(usize, usize)> = spans.take(width + 1).collect();
        if cols.is_empty() {
            cols.push((0, 1));
        }
        if seed % 5 == 0 {
            cols.reverse();
        }
        let out_pixel = channels + rng.pick(&[0, 2]);
        let mut x = Floats::new(&values, seed % 2 == 0);
        for set in sets() {
            for pool in [Pool::Max, Pool::Average(None), Pool::Average(Some(7.0))] {
                let mut out = Floats::output((cols.len() - 1) * out_pixel + channels, rng);
                let call = PoolCall {
                    pool, x: x.ptr(), height, tap_row: pitch, cols: &cols, dilation, x_col: pixel, out: out.ptr(),
                    out_col: out_pixel, channels,
                };
                running(set.name(), &(pool, &cols, height, channels));
                // SAFETY: `sets` gives what this processor can run; windows and outputs lie within their memory.
                unsafe { set.pool(&call) };
                out.check_untouched(|i| i % out_pixel < channels, &(pool, &cols, height, channels));
                let results = out.values();
                for (i, &(start, count)) in cols.iter().enumerate() {
                    for channel in 0..channels {
                        let window = || (0..height * count).map(|tap| {
                            let (y, x) = (tap / count, start + tap % count * dilation);
                            f64::from(values[y * pitch + x * pixel + channel])
                        });
                        let size = (height * count) as f64;
                        let want = match pool {
                            Pool::Max if window().any(f64::is_nan) => f64::NAN,
                            Pool::Max => window().fold(f64::NEG_INFINITY, f64::max),
                            Pool::Average(divisor) => window().sum::<f64>() / divisor.map_or(size, f64::from),
                        };
                        let got = results[i * out_pixel + channel];
                        let bound = if pool == Pool::Max { 0.0 } else { size * 1e-6 };
                        prop_assert!(is_near(got, want, bound), "{}: {:?} {} for {}", set.name(), pool, got, want);
                    }
                }
            }
        }
    }

    #[test]
    fn interpolation(channels in 1usize..=70, width in 1usize..=20, count in 1usize..=40, seed in any::<u64>()) {
        let rng = &mut Rng(seed);
        let (first, second) = (uniform(rng, width * channels), uniform(rng, width * channels));
        let cols: Vec<(usize, usize, f32)> = (0..count).map(|_| {
            let left = rng.below(width);
            (left * channels, (left + 1).min(width - 1) * channels, rng.pick(&[0.0, 0.25, 0.5, 1.0]))
        }).collect();
        let down = rng.unit();
        let out_col = channels + rng.below(3);
        let (mut top, mut bottom) = (Floats::new(&first, seed % 2 == 0), Floats::new(&second, seed % 2 == 0));
        for set in sets() {
            let mut out = Floats::output((count - 1) * out_col + channels, rng);
            let call = ResizeCall { top: top.ptr(), bottom: bottom.ptr(), down, cols: &cols, out: out.ptr(), out_col, channels };
            running(set.name(), &(&cols, channels));
            // SAFETY: `sets` gives what this processor can run; pixels lie within their memory.
            unsafe { set.resize(&call) };
            out.check_untouched(|i| i % out_col < channels, &(&cols, channels));
            let results = out.values();
            for (i, &(left, right, across)) in cols.iter().enumerate() {
                for channel in 0..channels {
                    let between = |row: &[f32]| {
                        f64::from(row[left + channel]) * (1.0 - f64::from(across)) + f64::from(row[right + channel]) * f64::from(across)
                    };
                    let want = between(&first) * (1.0 - f64::from(down)) + between(&second) * f64::from(down);
                    prop_assert!(is_near(results[i * out_col + channel], want, 1e-6), "{}: for {}", set.name(), want);
                }
            }
        }
    }
}
