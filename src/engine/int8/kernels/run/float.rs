//! Drives the kernels through one step on floats.

mod product;
mod recurrent;

use super::super::edges::{Input, Output};
use super::super::float::{FloatKernels, Function, Grid, Lines, NormCall, PoolCall, ResizeCall};
use super::super::step::{FloatWork, Map, Step, Work};
use super::super::walk::{Part, at, each, nest};
use super::super::{Kernels, Loops};

/// Bytes of a float.
const FLOAT: usize = 4;

/// Elements that stay in the nearest cache between two passes over them.
const NEAR: usize = 2048;

/// Runs a thread's part of a step that stays inside the arena.
///
/// # Safety
/// As [`super::run`], for these kernels.
pub unsafe fn run(
    work: &FloatWork,
    (kernels, products): (&dyn FloatKernels, &dyn Kernels),
    arena: *mut i8,
    part: Part,
) {
    // What every SAFETY line below refers to: the plan laid every place out inside the arena, floats at multiples of 4, and no
    // step's output lies over its input unless element for element; parts are disjoint in what they write.
    match work {
        FloatWork::Map { map, places, loops } => {
            grids(loops, places.map(|p| p.offset), part, |[x, out], grid| {
                // SAFETY: see above.
                unsafe { mapped(map, kernels, arena.add(x), arena.add(out), grid) };
            });
        }
        FloatWork::Binary { op, after, places, loops } => {
            grids(loops, places.map(|p| p.offset), part, |offsets, grid| {
                pieces(grid, *after != Function::Identity, |row, col, grid| {
                    let start = |v: usize| offsets[v] + row * grid.row_steps[v] + col * grid.steps[v];
                    let grid = in_floats(grid);
                    // SAFETY: see above.
                    unsafe {
                        let [a, b, out] = [0, 1, 2].map(|v| arena.add(start(v)).cast::<f32>());
                        kernels.binary(*op, a, b, out, &grid);
                        if *after != Function::Identity {
                            let (row_step, step) = (grid.row_steps[2], grid.steps[2]);
                            let own =
                                Grid { rows: grid.rows, len: grid.len, row_steps: [row_step; 2], steps: [step; 2] };
                            kernels.unary(after, out, out, &own);
                        }
                    }
                });
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
        FloatWork::Reduce { reduction, len, step, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], lines, [line_step, out_step]| {
                // SAFETY: see above.
                unsafe {
                    let x = lines_at(arena.add(x), lines, *len, *step, line_step);
                    kernels.reduce(*reduction, &x, arena.add(out).cast(), out_step / FLOAT);
                }
            });
        }
        FloatWork::Softmax { log, len, steps: [step, out_element], places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], lines, [line_step, out_line]| {
                // SAFETY: see above.
                unsafe {
                    let x = lines_at(arena.add(x), lines, *len, *step, line_step);
                    kernels.softmax(*log, &x, arena.add(out).cast(), [out_element / FLOAT, out_line / FLOAT]);
                }
            });
        }
        FloatWork::Norm { epsilon, centre, scale, bias, len, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], rows, steps| {
                let pointer = |values: &Option<_>| {
                    values.as_ref().map_or(std::ptr::null(), |v: &std::sync::Arc<Vec<f32>>| v.as_ptr())
                };
                // SAFETY: see above; scale and bias have `len` elements.
                unsafe {
                    kernels.normalize(&NormCall {
                        rows,
                        len: *len,
                        x: arena.add(x).cast(),
                        x_row: steps[0] / FLOAT,
                        out: arena.add(out).cast(),
                        out_row: steps[1] / FLOAT,
                        epsilon: *epsilon,
                        centre: *centre,
                        scale: pointer(scale),
                        bias: pointer(bias),
                    });
                }
            });
        }
        FloatWork::Pool { pool, rows, cols, channels, input, output, images } => {
            for line in part.range(images * rows.spans.len()) {
                let (image, row) = (line / rows.spans.len(), line % rows.spans.len());
                let (first, height) = rows.spans[row];
                // SAFETY: see above.
                unsafe {
                    kernels.pool(&PoolCall {
                        pool: *pool,
                        x: arena.add(at(input, image, first, 0)).cast(),
                        height,
                        tap_row: input.steps[1] * rows.dilation / FLOAT,
                        cols: &cols.spans,
                        dilation: cols.dilation,
                        x_col: input.steps[2] / FLOAT,
                        out: arena.add(at(output, image, row, 0)).cast(),
                        out_col: output.steps[2] / FLOAT,
                        channels: *channels,
                    });
                }
            }
        }
        // SAFETY: see above.
        FloatWork::Resize { .. } => unsafe { resize(work, kernels, arena, part) },
        FloatWork::Gather { offsets, step, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, steps| {
                for i in 0..len {
                    for (k, offset) in offsets.iter().enumerate() {
                        // SAFETY: see above.
                        unsafe {
                            let value = arena.add(x + i * steps[0] + offset).cast::<f32>().read();
                            arena.add(out + i * steps[1] + k * step).cast::<f32>().write(value);
                        }
                    }
                }
            });
        }
        FloatWork::Gemm { .. } | FloatWork::Depthwise { .. } | FloatWork::Pack { .. } | FloatWork::Product { .. } => {
            // SAFETY: see above.
            unsafe { product::run(work, kernels, arena, part) }
        }
        // SAFETY: see above.
        FloatWork::Recurrent { .. } => unsafe { recurrent::run(work, (kernels, products), arena, part) },
        FloatWork::Load { .. } | FloatWork::Store { .. } => {}
    }
}

