//! The inner loops of [`short`](super::short), in assembly: all sums stay in registers, and the bits that say how a
//! step's products may be added are shifted out one by one, a last one telling the end.
//!
//! `ld2r` loads two pairs of inputs and spreads each over a vector, in one instruction. v8 to v11 are the inputs of
//! one row and one step, loaded as the row before lets go of them; v0 to v7 are weights, v12 to v15 products, v16 to
//! v31 sums.

use core::arch::aarch64::*;
use core::arch::asm;

/// Inputs of a tile.
pub(super) struct Input<'a, const R: usize> {
    /// Start of each row's input.
    pub(super) rows: &'a [*const i8; R],
    /// Bytes from there to each segment; at least one.
    pub(super) offsets: &'a [usize],
}

/// Instructions of a row for 16 channels: `start` loads its sums, `pairs` and `fours` are its part of a step, `half_step` of
/// half of one. `next` is the next row's pointer, if there is one.
macro_rules! full {
    () => {
        r"
        .macro products op, x, w0, w1
            \op v12.8h, v\x\().8b, v\w0\().8b
            \op\()2 v13.8h, v\x\().16b, v\w0\().16b
            \op v14.8h, v\x\().8b, v\w1\().8b
            \op\()2 v15.8h, v\x\().16b, v\w1\().16b
        .endm
        .macro widen s0, s1, s2, s3
            sadalp v\s0\().4s, v12.8h
            sadalp v\s1\().4s, v13.8h
            sadalp v\s2\().4s, v14.8h
            sadalp v\s3\().4s, v15.8h
        .endm
        .macro start s0, s1, s2, s3, next
            ldp q\s0, q\s1, [{start}]
            ldp q\s2, q\s3, [{start}, #32]
        .endm
        .macro pairs s0, s1, s2, s3, next
            half_step \s0, \s1, \s2, \s3, \next
            products smull, 10, 4, 5
            products smlal, 11, 6, 7
            widen \s0, \s1, \s2, \s3
            .ifnb \next
            ld2r {{v10.8h, v11.8h}}, [\next], #4
            .endif
        .endm
        .macro fours s0, s1, s2, s3, next
            products smull, 8, 0, 1
            products smlal, 9, 2, 3
            .ifnb \next
            ld2r {{v8.8h, v9.8h}}, [\next], #4
            .endif
            products smlal, 10, 4, 5
            products smlal, 11, 6, 7
            widen \s0, \s1, \s2, \s3
            .ifnb \next
            ld2r {{v10.8h, v11.8h}}, [\next], #4
            .endif
        .endm
        .macro half_step s0, s1, s2, s3, next
            products smull, 8, 0, 1
            products smlal, 9, 2, 3
            .ifnb \next
            ld2r {{v8.8h, v9.8h}}, [\next], #4
            .endif
            widen \s0, \s1, \s2, \s3
        .endm
        .macro step kind
            ld2r {{v8.8h, v9.8h}}, [{x0}], #4
            ldp q0, q1, [{weights}], #32
            ld2r {{v10.8h, v11.8h}}, [{x0}], #4
            ldp q2, q3, [{weights}], #32
            ldp q4, q5, [{weights}], #32
            ldp q6, q7, [{weights}], #32
            every \kind
            adds {bits}, {bits}, {bits}
        .endm
        .macro last
            ld2r {{v8.8h, v9.8h}}, [{x0}]
            ldp q0, q1, [{weights}], #32
            ldp q2, q3, [{weights}], #32
            every half_step
        .endm"
    };
}

/// The same for 8 channels.
macro_rules! half {
    () => {
        r"
        .macro products op, x, w, p0, p1
            \op v\p0\().8h, v\x\().8b, v\w\().8b
            \op\()2 v\p1\().8h, v\x\().16b, v\w\().16b
        .endm
        .macro widen s0, s1, p0, p1
            sadalp v\s0\().4s, v\p0\().8h
            sadalp v\s1\().4s, v\p1\().8h
        .endm
        .macro start s0, s1, next
            ldp q\s0, q\s1, [{start}]
        .endm
        .macro pairs s0, s1, next
            products smull, 8, 0, 12, 13
            products smull, 10, 2, 14, 15
            products smlal, 9, 1, 12, 13
            products smlal, 11, 3, 14, 15
            .ifnb \next
            ld2r {{v8.8h, v9.8h}}, [\next], #4
            ld2r {{v10.8h, v11.8h}}, [\next], #4
            .endif
            widen \s0, \s1, 12, 13
            widen \s0, \s1, 14, 15
        .endm
        .macro fours s0, s1, next
            products smull, 8, 0, 12, 13
            products smlal, 9, 1, 12, 13
            .ifnb \next
            ld2r {{v8.8h, v9.8h}}, [\next], #4
            .endif
            products smlal, 10, 2, 12, 13
            products smlal, 11, 3, 12, 13
            .ifnb \next
            ld2r {{v10.8h, v11.8h}}, [\next], #4
            .endif
            widen \s0, \s1, 12, 13
        .endm
        .macro half_step s0, s1, next
            products smull, 8, 0, 12, 13
            products smlal, 9, 1, 12, 13
            .ifnb \next
            ld2r {{v8.8h, v9.8h}}, [\next], #4
            .endif
            widen \s0, \s1, 12, 13
        .endm
        .macro step kind
            ld2r {{v8.8h, v9.8h}}, [{x0}], #4
            ldp q0, q1, [{weights}], #32
            ld2r {{v10.8h, v11.8h}}, [{x0}], #4
            ldp q2, q3, [{weights}], #32
            every \kind
            adds {bits}, {bits}, {bits}
        .endm
        .macro last
            ld2r {{v8.8h, v9.8h}}, [{x0}]
            ldp q0, q1, [{weights}], #32
            every half_step
        .endm"
    };
}

/// A function for some rows by `4 · $quads` channels. A row has an index, names for where it starts and where its
/// segment is, what every row does (`\kind`, with its sums and the row after it), and its sums again.
macro_rules! tile {
    (
        $(#[$doc:meta])*
        $name:ident($rows:literal, $quads:literal, $what:expr)
        $($index:literal $base:ident $x:ident $row:literal $($sum:ident $register:tt)*;)*
    ) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The rows cover every segment of `input` and the slack, `block` is packed for it.
        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) unsafe fn $name(input: &Input<$rows>, block: *const u8) -> [[int32x4_t; $quads]; $rows] {
            $($(let $sum: int32x4_t;)*)*
            // SAFETY: reads what the caller promised; writes no memory.
            unsafe {
                asm!(
                    $what,
                    ".macro every kind",
                    $($row,)*
                    ".endm",
                    "every start",
                    "2:",
                    "ldr {at}, [{offsets}], #8",
                    "ldp {bits}, {rest}, [{weights}], #16",
                    $(concat!("add {", stringify!($x), "}, {", stringify!($base), "}, {at}"),)*
                    "adds {bits}, {bits}, {bits}",
                    "b.eq 6f",
                    "b.lo 5f",
                    "4:",
                    "step fours",
                    "b.hi 4b",
                    "b.eq 6f",
                    "5:",
                    "step pairs",
                    "b.hi 4b",
                    "b.ne 5b",
                    "6:",
                    "cbz {rest}, 7f",
                    "last",
                    "7:",
                    "subs {segments}, {segments}, #1",
                    "b.ne 2b",
                    ".purgem every",
                    ".purgem products",
                    ".purgem widen",
                    ".purgem start",
                    ".purgem pairs",
                    ".purgem fours",
                    ".purgem half_step",
                    ".purgem step",
                    ".purgem last",
                    $($base = in(reg) input.rows[$index], $x = out(reg) _,)*
                    offsets = inout(reg) input.offsets.as_ptr() => _,
                    segments = inout(reg) input.offsets.len() => _,
                    start = in(reg) block,
                    weights = inout(reg) block.add(8 * 4 * $quads) => _,
                    at = out(reg) _,
                    bits = out(reg) _,
                    rest = out(reg) _,
                    $($(out($register) $sum,)*)*
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                    out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _,
                    out("v14") _, out("v15") _,
                    options(nostack, readonly),
                )
            }
            [$([$($sum),*]),*]
        }
    };
}

