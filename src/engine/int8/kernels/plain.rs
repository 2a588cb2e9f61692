//! Kernels without weights in plain Rust: the definition, and, compiled for a set's instructions, what the compiler vectorises
//! well enough.

use super::AddParams;
use super::bytes::{Blend, ByteKernels, Lines, MulParams, Pair, SoftmaxParams};
use super::requant::{ROUNDER, Requant};
use super::step::Means;

/// Plain Rust.
pub const PLAIN: ByteKernels = ByteKernels {
    add,
    mul,
    lut,
    max,
    transpose,
    pick,
    quantize,
    dequantize,
    average,
    softmax,
    long: 128,
    softmax_table,
    blend,
};

/// Calls `body` with the offsets of every row.
#[inline(always)]
pub(super) fn each_row<const N: usize>(rows: usize, pitches: [usize; N], mut body: impl FnMut([usize; N])) {
    for row in 0..rows {
        body(pitches.map(|pitch| row * pitch));
    }
}

/// Sums of two tensors.
///
/// # Safety
/// All three places have the rows described.
#[inline(always)]
pub unsafe fn add(params: &AddParams, pair: &Pair) {
    let (low, high) = (i32::from(params.low), i32::from(params.high));
    each_row(pair.rows, pair.pitches, |[a, b, out]| {
        for i in 0..pair.len {
            // SAFETY: the caller's promise.
            let (a, b) = unsafe { (*pair.a.add(a + i), *pair.b.add(b + i)) };
            let sum = i32::from(a) * params.a_factor + i32::from(b) * params.b_factor + params.offset;
            // SAFETY: the caller's promise.
            unsafe { *pair.out.add(out + i) = (sum >> params.shift).clamp(low, high) as i8 };
        }
    });
}

/// Products of two tensors.
///
/// # Safety
/// All three places have the rows described.
#[inline(always)]
pub unsafe fn mul(params: &MulParams, pair: &Pair) {
    each_row(pair.rows, pair.pitches, |[a, b, out]| {
        for i in 0..pair.len {
            // SAFETY: the caller's promise.
            let (a, b) = unsafe { (i32::from(*pair.a.add(a + i)), i32::from(*pair.b.add(b + i))) };
            let product = (a - params.zeros[0]) * (b - params.zeros[1]);
            // SAFETY: the caller's promise.
            unsafe { *pair.out.add(out + i) = params.requant.apply(product, params.scale) };
        }
    });
}

/// `out = table[x as u8]`.
///
/// # Safety
/// Both places have the rows described.
#[inline(always)]
pub unsafe fn lut(table: &[i8; 256], lines: &Lines) {
    each_row(lines.rows, lines.pitches, |[x, out]| {
        for i in 0..lines.len {
            // SAFETY: the caller's promise.
            unsafe { *lines.out.add(out + i) = table[usize::from(*lines.x.add(x + i) as u8)] };
        }
    });
}

/// The greatest of `count` rows, `step` bytes apart.
///
/// # Safety
/// Both places have the rows described, the operand those behind too.
#[inline(always)]
pub unsafe fn max([count, step]: [usize; 2], lines: &Lines) {
    each_row(lines.rows, lines.pitches, |[x, out]| {
        for i in 0..lines.len {
            // SAFETY: the caller's promise.
            unsafe { *lines.out.add(out + i) = *lines.x.add(x + i) };
        }
        for row in 1..count {
            for i in 0..lines.len {
                // SAFETY: the caller's promise.
                unsafe {
                    let most = lines.out.add(out + i);
                    *most = (*most).max(*lines.x.add(x + row * step + i));
                }
            }
        }
    });
}

/// `out[r][c] = x[c][r]`.
///
/// # Safety
/// Both places have what is described.
#[inline(always)]
pub unsafe fn transpose(lines: &Lines) {
    for row in 0..lines.rows {
        for col in 0..lines.len {
            // SAFETY: the caller's promise.
            unsafe { *lines.out.add(row * lines.pitches[1] + col) = *lines.x.add(col * lines.pitches[0] + row) };
        }
    }
}

/// `out[i] = x[i · step]`.
///
/// # Safety
/// Both places cover what is described.
#[inline(always)]
pub unsafe fn pick(step: usize, x: *const i8, out: *mut i8, len: usize) {
    // SAFETY: the caller's promise.
    let pick = |step: usize| (0..len).for_each(|i| unsafe { *out.add(i) = *x.add(i * step) });
    match step {
        // SAFETY: the caller's promise.
        0 => unsafe { std::ptr::write_bytes(out, *x as u8, len) },
        // SAFETY: the caller's promise.
        1 => unsafe { std::ptr::copy_nonoverlapping(x, out, len) },
        // A step that is known is what vectorises.
        2 => pick(2),
        3 => pick(3),
        4 => pick(4),
        _ => pick(step),
    }
}

