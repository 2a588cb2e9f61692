//! Bytes to other places, through a table or as they are: copies, transposes, look-ups, resizing.

use super::Loops;
use super::bytes::{Blend, ByteKernels, Lines};
use super::step::Work;
use super::walk::{Part, Rectangle, at, rectangles};

/// Fewest rows and columns of a transpose for which blocks of sixteen pay.
const FEW: usize = 5;

/// Copies a tensor, through a table if there is one.
///
/// # Safety
/// Offsets count from `arena` and lie inside it as the plan laid them out.
pub unsafe fn lookup(
    bytes: &ByteKernels,
    table: Option<&[i8; 256]>,
    loops: &Loops<2>,
    base: [usize; 2],
    arena: *mut i8,
    part: Part,
) {
    let across = across(loops);
    rectangles(loops, across, base, part, |rectangle| {
        let Rectangle { start, rows, pitches, len, steps } = rectangle;
        // SAFETY: the caller's promise.
        let (x, out) = unsafe { (arena.add(start[0]).cast_const(), arena.add(start[1])) };
        let lines = Lines { x, out, pitches, rows, len };
        // SAFETY: the caller's promise, for everything below.
        unsafe {
            match (table, steps) {
                (Some(table), [1, 1]) => (bytes.lut)(table, &lines),
                (None, [1, 1]) => copy(&lines.joined()),
                (_, [_, 1]) => {
                    if across.is_some() && pitches[0] == 1 && rows.min(len) >= 2 {
                        transpose(bytes, &Lines { pitches: [steps[0], pitches[1]], ..lines });
                    } else {
                        for row in 0..rows {
                            (bytes.pick)(steps[0], x.add(row * pitches[0]), out.add(row * pitches[1]), len);
                        }
                    }
                    if let Some(table) = table {
                        (bytes.lut)(table, &Lines { x: out, pitches: [pitches[1]; 2], ..lines });
                    }
                }
                _ => {
                    for row in 0..rows {
                        for i in 0..len {
                            let byte = *x.add(row * pitches[0] + i * steps[0]);
                            *out.add(row * pitches[1] + i * steps[1]) =
                                table.map_or(byte, |table| table[usize::from(byte as u8)]);
                        }
                    }
                }
            }
        }
    });
}

/// The axis along which the operand's bytes are neighbours, where the result's are along the innermost.
fn across<const N: usize>(loops: &Loops<N>) -> Option<usize> {
    let (&(_, steps), around) = loops.axes.split_last()?;
    if steps[0] == 1 { None } else { around.iter().position(|&(_, steps)| steps[0] == 1) }
}

/// Rows as they are.
///
/// # Safety
/// Both places have the rows described.
unsafe fn copy(lines: &Lines) {
    for row in 0..lines.rows {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, out) = (lines.x.add(row * lines.pitches[0]), lines.out.add(row * lines.pitches[1]));
            std::ptr::copy_nonoverlapping(x, out, lines.len);
        }
    }
}

/// `out[r][c] = x[c][r]`, by whatever is fastest for the shape.
///
/// # Safety
/// Both places have what is described.
pub unsafe fn transpose(bytes: &ByteKernels, lines: &Lines) {
    if lines.rows < FEW && lines.len >= FEW {
        for row in 0..lines.rows {
            // SAFETY: the caller's promise.
            unsafe {
                (bytes.pick)(lines.pitches[0], lines.x.add(row), lines.out.add(row * lines.pitches[1]), lines.len)
            };
        }
        return;
    }
    // SAFETY: the caller's promise is the callee's.
    unsafe { (bytes.transpose)(lines) };
}

/// `out[i · step] = x[offsets[i]]`.
///
/// # Safety
/// Both places cover what is described.
pub unsafe fn gather(offsets: &[usize], step: usize, x: *const i8, out: *mut i8) {
    for (i, &offset) in offsets.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { *out.add(i * step) = *x.add(offset) };
    }
}

/// Unit of the shares of a resize: 2048 of them make one.
pub const ONE: i32 = 1 << 11;

/// Rows and columns made of two each.
///
/// # Safety
/// As [`run`](super::run::run).
pub unsafe fn resize(bytes: &ByteKernels, work: &Work, arena: *mut i8, part: Part) {
    let Work::Resize { rows, cols, channels, input, output, images, x_zero, ratio, requant, copy } = work else {
        return;
    };
    let scale = ratio / (ONE * ONE) as f32;
    let lines = part.range(images * rows.len());
    for line in lines.clone() {
        let (image, row) = (line / rows.len(), line % rows.len());
        let (top, bottom, down) = rows[row];
        let whole = output.steps[2] == *channels;
        if row > 0 && line > lines.start && rows[row - 1] == rows[row] && whole {
            // SAFETY: the plan laid every pixel out inside the arena.
            unsafe {
                let from = arena.add(at(output, image, row - 1, 0));
                std::ptr::copy_nonoverlapping(from, arena.add(at(output, image, row, 0)), cols.len() * channels);
            }
            continue;
        }
        for (col, &(left, right, across)) in cols.iter().enumerate() {
            let corner = |y, x| at(input, image, y, x);
            // SAFETY: the plan laid every pixel out inside the arena.
            unsafe {
                let out = arena.add(at(output, image, row, col));
                if *copy {
                    std::ptr::copy_nonoverlapping(arena.add(corner(top, left)), out, *channels);
                    continue;
                }
                let corners = [corner(top, left), corner(top, right), corner(bottom, left), corner(bottom, right)];
                let corners = corners.map(|c| arena.add(c).cast_const());
                let shares =
                    [(ONE - down) * (ONE - across), (ONE - down) * across, down * (ONE - across), down * across];
                let mixture = Blend { corners, shares, zero: *x_zero, scale, requant: *requant };
                (bytes.blend)(&mixture, out, *channels);
            }
        }
    }
}
