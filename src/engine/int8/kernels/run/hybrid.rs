//! Quantises floats as they come.

use super::super::float::{self, FloatKernels};
use super::super::step::{Address, Ending, HybridWork};
use super::super::walk::{Part, each};
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
            let (mut least, mut most) = (0f32, 0f32);
            each(loops, [input.offset], Part::WHOLE, |[x], len, [step]| {
                // SAFETY: see above.
                unsafe {
                    pieces(arena.add(x).cast(), len, step, |_, x, len| {
                        let (low, high) = kernels.range(x, len);
                        (least, most) = (least.min(low), most.max(high));
                    });
                }
            });
            let (scale, zero) = quantisation(least, most);
            // SAFETY: see above.
            unsafe {
                arena.add(range.offset).cast::<f32>().write(scale);
                arena.add(range.offset + FLOAT).cast::<i32>().write(zero);
            }
        }
        HybridWork::Quantize { range, places, loops, buffer, border } => {
            // SAFETY: see above.
            let quant = unsafe { read(arena, *range) };
            for &(start, len) in &border[part.range(border.len())] {
                // SAFETY: see above.
                unsafe { std::ptr::write_bytes(arena.add(buffer.offset + start), quant.1 as u8, len) };
            }
            each(loops, places.map(|p| p.offset), part, |[out, x], len, [out_step, x_step]| {
                // SAFETY: see above.
                unsafe { quantize(kernels, quant, arena.add(x).cast(), arena.add(out), len, [x_step, out_step]) };
            });
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
            let (x_scale, x_zero) = unsafe { read(arena, *range) };
            Finish::Floats(Dequant { x_scale, x_zero, low: *low, high: *high })
        }
    }
}

/// Scale and zero point of signed bytes for floats from `least` to `most`, neither on the wrong side of 0.
fn quantisation(least: f32, most: f32) -> (f32, i32) {
    let scale = if least == most { 1.0 } else { (most - least) / 255.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    (scale, zero as i32 - 128)
}

/// # Safety
/// Scale and zero point are at `range`.
unsafe fn read(arena: *const i8, range: Address) -> (f32, i32) {
    // SAFETY: the caller's promise.
    unsafe { (arena.add(range.offset).cast::<f32>().read(), arena.add(range.offset + FLOAT).cast::<i32>().read()) }
}

/// Bytes for `len` floats; steps, of operand and result, in bytes.
///
/// # Safety
/// All of them are there.
unsafe fn quantize(
    kernels: &dyn FloatKernels,
    quant: (f32, i32),
    x: *const f32,
    out: *mut i8,
    len: usize,
    [x_step, out_step]: [usize; 2],
) {
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
        assert_eq!(quantisation(-2.5, 2.0), (4.5 / 255.0, 142 - 128));
        assert_eq!(quantisation(0.0, 0.0), (1.0, -128));
        assert_eq!(quantisation(-1.0, 0.0), (1.0 / 255.0, 127));
        let (scale, zero) = quantisation(f32::NEG_INFINITY, f32::INFINITY);
        assert!(scale.is_infinite() && (-128..=127).contains(&zero));
    }
}
