//! The inner loops, in assembly, by the procedure call standard for 32-bit ARM. None keeps a reference or calls back.

use std::arch::global_asm;

/// Arguments of [`leptond_armv7_dense_4`] and [`leptond_armv7_dense_1`]: sums of products of some rows with the weights of a block.
#[repr(C)]
pub struct Dense {
    /// `[8]` starting sums.
    pub start: *const i32,
    /// For each four bytes of every segment, 8 weights for each of them.
    pub weights: *const i16,
    /// `[segments]`: bytes from a row's start to each of its segments.
    pub offsets: *const usize,
    pub segments: usize,
    /// Bytes of a segment, up to a multiple of 4.
    pub segment: usize,
    /// `[rows][8]`.
    pub sums: *mut i32,
    pub rows: [*const i8; 4],
}

/// Arguments of [`leptond_armv7_depthwise_4`] and [`leptond_armv7_depthwise_1`]: sums of products of some output pixels of a row.
#[repr(C)]
pub struct Depthwise {
    /// `[8]` starting sums.
    pub start: *const i32,
    /// `[kh][kw][8]`.
    pub weights: *const i16,
    pub kh: usize,
    pub kw: usize,
    /// Bytes from a tap to the next.
    pub tap_col: usize,
    /// Bytes from behind the last tap of a row to the first of the row below.
    pub next_row: usize,
    /// `[pixels][8]`.
    pub sums: *mut i32,
    /// The first tap of each pixel.
    pub pixels: [*const i8; 4],
}

/// Arguments of [`leptond_armv7_bytes`]: sums to bytes.
#[repr(C)]
pub struct Bytes {
    /// `[count][8]`.
    pub sums: *const i32,
    /// `[8]`.
    pub scales: *const f32,
    /// `[count]`: where 8 bytes go each.
    pub outs: *const *mut i8,
    pub count: usize,
    /// Lowest and highest byte, less the zero point.
    pub low: f32,
    pub high: f32,
    /// The zero point less the bits of [`ROUNDER`](super::super::requant::ROUNDER).
    pub zero_point: i32,
}

unsafe extern "C" {
    /// An entry of the auxiliary vector that Linux hands to every program.
    pub fn getauxval(kind: usize) -> usize;
    /// 4 rows by 8 channels.
    pub fn leptond_armv7_dense_4(call: &Dense);
    /// 1 row by 8 channels.
    pub fn leptond_armv7_dense_1(call: &Dense);
    /// 4 pixels by 8 channels.
    pub fn leptond_armv7_depthwise_4(call: &Depthwise);
    /// 1 pixel by 8 channels.
    pub fn leptond_armv7_depthwise_1(call: &Depthwise);
    /// Any number of pixels by 8 channels.
    pub fn leptond_armv7_bytes(call: &Bytes);
}

