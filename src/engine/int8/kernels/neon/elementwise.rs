//! Kernels without weights: sums and products of two tensors, tables, maxima. Plain NEON, so every aarch64 set can use it.

use core::arch::aarch64::*;

use super::super::bytes::{ByteKernels, Lines, MulParams, Pair, SoftmaxParams, byte_kernels};
use super::super::plain::each_row;
use super::super::transpose::transpose;
use super::super::{AddParams, Requant, plain};
use super::columns::mask;
use super::requant::Epilogue;

/// All of them.
pub const BYTES: ByteKernels = byte_kernels! { "neon"; add: add, mul: mul, lut: lut, max: max, pick: pick, softmax: softmax, long: HELD * FLOATS + 1, transpose: transpose };

/// Bytes of a vector.
const LANES: usize = 16;

/// Stores the first `count` (below 16) bytes of `value`.
///
/// # Safety
/// `to` takes `count` bytes.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn store_partial(to: *mut i8, value: int8x16_t, count: usize) {
    let (mut to, mut low) = (to, vget_low_s8(value));
    // SAFETY: each step writes as many bytes as its bit of `count` stands for.
    unsafe {
        if count & 8 != 0 {
            vst1_s8(to, low);
            (to, low) = (to.add(8), vget_high_s8(value));
        }
        if count & 4 != 0 {
            to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(low)));
            (to, low) = (to.add(4), vext_s8::<4>(low, low));
        }
        if count & 2 != 0 {
            to.cast::<u16>().write_unaligned(vget_lane_u16::<0>(vreinterpret_u16_s8(low)));
            (to, low) = (to.add(2), vext_s8::<2>(low, low));
        }
        if count & 1 != 0 {
            *to = vget_lane_s8::<0>(low);
        }
    }
}

/// Calls `vector` with the offsets of every vector of every row, and stores what it gives at the last of them.
///
/// # Safety
/// `out` takes the rows; `vector` may be called with every multiple of 16 below `len`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn each_vector<const N: usize>(
    out: *mut i8,
    rows: usize,
    len: usize,
    pitches: [usize; N],
    vector: impl Fn([usize; N]) -> int8x16_t,
) {
    each_row(rows, pitches, |offsets| {
        let whole = len - len % LANES;
        for at in (0..whole).step_by(LANES) {
            let offsets = offsets.map(|offset| offset + at);
            // SAFETY: a whole vector lies before `len`.
            unsafe { vst1q_s8(out.add(offsets[N - 1]), vector(offsets)) };
        }
        if whole < len {
            let offsets = offsets.map(|offset| offset + whole);
            // SAFETY: as many bytes as there are left.
            unsafe { store_partial(out.add(offsets[N - 1]), vector(offsets), len - whole) };
        }
    });
}

/// See [`ByteKernels::add`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn add(params: &AddParams, pair: &Pair) {
    let offset = vdupq_n_s32(params.offset);
    let shift = vdupq_n_s32(-(params.shift as i32));
    let (low, high) = (vdupq_n_s8(params.low), vdupq_n_s8(params.high));
    let quarter = |a: int16x4_t, b: int16x4_t| {
        let sum = vmlaq_n_s32(offset, vmovl_s16(a), params.a_factor);
        vshlq_s32(vmlaq_n_s32(sum, vmovl_s16(b), params.b_factor), shift)
    };
    let half = |a: int16x8_t, b: int16x8_t| {
        let low = quarter(vget_low_s16(a), vget_low_s16(b));
        vqmovn_high_s32(vqmovn_s32(low), quarter(vget_high_s16(a), vget_high_s16(b)))
    };
    let pair = pair.joined();
    let vector = |[a, b, _]: [usize; 3]| {
        // SAFETY: both operands may be read a vector's length past `len`.
        let (a, b) = unsafe { (vld1q_s8(pair.a.add(a)), vld1q_s8(pair.b.add(b))) };
        let first = half(vmovl_s8(vget_low_s8(a)), vmovl_s8(vget_low_s8(b)));
        let second = half(vmovl_high_s8(a), vmovl_high_s8(b));
        vminq_s8(vmaxq_s8(vqmovn_high_s16(vqmovn_s16(first), second), low), high)
    };
    // SAFETY: the caller's promise.
    unsafe { each_vector(pair.out, pair.rows, pair.len, pair.pitches, vector) }
}

