//! Kernels other than matrix products: sums of two tensors, tables, pooling. Plain NEON, so every aarch64 set can use it.

use core::arch::aarch64::*;

use super::super::{AddParams, plain};

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

/// `out[i] = f(i)` for `len` bytes, where `f` gives the 16 bytes from `i`.
///
/// # Safety
/// `out` takes `len` bytes; `f` may be called with every multiple of 16 below `len`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn for_each_vector(out: *mut i8, len: usize, f: impl Fn(usize) -> int8x16_t) {
    let whole = len - len % LANES;
    for i in (0..whole).step_by(LANES) {
        // SAFETY: a whole vector lies before `len`.
        unsafe { vst1q_s8(out.add(i), f(i)) };
    }
    if whole < len {
        // SAFETY: as many bytes as there are left.
        unsafe { store_partial(out.add(whole), f(whole), len - whole) };
    }
}

/// See [`Kernels::add`](super::super::Kernels::add).
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
pub unsafe fn add(params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
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
    let vector = |i: usize| {
        // SAFETY: both inputs may be read a vector's length past `len`.
        let (a, b) = unsafe { (vld1q_s8(a.add(i)), vld1q_s8(b.add(i))) };
        let first = half(vmovl_s8(vget_low_s8(a)), vmovl_s8(vget_low_s8(b)));
        let second = half(vmovl_high_s8(a), vmovl_high_s8(b));
        vminq_s8(vmaxq_s8(vqmovn_high_s16(vqmovn_s16(first), second), low), high)
    };
    // SAFETY: the caller's promise.
    unsafe { for_each_vector(out, len, vector) }
}

/// See [`Kernels::lut`](super::super::Kernels::lut).
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
pub unsafe fn lut(table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
    let quarter = |n: usize| {
        // SAFETY: a quarter of the table has 64 bytes.
        unsafe { vld1q_s8_x4(table.as_ptr().add(64 * n)) }
    };
    let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let step = vdupq_n_u8(64);
    let vector = |i: usize| {
        // SAFETY: the input may be read a vector's length past `len`.
        let mut index = unsafe { vld1q_u8(x.add(i).cast()) };
        let mut value = vqtbl4q_s8(quarters[0], index);
        for quarter in &quarters[1..] {
            // An index outside a quarter leaves the byte as it is.
            index = vsubq_u8(index, step);
            value = vqtbx4q_s8(value, *quarter, index);
        }
        value
    };
    // SAFETY: the caller's promise.
    unsafe { for_each_vector(out, len, vector) }
}

/// See [`Kernels::max`](super::super::Kernels::max).
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
pub unsafe fn max(x: *const i8, out: *mut i8, len: usize) {
    let mut i = 0;
    // SAFETY: no step goes past `len`: behind it `out` may belong to another thread, not even reading is allowed.
    unsafe {
        while i + LANES <= len {
            vst1q_s8(out.add(i), vmaxq_s8(vld1q_s8(out.add(i)), vld1q_s8(x.add(i))));
            i += LANES;
        }
        if i + 8 <= len {
            vst1_s8(out.add(i), vmax_s8(vld1_s8(out.add(i)), vld1_s8(x.add(i))));
            i += 8;
        }
        plain::max(x.add(i), out.add(i), len - i);
    }
}
