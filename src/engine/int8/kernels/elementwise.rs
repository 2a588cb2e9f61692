//! Kernels that are the same on every processor, written so that the compiler vectorises it where it pays.

use super::Requant;
use super::requant::ROUNDER;
use super::step::Means;

/// `out = requant((a − a_zero) · (b − b_zero) · scale)` for `len` elements, `steps` bytes apart.
///
/// # Safety
/// The three places cover what `len` and `steps` describe.
pub unsafe fn mul(
    zeros: [i32; 2],
    scale: f32,
    requant: &Requant,
    (a, b, out): (*const i8, *const i8, *mut i8),
    len: usize,
    [a_step, b_step, out_step]: [usize; 3],
) {
    let one = |a: i8, b: i8| requant.apply((i32::from(a) - zeros[0]) * (i32::from(b) - zeros[1]), scale);
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe { *out.add(i * out_step) = one(*a.add(i * a_step), *b.add(i * b_step)) };
    }
}

/// Copies `len` elements, through a table if there is one.
///
/// # Safety
/// Both places cover what `len` and `steps` describe.
pub unsafe fn copy(table: Option<&[i8; 256]>, x: *const i8, out: *mut i8, len: usize, [x_step, out_step]: [usize; 2]) {
    match (table, x_step, out_step) {
        // SAFETY: the caller's promise.
        (None, 1, 1) => unsafe { std::ptr::copy_nonoverlapping(x, out, len) },
        // Every second channel, as channel shuffles want it: a constant step is what vectorises.
        (None, 2, 1) => {
            for i in 0..len {
                // SAFETY: the caller's promise.
                unsafe { *out.add(i) = *x.add(i * 2) };
            }
        }
        (None, _, _) => {
            for i in 0..len {
                // SAFETY: the caller's promise.
                unsafe { *out.add(i * out_step) = *x.add(i * x_step) };
            }
        }
        (Some(table), _, _) => {
            for i in 0..len {
                // SAFETY: the caller's promise.
                unsafe { *out.add(i * out_step) = table[usize::from(*x.add(i * x_step) as u8)] };
            }
        }
    }
}

/// Channels whose sums are kept in registers.
const BLOCK: usize = 16;

/// The mean of a window of `height × width` pixels of `channels` bytes.
///
/// Dequantises every byte and adds row by row in 32-bit floats, as the float operator does. Means of bytes lie halfway between two
/// bytes all the time, and which way those go decides an argument between two classes; this way they go as in the source format.
///
/// # Safety
/// The window covers what is described, [`super::SLACK`] bytes more; `out` takes `channels` bytes.
pub unsafe fn average(
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
    for block in (0..channels).step_by(BLOCK) {
        let mut sums = [0f32; BLOCK];
        for row in 0..height {
            for col in 0..width {
                // SAFETY: the caller's promise; what lies behind the last channel is dropped.
                let bytes: [i8; BLOCK] =
                    unsafe { x.add(row * row_step + col * col_step + block).cast::<[i8; BLOCK]>().read_unaligned() };
                for (sum, byte) in sums.iter_mut().zip(bytes) {
                    *sum += (i32::from(byte) - means.from.1) as f32 * means.from.0;
                }
            }
        }
        for (channel, sum) in sums.into_iter().enumerate().take(channels - block) {
            let real = (sum / count / means.to.0).max(low).min(high);
            // SAFETY: the caller's promise.
            unsafe { *out.add(block + channel) = (real.round_ties_even() as i32 + zero) as i8 };
        }
    }
}

/// `out[i · step] = x[offsets[i]]`.
///
/// # Safety
/// Both places cover what is described.
pub unsafe fn gather(offsets: &[usize], step: usize, x: *const i8, out: *mut i8) {
    for (i, &offset) in offsets.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { *out.add(i * step) = *x.add(offset) };
    }
}

/// One softmax over `len` elements; see [`super::step::Work::Softmax`].
///
/// # Safety
/// Both places cover `len` elements, their distance beside them.
pub unsafe fn softmax(
    table: &[f32; 256],
    inverse: f32,
    requant: &Requant,
    (x, x_step): (*const i8, usize),
    (out, out_step): (*mut i8, usize),
    len: usize,
) {
    // SAFETY: the caller's promise.
    let x = |i: usize| i32::from(unsafe { *x.add(i * x_step) });
    let most = (0..len).map(x).max().unwrap_or(0);
    let share = |i: usize| table[(most - x(i)) as usize];
    let sum: f32 = (0..len).map(share).sum();
    let low = (i32::from(requant.low) - requant.zero_point) as f32;
    let high = (i32::from(requant.high) - requant.zero_point) as f32;
    // Operand and result may be the same bytes: the greatest and the sum are known by now, and each is read before it is written.
    for i in 0..len {
        let real = (share(i) / sum * inverse).max(low).min(high);
        // SAFETY: the caller's promise.
        unsafe { *out.add(i * out_step) = (real.round_ties_even() as i32 + requant.zero_point) as i8 };
    }
}

/// `saturate(round_half_even(x / scale) + zero_point)`, as `QuantizeLinear`; NaN becomes the lowest byte.
pub fn quantize(values: &[f32], (scale, zero_point): (f32, i32), out: &mut [i8]) {
    let (low, high) = ((-128 - zero_point) as f32, (127 - zero_point) as f32);
    for (value, out) in values.iter().zip(out) {
        let real = value / scale;
        let real = if real > low { real } else { low };
        let real = if real < high { real } else { high };
        *out = ((real + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32 + zero_point) as i8;
    }
}
