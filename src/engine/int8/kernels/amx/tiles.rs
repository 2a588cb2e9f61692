//! Tiles: eight registers of 16 rows of 64 bytes, and the product that adds to one of them.
//!
//! No code that the compiler makes uses these registers. Each thread shapes them once, all eight to their full size, and
//! keeps them so.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::cell::Cell;
use std::sync::OnceLock;

/// Rows of a tile.
pub const ROWS: usize = 16;

/// Bytes in a row of a tile.
pub const BYTES: usize = 64;

/// Bytes of a tile.
pub const TILE: usize = ROWS * BYTES;

/// Tests that this processor has the instructions, and asks Linux for the registers.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| !cfg!(miri) && super::super::avx512vnni::available() && is_supported() && is_permitted())
}

/// True if the processor has tiles and products of bytes, and the kernel of the system saves the registers.
fn is_supported() -> bool {
    /// AMX-TILE and AMX-INT8 in EDX of leaf 7.
    const TILES: u32 = 1 << 24 | 1 << 25;
    /// Configuration and data of tiles in XCR0.
    const SAVED: u64 = 1 << 17 | 1 << 18;
    // SAFETY: a processor with AVX-512 has XGETBV.
    __cpuid_count(7, 0).edx & TILES == TILES && unsafe { saved_state() } & SAVED == SAVED
}

/// XCR0.
///
/// # Safety
/// The processor has XGETBV, and the system has switched it on.
#[target_feature(enable = "xsave")]
unsafe fn saved_state() -> u64 {
    // SAFETY: the caller's promise.
    unsafe { _xgetbv(0) }
}

/// Asks Linux to let this process use the registers; false where it does not, and on other systems.
fn is_permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let mut result = ARCH_PRCTL;
        // SAFETY: the call reads and writes no memory of this process; it destroys RCX and R11.
        unsafe {
            asm!("syscall", inlateout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") TILE_DATA,
                out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Shapes the registers of this thread, unless it has done so.
///
/// # Safety
/// The set is [`available`].
pub unsafe fn configure() {
    /// The operand of `ldtilecfg`.
    #[repr(C, align(64))]
    struct Shapes {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes: [u16; 16],
        rows: [u8; 16],
    }
    static FULL: Shapes = {
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            (bytes[tile], rows[tile]) = (BYTES as u16, ROWS as u8);
            tile += 1;
        }
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], bytes, rows }
    };
    thread_local!(static IS_DONE: Cell<bool> = const { Cell::new(false) });
    if !IS_DONE.replace(true) {
        // SAFETY: the processor has the instruction, and the shapes are ones of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const FULL, options(nostack, readonly, preserves_flags)) };
    }
}

/// Rows, weights and results of [`product`].
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Bytes from a row's start to each of its segments, at least one.
    pub offsets: &'a [usize],
    /// Tiles of bytes in a segment, at least one.
    pub steps: usize,
    /// Row 0 of the first tile of rows.
    pub rows: *const i8,
    /// Bytes from a row to the next.
    pub stride: usize,
    /// Bytes from the first tile of rows to the second.
    pub second: usize,
    /// Tiles of weights, step after step of segment after segment.
    pub weights: *const u8,
    /// Bytes from a step to the next.
    pub step_bytes: usize,
    /// Row 0 of the sums of the first tile of rows, in the first tile of channels.
    pub sums: *mut i32,
}

/// Bytes from a row of sums to the next: four tiles of channels.
pub const SUMS_ROW: usize = 4 * BYTES;

