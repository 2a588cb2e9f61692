//! Drives the kernels through one step: walks tiles, rows and strides.

pub mod float;
mod hybrid;

use super::behind::{self, BEHIND, Behind};
use super::step::{Step, Work};
use super::walk::{at, each, rectangles};
use super::{DepthwiseCall, GemmCall, Kernels, MAX_ROWS, MulParams, matmul, moves, normalize, pairs, pool};

pub use super::edges::{Input, Output, load, store};
pub use super::moves::ONE;
pub use super::walk::Part;

/// Runs a thread's part of a step that stays inside the arena.
///
/// # Safety
/// The step belongs to a plan whose arena, [`super::SLACK`] bytes included, starts at `arena`; the processor has the set's instructions;
/// other threads run other parts of the same step, or none.
pub unsafe fn run(step: &Step, kernels: &dyn Kernels, arena: *mut i8, part: Part) {
    // What every SAFETY line below refers to: the plan laid every place out inside the arena, and no step's output lies over its
    // input unless element for element; parts are disjoint in what they write.
    let bytes = kernels.bytes();
    match &step.work {
        // SAFETY: see above.
        Work::Gemm { .. } => unsafe { gemm(step, kernels, arena, part) },
        Work::Depthwise { packed, ending, taps, input, output, dims } => {
            // SAFETY: see above.
            let finish = unsafe { hybrid::finish(ending, arena) };
            let [images, rows, cols] = *dims;
            let lines = part.range(images * rows);
            let mut line = lines.start;
            while line < lines.end {
                let (image, row) = (line / rows, line % rows);
                let mut count = (rows - row).min(lines.end - line);
                if step.table.is_some() {
                    // An even number of rows: some sets make two at a time.
                    count = count.min((BEHIND / (cols * packed.channels)).max(1) * 2);
                }
                let call = DepthwiseCall {
                    packed,
                    finish,
                    // SAFETY: see above.
                    input: unsafe { arena.add(at(input, image, row, 0)) },
                    tap_row: taps[0],
                    tap_col: taps[1],
                    step_row: input.steps[1],
                    step_col: input.steps[2],
                    // SAFETY: see above.
                    out: unsafe { arena.add(at(output, image, row, 0)) },
                    out_row: output.steps[1],
                    out_col: output.steps[2],
                    rows: count,
                    cols,
                };
                // SAFETY: see above.
                unsafe { kernels.depthwise(&call) };
                if let Some(table) = &step.table {
                    let mut behind = Behind::new(table, bytes);
                    for (row, col) in (0..count).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                        // SAFETY: the pixel has just been written.
                        unsafe {
                            let pixel = call.out.add(row * call.out_row + col * call.out_col);
                            behind.push(pixel, packed.channels);
                        }
                    }
                    // SAFETY: as above.
                    unsafe { behind.flush() };
                }
                line += count;
            }
        }
        Work::Add { params, places, loops } => {
            rectangles(loops, None, places.map(|p| p.offset), part, |rectangle| {
                // SAFETY: see above.
                unsafe {
                    behind::rectangle(step.table.as_deref(), bytes, arena, &rectangle, |piece| {
                        pairs::run(bytes, |pair| (bytes.add)(params, pair), arena, piece);
                    });
                }
            });
        }
        Work::Mul { zeros, scale, requant, places, loops } => {
            let params = MulParams { zeros: *zeros, scale: *scale, requant: *requant };
            rectangles(loops, None, places.map(|p| p.offset), part, |rectangle| {
                // SAFETY: see above.
                unsafe {
                    behind::rectangle(step.table.as_deref(), bytes, arena, &rectangle, |piece| {
                        pairs::run(bytes, |pair| (bytes.mul)(&params, pair), arena, piece);
                    });
                }
            });
        }
        Work::Lookup { table, places, loops } => {
            // SAFETY: see above.
            unsafe { moves::lookup(bytes, table.as_deref(), loops, places.map(|p| p.offset), arena, part) };
        }
        Work::Fill { value, place, runs } => {
            for &(start, len) in &runs[part.range(runs.len())] {
                // SAFETY: see above.
                unsafe { std::ptr::write_bytes(arena.add(place.offset + start), *value as u8, len) };
            }
        }
        // SAFETY: see above.
        Work::MaxPool { .. } => unsafe { pool::max(bytes, &step.work, arena, part) },
        // SAFETY: see above.
        Work::AveragePool { .. } => unsafe { pool::average(bytes, &step.work, arena, part) },
        // SAFETY: see above.
        Work::Resize { .. } => unsafe { moves::resize(bytes, &step.work, arena, part) },
        Work::Gather { offsets, step, places, loops } => {
            rectangles(loops, None, places.map(|p| p.offset), part, |r| {
                for (row, i) in (0..r.rows).flat_map(|row| (0..r.len).map(move |i| (row, i))) {
                    let [x, out] = [0, 1].map(|v| r.start[v] + row * r.pitches[v] + i * r.steps[v]);
                    // SAFETY: see above.
                    unsafe { moves::gather(offsets, *step, arena.add(x).cast_const(), arena.add(out)) };
                }
            });
        }
        // SAFETY: see above.
        Work::Softmax { .. } => unsafe { pool::softmax(bytes, &step.work, arena, part) },
        Work::Normalize(norm) => {
            each(&norm.rows, norm.places.map(|p| p.offset), part, |[x, out], len, steps| {
                for row in 0..len {
                    // SAFETY: see above.
                    unsafe {
                        let (x, out) = (arena.add(x + row * steps[0]).cast_const(), arena.add(out + row * steps[1]));
                        normalize::row(norm, x, out);
                    }
                }
            });
        }
        // SAFETY: see above.
        Work::MatMul(_) => unsafe { matmul::run(step, kernels, arena, part) },
        // SAFETY: see above.
        Work::Hybrid(work) => unsafe { hybrid::run(work, arena, part) },
        // Floats have kernels of their own: `float::run`.
        Work::Float(_) | Work::Load { .. } | Work::Store { .. } => {}
    }
}

