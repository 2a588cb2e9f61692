//! Times the float kernels, one line of standard input a measurement; `tests/bench/floats` drives it beside onnxruntime.
//!
//! ```text
//! set NAME                                    the set to be timed from here on (the best one unless told)
//! conv H W C N KERNEL STRIDE GROUP ACTIVATION  GROUP is 1 or C; ACTIVATION none, relu or silu
//! unary FUNCTION LEN
//! binary OP ROWS LEN                           full: rows and columns; row: one row for all; scalar
//! softmax LINES LEN last|first                 along adjacent elements or across them
//! pool max|mean H W C KERNEL STRIDE
//! resize H W C                                 twice as high and wide, linear
//! argmax LINES LEN last|first
//! norm ROWS LEN
//! transpose ROWS COLS
//! quantize LEN, dequantize LEN
//! lstm UNITS
//! ```
//!
//! The answer is the least processor time of a run in nanoseconds.

use std::io::{BufRead, Write};
use std::time::Duration;

use leptond_kernels::kernels::float::*;

/// Length of each measurement.
const TIME: Duration = Duration::from_millis(60);

fn random(len: usize) -> Vec<f32> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Processor time of this thread, which other programs do not lengthen.
#[cfg(unix)]
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Least nanoseconds of a run.
fn time(mut run: impl FnMut()) -> f64 {
    let start = now();
    let mut least = f64::INFINITY;
    let mut count = 1;
    while now() - start < TIME {
        let at = now();
        for _ in 0..count {
            run();
        }
        let took = now() - at;
        least = least.min(took.as_nanos() as f64 / f64::from(count));
        if took < Duration::from_micros(200) {
            count *= 2;
        }
    }
    least
}

/// A convolution over a picture with its border.
struct Conv {
    h: usize,
    w: usize,
    c: usize,
    n: usize,
    kernel: usize,
    stride: usize,
    function: Function,
}

impl Conv {
    fn out(&self, size: usize) -> usize {
        (size + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1
    }

    fn dense(&self, set: &dyn FloatKernels) -> f64 {
        let Conv { h, w, c, n, kernel, stride, .. } = *self;
        let pitch = (w + 2 * (kernel / 2)) * c;
        let x = random((h + 2 * (kernel / 2)) * pitch);
        let (rows, cols) = (self.out(h), self.out(w));
        let mut out = vec![0f32; rows * cols * n];
        let segments = if kernel == 1 { 1 } else { kernel };
        let weights = random(n * c * kernel * kernel);
        let bias = random(n);
        let packed = set.pack_gemm(&FloatGemmWeights { n, segments, segment: kernel * c, data: &weights, bias: &bias });
        let offsets: Vec<usize> = (0..segments).map(|s| s * pitch).collect();
        let most = set.gemm_rows(&packed.shape);
        let pixels = rows * cols;
        let tiles = pixels.div_ceil(most);
        time(|| {
            let mut from = [std::ptr::null::<f32>(); MAX_ROWS];
            let mut to = [std::ptr::null_mut::<f32>(); MAX_ROWS];
            for tile in 0..tiles {
                let range = pixels * tile / tiles..pixels * (tile + 1) / tiles;
                let count = range.len();
                for (i, pixel) in range.enumerate() {
                    let (row, col) = (pixel / cols, pixel % cols);
                    from[i] = x[row * stride * pitch + col * stride * c..].as_ptr();
                    to[i] = out[pixel * n..].as_mut_ptr();
                }
                let call = FloatGemmCall {
                    shape: packed.shape,
                    weights: packed.as_ptr(),
                    offsets: &offsets,
                    first_block: 0,
                    blocks: packed.shape.blocks(),
                    rows: &from[..count],
                    outs: &to[..count],
                    residual: &[],
                    epilogue: Epilogue::of(self.function),
                };
                // SAFETY: the set is one that this processor can run; rows and outputs lie within their vectors.
                unsafe { set.gemm(&call) };
            }
        })
    }

    fn depthwise(&self, set: &dyn FloatKernels) -> f64 {
        let Conv { h, w, c, kernel, stride, .. } = *self;
        let pitch = (w + 2 * (kernel / 2)) * c;
        let x = random((h + 2 * (kernel / 2)) * pitch);
        let (rows, cols) = (self.out(h), self.out(w));
        let mut out = vec![0f32; rows * cols * c];
        let weights = random(c * kernel * kernel);
        let bias = random(c);
        let weights = FloatDepthwiseWeights { channels: c, kh: kernel, kw: kernel, data: &weights, bias: &bias };
        let packed = set.pack_depthwise(&weights);
        time(|| {
            let call = FloatDepthwiseCall {
                packed: &packed,
                function: self.function,
                input: x.as_ptr(),
                tap_row: pitch,
                tap_col: c,
                step_row: stride * pitch,
                step_col: stride * c,
                out: out.as_mut_ptr(),
                out_row: cols * c,
                out_col: c,
                rows,
                cols,
            };
            // SAFETY: the set is one that this processor can run; taps and outputs lie within their vectors.
            unsafe { set.depthwise(&call) };
        })
    }
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "none" => Function::Identity,
        "relu" => Function::RELU,
        "silu" => Function::Swish(1.0),
        "hardswish" => Function::HardSwish(1.0 / 6.0, 0.5),
        "leaky" => Function::LeakyRelu(0.1),
        "elu" => Function::Elu([1.0, 1.0, 1.0]),
        "sigmoid" => Function::Sigmoid,
        "tanh" => Function::Tanh,
        "erf" => Function::Erf,
        "exp" => Function::Exp,
        "log" => Function::Log,
        "gelu" => Function::Gelu,
        "gelutanh" => Function::GeluTanh,
        "mish" => Function::Mish,
        "softplus" => Function::Softplus,
        "sqrt" => Function::Sqrt,
        _ => return None,
    })
}

