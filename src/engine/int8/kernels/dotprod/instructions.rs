//! Instructions and loads that intrinsics do not give, as assembly.

use std::arch::aarch64::*;
use std::arch::asm;

/// `acc[i] += Σ x[4i + j] · w[4i + j]` for j in 0..4.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub fn sdot(acc: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: reads and writes the named registers only.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) x, in(vreg) w,
            options(nomem, nostack, preserves_flags));
    }
    acc
}

/// The 32 bytes at `p`, read again wherever this is written: the compiler would rather keep or copy what it read once, and
/// spill others.
///
/// # Safety
/// The bytes are readable.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn load_pair(p: *const u8) -> (int8x16_t, int8x16_t) {
    let (a, b);
    // SAFETY: reads the bytes the caller vouches for.
    unsafe {
        asm!("ldp {0:q}, {1:q}, [{2}]", out(vreg) a, out(vreg) b, in(reg) p, options(readonly, nostack, preserves_flags));
    }
    (a, b)
}

/// `V` (2 or 4) vectors.
///
/// # Safety
/// `p` has them.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn load<const V: usize>(p: *const u8) -> [int8x16_t; V] {
    let mut all = [vdupq_n_s8(0); V];
    // SAFETY: the caller's promise.
    unsafe {
        (all[0], all[1]) = load_pair(p);
        if V == 4 {
            (all[2], all[3]) = load_pair(p.add(32));
        }
    }
    all
}