/// Brings a tensor of floats in.
///
/// # Safety
/// As [`super::load`].
pub unsafe fn load(step: &Step, kernels: &dyn FloatKernels, arena: *mut i8, input: Input) {
    let (Work::Float(FloatWork::Load { place, loops, .. }), Input::F32(values)) = (&step.work, input) else { return };
    grids(loops, [0, place.offset], Part::WHOLE, |[from, to], grid| {
        // SAFETY: the plan laid the result out inside the arena, the loops stay inside the input.
        unsafe { kernels.copy(values.as_ptr().byte_add(from), arena.add(to).cast(), &in_floats(grid)) };
    });
}

/// Takes a tensor of floats out.
///
/// # Safety
/// As [`super::store`].
pub unsafe fn store(step: &Step, kernels: &dyn FloatKernels, arena: *const i8, output: &mut Output) {
    let (Work::Float(FloatWork::Store { place, loops, .. }), Output::F32(values)) = (&step.work, output) else {
        return;
    };
    let base = values.as_mut_ptr();
    grids(loops, [place.offset, 0], Part::WHOLE, |[from, to], grid| {
        // SAFETY: the plan laid the operand out inside the arena, the loops stay inside the output.
        unsafe { kernels.copy(arena.add(from).cast(), base.byte_add(to), &in_floats(grid)) };
    });
}

/// Calls `body` with the offsets of every pair of innermost loops of this part, and these; distances stay in bytes.
fn grids<const N: usize>(loops: &Loops<N>, base: [usize; N], part: Part, mut body: impl FnMut([usize; N], Grid<N>)) {
    let Some((&(outer, outer_steps), rest)) = loops.axes.split_first() else { return };
    let range = part.range(outer);
    if range.is_empty() {
        return;
    }
    let start: [usize; N] = std::array::from_fn(|v| base[v] + range.start * outer_steps[v]);
    match rest {
        [] => body(start, Grid { rows: 1, len: range.len(), row_steps: [0; N], steps: outer_steps }),
        [(len, steps)] => body(start, Grid { rows: range.len(), len: *len, row_steps: outer_steps, steps: *steps }),
        [middle @ .., (rows, row_steps), (len, steps)] => {
            for index in 0..range.len() {
                let start = std::array::from_fn(|v| start[v] + index * outer_steps[v]);
                let grid = Grid { rows: *rows, len: *len, row_steps: *row_steps, steps: *steps };
                nest(middle, usize::MAX, start, &mut |offsets| body(offsets, grid));
            }
        }
    }
}

/// A grid in pieces that stay near between two passes; whole if there is one pass only.
fn pieces<const N: usize>(grid: Grid<N>, small: bool, mut body: impl FnMut(usize, usize, Grid<N>)) {
    if !small {
        return body(0, 0, grid);
    }
    let len = grid.len.clamp(1, NEAR);
    let rows = (NEAR / len).max(1);
    for row in (0..grid.rows).step_by(rows) {
        for col in (0..grid.len).step_by(len) {
            body(row, col, Grid { rows: rows.min(grid.rows - row), len: len.min(grid.len - col), ..grid });
        }
    }
}