/// One measurement; `None` for words that it does not know.
fn measure(set: &dyn FloatKernels, words: &[&str]) -> Option<f64> {
    let number = |i: usize| words.get(i)?.parse::<usize>().ok();
    // What every SAFETY line below refers to: the set is one that this processor can run, and vectors have the sizes that calls say.
    match *words.first()? {
        "conv" => {
            let [h, w, c, n, kernel, stride, group] = [1, 2, 3, 4, 5, 6, 7].map(|i| number(i).unwrap_or(1));
            let conv = Conv { h, w, c, n, kernel, stride, function: function(words.get(8)?)? };
            Some(if group == 1 { conv.dense(set) } else { conv.depthwise(set) })
        }
        "unary" => {
            let function = function(words.get(1)?)?;
            let x = random(number(2)?);
            let mut out = vec![0f32; x.len()];
            let grid = Grid::flat(x.len());
            // SAFETY: see above.
            Some(time(|| unsafe { set.unary(&function, x.as_ptr(), out.as_mut_ptr(), &grid) }))
        }
        "binary" => {
            let (rows, len) = (number(2)?, number(3)?);
            let (row_step, step) = match words[1] {
                "full" => (len, 1),
                "row" => (0, 1),
                _ => (0, 0),
            };
            let (a, b) = (random(rows * len), random(rows * len));
            let mut out = vec![0f32; rows * len];
            let grid = match words[1] {
                "full" => Grid::flat(rows * len),
                _ => Grid { rows, len, row_steps: [len, row_step, len], steps: [1, step, 1] },
            };
            // SAFETY: see above.
            Some(time(|| unsafe { set.binary(Binary::Add, a.as_ptr(), b.as_ptr(), out.as_mut_ptr(), &grid) }))
        }
        "softmax" | "argmax" | "sum" => {
            let (lines, len) = (number(1)?, number(2)?);
            let (step, line_step) = if words[3] == "last" { (1, len) } else { (lines, 1) };
            let values = random(lines * len);
            let mut out = vec![0f32; lines * len];
            let mut indices = vec![0i32; lines];
            let x = Lines { lines, len, x: values.as_ptr(), step, line_step };
            Some(match words[0] {
                // SAFETY: see above.
                "softmax" => time(|| unsafe { set.softmax(false, &x, out.as_mut_ptr(), [step, line_step]) }),
                // SAFETY: see above.
                "argmax" => time(|| unsafe { set.arg(false, false, &x, indices.as_mut_ptr(), 1) }),
                // SAFETY: see above.
                _ => time(|| unsafe { set.reduce(Reduction::Mean, &x, out.as_mut_ptr(), 1) }),
            })
        }
        "pool" => {
            let pool = if words[1] == "max" { Pool::Max } else { Pool::Average(None) };
            let [h, w, channels, kernel, stride] = [2, 3, 4, 5, 6].map(|i| number(i).unwrap_or(1));
            let spans = |size: usize| -> Vec<(usize, usize)> {
                let pad = kernel / 2;
                let count = (size + 2 * pad - kernel) / stride + 1;
                let span = |i: usize| {
                    let (start, end) = ((i * stride).saturating_sub(pad), (i * stride + kernel - pad).min(size));
                    (start, end - start)
                };
                (0..count).map(span).collect()
            };
            let x = random(h * w * channels);
            let (rows, cols) = (spans(h), spans(w));
            let mut out = vec![0f32; rows.len() * cols.len() * channels];
            Some(time(|| {
                for (i, &(start, height)) in rows.iter().enumerate() {
                    let call = PoolCall {
                        pool,
                        x: x[start * w * channels..].as_ptr(),
                        height,
                        tap_row: w * channels,
                        cols: &cols,
                        dilation: 1,
                        x_col: channels,
                        out: out[i * cols.len() * channels..].as_mut_ptr(),
                        out_col: channels,
                        channels,
                    };
                    // SAFETY: see above.
                    unsafe { set.pool(&call) };
                }
            }))
        }
        "resize" => {
            let [h, w, channels] = [1, 2, 3].map(|i| number(i).unwrap_or(1));
            let x = random(h * w * channels);
            let mut out = vec![0f32; 4 * h * w * channels];
            let places = |size: usize| -> Vec<(usize, usize, f32)> {
                let place = |i: usize| {
                    let at = ((i as f32 + 0.5) / 2.0 - 0.5).max(0.0);
                    let low = at as usize;
                    (low, (low + 1).min(size - 1), at - low as f32)
                };
                (0..2 * size).map(place).collect()
            };
            let rows = places(h);
            let cols: Vec<_> = places(w).into_iter().map(|(l, r, s)| (l * channels, r * channels, s)).collect();
            Some(time(|| {
                for (i, &(top, bottom, down)) in rows.iter().enumerate() {
                    let call = ResizeCall {
                        top: x[top * w * channels..].as_ptr(),
                        bottom: x[bottom * w * channels..].as_ptr(),
                        down,
                        cols: &cols,
                        out: out[i * cols.len() * channels..].as_mut_ptr(),
                        out_col: channels,
                        channels,
                    };
                    // SAFETY: see above.
                    unsafe { set.resize(&call) };
                }
            }))
        }
        "norm" => {
            let (rows, len) = (number(1)?, number(2)?);
            let (x, scale, bias) = (random(rows * len), random(len), random(len));
            let mut out = vec![0f32; rows * len];
            let call = NormCall {
                rows,
                len,
                x: x.as_ptr(),
                x_row: len,
                out: out.as_mut_ptr(),
                out_row: len,
                epsilon: 1e-5,
                centre: true,
                scale: scale.as_ptr(),
                bias: bias.as_ptr(),
            };
            // SAFETY: see above.
            Some(time(|| unsafe { set.normalize(&call) }))
        }
        "transpose" => {
            let (rows, len) = (number(1)?, number(2)?);
            let x = random(rows * len);
            let mut out = vec![0f32; rows * len];
            let grid = Grid { rows, len, row_steps: [len, 1], steps: [1, rows] };
            // SAFETY: see above.
            Some(time(|| unsafe { set.copy(x.as_ptr(), out.as_mut_ptr(), &grid) }))
        }
        "quantize" => {
            let x = random(number(1)?);
            let mut out = vec![0i8; x.len()];
            // SAFETY: see above.
            Some(time(|| unsafe { set.quantize((0.01, 3), x.as_ptr(), out.as_mut_ptr(), x.len()) }))
        }
        "dequantize" => {
            let x = vec![5i8; number(1)?];
            let mut out = vec![0f32; x.len()];
            // SAFETY: see above.
            Some(time(|| unsafe { set.dequantize((0.01, 3), x.as_ptr(), out.as_mut_ptr(), x.len()) }))
        }
        "lstm" => {
            let len = number(1)?;
            let gates = random(4 * len);
            let (mut cell, mut hidden) = (random(len), random(len));
            let call = LstmCall {
                gates: gates.as_ptr(),
                peepholes: std::ptr::null(),
                cell: cell.as_mut_ptr(),
                hidden: hidden.as_mut_ptr(),
                len,
                clip: f32::INFINITY,
            };
            // SAFETY: see above.
            Some(time(|| unsafe { set.lstm(&call) }))
        }
        _ => None,
    }
}

fn main() {
    let mut set = best();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["set", name] = words[..] {
            match available().into_iter().find(|set| set.name() == name) {
                Some(found) => set = found,
                None => println!("no set {name}"),
            }
            continue;
        }
        match measure(set, &words) {
            Some(ns) => println!("{ns:.1}"),
            None => println!("unknown: {line}"),
        }
        // The reader waits for it; where it has gone there is nothing to be done.
        let _ = std::io::stdout().flush();
    }
}
