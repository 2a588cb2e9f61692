//! Drives the kernels through one step on floats.

use super::super::elementwise;
use super::super::step::{FloatWork, Step, Work};
use super::{Input, Output, Part, each};

/// Runs a thread's part of a step that stays inside the arena.
///
/// # Safety
/// As [`super::run`].
pub unsafe fn run(work: &FloatWork, arena: *mut i8, part: Part) {
    // What every SAFETY line below refers to: the plan laid every place out inside the arena, floats at multiples of 4, and no
    // step's output lies over its input unless element for element; parts are disjoint in what they write.
    match work {
        FloatWork::Copy { places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, steps| {
                // SAFETY: see above.
                unsafe { copy(arena.add(x).cast(), arena.add(out).cast(), len, steps) };
            });
        }
        FloatWork::Fill { value, place, loops } => {
            each(loops, [place.offset], part, |[out], len, [step]| {
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe { arena.add(out + i * step).cast::<f32>().write(*value) };
                }
            });
        }
        FloatWork::Quantize { quant, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, [x_step, out_step]| {
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe {
                        let mut byte = [0];
                        elementwise::quantize(&[arena.add(x + i * x_step).cast::<f32>().read()], *quant, &mut byte);
                        arena.add(out + i * out_step).write(byte[0]);
                    }
                }
            });
        }
        FloatWork::Dequantize { quant: (scale, zero), places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, [x_step, out_step]| {
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe {
                        let byte = i32::from(arena.add(x + i * x_step).read());
                        arena.add(out + i * out_step).cast::<f32>().write((byte - zero) as f32 * scale);
                    }
                }
            });
        }
        FloatWork::Load { .. } | FloatWork::Store { .. } => {}
    }
}

/// Brings a tensor of floats in.
///
/// # Safety
/// As [`super::load`].
pub unsafe fn load(step: &Step, arena: *mut i8, input: Input) {
    let (Work::Float(FloatWork::Load { place, loops, .. }), Input::F32(values)) = (&step.work, input) else { return };
    each(loops, [0, place.offset], Part::WHOLE, |[from, to], len, steps| {
        // SAFETY: the plan laid the result out inside the arena, the loops stay inside the input.
        unsafe { copy(values.as_ptr().byte_add(from), arena.add(to).cast(), len, steps) };
    });
}

/// Takes a tensor of floats out.
///
/// # Safety
/// As [`super::store`].
pub unsafe fn store(step: &Step, arena: *const i8, output: &mut Output) {
    let (Work::Float(FloatWork::Store { place, loops, .. }), Output::F32(values)) = (&step.work, output) else {
        return;
    };
    let base = values.as_mut_ptr();
    each(loops, [place.offset, 0], Part::WHOLE, |[from, to], len, steps| {
        // SAFETY: the plan laid the operand out inside the arena, the loops stay inside the output.
        unsafe { copy(arena.add(from).cast(), base.byte_add(to), len, steps) };
    });
}

/// `len` floats, `steps` bytes apart.
///
/// # Safety
/// All of them are there and apart.
unsafe fn copy(x: *const f32, out: *mut f32, len: usize, [x_step, out_step]: [usize; 2]) {
    if (x_step, out_step) == (4, 4) {
        // SAFETY: the caller's promise.
        return unsafe { std::ptr::copy_nonoverlapping(x, out, len) };
    }
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe { *out.byte_add(i * out_step) = *x.byte_add(i * x_step) };
    }
}
