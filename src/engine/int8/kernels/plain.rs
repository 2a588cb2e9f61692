//! Kernels without weights in plain Rust.

use super::calls::AddParams;

/// Sums of two tensors.
///
/// # Safety
/// All three places have `len` bytes.
#[inline(always)]
pub unsafe fn add(params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
    let (low, high) = (i32::from(params.low), i32::from(params.high));
    for i in 0..len {
        // SAFETY: all three have `len` bytes.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        let sum = i32::from(a) * params.a_factor + i32::from(b) * params.b_factor + params.offset;
        // SAFETY: as above.
        unsafe { *out.add(i) = (sum >> params.shift).clamp(low, high) as i8 };
    }
}

/// `out[i] = table[x[i] as u8]`.
///
/// # Safety
/// Both places have `len` bytes.
#[inline(always)]
pub unsafe fn lut(table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
    for i in 0..len {
        // SAFETY: both have `len` bytes.
        unsafe { *out.add(i) = table[usize::from(*x.add(i) as u8)] };
    }
}

/// `out[i] = max(out[i], x[i])`.
///
/// # Safety
/// Both places have `len` bytes.
#[inline(always)]
pub unsafe fn max(x: *const i8, out: *mut i8, len: usize) {
    for i in 0..len {
        // SAFETY: both have `len` bytes.
        unsafe { *out.add(i) = (*x.add(i)).max(*out.add(i)) };
    }
}