fn in_floats<const N: usize>(grid: Grid<N>) -> Grid<N> {
    Grid { row_steps: grid.row_steps.map(|s| s / FLOAT), steps: grid.steps.map(|s| s / FLOAT), ..grid }
}

fn lines_at(x: *mut i8, lines: usize, len: usize, step: usize, line_step: usize) -> Lines {
    Lines { lines, len, x: x.cast_const().cast(), step: step / FLOAT, line_step: line_step / FLOAT }
}

/// # Safety
/// As [`run`]; `x` and `out` have what the grid covers.
unsafe fn mapped(map: &Map, kernels: &dyn FloatKernels, x: *mut i8, out: *mut i8, grid: Grid<2>) {
    let element = |row: usize, col: usize, v: usize| row * grid.row_steps[v] + col * grid.steps[v];
    match map {
        // SAFETY: the caller's promise.
        Map::Copy => unsafe { kernels.copy(x.cast(), out.cast(), &in_floats(grid)) },
        // SAFETY: the caller's promise.
        Map::Function(function) => unsafe { kernels.unary(function, x.cast(), out.cast(), &in_floats(grid)) },
        Map::Quantize(scale, zero) => {
            let adjacent = grid.steps == [FLOAT, 1];
            for row in 0..grid.rows {
                for col in (0..grid.len).step_by(if adjacent { grid.len } else { 1 }) {
                    let len = if adjacent { grid.len } else { 1 };
                    // SAFETY: the caller's promise.
                    unsafe {
                        let (x, out) = (x.add(element(row, col, 0)), out.add(element(row, col, 1)));
                        kernels.quantize((*scale, *zero), x.cast(), out, len);
                    }
                }
            }
        }
        Map::Dequantize(scale, zero) => {
            let adjacent = grid.steps == [1, FLOAT];
            for row in 0..grid.rows {
                for col in (0..grid.len).step_by(if adjacent { grid.len } else { 1 }) {
                    let len = if adjacent { grid.len } else { 1 };
                    // SAFETY: the caller's promise.
                    unsafe {
                        let (x, out) = (x.add(element(row, col, 0)), out.add(element(row, col, 1)));
                        kernels.dequantize((*scale, *zero), x, out.cast(), len);
                    }
                }
            }
        }
        Map::Lookup(table) => {
            for row in 0..grid.rows {
                for col in 0..grid.len {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let byte = x.add(element(row, col, 0)).read();
                        out.add(element(row, col, 1)).cast::<f32>().write(table[usize::from(byte as u8)]);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`run`].
unsafe fn resize(work: &FloatWork, kernels: &dyn FloatKernels, arena: *mut i8, part: Part) {
    let FloatWork::Resize { rows, cols, channels, input, output, images, copy } = work else { return };
    let mut last = None;
    for line in part.range(images * rows.len()) {
        let (image, row) = (line / rows.len(), line % rows.len());
        let (top, bottom, down) = rows[row];
        // SAFETY: the plan laid every pixel out inside the arena.
        unsafe {
            let out: *mut f32 = arena.add(at(output, image, row, 0)).cast();
            let source = |row: usize| -> *const f32 { arena.add(at(input, image, row, 0)).cast_const().cast() };
            let dense = output.steps[2] == channels * FLOAT;
            match last {
                // The row of pixels that was made last, once more.
                Some((from, made)) if *copy && dense && from == (image, top) => {
                    std::ptr::copy_nonoverlapping::<f32>(made, out, cols.len() * channels);
                }
                _ if *copy => {
                    for (col, (left, ..)) in cols.iter().enumerate() {
                        let out = out.byte_add(col * output.steps[2]);
                        std::ptr::copy_nonoverlapping(source(top).add(*left), out, *channels);
                    }
                }
                _ => kernels.resize(&ResizeCall {
                    top: source(top),
                    bottom: source(bottom),
                    down,
                    cols,
                    out,
                    out_col: output.steps[2] / FLOAT,
                    channels: *channels,
                }),
            }
            last = Some(((image, top), out.cast_const()));
        }
    }
}
