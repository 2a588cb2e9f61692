//! Drives the kernels of recurrent layers through a sequence.

use super::super::super::float::{Epilogue, FloatGemmCall, FloatKernels, GruCall, LstmCall, MAX_ROWS, PackedFloatGemm};
use super::super::super::step::{FloatWork, Layer, Range, Recurrence};
use super::super::super::walk::Part;
use super::super::super::{self as kernels, Dequant, Finish, GemmCall, Kernels, PackedGemm};
use super::super::hybrid;

/// Runs a recurrent layer; one thread does all of it, since steps follow one another.
///
/// # Safety
/// As [`super::run`].
pub(super) unsafe fn run(
    work: &FloatWork,
    (kernels, products): (&dyn FloatKernels, &dyn Kernels),
    arena: *mut i8,
    part: Part,
) {
    let FloatWork::Recurrent { layer, dims: [steps, batch], input, initial, scratch, output } = work else {
        return;
    };
    if part.index != 0 {
        return;
    }
    let (units, gates) = (layer.units, layer.gates);
    // SAFETY: the plan laid every tensor out inside the arena, row-major, and nothing else writes there now.
    unsafe {
        let at = |offset: usize| arena.add(offset).cast::<f32>();
        let (input, scratch, output) = (at(input.offset), at(scratch.offset), at(output.offset));
        let lstm = gates == 4;
        let row = batch * units;
        let cell = output.add(steps * row);
        if lstm {
            match initial.get(1) {
                Some(place) => std::ptr::copy_nonoverlapping(at(place.offset), cell, row),
                None => std::ptr::write_bytes(cell, 0, row),
            }
        }
        let zeros = scratch.add((gates + 1) * row);
        std::ptr::write_bytes(zeros, 0, row);
        let mut old = initial.first().map_or(zeros, |place| at(place.offset));
        for step in 0..*steps {
            let step = if layer.reverse { steps - 1 - step } else { step };
            let (own, hidden) = (input.add(step * gates * row), output.add(step * row));
            if lstm {
                match &layer.packed {
                    Recurrence::Bytes(packed) => {
                        let bytes = scratch.add(gates * row).cast();
                        rounded_product((kernels, products), packed, *batch, (old, bytes), (scratch, own));
                    }
                    Recurrence::Floats(packed) => {
                        product(kernels, packed, *batch, (old, units), (scratch, gates * units), Some(own));
                    }
                }
                for index in 0..*batch {
                    kernels.lstm(&LstmCall {
                        gates: scratch.add(index * gates * units),
                        peepholes: layer.peepholes.as_ref().map_or(std::ptr::null(), |p| p.as_ptr()),
                        cell: cell.add(index * units),
                        hidden: hidden.add(index * units),
                        len: units,
                        clip: layer.clip,
                    });
                }
            } else {
                std::ptr::copy_nonoverlapping(old, hidden, row);
                gru(kernels, layer, *batch, (own, scratch, hidden));
            }
            old = hidden;
        }
    }
}

/// A step of a GRU: products `own` of the sequences, `scratch` for those of the hidden state, which is in `hidden` before and after it.
///
/// # Safety
/// As [`run`].
unsafe fn gru(
    kernels: &dyn FloatKernels,
    layer: &Layer,
    batch: usize,
    (own, scratch, hidden): (*const f32, *mut f32, *mut f32),
) {
    let (units, width) = (layer.units, 3 * layer.units);
    // SAFETY: the caller's promise.
    unsafe {
        let call = |index: usize| GruCall {
            input: own.add(index * width),
            recurrent: scratch.add(index * width),
            hidden: hidden.add(index * units),
            len: units,
            clip: layer.clip,
        };
        if let Recurrence::Floats(packed) = &layer.packed {
            product(kernels, packed, batch, (hidden, units), (scratch, width), None);
        }
        if let Some(packed) = &layer.hidden {
            let reset = scratch.add(batch * width);
            (0..batch).for_each(|index| kernels.gru_reset(&call(index), reset.add(index * units)));
            product(kernels, packed, batch, (reset, units), (scratch.add(2 * units), width), None);
        }
        (0..batch).for_each(|index| kernels.gru(layer.hidden.is_none(), &call(index)));
    }
}

/// `rows` rows of `x`, quantised together to `bytes`, times the weights, to `out`, and `added` to that.
///
/// # Safety
/// As [`run`]; all of them follow one another.
unsafe fn rounded_product(
    (floats, products): (&dyn FloatKernels, &dyn Kernels),
    packed: &PackedGemm,
    rows: usize,
    (x, bytes): (*const f32, *mut i8),
    (out, added): (*mut f32, *const f32),
) {
    let (units, width) = (packed.segment, packed.n);
    // SAFETY: the caller's promise; the bytes are those of the rows.
    unsafe {
        let Range { scale, zero } = hybrid::range_of(floats, x, rows * units);
        floats.quantize((scale, zero), x, bytes, rows * units);
        let most = products.gemm_rows(packed).clamp(1, kernels::MAX_ROWS);
        for first in (0..rows).step_by(most) {
            let count = most.min(rows - first);
            let row = |index: usize| (first + index).min(rows - 1);
            let xs: [*const i8; kernels::MAX_ROWS] = std::array::from_fn(|i| bytes.add(row(i) * units).cast_const());
            let outs: [*mut i8; kernels::MAX_ROWS] = std::array::from_fn(|i| out.add(row(i) * width).cast());
            products.gemm(&GemmCall {
                packed,
                finish: Finish::Floats(Dequant {
                    x_scale: scale,
                    x_zero: zero,
                    low: f32::NEG_INFINITY,
                    high: f32::INFINITY,
                }),
                offsets: &[0],
                first_block: 0,
                blocks: packed.blocks(),
                rows: &xs[..count],
                outs: &outs[..count],
            });
        }
        let sums = std::slice::from_raw_parts_mut(out, rows * width);
        let added = std::slice::from_raw_parts(added, rows * width);
        sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
    }
}

/// `rows` rows of `x` times the weights, to `out`, and `added` (which lies as `out` does) to that; distances between rows in floats.
///
/// # Safety
/// As [`run`].
unsafe fn product(
    kernels: &dyn FloatKernels,
    packed: &PackedFloatGemm,
    rows: usize,
    (x, x_row): (*const f32, usize),
    (out, out_row): (*mut f32, usize),
    added: Option<*const f32>,
) {
    let most = kernels.gemm_rows(&packed.shape).clamp(1, MAX_ROWS);
    for first in (0..rows).step_by(most) {
        let count = most.min(rows - first);
        let row = |index: usize| (first + index).min(rows - 1);
        // SAFETY: the caller's promise.
        unsafe {
            let xs: [*const f32; MAX_ROWS] = std::array::from_fn(|i| x.add(row(i) * x_row));
            let outs: [*mut f32; MAX_ROWS] = std::array::from_fn(|i| out.add(row(i) * out_row));
            let sums: [*const f32; MAX_ROWS] = std::array::from_fn(|i| added.map_or(x, |a| a.add(row(i) * out_row)));
            kernels.gemm(&FloatGemmCall {
                shape: packed.shape,
                weights: packed.as_ptr(),
                offsets: &[0],
                first_block: 0,
                blocks: packed.shape.blocks(),
                rows: &xs[..count],
                outs: &outs[..count],
                residual: if added.is_some() { &sums[..count] } else { &[] },
                epilogue: Epilogue::NONE,
            });
        }
    }
}
