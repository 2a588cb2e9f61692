//! Cost of zero points of weights and of results in floats: the convolutions of a MobileNetV2 at 224 × 224, with weights without
//! zero points and results in bytes, with zero points, with results in floats, and with zero points that take one weight beyond bytes;
//! by turns, the least of some rounds.
//!
//! ```sh
//! cargo bench --manifest-path tests/kernels/Cargo.toml --bench products [-- SET [ROUNDS]]
//! ```
//!
//! One SET alone, and two numbers of ROUNDS, are for counting instructions under an emulator (`tests/bench/count.c`).

use std::time::{Duration, Instant};

use leptond_kernels::kernels::{
    DepthwiseCall, DepthwiseWeights, Dequant, Finish, GemmCall, GemmWeights, Kernels, Requant, SLACK, available,
};

/// Rows of the table: output pixels a side, input and output channels.
const POINTWISE: &[[usize; 3]] = &[
    [112, 32, 16],
    [112, 16, 96],
    [56, 96, 24],
    [56, 24, 144],
    [56, 144, 24],
    [56, 24, 144],
    [28, 144, 32],
    [28, 32, 192],
    [28, 192, 32],
    [28, 32, 192],
    [28, 192, 32],
    [28, 32, 192],
    [14, 192, 64],
    [14, 64, 384],
    [14, 384, 64],
    [14, 64, 384],
    [14, 384, 64],
    [14, 64, 384],
    [14, 384, 96],
    [14, 96, 576],
    [14, 576, 96],
    [14, 96, 576],
    [7, 576, 160],
    [7, 160, 960],
    [7, 960, 160],
    [7, 960, 320],
    [7, 320, 1280],
];

/// Output pixels a side, channels, stride.
const DEPTHWISE: &[[usize; 3]] = &[
    [112, 32, 1],
    [56, 96, 2],
    [56, 144, 1],
    [28, 144, 2],
    [28, 192, 1],
    [28, 192, 1],
    [14, 192, 2],
    [14, 384, 1],
    [14, 384, 1],
    [14, 576, 1],
    [7, 576, 2],
    [7, 960, 1],
    [7, 960, 1],
];

/// Forms of a layer.
const FORMS: [&str; 4] = ["symmetric", "zero points", "zero points, to floats", "one beyond bytes"];

/// The channel that, in the last form, has a weight which does not fit a byte: a tensor's zero point is made from its least and
/// its greatest weight, so that few others are far from it.
const BEYOND: usize = 7;

/// Rounds.
const ROUNDS: usize = 15;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let only = words.next();
    let rounds = words.next().map_or(ROUNDS, |word| word.parse().expect("a number of rounds"));
    let wanted = |set: &&'static dyn Kernels| match &only {
        Some(name) => set.name() == name,
        None => set.name() != "reference",
    };
    println!("{:<16} {:<24} {:>12} {:>12} {:>8}", "set", "form", "dense us", "depthwise us", "ratio");
    for set in available().into_iter().filter(wanted) {
        let mut times = [[Duration::ZERO; FORMS.len()]; 2];
        for &layer in POINTWISE {
            add(&mut times[0], &dense(set, layer, rounds));
        }
        for &layer in DEPTHWISE {
            add(&mut times[1], &depthwise(set, layer, rounds));
        }
        let sum = |form: usize| (times[0][form] + times[1][form]).as_secs_f64();
        for (form, name) in FORMS.iter().enumerate() {
            let us = |kind: usize| times[kind][form].as_secs_f64() * 1e6;
            println!("{:<16} {name:<24} {:>12.0} {:>12.0} {:>8.2}", set.name(), us(0), us(1), sum(form) / sum(0));
        }
    }
}

fn add(all: &mut [Duration; FORMS.len()], times: &[Duration; FORMS.len()]) {
    all.iter_mut().zip(times).for_each(|(all, time)| *all += *time);
}

/// Bytes that look random.
fn bytes(len: usize, seed: u32) -> Vec<i8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8 / 2
    };
    (0..len).map(|_| next()).collect()
}

/// Weights' zero points and biases in floats, and what becomes of sums, of a form.
fn form<'a>(form: usize, zeros: &'a [i8], bias: &'a [i32], reals: &'a [f32]) -> Form<'a> {
    let finish = match form {
        2 => Finish::Floats(Dequant { x_scale: 0.02, x_zero: 3, low: 0.0, high: 6.0 }),
        _ => Finish::Bytes(Requant { zero_point: -3, low: -128, high: 127 }),
    };
    let floats = (form == 2).then_some(reals);
    let bias = if form == 2 { &[][..] } else { bias };
    Form { zeros: if form == 0 { &[] } else { zeros }, bias, floats, x_zero: if form == 2 { 0 } else { 3 }, finish }
}

