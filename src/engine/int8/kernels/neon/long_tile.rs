//! The inner loops of [`long`](super::long), in assembly: all sums stay in registers, and the bits that say how a
//! step's products may be added are shifted out one by one, a last one telling the end.

use core::arch::aarch64::*;
use core::arch::asm;

/// Output channels of a block.
pub(super) const BLOCK: usize = 4;

/// Bytes before a block's first chunk.
pub(super) const HEAD: usize = BLOCK * 8;

/// Sums of four rows by the 4 channels of a block.
///
/// # Safety
/// The rows cover every segment and the slack, `block` is packed for them; there is at least one segment.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn four_rows(rows: &[*const i8; 4], offsets: &[usize], block: *const u8) -> [int32x4_t; 4] {
    let (sums0, sums1, sums2, sums3);
    // SAFETY: reads what the caller promised; writes no memory.
    //
    // v0 to v3 are the rows' first 16 inputs of a step, v4 to v7 the others; v8 to v11 weights; v12 to v15 products of
    // the four rows with one channel's weights; v16 to v31 sums, a channel's four rows together.
    unsafe {
        asm!(
            r"
            .macro low op, w, x0, x1, x2, x3
                \op v12.8h, v\x0\().8b, v\w\().8b
                \op v13.8h, v\x1\().8b, v\w\().8b
                \op v14.8h, v\x2\().8b, v\w\().8b
                \op v15.8h, v\x3\().8b, v\w\().8b
            .endm
            .macro high op, w, x0, x1, x2, x3
                \op v12.8h, v\x0\().16b, v\w\().16b
                \op v13.8h, v\x1\().16b, v\w\().16b
                \op v14.8h, v\x2\().16b, v\w\().16b
                \op v15.8h, v\x3\().16b, v\w\().16b
            .endm
            .macro widen s0, s1, s2, s3
                sadalp v\s0\().4s, v12.8h
                sadalp v\s1\().4s, v13.8h
                sadalp v\s2\().4s, v14.8h
                sadalp v\s3\().4s, v15.8h
            .endm
            // The rest of a channel's part of a step, after the first of its products.
            .macro pairs w, w1, s0, s1, s2, s3
                high smlal2, \w, 0, 1, 2, 3
                widen \s0, \s1, \s2, \s3
                low smull, \w1, 4, 5, 6, 7
                high smlal2, \w1, 4, 5, 6, 7
                widen \s0, \s1, \s2, \s3
            .endm
            .macro fours w, w1, s0, s1, s2, s3
                high smlal2, \w, 0, 1, 2, 3
                low smlal, \w1, 4, 5, 6, 7
                high smlal2, \w1, 4, 5, 6, 7
                widen \s0, \s1, \s2, \s3
            .endm
            .macro half_step w, s0, s1, s2, s3
                low smull, \w, 0, 1, 2, 3
                high smlal2, \w, 0, 1, 2, 3
                widen \s0, \s1, \s2, \s3
            .endm
            .macro quarter_step w, s0, s1, s2, s3
                low smull, \w, 0, 1, 2, 3
                widen \s0, \s1, \s2, \s3
            .endm
            .macro step kind
                // In between the loads, for processors that do everything in order.
                ldp q8, q9, [{weights}], #32
                ldp q0, q4, [{x0}], #32
                ldp q1, q5, [{x1}], #32
                smull v12.8h, v0.8b, v8.8b
                ldp q2, q6, [{x2}], #32
                smull v13.8h, v1.8b, v8.8b
                ldp q3, q7, [{x3}], #32
                smull v14.8h, v2.8b, v8.8b
                ldp q10, q11, [{weights}], #32
                smull v15.8h, v3.8b, v8.8b
                \kind 8, 9, 16, 17, 18, 19
                ldp q8, q9, [{weights}], #32
                low smull, 10, 0, 1, 2, 3
                \kind 10, 11, 20, 21, 22, 23
                ldp q10, q11, [{weights}], #32
                low smull, 8, 0, 1, 2, 3
                \kind 8, 9, 24, 25, 26, 27
                low smull, 10, 0, 1, 2, 3
                \kind 10, 11, 28, 29, 30, 31
                adds {bits}, {bits}, {bits}
            .endm
                // Loading a word clears the rest of the register: lane 0 of every sum starts with the channel's start.
                ldp s16, s20, [{start}]
                ldp s24, s28, [{start}, #8]
                ldp s17, s21, [{start}]
                ldp s25, s29, [{start}, #8]
                ldp s18, s22, [{start}]
                ldp s26, s30, [{start}, #8]
                ldp s19, s23, [{start}]
                ldp s27, s31, [{start}, #8]
            2:
                ldr {x3}, [{offsets}], #8
                add {x0}, {row0}, {x3}
                add {x1}, {row1}, {x3}
                add {x2}, {row2}, {x3}
                add {x3}, {row3}, {x3}
            3:
                ldp {bits}, {rest}, [{weights}], #16
                adds {bits}, {bits}, {bits}
                b.hi 5f
                b.eq 6f
            4:
                step pairs
                b.hi 5f
                b.ne 4b
                b 6f
            5:
                step fours
                b.hi 5b
                b.ne 4b
            6:
                cbz {rest}, 9f
                tbz {rest}, #0, 7f
                ldp q8, q9, [{weights}], #32
                ldr q0, [{x0}], #16
                ldr q1, [{x1}], #16
                ldr q2, [{x2}], #16
                ldr q3, [{x3}], #16
                ldp q10, q11, [{weights}], #32
                half_step 8, 16, 17, 18, 19
                half_step 9, 20, 21, 22, 23
                half_step 10, 24, 25, 26, 27
                half_step 11, 28, 29, 30, 31
            7:
                tbz {rest}, #1, 8f
                ldp d8, d9, [{weights}], #16
                ldr d0, [{x0}]
                ldr d1, [{x1}]
                ldr d2, [{x2}]
                ldr d3, [{x3}]
                ldp d10, d11, [{weights}], #16
                quarter_step 8, 16, 17, 18, 19
                quarter_step 9, 20, 21, 22, 23
                quarter_step 10, 24, 25, 26, 27
                quarter_step 11, 28, 29, 30, 31
            8:
                tbnz {rest}, #2, 3b
            9:
                subs {segments}, {segments}, #1
                b.ne 2b
                addp v16.4s, v16.4s, v20.4s
                addp v17.4s, v17.4s, v21.4s
                addp v18.4s, v18.4s, v22.4s
                addp v19.4s, v19.4s, v23.4s
                addp v24.4s, v24.4s, v28.4s
                addp v25.4s, v25.4s, v29.4s
                addp v26.4s, v26.4s, v30.4s
                addp v27.4s, v27.4s, v31.4s
                addp v16.4s, v16.4s, v24.4s
                addp v17.4s, v17.4s, v25.4s
                addp v18.4s, v18.4s, v26.4s
                addp v19.4s, v19.4s, v27.4s
            .purgem low
            .purgem high
            .purgem widen
            .purgem pairs
            .purgem fours
            .purgem half_step
            .purgem quarter_step
            .purgem step",
            row0 = in(reg) rows[0],
            row1 = in(reg) rows[1],
            row2 = in(reg) rows[2],
            row3 = in(reg) rows[3],
            x0 = out(reg) _,
            x1 = out(reg) _,
            x2 = out(reg) _,
            x3 = out(reg) _,
            offsets = inout(reg) offsets.as_ptr() => _,
            segments = inout(reg) offsets.len() => _,
            start = in(reg) block,
            weights = inout(reg) block.add(HEAD) => _,
            bits = out(reg) _,
            rest = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") sums0, out("v17") sums1, out("v18") sums2, out("v19") sums3, out("v20") _,
            out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack, readonly),
        );
    }
    [sums0, sums1, sums2, sums3]
}

/// Sums of one row by the 4 channels of each of four blocks.
///
/// # Safety
/// As [`four_rows`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn one_row(row: *const i8, offsets: &[usize], blocks: [*const u8; 4]) -> [int32x4_t; 4] {
    let (sums0, sums1, sums2, sums3);
    // SAFETY: reads what the caller promised; writes no memory.
    //
    // v0 and v1 are inputs, v2 to v9 the weights of a block, v10 to v13 products, v16 to v31 sums, a block's four
    // channels together.
    unsafe {
        asm!(
            r"
            .macro products op, half, x, w0, w1, w2, w3
                \op v10.8h, v\x\().\half, v\w0\().\half
                \op v11.8h, v\x\().\half, v\w1\().\half
                \op v12.8h, v\x\().\half, v\w2\().\half
                \op v13.8h, v\x\().\half, v\w3\().\half
            .endm
            .macro widen s0, s1, s2, s3
                sadalp v\s0\().4s, v10.8h
                sadalp v\s1\().4s, v11.8h
                sadalp v\s2\().4s, v12.8h
                sadalp v\s3\().4s, v13.8h
            .endm
            .macro begin weights
                ldp q2, q3, [\weights], #32
                ldp q4, q5, [\weights], #32
                smull v10.8h, v0.8b, v2.8b
                ldp q6, q7, [\weights], #32
                smull v11.8h, v0.8b, v4.8b
                ldp q8, q9, [\weights], #32
                smull v12.8h, v0.8b, v6.8b
                smull v13.8h, v0.8b, v8.8b
            .endm
            .macro pairs weights, s0, s1, s2, s3
                begin \weights
                products smlal2, 16b, 0, 2, 4, 6, 8
                widen \s0, \s1, \s2, \s3
                products smull, 8b, 1, 3, 5, 7, 9
                products smlal2, 16b, 1, 3, 5, 7, 9
                widen \s0, \s1, \s2, \s3
            .endm
            .macro fours weights, s0, s1, s2, s3
                begin \weights
                products smlal2, 16b, 0, 2, 4, 6, 8
                products smlal, 8b, 1, 3, 5, 7, 9
                products smlal2, 16b, 1, 3, 5, 7, 9
                widen \s0, \s1, \s2, \s3
            .endm
            .macro half_step weights, s0, s1, s2, s3
                ldp q2, q3, [\weights], #32
                ldp q4, q5, [\weights], #32
                products smull, 8b, 0, 2, 3, 4, 5
                products smlal2, 16b, 0, 2, 3, 4, 5
                widen \s0, \s1, \s2, \s3
            .endm
            .macro quarter_step weights, s0, s1, s2, s3
                ldp d2, d3, [\weights], #16
                ldp d4, d5, [\weights], #16
                products smull, 8b, 0, 2, 3, 4, 5
                widen \s0, \s1, \s2, \s3
            .endm
            .macro every kind
                \kind {w0}, 16, 17, 18, 19
                \kind {w1}, 20, 21, 22, 23
                \kind {w2}, 24, 25, 26, 27
                \kind {w3}, 28, 29, 30, 31
            .endm
                ldp s16, s17, [{w0}], #8
                ldp s18, s19, [{w0}], #{scales}
                ldp s20, s21, [{w1}], #8
                ldp s22, s23, [{w1}], #{scales}
                ldp s24, s25, [{w2}], #8
                ldp s26, s27, [{w2}], #{scales}
                ldp s28, s29, [{w3}], #8
                ldp s30, s31, [{w3}], #{scales}
            2:
                ldr {x}, [{offsets}], #8
                add {x}, {row}, {x}
            3:
                ldp {bits}, {rest}, [{w0}], #16
                ldr {other}, [{w1}], #16
                and {bits}, {bits}, {other}
                ldr {other}, [{w2}], #16
                and {bits}, {bits}, {other}
                ldr {other}, [{w3}], #16
                and {bits}, {bits}, {other}
                adds {bits}, {bits}, {bits}
                b.hi 5f
                b.eq 6f
            4:
                ldp q0, q1, [{x}], #32
                every pairs
                adds {bits}, {bits}, {bits}
                b.hi 5f
                b.ne 4b
                b 6f
            5:
                ldp q0, q1, [{x}], #32
                every fours
                adds {bits}, {bits}, {bits}
                b.hi 5b
                b.ne 4b
            6:
                cbz {rest}, 9f
                tbz {rest}, #0, 7f
                ldr q0, [{x}], #16
                every half_step
            7:
                tbz {rest}, #1, 8f
                ldr d0, [{x}]
                every quarter_step
            8:
                tbnz {rest}, #2, 3b
            9:
                subs {segments}, {segments}, #1
                b.ne 2b
                addp v16.4s, v16.4s, v17.4s
                addp v18.4s, v18.4s, v19.4s
                addp v20.4s, v20.4s, v21.4s
                addp v22.4s, v22.4s, v23.4s
                addp v24.4s, v24.4s, v25.4s
                addp v26.4s, v26.4s, v27.4s
                addp v28.4s, v28.4s, v29.4s
                addp v30.4s, v30.4s, v31.4s
                addp v16.4s, v16.4s, v18.4s
                addp v20.4s, v20.4s, v22.4s
                addp v24.4s, v24.4s, v26.4s
                addp v28.4s, v28.4s, v30.4s
            .purgem products
            .purgem widen
            .purgem begin
            .purgem pairs
            .purgem fours
            .purgem half_step
            .purgem quarter_step
            .purgem every",
            row = in(reg) row,
            x = out(reg) _,
            offsets = inout(reg) offsets.as_ptr() => _,
            segments = inout(reg) offsets.len() => _,
            w0 = inout(reg) blocks[0] => _,
            w1 = inout(reg) blocks[1] => _,
            w2 = inout(reg) blocks[2] => _,
            w3 = inout(reg) blocks[3] => _,
            scales = const HEAD - 8,
            bits = out(reg) _,
            rest = out(reg) _,
            other = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v16") sums0,
            out("v17") _, out("v18") _, out("v19") _, out("v20") sums1, out("v21") _, out("v22") _, out("v23") _,
            out("v24") sums2, out("v25") _, out("v26") _, out("v27") _, out("v28") sums3, out("v29") _, out("v30") _,
            out("v31") _,
            options(nostack, readonly),
        );
    }
    [sums0, sums1, sums2, sums3]
}
