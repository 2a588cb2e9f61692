//! Dense and depthwise products.

use proptest::prelude::*;

use crate::kernels::float::*;
use crate::tests::config;
use crate::tests::fault::running;
use crate::tests::rng::Rng;

use super::memory::Floats;
use super::{is_near, sets, uniform};

/// A layer and what it is called with.
#[derive(Clone, Debug)]
struct Case {
    n: usize,
    segments: usize,
    segment: usize,
    rows: usize,
    epilogue: Epilogue,
    has_residual: bool,
    seed: u64,
}

fn function() -> impl Strategy<Value = Function> {
    proptest::sample::select(vec![
        Function::Identity,
        Function::RELU,
        Function::Clip(-0.25, 0.5),
        Function::LeakyRelu(0.1),
        Function::HardSwish(1.0 / 6.0, 0.5),
    ])
}

/// A function of [`function`] in 64 bits.
fn exact(function: Function, x: f64) -> f64 {
    match function {
        Function::Clip(low, high) => x.max(low.into()).min(high.into()),
        Function::LeakyRelu(slope) => {
            if x < 0.0 {
                x * f64::from(slope)
            } else {
                x
            }
        }
        Function::HardSwish(a, b) => x * (x * f64::from(a) + f64::from(b)).clamp(0.0, 1.0),
        _ => x,
    }
}

fn case() -> impl Strategy<Value = Case> {
    let most: [usize; 4] = if cfg!(miri) { [20, 3, 10, 6] } else { [150, 10, 90, 40] };
    let n = prop_oneof![1 => 1..=most[0], 1 => 1usize..=20];
    let k = (prop_oneof![Just(1usize), 1..=most[1]], 1..=most[2]);
    (n, k, prop_oneof![1 => 1usize..=4, 2 => 1..=most[3]], function(), function(), any::<bool>(), any::<u64>())
        .prop_map(|(n, (segments, segment), rows, before, after, has_residual, seed)| Case {
            n,
            segments,
            segment,
            rows,
            epilogue: Epilogue { before, after },
            has_residual,
            seed,
        })
}