/// See [`ByteKernels::mul`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn mul(params: &MulParams, pair: &Pair) {
    /// No product of two bytes less their zero points is larger in magnitude.
    const MOST: f32 = 255.0 * 255.0;
    let zeros = params.zeros.map(|zero| vdup_n_s8(zero as i8));
    let epilogue = Epilogue::new(&params.requant, MOST * params.scale < 32_000.0);
    let scale = [vdupq_n_f32(params.scale); 4];
    let minus =
        |x: int8x16_t, zero: int8x8_t| [vsubl_s8(vget_low_s8(x), zero), vsubl_high_s8(x, vcombine_s8(zero, zero))];
    let pair = pair.joined();
    let vector = |[a, b, _]: [usize; 3]| {
        // SAFETY: both operands may be read a vector's length past `len`.
        let (a, b) = unsafe { (vld1q_s8(pair.a.add(a)), vld1q_s8(pair.b.add(b))) };
        let ([a, c], [b, d]) = (minus(a, zeros[0]), minus(b, zeros[1]));
        let products = [
            vmull_s16(vget_low_s16(a), vget_low_s16(b)),
            vmull_high_s16(a, b),
            vmull_s16(vget_low_s16(c), vget_low_s16(d)),
            vmull_high_s16(c, d),
        ];
        let [bytes] = epilogue.apply([products], scale);
        bytes
    };
    // SAFETY: the caller's promise.
    unsafe { each_vector(pair.out, pair.rows, pair.len, pair.pitches, vector) }
}

/// See [`ByteKernels::lut`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn lut(table: &[i8; 256], lines: &Lines) {
    let quarter = |n: usize| {
        // SAFETY: a quarter of the table has 64 bytes.
        unsafe { vld1q_s8_x4(table.as_ptr().add(64 * n)) }
    };
    let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let step = vdupq_n_u8(64);
    let lines = lines.joined();
    let vector = |[x, _]: [usize; 2]| {
        // SAFETY: the operand may be read a vector's length past `len`.
        let mut index = unsafe { vld1q_u8(lines.x.add(x).cast()) };
        let mut value = vqtbl4q_s8(quarters[0], index);
        for quarter in &quarters[1..] {
            // An index outside a quarter leaves the byte as it is.
            index = vsubq_u8(index, step);
            value = vqtbx4q_s8(value, *quarter, index);
        }
        value
    };
    // SAFETY: the caller's promise.
    unsafe { each_vector(lines.out, lines.rows, lines.len, lines.pitches, vector) }
}

/// See [`ByteKernels::max`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn max([count, step]: [usize; 2], lines: &Lines) {
    let lines = lines.joined();
    let least = vdupq_n_s8(i8::MIN);
    let vector = |[x, _]: [usize; 2]| {
        // SAFETY: the operand may be read a vector's length past `len`, in every row.
        let load = |row: usize| unsafe { vld1q_s8(lines.x.add(x + row * step)) };
        (0..count).fold(least, |most, row| vmaxq_s8(most, load(row)))
    };
    // SAFETY: the caller's promise.
    unsafe { each_vector(lines.out, lines.rows, lines.len, lines.pitches, vector) }
}

/// Elements whose exponentials are summed side by side: four vectors of floats.
const FLOATS: usize = 16;

/// Most times [`FLOATS`] of a row that stay at hand between their sum and their results.
const HELD: usize = 16;

