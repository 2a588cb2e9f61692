//! Tensors in and out: converted and, where channels lie elsewhere outside, transposed in the same pass.

use super::bytes::{ByteKernels, Lines};
use super::step::{Step, Work};
use super::walk::{Part, Rectangle, rectangles};
use super::{SLACK, aligned::Scratch, moves};

/// A tensor handed in from outside.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Floats, to be quantised.
    F32(&'a [f32]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Unsigned bytes.
    U8(&'a [u8]),
}

/// A tensor to be filled for the outside.
#[derive(Debug)]
pub enum Output<'a> {
    /// Dequantised.
    F32(&'a mut [f32]),
    /// Signed bytes.
    I8(&'a mut [i8]),
    /// Unsigned bytes.
    U8(&'a mut [u8]),
}

/// Elements of the outside's innermost axis that are transposed at a time, and lines of them.
const TILE: [usize; 2] = [256, 16];

/// A tile of bytes, its lines one behind the other.
type Tile = Scratch<{ TILE[0] * TILE[1] + SLACK }>;

/// Brings a tensor in.
///
/// # Safety
/// As [`run`](super::run::run); `input` has the elements that the step's loops cover.
pub unsafe fn load(step: &Step, bytes: &ByteKernels, arena: *mut i8, input: Input) {
    let Work::Load { quant, place, loops, .. } = &step.work else { return };
    let convert = |from: usize, to: &mut [i8]| {
        let len = to.len();
        match input {
            // SAFETY: the caller's promise: the processor has the set's instructions.
            Input::F32(values) => unsafe { (bytes.quantize)(&values[from..][..len], *quant, to) },
            Input::I8(values) => to.copy_from_slice(&values[from..][..len]),
            Input::U8(values) => {
                for (to, from) in to.iter_mut().zip(&values[from..][..len]) {
                    *to = (from ^ 0x80) as i8;
                }
            }
        }
    };
    let lines = loops.axes.split_last().and_then(|(&(_, steps), around)| {
        if steps[0] == 1 { None } else { around.iter().position(|(_, steps)| steps[0] == 1) }
    });
    rectangles(loops, lines, [0, place.offset], Part::WHOLE, |Rectangle { start, rows, pitches, len, steps }| {
        // SAFETY: the plan laid the result out inside the arena, and nothing else refers to it now.
        let out = unsafe { arena.add(start[1]) };
        if steps == [1, 1] {
            for row in 0..rows {
                // SAFETY: as above.
                let to = unsafe { std::slice::from_raw_parts_mut(out.add(row * pitches[1]), len) };
                convert(start[0] + row * pitches[0], to);
            }
        } else if lines.is_some() && steps[1] == 1 {
            let mut tile = Tile::new();
            let tile = tile.as_mut_ptr();
            for (row, col) in tiles(rows, len) {
                let (high, wide) = (TILE[0].min(rows - row), TILE[1].min(len - col));
                // SAFETY: a tile has room for so many; the result is laid out as above.
                unsafe {
                    tile.write_bytes(0, high * wide);
                    for line in 0..wide {
                        let to = std::slice::from_raw_parts_mut(tile.add(line * high), high);
                        convert(start[0] + row + (col + line) * steps[0], to);
                    }
                    let out = out.add(row * pitches[1] + col);
                    let lines = Lines { x: tile, out, pitches: [high, pitches[1]], rows: high, len: wide };
                    moves::transpose(bytes, &lines);
                }
            }
        } else {
            for (row, i) in (0..rows).flat_map(|row| (0..len).map(move |i| (row, i))) {
                let mut byte = [0];
                convert(start[0] + row * pitches[0] + i * steps[0], &mut byte);
                // SAFETY: as above.
                unsafe { *out.add(row * pitches[1] + i * steps[1]) = byte[0] };
            }
        }
    });
}

/// Takes a tensor out.
///
/// # Safety
/// As [`run`](super::run::run); `output` has the elements that the step's loops cover.
pub unsafe fn store(step: &Step, bytes: &ByteKernels, arena: *const i8, output: &mut Output) {
    let Work::Store { quant, place, loops, .. } = &step.work else { return };
    let mut convert = |from: &[i8], to: usize| match output {
        // SAFETY: the caller's promise: the processor has the set's instructions.
        Output::F32(values) => unsafe { (bytes.dequantize)(from, *quant, &mut values[to..][..from.len()]) },
        Output::I8(values) => values[to..][..from.len()].copy_from_slice(from),
        Output::U8(values) => {
            for (to, from) in values[to..][..from.len()].iter_mut().zip(from) {
                *to = *from as u8 ^ 0x80;
            }
        }
    };
    let lines = loops.axes.split_last().and_then(|(&(_, steps), around)| {
        if steps[0] == 1 { None } else { around.iter().position(|(_, steps)| steps[0] == 1) }
    });
    rectangles(loops, lines, [place.offset, 0], Part::WHOLE, |Rectangle { start, rows, pitches, len, steps }| {
        // SAFETY: the plan laid the operand out inside the arena, and nothing writes there now.
        let x = unsafe { arena.add(start[0]) };
        if steps == [1, 1] {
            for row in 0..rows {
                // SAFETY: as above.
                let from = unsafe { std::slice::from_raw_parts(x.add(row * pitches[0]), len) };
                convert(from, start[1] + row * pitches[1]);
            }
        } else if lines.is_some() && steps[1] == 1 {
            let mut tile = Tile::new();
            let tile = tile.as_mut_ptr();
            for (col, row) in tiles(len, rows) {
                let (wide, high) = (TILE[0].min(len - col), TILE[1].min(rows - row));
                // SAFETY: a tile has room for so many, all of which the transpose writes; the operand is laid out as above.
                unsafe {
                    let x = x.add(row + col * steps[0]);
                    let lines = Lines { x, out: tile, pitches: [steps[0], wide], rows: high, len: wide };
                    moves::transpose(bytes, &lines);
                    for line in 0..high {
                        let from = std::slice::from_raw_parts(tile.add(line * wide), wide);
                        convert(from, start[1] + (row + line) * pitches[1] + col);
                    }
                }
            }
        } else {
            for (row, i) in (0..rows).flat_map(|row| (0..len).map(move |i| (row, i))) {
                // SAFETY: as above.
                let byte = unsafe { *x.add(row * pitches[0] + i * steps[0]) };
                convert(&[byte], start[1] + row * pitches[1] + i * steps[1]);
            }
        }
    });
}

/// First element along the outside's innermost axis, and first line, of every tile.
fn tiles(len: usize, lines: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(TILE[0]).flat_map(move |at| (0..lines).step_by(TILE[1]).map(move |line| (at, line)))
}