/// Tiles of rows by blocks of output channels.
///
/// # Safety
/// As [`run`].
unsafe fn gemm(step: &Step, kernels: &dyn Kernels, arena: *mut i8, part: Part) {
    let Work::Gemm { packed, ending, offsets, input, output, dims: [images, rows, cols] } = &step.work else { return };
    // SAFETY: the caller's promise.
    let finish = unsafe { hybrid::finish(ending, arena) };
    let pixels = images * rows * cols;
    let most = kernels.gemm_rows(packed).clamp(1, MAX_ROWS);
    // Few pixels and many channels (a fully connected layer): threads share the channels instead.
    let by_blocks = pixels.div_ceil(most) < part.count;
    let blocks = if by_blocks { part.range(packed.blocks()) } else { 0..packed.blocks() };
    let tiles = pixels.div_ceil(most);
    let range = if by_blocks { 0..tiles } else { part.range(tiles) };
    if blocks.is_empty() || range.is_empty() {
        return;
    }
    // Tiles of nearly equal height are better than full ones and a small rest.
    let bound = |tile: usize| pixels * tile / tiles;
    let mut pixel = bound(range.start);
    let (mut col, mut line) = (pixel % cols, pixel / cols);
    let mut x = [std::ptr::null::<i8>(); MAX_ROWS];
    let mut y = [std::ptr::null_mut::<i8>(); MAX_ROWS];
    let channels = blocks.start * packed.block..(blocks.end * packed.block).min(packed.n);
    let mut behind = step.table.as_deref().map(|table| Behind::new(table, kernels.bytes()));
    for tile in range {
        let end = bound(tile + 1);
        let count = end - pixel;
        for (x, y) in x.iter_mut().zip(&mut y).take(count) {
            let (image, row) = if *images == 1 { (0, line) } else { (line / rows, line % rows) };
            // SAFETY: the plan laid every pixel out inside the arena.
            unsafe {
                *x = arena.add(at(input, image, row, col));
                *y = arena.add(at(output, image, row, col));
            }
            col += 1;
            if col == *cols {
                (col, line) = (0, line + 1);
            }
        }
        pixel = end;
        let call = GemmCall {
            packed,
            finish,
            offsets,
            first_block: blocks.start,
            blocks: blocks.len(),
            rows: &x[..count],
            outs: &y[..count],
        };
        // SAFETY: as above; outputs never lie over inputs of a gemm step.
        unsafe { kernels.gemm(&call) };
        // SAFETY: these channels of the rows have just been written; rows of bytes lie one behind the other.
        unsafe { hybrid::rows(ending, arena, (&x[..count], &y[..count]), channels.clone(), (input, packed.segment)) };
        if let Some(behind) = &mut behind {
            for y in &y[..count] {
                // SAFETY: these channels of the row have just been written.
                unsafe { behind.push(y.add(channels.start), channels.len()) };
            }
        }
    }
    if let Some(mut behind) = behind {
        // SAFETY: as above.
        unsafe { behind.flush() };
    }
}