/// See [`ByteKernels::softmax`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn softmax(params: &SoftmaxParams, lines: &Lines) {
    if lines.len > HELD * FLOATS {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { plain::softmax(params, lines) };
    }
    let Requant { zero_point, low, high } = params.requant;
    let limit = |byte: i8| vdupq_n_f32((i32::from(byte) - zero_point) as f32);
    let (low, high, zero_point) = (limit(low), limit(high), vdupq_n_s16(zero_point as i16));
    let (chunks, last) = (lines.len.div_ceil(FLOATS), lines.len % FLOATS);
    // Ones in the bits of the bytes that the last chunk has.
    let tail = mask(if last == 0 { FLOATS } else { last });
    let mut shares = [[vdupq_n_f32(0.0); 4]; HELD];
    each_row(lines.rows, lines.pitches, |[x, out]| {
        // SAFETY: the operand may be read a vector's length past `len`.
        let chunk = |chunk: usize| unsafe { vld1q_s8(lines.x.add(x + chunk * FLOATS)) };
        // What lies behind the row is as small as can be.
        let most = vbslq_s8(vreinterpretq_u8_s8(tail), chunk(chunks - 1), vdupq_n_s8(i8::MIN));
        let most = vmaxvq_s8((0..chunks - 1).fold(most, |most, i| vmaxq_s8(most, chunk(i))));
        let mut sums = [vdupq_n_f32(0.0); 4];
        for (i, shares) in shares.iter_mut().enumerate().take(chunks) {
            let mut distances = [0u8; FLOATS];
            let distance = vsubq_s8(vdupq_n_s8(most), chunk(i));
            // SAFETY: the array has as many elements as is stored.
            unsafe { vst1q_u8(distances.as_mut_ptr(), vreinterpretq_u8_s8(distance)) };
            let mut entries = distances.map(|distance| params.table[usize::from(distance)]);
            if last > 0 && i == chunks - 1 {
                entries[last..].fill(0.0);
            }
            for quarter in 0..4 {
                // SAFETY: the array has as many elements as is loaded.
                shares[quarter] = unsafe { vld1q_f32(entries.as_ptr().add(4 * quarter)) };
                sums[quarter] = vaddq_f32(sums[quarter], shares[quarter]);
            }
        }
        // Halves to halves, as everywhere.
        let sum = vaddq_f32(vaddq_f32(sums[0], sums[2]), vaddq_f32(sums[1], sums[3]));
        let sum = vadd_f32(vget_low_f32(sum), vget_high_f32(sum));
        let scale = params.inverse / (vget_lane_f32::<0>(sum) + vget_lane_f32::<1>(sum));
        for (i, shares) in shares.iter().enumerate().take(chunks) {
            let [a, b, c, d] = shares.map(|share| {
                let real = vminq_f32(vmaxq_f32(vmulq_n_f32(share, scale), low), high);
                vcvtnq_s32_f32(real)
            });
            let words = |a, b| vaddq_s16(vmovn_high_s32(vmovn_s32(a), b), zero_point);
            let bytes = vmovn_high_s16(vmovn_s16(words(a, b)), words(c, d));
            // SAFETY: as many bytes as the row has left.
            unsafe {
                let out = lines.out.add(out + i * FLOATS);
                if last > 0 && i == chunks - 1 { store_partial(out, bytes, last) } else { vst1q_s8(out, bytes) }
            }
        }
    });
}

/// See [`ByteKernels::pick`].
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
unsafe fn pick(step: usize, x: *const i8, out: *mut i8, len: usize) {
    let load = |i: usize| -> int8x16_t {
        // SAFETY: the operand may be read a few bytes past its last element.
        unsafe {
            match step {
                2 => vld2q_s8(x.add(2 * i)).0,
                3 => vld3q_s8(x.add(3 * i)).0,
                _ => vld4q_s8(x.add(4 * i)).0,
            }
        }
    };
    if !(2..=4).contains(&step) || len < LANES {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { plain::pick(step, x, out, len) };
    }
    for i in (0..len).step_by(LANES) {
        // The last vector lies over the one before where the length is no multiple of 16.
        let i = i.min(len - LANES);
        // SAFETY: a whole vector lies before `len`.
        unsafe { vst1q_s8(out.add(i), load(i)) };
    }
}