fn check(set: &dyn FloatKernels, case: &Case) {
    let rng = &mut Rng(case.seed);
    let Case { n, segments, segment, .. } = *case;
    let k = segments * segment;
    let (weights, bias) = (uniform(rng, n * k), uniform(rng, n));
    let packed = set.pack_gemm(&FloatGemmWeights { n, segments, segment, data: &weights, bias: &bias });
    assert_eq!((packed.shape.n, packed.shape.depth()), (n, k));
    let most = set.gemm_rows(&packed.shape);
    assert!((1..=MAX_ROWS).contains(&most));
    let rows = case.rows.min(most);

    let offsets: Vec<usize> = (0..segments).map(|_| rng.below(300)).collect();
    let span = offsets.iter().max().expect("a segment") + segment;
    let starts: Vec<usize> = (0..rows).map(|row| if row == 0 { 0 } else { rng.below(200) }).collect();
    let values = uniform(rng, span + starts.iter().max().expect("a row"));
    let mut x = Floats::new(&values, rng.below(2) == 0);
    let pitch = n + rng.pick(&[0, 1, 7]);
    let added = uniform(rng, rows * n);
    let mut residual = Floats::new(&added, rng.below(2) == 0);

    let expected = |row: usize, channel: usize| {
        let mut sum = f64::from(bias[channel]);
        let mut size = sum.abs();
        for (s, &offset) in offsets.iter().enumerate() {
            for i in 0..segment {
                let product = f64::from(values[starts[row] + offset + i])
                    * f64::from(weights[(channel * segments + s) * segment + i]);
                sum += product;
                size += product.abs();
            }
        }
        let mut value = exact(case.epilogue.before, sum);
        if case.has_residual {
            value += f64::from(added[row * n + channel]);
        }
        (exact(case.epilogue.after, value), (k as f64 + 8.0) * 6e-8 * (size + 2.0))
    };

    // All at once, block by block, and row by row must give the same bits.
    let mut first: Option<Vec<u32>> = None;
    for way in 0..3 {
        let mut out = Floats::output((rows - 1) * pitch + n, rng);
        let (x, to, residual) = (x.ptr().cast_const(), out.ptr(), residual.ptr().cast_const());
        // SAFETY: rows lie within their memory.
        let place = |row: usize| unsafe { (x.add(starts[row]), to.add(row * pitch), residual.add(row * n)) };
        let (mut from, mut to, mut add) = (Vec::new(), Vec::new(), Vec::new());
        for (x, out, residual) in (0..rows).map(place) {
            from.push(x);
            to.push(out);
            add.push(residual);
        }
        let blocks = packed.shape.blocks();
        let parts: Vec<_> = match way {
            0 => vec![(0..rows, 0, blocks)],
            1 => (0..blocks).map(|block| (0..rows, block, 1)).collect(),
            _ => (0..rows).map(|row| (row..row + 1, 0, blocks)).collect(),
        };
        for (range, first_block, blocks) in parts {
            let call = FloatGemmCall {
                shape: packed.shape,
                weights: packed.as_ptr(),
                offsets: &offsets,
                first_block,
                blocks,
                rows: &from[range.clone()],
                outs: &to[range.clone()],
                residual: if case.has_residual { &add[range.clone()] } else { &[] },
                epilogue: case.epilogue,
            };
            running(set.name(), case);
            // SAFETY: `sets` gives what this processor can run; everything lies within its memory.
            unsafe { set.gemm(&call) };
        }
        out.check_untouched(|i| i % pitch < n, case);
        let values = out.values();
        for row in 0..rows {
            for channel in 0..n {
                let ((want, bound), got) = (expected(row, channel), values[row * pitch + channel]);
                assert!(is_near(got, want, bound), "{}: {got} for {want} at {row}, {channel}: {case:?}", set.name());
            }
        }
        let bits = (0..rows * n).map(|i| values[i / n * pitch + i % n].to_bits()).collect();
        assert_eq!(*first.get_or_insert_with(|| Vec::clone(&bits)), bits, "{}: way {way}: {case:?}", set.name());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_layer(case in case()) {
        for set in sets() {
            check(set, &case);
        }
    }

    #[test]
    fn packed_matrices_are_weights_without_bias(
        n in 1usize..=100, k in 1usize..=40, is_transposed in any::<bool>(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let values = uniform(rng, n * k);
        // As weights, `[n][k]`.
        let (k_step, n_step) = if is_transposed { (1, k) } else { (n, 1) };
        let rows: Vec<f32> = (0..n * k).map(|i| values[i / k * n_step + i % k * k_step]).collect();
        let mut b = Floats::new(&values, seed % 2 == 0);
        for set in sets() {
            let shape = set.gemm_shape(n, 1, k);
            let weights = FloatGemmWeights { n, segments: 1, segment: k, data: &rows, bias: &vec![0.0; n] };
            let packed = set.pack_gemm(&weights);
            let mut out = crate::kernels::AlignedBytes::zeroed(4 * shape.len());
            out.as_mut_slice().fill(0x55);
            for block in 0..shape.blocks() {
                let call = PackCall {
                    shape, b: b.ptr(), k_step, n_step, out: out.as_mut_ptr().cast(), first_block: block, blocks: 1,
                };
                // SAFETY: `sets` gives what this processor can run; the matrix and the result have the sizes.
                unsafe { set.pack_matrix(&call) };
            }
            prop_assert_eq!(shape, packed.shape);
            for channel in (0..n).step_by(shape.block) {
                // A narrow last block leaves the rest of its room as it was.
                let lanes = (n - channel).min(shape.block).next_multiple_of(set.gemm_shape(1, 1, 0).block_len);
                let at = channel / shape.block * 4 * shape.block_len;
                let used = at..at + 4 * lanes * (1 + k);
                prop_assert_eq!(&out.as_slice()[used.clone()], &packed.data.as_slice()[used]);
            }
        }
    }

    #[test]
    fn depthwise(
        channels in 1usize..=70, kernel in (1usize..=5, 1usize..=7), steps in (1usize..=2, 1usize..=3),
        size in (1usize..=3, 1usize..=9), dilation in 1usize..=2, function in function(), seed in any::<u64>(),
    ) {
        let rng = &mut Rng(seed);
        let ((kh, kw), (rows, cols)) = (kernel, size);
        let pixel = channels + rng.pick(&[0, 3]);
        let (height, width) = ((rows - 1) * steps.0 + (kh - 1) * dilation + 1, (cols - 1) * steps.1 + (kw - 1) * dilation + 1);
        let values = uniform(rng, height * width * pixel - (pixel - channels));
        let (weights, bias) = (uniform(rng, channels * kh * kw), uniform(rng, channels));
        let mut x = Floats::new(&values, seed % 2 == 0);
        let out_pixel = channels + rng.pick(&[0, 5]);
        for set in sets() {
            let packed = set.pack_depthwise(&FloatDepthwiseWeights { channels, kh, kw, data: &weights, bias: &bias });
            let mut out = Floats::output(rows * cols * out_pixel - (out_pixel - channels), rng);
            let call = FloatDepthwiseCall {
                packed: &packed,
                function,
                input: x.ptr(),
                tap_row: dilation * width * pixel,
                tap_col: dilation * pixel,
                step_row: steps.0 * width * pixel,
                step_col: steps.1 * pixel,
                out: out.ptr(),
                out_row: cols * out_pixel,
                out_col: out_pixel,
                rows,
                cols,
            };
            running(set.name(), &(channels, kernel, steps, size, dilation));
            // SAFETY: `sets` gives what this processor can run; taps and outputs lie within their memory.
            unsafe { set.depthwise(&call) };
            out.check_untouched(|i| i % out_pixel < channels, &(channels, kernel, steps, size));
            let results = out.values();
            for i in 0..rows * cols * channels {
                let (at, channel) = (i / channels, i % channels);
                let (row, col) = (at / cols, at % cols);
                let mut sum = f64::from(bias[channel]);
                for tap in 0..kh * kw {
                    let (y, x) = (row * steps.0 + tap / kw * dilation, col * steps.1 + tap % kw * dilation);
                    let x = values[(y * width + x) * pixel + channel];
                    sum += f64::from(x) * f64::from(weights[tap * channels + channel]);
                }
                let got = results[at * out_pixel + channel];
                let want = exact(function, sum);
                prop_assert!(is_near(got, want, 1e-5), "{}: {} for {} at {}, {}", set.name(), got, want, at, channel);
            }
        }
    }
}

/// Every number of rows with every number of channels up to two blocks and one.
#[test]
fn every_tail() {
    for set in sets() {
        let block = set.gemm_shape(1, 1, 1).block;
        let mut seed = 0;
        for n in 1..=2 * block + 1 {
            for rows in 1..=if cfg!(miri) { 3 } else { 26 } {
                if cfg!(miri) && (n + rows) % 5 != 0 {
                    continue;
                }
                seed += 1;
                let epilogue = Epilogue::of(if seed % 2 == 0 { Function::RELU } else { Function::Identity });
                let (segments, segment) = (1 + seed as usize % 2, 1 + seed as usize % 11);
                check(set, &Case { n, segments, segment, rows, epilogue, has_residual: seed % 3 == 0, seed });
            }
        }
    }
}
