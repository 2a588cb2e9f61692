//! Quantises floats as they come.

use super::super::Loops;
use super::super::float::{self, FloatKernels, Rescale};
use super::super::step::{Address, Ending, HybridWork, Pixels, Range};
use super::super::walk::{Part, each, nest};
use super::super::{Dequant, Finish};

/// Bytes of a float.
const FLOAT: usize = 4;

/// Floats that are brought together, or bytes that are spread, at once.
const PIECE: usize = 256;

/// Runs a thread's part of a step.
///
/// # Safety
/// As [`super::run`].
pub unsafe fn run(work: &HybridWork, arena: *mut i8, part: Part) {
    let kernels = float::best();
    // What every SAFETY line below refers to: the plan laid every place out inside the arena, floats at multiples of 4; parts are
    // disjoint in what they write.
    match work {
        HybridWork::Range { input, loops, range } => {
            // One number of all: nothing to share.
            if part.index > 0 {
                return;
            }
            let mut extent = (0f32, 0f32);
            each(loops, [input.offset], Part::WHOLE, |[x], len, [step]| {
                // SAFETY: see above.
                unsafe { widen(kernels, &mut extent, arena.add(x).cast(), len, step) };
            });
            // SAFETY: see above.
            unsafe { write(arena.add(range.offset), quantisation(extent)) };
        }
        HybridWork::Quantize { range, places, loops, buffer, border } => {
            // SAFETY: see above.
            let quant = unsafe { read(arena, *range) };
            for &(start, len) in &border[part.range(border.len())] {
                // SAFETY: see above.
                unsafe { std::ptr::write_bytes(arena.add(buffer.offset + start), quant.zero as u8, len) };
            }
            each(loops, places.map(|p| p.offset), part, |[out, x], len, [out_step, x_step]| {
                // SAFETY: see above.
                unsafe { quantize(kernels, quant, arena.add(x).cast(), arena.add(out), len, [x_step, out_step]) };
            });
        }
        HybridWork::Items { ranges, places, items, inside, buffer, pitch, border } => {
            let Some((&(first, steps), rest)) = items.axes.split_first() else { return };
            let range = part.range(first);
            for index in range {
                let start = std::array::from_fn(|v| places[v].offset + index * steps[v]);
                nest(rest, usize::MAX, start, &mut |[out, x]| {
                    let mut extent = (0f32, 0f32);
                    walk(inside, [out, x], &mut |[_, x], len, [_, step]| {
                        // SAFETY: see above.
                        unsafe { widen(kernels, &mut extent, arena.add(x).cast(), len, step) };
                    });
                    let quant = quantisation(extent);
                    let item = (out - buffer.offset) / pitch;
                    // SAFETY: see above.
                    unsafe { write(arena.add(ranges.offset + item * Range::BYTES), quant) };
                    for &(start, len) in border {
                        // SAFETY: see above.
                        let at = unsafe { arena.add(buffer.offset + item * pitch + start) };
                        // SAFETY: as above.
                        unsafe { std::ptr::write_bytes(at, quant.zero as u8, len) };
                    }
                    walk(inside, [out, x], &mut |[out, x], len, [out_step, x_step]| {
                        // SAFETY: see above.
                        unsafe {
                            quantize(kernels, quant, arena.add(x).cast(), arena.add(out), len, [x_step, out_step])
                        };
                    });
                });
            }
        }
    }
}

/// Calls `body` with the offsets, length and steps of every innermost run.
fn walk(loops: &Loops<2>, start: [usize; 2], body: &mut impl FnMut([usize; 2], usize, [usize; 2])) {
    let Some((&(len, steps), around)) = loops.axes.split_last() else { return };
    nest(around, usize::MAX, start, &mut |offsets| body(offsets, len, steps));
}

/// Takes floats into an extent, least and greatest.
///
/// # Safety
/// There are `len` floats, `step` bytes apart.
unsafe fn widen(kernels: &dyn FloatKernels, extent: &mut (f32, f32), x: *const f32, len: usize, step: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        pieces(x, len, step, |_, x, len| {
            let (low, high) = kernels.range(x, len);
            *extent = (extent.0.min(low), extent.1.max(high));
        });
    }
}

/// The quantisation of some adjacent floats.
///
/// # Safety
/// They are there.
pub(super) unsafe fn range_of(kernels: &dyn FloatKernels, x: *const f32, len: usize) -> Range {
    let mut extent = (0f32, 0f32);
    // SAFETY: the caller's promise.
    unsafe { widen(kernels, &mut extent, x, len, FLOAT) };
    quantisation(extent)
}