macro_rules! product {
    ($name:ident, [$($zero:literal)*], [$($load:literal)*], [$($multiply:literal)*], [$($store:literal)*]) => {
        /// Sums of products of some tiles of rows with some tiles of channels.
        ///
        /// # Safety
        /// [`configure`] ran on this thread; all tiles of rows may be read, all tiles of sums be written.
        #[inline]
        unsafe fn $name(product: &Product) {
            // SAFETY: the caller's promise.
            unsafe {
                asm!(
                    $($zero,)*
                    "2:",
                    "mov {x}, [{offset}]",
                    "add {x}, {rows}",
                    "lea {below}, [{x} + {second}]",
                    "mov {k}, {steps}",
                    "3:",
                    $($load,)*
                    $($multiply,)*
                    "add {x}, 64",
                    "add {below}, 64",
                    "add {w}, {step_bytes}",
                    "dec {k}",
                    "jnz 3b",
                    "add {offset}, 8",
                    "cmp {offset}, {end}",
                    "jne 2b",
                    "mov {k:e}, 256",
                    $($store,)*
                    offset = inout(reg) product.offsets.as_ptr() => _,
                    end = in(reg) product.offsets.as_ptr_range().end,
                    rows = in(reg) product.rows,
                    second = in(reg) product.second,
                    steps = in(reg) product.steps,
                    stride = in(reg) product.stride,
                    w = inout(reg) product.weights => _,
                    step_bytes = in(reg) product.step_bytes,
                    line = in(reg) BYTES,
                    sums = in(reg) product.sums,
                    x = out(reg) _,
                    below = out(reg) _,
                    k = out(reg) _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

product!(
    one_by_one,
    ["tilezero tmm0"],
    ["tileloadd tmm4, [{x} + {stride}]" "tileloadd tmm6, [{w} + {line}]"],
    ["tdpbssd tmm0, tmm4, tmm6"],
    ["tilestored [{sums} + {k}], tmm0"]
);
product!(
    one_by_two,
    ["tilezero tmm0" "tilezero tmm1"],
    ["tileloadd tmm4, [{x} + {stride}]" "tileloadd tmm6, [{w} + {line}]" "tileloadd tmm7, [{w} + {line} + 1024]"],
    ["tdpbssd tmm0, tmm4, tmm6" "tdpbssd tmm1, tmm4, tmm7"],
    ["tilestored [{sums} + {k}], tmm0" "tilestored [{sums} + {k} + 64], tmm1"]
);
product!(
    two_by_one,
    ["tilezero tmm0" "tilezero tmm2"],
    ["tileloadd tmm4, [{x} + {stride}]" "tileloadd tmm6, [{w} + {line}]" "tileloadd tmm5, [{below} + {stride}]"],
    ["tdpbssd tmm0, tmm4, tmm6" "tdpbssd tmm2, tmm5, tmm6"],
    ["tilestored [{sums} + {k}], tmm0" "tilestored [{sums} + {k} + 4096], tmm2"]
);
product!(
    two_by_two,
    ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"],
    ["tileloadd tmm4, [{x} + {stride}]" "tileloadd tmm6, [{w} + {line}]" "tileloadd tmm7, [{w} + {line} + 1024]"
        "tileloadd tmm5, [{below} + {stride}]"],
    ["tdpbssd tmm0, tmm4, tmm6" "tdpbssd tmm1, tmm4, tmm7" "tdpbssd tmm2, tmm5, tmm6" "tdpbssd tmm3, tmm5, tmm7"],
    ["tilestored [{sums} + {k}], tmm0" "tilestored [{sums} + {k} + 64], tmm1"
        "tilestored [{sums} + {k} + 4096], tmm2" "tilestored [{sums} + {k} + 4160], tmm3"]
);

/// Sums of products of one or two tiles of rows with one or two tiles of channels.
///
/// # Safety
/// [`configure`] ran on this thread; 16 rows of each tile of rows may be read, all of their steps, and 16 rows of sums of
/// each tile of rows be written.
#[inline]
pub unsafe fn product(product: &Product, row_tiles: usize, channel_tiles: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match (row_tiles, channel_tiles) {
            (1, 1) => one_by_one(product),
            (1, _) => one_by_two(product),
            (_, 1) => two_by_one(product),
            _ => two_by_two(product),
        }
    }
}