/// `saturate(round_half_even(x / scale) + zero_point)`, as `QuantizeLinear`; NaN becomes the lowest byte.
#[inline(always)]
pub fn quantize(values: &[f32], (scale, zero_point): (f32, i32), out: &mut [i8]) {
    let (low, high) = ((-128 - zero_point) as f32, (127 - zero_point) as f32);
    for (value, out) in values.iter().zip(out) {
        let real = value / scale;
        let real = if real > low { real } else { low };
        let real = if real < high { real } else { high };
        *out = ((real + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32 + zero_point) as i8;
    }
}

/// `(x − zero point) · scale`, as `DequantizeLinear`.
#[inline(always)]
pub fn dequantize(values: &[i8], (scale, zero_point): (f32, i32), out: &mut [f32]) {
    for (value, out) in values.iter().zip(out) {
        *out = (i32::from(*value) - zero_point) as f32 * scale;
    }
}

/// `real` between `low` and `high` (both integers of at most 255 in magnitude; also where it is NaN), rounded, halves to even.
#[inline(always)]
fn rounded(real: f32, low: f32, high: f32) -> i32 {
    let real = if real > low { real } else { low };
    let real = if real < high { real } else { high };
    (real + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32
}

/// The mean of a window of `height × width` pixels of `channels` bytes.
///
/// Dequantises every byte and adds row by row in 32-bit floats, as the float operator does. Means of bytes lie halfway between two
/// bytes all the time, and which way those go decides an argument between two classes; this way they go as in the source format.
///
/// # Safety
/// The window covers what is described, [`super::SLACK`] bytes more; `out` takes `channels` bytes.
#[inline(always)]
pub unsafe fn average(means: &Means, x: *const i8, size: [usize; 2], steps: [usize; 2], out: *mut i8, channels: usize) {
    // Several vectors of sums where there are channels for them: each addition waits for the one before in its lane.
    for at in (0..channels).step_by(64) {
        let left = (channels - at).min(64);
        // SAFETY: the caller's promise; fewer bytes than a block are behind the last channel.
        unsafe {
            match left {
                0..=16 => average_block::<16>(means, x.add(at), size, steps, out.add(at), left),
                17..=32 => average_block::<32>(means, x.add(at), size, steps, out.add(at), left),
                _ => average_block::<64>(means, x.add(at), size, steps, out.add(at), left),
            }
        }
    }
}

/// [`average`] for up to `BLOCK` channels, whose sums are kept in registers.
///
/// # Safety
/// As there; `BLOCK` bytes of every pixel may be read.
#[inline(always)]
unsafe fn average_block<const BLOCK: usize>(
    means: &Means,
    x: *const i8,
    [height, width]: [usize; 2],
    [row_step, col_step]: [usize; 2],
    out: *mut i8,
    channels: usize,
) {
    let count = means.divisor.unwrap_or(height * width) as f32;
    let zero = means.to.1;
    let (low, high) = ((-128 - zero) as f32, (127 - zero) as f32);
    let mut sums = [0f32; BLOCK];
    for row in 0..height {
        for col in 0..width {
            // SAFETY: the caller's promise; what lies behind the last channel is dropped.
            let bytes: [i8; BLOCK] =
                unsafe { x.add(row * row_step + col * col_step).cast::<[i8; BLOCK]>().read_unaligned() };
            for (sum, byte) in sums.iter_mut().zip(bytes) {
                *sum += (i32::from(byte) - means.from.1) as f32 * means.from.0;
            }
        }
    }
    let mut bytes = [0i8; BLOCK];
    for (byte, sum) in bytes.iter_mut().zip(sums) {
        *byte = (rounded(sum / count / means.to.0, low, high) + zero) as i8;
    }
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, channels) };
}

/// Sums that a softmax keeps beside one another: element `i` goes to sum `i mod LANES`, and halves are added to halves at the end.
const LANES: usize = 16;