/// Turns results of rows into what they are by the ranges of these, where each has its own.
///
/// # Safety
/// As [`super::run`]: `outs` are rows of floats, of which `channels` are there; `rows` are their operands, inside `input`, whose rows follow one
/// another at `pitch` bytes.
pub unsafe fn rows(
    ending: &Ending,
    arena: *const i8,
    (rows, outs): (&[*const i8], &[*mut i8]),
    channels: std::ops::Range<usize>,
    (input, pitch): (&Pixels, usize),
) {
    let Ending::Rows { ranges, sums, bias, low, high } = ending else { return };
    let kernels = float::best();
    for (&x, &out) in rows.iter().zip(outs) {
        // SAFETY: the caller's promise; the plan laid out a range for every row.
        unsafe {
            let row = x.offset_from_unsigned(arena.add(input.place.offset)) / pitch;
            let quant = read(arena, Address { offset: ranges.offset + row * Range::BYTES, ..*ranges });
            let row = Rescale {
                scale: quant.scale,
                zero: quant.zero as f32,
                sums: &sums[channels.clone()],
                bias: &bias[channels.clone()],
                limits: (*low, *high),
            };
            kernels.rescale(&row, out.cast::<f32>().add(channels.start));
        }
    }
}

/// Last step of a product whose operand's quantisation is found in the run.
///
/// # Safety
/// As [`super::run`].
pub unsafe fn finish(ending: &Ending, arena: *const i8) -> Finish {
    match ending {
        Ending::Bytes(requant) => Finish::Bytes(*requant),
        Ending::Floats { range, low, high } => {
            // SAFETY: the plan laid it out inside the arena.
            let Range { scale, zero } = unsafe { read(arena, *range) };
            Finish::Floats(Dequant { x_scale: scale, x_zero: zero, low: *low, high: *high })
        }
        Ending::Rows { .. } => {
            Finish::Floats(Dequant { x_scale: 1.0, x_zero: 0, low: f32::NEG_INFINITY, high: f32::INFINITY })
        }
    }
}

/// Scale and zero point of signed bytes for floats from `least` to `most`, neither on the wrong side of 0.
fn quantisation((least, most): (f32, f32)) -> Range {
    let scale = if least == most { 1.0 } else { (most - least) / 255.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    Range { scale, zero: zero as i32 - 128 }
}

/// # Safety
/// There is room for scale and zero point.
unsafe fn write(to: *mut i8, range: Range) {
    // SAFETY: the caller's promise.
    unsafe {
        to.cast::<f32>().write(range.scale);
        to.add(FLOAT).cast::<i32>().write(range.zero);
    }
}

/// # Safety
/// Scale and zero point are at `range`.
unsafe fn read(arena: *const i8, range: Address) -> Range {
    // SAFETY: the caller's promise.
    unsafe {
        Range {
            scale: arena.add(range.offset).cast::<f32>().read(),
            zero: arena.add(range.offset + FLOAT).cast::<i32>().read(),
        }
    }
}

/// Bytes for `len` floats; steps, of operand and result, in bytes.
///
/// # Safety
/// All of them are there.
unsafe fn quantize(
    kernels: &dyn FloatKernels,
    quant: Range,
    x: *const f32,
    out: *mut i8,
    len: usize,
    [x_step, out_step]: [usize; 2],
) {
    let quant = (quant.scale, quant.zero);
    // SAFETY: the caller's promise; the pieces' bytes fit the buffer.
    unsafe {
        pieces(x, len, x_step, |first, x, len| {
            if out_step == 1 {
                return kernels.quantize(quant, x, out.add(first), len);
            }
            for piece in (0..len).step_by(PIECE) {
                let count = (len - piece).min(PIECE);
                let mut bytes = [0i8; PIECE];
                kernels.quantize(quant, x.add(piece), bytes.as_mut_ptr(), count);
                for (i, &byte) in bytes[..count].iter().enumerate() {
                    *out.add((first + piece + i) * out_step) = byte;
                }
            }
        });
    }
}

/// Calls `body` with the index of the first of some adjacent floats, these, and their number: floats that lie apart are brought
/// together.
///
/// # Safety
/// There are `len` floats, `step` bytes apart.
unsafe fn pieces(x: *const f32, len: usize, step: usize, mut body: impl FnMut(usize, *const f32, usize)) {
    if step == FLOAT || len == 1 {
        return body(0, x, len);
    }
    for first in (0..len).step_by(PIECE) {
        let count = (len - first).min(PIECE);
        let mut near = [0f32; PIECE];
        for (i, near) in near[..count].iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *near = unsafe { *x.byte_add((first + i) * step) };
        }
        body(first, near.as_ptr(), count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantisations_are_those_of_onnx() {
        // The example of the operator's definition, and what must not divide by nothing.
        assert_eq!(quantisation((-2.5, 2.0)), Range { scale: 4.5 / 255.0, zero: 142 - 128 });
        assert_eq!(quantisation((0.0, 0.0)), Range { scale: 1.0, zero: -128 });
        assert_eq!(quantisation((-1.0, 0.0)), Range { scale: 1.0 / 255.0, zero: 127 });
        let Range { scale, zero } = quantisation((f32::NEG_INFINITY, f32::INFINITY));
        assert!(scale.is_infinite() && (-128..=127).contains(&zero));
    }
}
