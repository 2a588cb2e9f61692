//! Depthwise layers.

use proptest::prelude::*;

use crate::kernels::{DepthwiseCall, DepthwiseWeights, Kernels};

use super::fault::running;
use super::memory::{Input, Output};
use super::rng::{FILLS, Fill, Rng};
use super::{Results, config, naive, results, sets, zero_point};

/// A layer and the rectangle of it that is computed.
#[derive(Clone, Debug)]
pub struct Case {
    pub channels: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Of the output.
    pub size: [usize; 2],
    /// Values between pixels and between rows, beyond what is needed; of input and output.
    pub gaps: [usize; 4],
    pub x_zero: i32,
    pub results: Results,
    pub x: Fill,
    pub w: Fill,
    /// Zero points of the weights, if they have any.
    pub zeros: Option<Fill>,
    pub tight_front: bool,
    pub seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let kernel = prop_oneof![
        2 => Just([3usize, 3]),
        2 => Just([5, 5]),
        3 => [1usize..=7, 1usize..=7]
    ];
    let stride = prop_oneof![
        2 => Just([1usize, 1]),
        2 => Just([2, 2]),
        2 => [1usize..=3, 1usize..=3]
    ];
    let dilation = prop_oneof![
        3 => Just([1usize, 1]),
        2 => [1usize..=2, 1usize..=2]
    ];
    let most = if cfg!(miri) { 3usize } else { 9 };
    let channels = prop_oneof![3 => 1usize..=40, 2 => 1usize..=if cfg!(miri) { 40 } else { 200 }];
    let gap = || prop_oneof![2 => Just(0usize), 1 => 0usize..=70];
    let fill = || proptest::sample::select(&FILLS[..]);
    let layer = (channels, kernel, stride, dilation, [1..=most, 1..=most], [gap(), gap(), gap(), gap()]);
    let zeros = proptest::option::of(fill());
    (layer, zero_point(), results(), fill(), fill(), zeros, any::<bool>(), any::<u64>()).prop_map(
        |((channels, kernel, stride, dilation, size, gaps), x_zero, results, x, w, zeros, tight_front, seed)| Case {
            channels,
            kernel,
            stride,
            dilation,
            size,
            gaps,
            x_zero,
            results,
            x,
            w,
            zeros,
            tight_front,
            seed,
        },
    )
}

/// Runs every set over a case and compares with what was computed by hand.
pub fn check(case: &Case, sets: &[&dyn Kernels]) {
    let mut rng = Rng(case.seed);
    let Case { channels, kernel: [kh, kw], stride, dilation, size: [rows, cols], .. } = *case;
    let extent =
        |axis: usize| (case.size[axis] - 1) * case.stride[axis] + (case.kernel[axis] - 1) * case.dilation[axis] + 1;
    let pixel = channels + case.gaps[0];
    let pitch = extent(1) * pixel + case.gaps[1];
    let out_col = channels + case.gaps[2];
    let out_row = cols * out_col + case.gaps[3];

    // Exactly up to the last pixel's last channel.
    let x = rng.bytes(case.x, (extent(0) - 1) * pitch + (extent(1) - 1) * pixel + channels);
    let data = rng.bytes(case.w, kh * kw * channels);
    let zeros = case.zeros.map(|fill| rng.bytes(fill, channels)).unwrap_or_default();
    let bias: Vec<i32> = (0..channels).map(|_| rng.bias()).collect();
    let scale: Vec<f32> = (0..channels).map(|_| rng.scale(kh * kw)).collect();
    let float_bias: Vec<f32> = (0..channels).map(|_| rng.real()).collect();
    let (bias, x_zero, floats) = match case.results {
        Results::Bytes(_) => (&bias[..], case.x_zero, None),
        Results::Floats { .. } => (&[][..], 0, Some(&float_bias[..])),
    };
    let (data, zeros, scale) = (&data[..], &zeros[..], &scale[..]);
    let weights = DepthwiseWeights { channels, kh, kw, data, zeros, bias, scale, x_zero, floats };

    let width = case.results.width();
    let mut want = vec![None; ((rows - 1) * out_row + (cols - 1) * out_col + channels) * width];
    for row in 0..rows {
        for col in 0..cols {
            for channel in 0..channels {
                let tap = |t: usize| {
                    let y = row * stride[0] + t / kw * dilation[0];
                    let z = col * stride[1] + t % kw * dilation[1];
                    x[y * pitch + z * pixel + channel]
                };
                let taps: Vec<i8> = (0..kh * kw).map(tap).collect();
                let at = (row * out_row + col * out_col + channel) * width;
                let result = naive::depthwise(&weights, &case.results, case.x_zero, channel, &taps);
                want[at..at + width].iter_mut().zip(result).for_each(|(want, byte)| *want = Some(byte));
            }
        }
    }

    let mut input = Input::new(&x, case.tight_front, &mut rng);
    for set in sets {
        let packed = set.pack_depthwise(&weights);
        assert_eq!((packed.channels, packed.kh, packed.kw), (channels, kh, kw), "{}", set.name());
        let guard = rng.below(65);
        let mut out = Output::new(want.len(), guard, &mut rng);
        let call = DepthwiseCall {
            packed: &packed,
            finish: case.results.finish(case.x_zero),
            input: input.ptr(),
            tap_row: pitch * dilation[0],
            tap_col: pixel * dilation[1],
            step_row: pitch * stride[0],
            step_col: pixel * stride[1],
            out: out.ptr(),
            out_row: out_row * width,
            out_col: out_col * width,
            rows,
            cols,
        };
        running(set.name(), case);
        // SAFETY: `sets` gives what this processor can run; the input covers every tap, the output every pixel.
        unsafe { set.depthwise(&call) };
        out.check(&want, (set.name(), case));
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_layer(case in case()) {
        check(&case, &sets());
    }
}

/// Every number of channels up to a few vectors, with the kernels that sets have special code for, in rectangles whose columns
/// leave every remainder.
#[test]
fn every_tail() {
    let most = if cfg!(miri) { 5 } else { 70 };
    let mut seed = 0;
    for channels in 1..=most {
        for kernel in [[3, 3], [5, 5], [3, 1], [2, 4]] {
            for stride in [[1, 1], [2, 2]] {
                seed += 1;
                let case = Case {
                    channels,
                    kernel,
                    stride,
                    dilation: [1, 1],
                    size: [1 + seed as usize % 3, 1 + seed as usize % 9],
                    gaps: [0; 4],
                    x_zero: (seed % 256) as i32 - 128,
                    results: Results::of_seed(seed),
                    x: Fill::Any,
                    w: [Fill::Any, Fill::Symmetric, Fill::Rare][seed as usize % 3],
                    zeros: (seed % 7 < 4).then_some([Fill::Any, Fill::Ends, Fill::Rare, Fill::Rare][seed as usize % 4]),
                    tight_front: seed % 2 == 0,
                    seed,
                };
                check(&case, &sets());
            }
        }
    }
}