tile! {
    /// One row by 16 channels.
    full1(1, 4, full!())
    0 base0 x0 "\\kind 16, 17, 18, 19" s00 "v16" s01 "v17" s02 "v18" s03 "v19";
}

tile! {
    /// Two rows by 16 channels.
    full2(2, 4, full!())
    0 base0 x0 "\\kind 16, 17, 18, 19, {x1}" s00 "v16" s01 "v17" s02 "v18" s03 "v19";
    1 base1 x1 "\\kind 20, 21, 22, 23" s10 "v20" s11 "v21" s12 "v22" s13 "v23";
}

tile! {
    /// Three rows by 16 channels.
    full3(3, 4, full!())
    0 base0 x0 "\\kind 16, 17, 18, 19, {x1}" s00 "v16" s01 "v17" s02 "v18" s03 "v19";
    1 base1 x1 "\\kind 20, 21, 22, 23, {x2}" s10 "v20" s11 "v21" s12 "v22" s13 "v23";
    2 base2 x2 "\\kind 24, 25, 26, 27" s20 "v24" s21 "v25" s22 "v26" s23 "v27";
}

tile! {
    /// Four rows by 16 channels.
    full4(4, 4, full!())
    0 base0 x0 "\\kind 16, 17, 18, 19, {x1}" s00 "v16" s01 "v17" s02 "v18" s03 "v19";
    1 base1 x1 "\\kind 20, 21, 22, 23, {x2}" s10 "v20" s11 "v21" s12 "v22" s13 "v23";
    2 base2 x2 "\\kind 24, 25, 26, 27, {x3}" s20 "v24" s21 "v25" s22 "v26" s23 "v27";
    3 base3 x3 "\\kind 28, 29, 30, 31" s30 "v28" s31 "v29" s32 "v30" s33 "v31";
}

tile! {
    /// One row by 8 channels.
    half1(1, 2, half!())
    0 base0 x0 "\\kind 16, 17" s00 "v16" s01 "v17";
}

tile! {
    /// Two rows by 8 channels.
    half2(2, 2, half!())
    0 base0 x0 "\\kind 16, 17, {x1}" s00 "v16" s01 "v17";
    1 base1 x1 "\\kind 18, 19" s10 "v18" s11 "v19";
}

tile! {
    /// Three rows by 8 channels.
    half3(3, 2, half!())
    0 base0 x0 "\\kind 16, 17, {x1}" s00 "v16" s01 "v17";
    1 base1 x1 "\\kind 18, 19, {x2}" s10 "v18" s11 "v19";
    2 base2 x2 "\\kind 20, 21" s20 "v20" s21 "v21";
}

tile! {
    /// Four rows by 8 channels.
    half4(4, 2, half!())
    0 base0 x0 "\\kind 16, 17, {x1}" s00 "v16" s01 "v17";
    1 base1 x1 "\\kind 18, 19, {x2}" s10 "v18" s11 "v19";
    2 base2 x2 "\\kind 20, 21, {x3}" s20 "v20" s21 "v21";
    3 base3 x3 "\\kind 22, 23" s30 "v22" s31 "v23";
}