// What all of them share. Macros of one block of assembly are not known in another.
global_asm!(
    r#"
    .pushsection .text.leptond_armv7, "ax", %progbits
    .syntax unified
    .arch armv7-a
    .fpu neon
    .arm
    .align 2

    // Products of the four bytes in one half of the rows' vectors; r1 points to the weights.
    .macro leptond_four_bytes rows, x0, x1, x2, x3
        vld1.16     {{d8-d11}}, [r1]!
        vld1.16     {{d12-d15}}, [r1]!
        leptond_one_byte \rows, d8, d9, \x0[0], \x1[0], \x2[0], \x3[0]
        leptond_one_byte \rows, d10, d11, \x0[1], \x1[1], \x2[1], \x3[1]
        leptond_one_byte \rows, d12, d13, \x0[2], \x1[2], \x2[2], \x3[2]
        leptond_one_byte \rows, d14, d15, \x0[3], \x1[3], \x2[3], \x3[3]
    .endm

    .macro leptond_one_byte rows, w0, w1, x0, x1, x2, x3
        vmlal.s16   q8, \w0, \x0
        vmlal.s16   q9, \w1, \x0
        .if \rows > 1
        vmlal.s16   q10, \w0, \x1
        vmlal.s16   q11, \w1, \x1
        vmlal.s16   q12, \w0, \x2
        vmlal.s16   q13, \w1, \x2
        vmlal.s16   q14, \w0, \x3
        vmlal.s16   q15, \w1, \x3
        .endif
    .endm

    .macro leptond_load_rows rows, step:vararg
        vld1.8      {{d0}}, [r5]\step
        .if \rows > 1
        vld1.8      {{d2}}, [r6]\step
        vld1.8      {{d4}}, [r7]\step
        vld1.8      {{d6}}, [r8]\step
        .endif
        vmovl.s8    q0, d0
        .if \rows > 1
        vmovl.s8    q1, d2
        vmovl.s8    q2, d4
        vmovl.s8    q3, d6
        .endif
    .endm

    .macro leptond_start rows
        vld1.32     {{d16-d19}}, [r4]
        .if \rows > 1
        vmov        q10, q8
        vmov        q11, q9
        vmov        q12, q8
        vmov        q13, q9
        vmov        q14, q8
        vmov        q15, q9
        .endif
    .endm

    .macro leptond_end rows
        vst1.32     {{d16-d19}}, [r4]!
        .if \rows > 1
        vst1.32     {{d20-d23}}, [r4]!
        vst1.32     {{d24-d27}}, [r4]!
        vst1.32     {{d28-d31}}, [r4]
        .endif
    .endm

    .macro leptond_dense rows
        .globl      leptond_armv7_dense_\rows
        .hidden     leptond_armv7_dense_\rows
        .type       leptond_armv7_dense_\rows, %function
    leptond_armv7_dense_\rows:
        push        {{r4-r11, lr}}
        vpush       {{d8-d15}}
        ldr         r4, [r0]
        ldr         r1, [r0, #4]
        ldr         r2, [r0, #8]
        ldr         r3, [r0, #12]
        ldr         r12, [r0, #16]
        leptond_start \rows
    1:  ldr         lr, [r2], #4
        ldr         r5, [r0, #24]
        add         r5, r5, lr
        .if \rows > 1
        ldr         r6, [r0, #28]
        ldr         r7, [r0, #32]
        ldr         r8, [r0, #36]
        add         r6, r6, lr
        add         r7, r7, lr
        add         r8, r8, lr
        .endif
        subs        r11, r12, #8
        blo         3f
    2:  leptond_load_rows \rows, !
        pld         [r1, #256]
        leptond_four_bytes \rows, d0, d2, d4, d6
        pld         [r1, #256]
        leptond_four_bytes \rows, d1, d3, d5, d7
        subs        r11, r11, #8
        bhs         2b
    3:  adds        r11, r11, #8
        beq         4f
        leptond_load_rows \rows,
        leptond_four_bytes \rows, d0, d2, d4, d6
    4:  subs        r3, r3, #1
        bne         1b
        ldr         r4, [r0, #20]
        leptond_end \rows
        vpop        {{d8-d15}}
        pop         {{r4-r11, pc}}
        .size       leptond_armv7_dense_\rows, . - leptond_armv7_dense_\rows
    .endm

    .macro leptond_depthwise rows
        .globl      leptond_armv7_depthwise_\rows
        .hidden     leptond_armv7_depthwise_\rows
        .type       leptond_armv7_depthwise_\rows, %function
    leptond_armv7_depthwise_\rows:
        push        {{r4-r8, lr}}
        vpush       {{d8-d9}}
        ldr         r4, [r0]
        ldr         r1, [r0, #4]
        ldr         r2, [r0, #8]
        ldr         r12, [r0, #16]
        ldr         lr, [r0, #20]
        ldr         r5, [r0, #28]
        .if \rows > 1
        ldr         r6, [r0, #32]
        ldr         r7, [r0, #36]
        ldr         r8, [r0, #40]
        .endif
        leptond_start \rows
    1:  ldr         r3, [r0, #12]
    2:  leptond_load_rows \rows, , r12
        subs        r3, r3, #1
        vld1.16     {{d8-d9}}, [r1]!
        vmlal.s16   q8, d0, d8
        vmlal.s16   q9, d1, d9
        .if \rows > 1
        vmlal.s16   q10, d2, d8
        vmlal.s16   q11, d3, d9
        vmlal.s16   q12, d4, d8
        vmlal.s16   q13, d5, d9
        vmlal.s16   q14, d6, d8
        vmlal.s16   q15, d7, d9
        .endif
        bne         2b
        add         r5, r5, lr
        .if \rows > 1
        add         r6, r6, lr
        add         r7, r7, lr
        add         r8, r8, lr
        .endif
        subs        r2, r2, #1
        bne         1b
        ldr         r4, [r0, #24]
        leptond_end \rows
        vpop        {{d8-d9}}
        pop         {{r4-r8, pc}}
        .size       leptond_armv7_depthwise_\rows, . - leptond_armv7_depthwise_\rows
    .endm

    leptond_dense 4
    leptond_dense 1
    leptond_depthwise 4
    leptond_depthwise 1

    .globl      leptond_armv7_bytes
    .hidden     leptond_armv7_bytes
    .type       leptond_armv7_bytes, %function
leptond_armv7_bytes:
    ldr         r1, [r0]
    ldr         r2, [r0, #4]
    vld1.32     {{d16-d19}}, [r2]
    ldr         r2, [r0, #8]
    ldr         r3, [r0, #12]
    add         r12, r0, #16
    vld1.32     {{d20[], d21[]}}, [r12]!
    vld1.32     {{d22[], d23[]}}, [r12]!
    vld1.32     {{d24[], d25[]}}, [r12]
    movw        r0, #0
    movt        r0, #0x4b40
    vdup.32     q13, r0
1:  vld1.32     {{d0-d3}}, [r1]!
    ldr         r0, [r2], #4
    vcvt.f32.s32 q0, q0
    vcvt.f32.s32 q1, q1
    vmul.f32    q0, q0, q8
    vmul.f32    q1, q1, q9
    vmax.f32    q0, q0, q10
    vmax.f32    q1, q1, q10
    vmin.f32    q0, q0, q11
    vmin.f32    q1, q1, q11
    vadd.f32    q0, q0, q13
    vadd.f32    q1, q1, q13
    vadd.i32    q0, q0, q12
    vadd.i32    q1, q1, q12
    vmovn.i32   d0, q0
    vmovn.i32   d1, q1
    vmovn.i16   d0, q0
    subs        r3, r3, #1
    vst1.8      {{d0}}, [r0]
    bne         1b
    bx          lr
    .size       leptond_armv7_bytes, . - leptond_armv7_bytes

    .popsection
"#
);