/// The greatest byte of a row, and the sum of its exponentials.
///
/// # Safety
/// The row has `len` bytes, `step` apart.
#[inline(always)]
unsafe fn exponentials(table: &[f32; 256], x: *const i8, step: usize, len: usize) -> (i8, f32) {
    // SAFETY: the caller's promise.
    let lanes = |start: usize| -> [i8; LANES] { std::array::from_fn(|lane| unsafe { *x.add((start + lane) * step) }) };
    // SAFETY: the caller's promise.
    let byte = |i: usize| unsafe { *x.add(i * step) };
    let whole = len - len % LANES;
    let mut greatest = [i8::MIN; LANES];
    for start in (0..whole).step_by(LANES) {
        greatest.iter_mut().zip(lanes(start)).for_each(|(most, x)| *most = (*most).max(x));
    }
    let most = (whole..len).map(byte).chain(greatest).fold(i8::MIN, i8::max);
    let mut sums = [0f32; LANES];
    for start in (0..whole).step_by(LANES) {
        sums.iter_mut().zip(lanes(start)).for_each(|(sum, x)| *sum += share(table, most, x));
    }
    for (sum, i) in sums.iter_mut().zip(whole..len) {
        *sum += share(table, most, byte(i));
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    (most, sums[0])
}

/// The exponential of a byte's distance from the greatest.
#[inline(always)]
fn share(table: &[f32; 256], most: i8, x: i8) -> f32 {
    table[usize::from((most as u8).wrapping_sub(x as u8))]
}

/// Lowest and highest result of a rounding, before the zero point.
#[inline(always)]
fn limits(requant: &Requant) -> (f32, f32) {
    let from_zero = |byte: i8| (i32::from(byte) - requant.zero_point) as f32;
    (from_zero(requant.low), from_zero(requant.high))
}

/// Rows that become probabilities.
///
/// # Safety
/// Both places have the rows described.
#[inline(always)]
pub unsafe fn softmax(params: &SoftmaxParams, lines: &Lines) {
    each_row(lines.rows, lines.pitches, |[x, out]| {
        // SAFETY: the caller's promise.
        unsafe { softmax_row(params, lines.x.add(x), lines.out.add(out), [1, 1], lines.len) };
    });
}

/// One of them, `steps` bytes between the elements of operand and result.
///
/// # Safety
/// Both places cover what is described.
#[inline(always)]
pub unsafe fn softmax_row(
    params: &SoftmaxParams,
    x: *const i8,
    out: *mut i8,
    [x_step, out_step]: [usize; 2],
    len: usize,
) {
    let (low, high) = limits(&params.requant);
    // SAFETY: the caller's promise.
    let (most, sum) = unsafe { exponentials(params.table, x, x_step, len) };
    let scale = params.inverse / sum;
    let byte = |x| (rounded(share(params.table, most, x) * scale, low, high) + params.requant.zero_point) as i8;
    let whole = len - len % LANES;
    for start in (0..whole).step_by(LANES) {
        // SAFETY: the caller's promise.
        let lanes: [i8; LANES] = std::array::from_fn(|lane| unsafe { *x.add((start + lane) * x_step) });
        for (lane, x) in lanes.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *out.add((start + lane) * out_step) = byte(x) };
        }
    }
    for i in whole..len {
        // SAFETY: the caller's promise.
        unsafe { *out.add(i * out_step) = byte(*x.add(i * x_step)) };
    }
}

/// Table from each byte of a row to its result.
///
/// # Safety
/// The row has `len` bytes.
#[inline(always)]
pub unsafe fn softmax_table(params: &SoftmaxParams, x: *const i8, len: usize) -> [i8; 256] {
    let (low, high) = limits(&params.requant);
    // SAFETY: the caller's promise.
    let (most, sum) = unsafe { exponentials(params.table, x, 1, len) };
    let scale = params.inverse / sum;
    let by_distance: [i8; 256] = std::array::from_fn(|distance| {
        (rounded(params.table[distance] * scale, low, high) + params.requant.zero_point) as i8
    });
    // The greatest byte stands at no distance and those below it at greater ones, so it is the distances backwards, from the greatest on. No byte of
    // the row is above that: what stands for those is never asked for.
    let backwards: [i8; 256] = std::array::from_fn(|i| by_distance[255 - i]);
    let behind = usize::from((most as u8).wrapping_add(1));
    let mut table = [0; 256];
    table[behind..].copy_from_slice(&backwards[..256 - behind]);
    table[..behind].copy_from_slice(&backwards[256 - behind..]);
    table
}

/// A mixture of four pixels.
///
/// # Safety
/// `corners` and `out` have `channels` bytes.
#[inline(always)]
pub unsafe fn blend(mixture: &Blend, out: *mut i8, channels: usize) {
    let Blend { corners, shares, zero, scale, requant } = mixture;
    let (low, high) = limits(requant);
    for channel in 0..channels {
        // SAFETY: the caller's promise.
        let values = corners.map(|c| i32::from(unsafe { *c.add(channel) }) - zero);
        let sum = values[0] * shares[0] + values[1] * shares[1] + values[2] * shares[2] + values[3] * shares[3];
        // SAFETY: the caller's promise.
        unsafe { *out.add(channel) = (rounded(sum as f32 * scale, low, high) + requant.zero_point) as i8 };
    }
}