struct Form<'a> {
    zeros: &'a [i8],
    bias: &'a [i32],
    floats: Option<&'a [f32]>,
    x_zero: i32,
    finish: Finish,
}

/// The least time of each form, taken by turns.
fn least(rounds: usize, mut run: impl FnMut(usize)) -> [Duration; FORMS.len()] {
    let mut times = [Duration::MAX; FORMS.len()];
    for _ in 0..rounds {
        for (form, time) in times.iter_mut().enumerate() {
            let start = Instant::now();
            run(form);
            *time = (*time).min(start.elapsed());
        }
    }
    times
}

fn dense(set: &dyn Kernels, [side, k, n]: [usize; 3], rounds: usize) -> [Duration; FORMS.len()] {
    let pixels = side * side;
    let (x, mut data) = (bytes(pixels * k + SLACK, 1), bytes(n * k, 2));
    let one: Vec<i8> = (0..n).map(|channel| if channel == BEYOND { -20 } else { 0 }).collect();
    data[BEYOND * k + k / 3] = 127;
    let (zeros, bias, scale, reals) = (vec![-90i8; n], vec![5; n], vec![0.001; n], vec![0.5; n]);
    let mut out = vec![0f32; pixels * n];
    let forms = [0, 1, 2, 3].map(|index| form(index, if index == 3 { &one } else { &zeros }, &bias, &reals));
    let packed = forms.each_ref().map(|form| {
        let sizes = GemmWeights { n, segments: 1, segment: k, data: &data, scale: &scale, ..GemmWeights::default() };
        let Form { zeros, bias, floats, x_zero, .. } = *form;
        set.pack_gemm(&GemmWeights { zeros, bias, x_zero, floats, ..sizes })
    });
    let rows: Vec<_> = (0..pixels).map(|pixel| x[pixel * k..].as_ptr()).collect();
    let outs = [1, 4].map(|width| {
        (0..pixels).map(|pixel| out.as_mut_ptr().cast::<i8>().wrapping_add(pixel * n * width)).collect::<Vec<_>>()
    });
    least(rounds, |index| {
        let packed = &packed[index];
        let outs = &outs[usize::from(index == 2)];
        for first in (0..pixels).step_by(set.gemm_rows(packed)) {
            let range = first..pixels.min(first + set.gemm_rows(packed));
            let call = GemmCall {
                packed,
                finish: forms[index].finish,
                offsets: &[0],
                first_block: 0,
                blocks: packed.blocks(),
                rows: &rows[range.clone()],
                outs: &outs[range],
            };
            // SAFETY: `available` gives what this processor can run; rows and outputs are in the vectors, slack included.
            unsafe { set.gemm(&call) };
        }
    })
}

fn depthwise(set: &dyn Kernels, [side, channels, stride]: [usize; 3], rounds: usize) -> [Duration; FORMS.len()] {
    let width = side * stride + 2;
    let (x, mut data) = (bytes(width * width * channels + SLACK, 3), bytes(9 * channels, 4));
    let one: Vec<i8> = (0..channels).map(|channel| if channel == BEYOND { -20 } else { 0 }).collect();
    data[4 * channels + BEYOND] = 127;
    let (zeros, bias, scale, reals) =
        (vec![-90i8; channels], vec![5; channels], vec![0.001; channels], vec![0.5; channels]);
    let mut out = vec![0f32; side * side * channels];
    let forms = [0, 1, 2, 3].map(|index| form(index, if index == 3 { &one } else { &zeros }, &bias, &reals));
    let packed = forms.each_ref().map(|form| {
        let sizes = DepthwiseWeights { channels, kh: 3, kw: 3, data: &data, ..DepthwiseWeights::default() };
        let Form { zeros, bias, floats, x_zero, .. } = *form;
        set.pack_depthwise(&DepthwiseWeights { zeros, bias, scale: &scale, x_zero, floats, ..sizes })
    });
    least(rounds, |index| {
        let size = if index == 2 { 4 } else { 1 };
        let call = DepthwiseCall {
            packed: &packed[index],
            finish: forms[index].finish,
            input: x.as_ptr(),
            tap_row: width * channels,
            tap_col: channels,
            step_row: width * channels * stride,
            step_col: channels * stride,
            out: out.as_mut_ptr().cast(),
            out_row: side * channels * size,
            out_col: channels * size,
            rows: side,
            cols: side,
        };
        // SAFETY: as above.
        unsafe { set.depthwise(&call) };
    })
}
