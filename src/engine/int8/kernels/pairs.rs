//! Sums and products of two tensors of any strides: what a kernel cannot read as it lies is laid out in a piece of scratch first.

use super::bytes::{ByteKernels, Pair};
use super::walk::Rectangle;
use super::{SLACK, aligned::Scratch};

/// Bytes of scratch for one operand or the result: a few of these stay in the first cache.
const SCRATCH: usize = 2048;

/// Rows shorter than this are joined where possible: a call for each would take longer than its bytes.
const SHORT: usize = 256;

/// Runs `kernel` over a rectangle of two operands and a result.
///
/// # Safety
/// The rectangle's offsets count from `arena`, and lie inside it as the plan laid them out.
pub unsafe fn run(bytes: &ByteKernels, kernel: impl Fn(&Pair), arena: *mut i8, rectangle: &Rectangle<3>) {
    let Rectangle { start, rows, pitches, len, steps } = *rectangle;
    // SAFETY: the caller's promise.
    let [a, b, out] = start.map(|offset| unsafe { arena.add(offset) });
    // An operand has to be laid out where its elements are not neighbours, or where joining its rows joins those of all three.
    let joins = |v: usize| steps[v] == 1 && pitches[v] == len;
    let lays: [bool; 2] = std::array::from_fn(|v| {
        let other = 1 - v;
        steps[v] != 1 || (len < SHORT && rows > 1 && !joins(v) && joins(2) && (joins(other) || steps[other] != 1))
    });
    let scatters = steps[2] != 1;
    if lays == [false; 2] && !scatters {
        return kernel(&Pair { a, b, out, pitches, rows, len });
    }
    let mut scratch = [const { Scratch::<{ SCRATCH + SLACK }>::new() }; 3];
    let places = scratch.each_mut().map(Scratch::as_mut_ptr);
    let (wide, high) = (len.min(SCRATCH), (SCRATCH / len).clamp(1, rows));
    // An operand that is the same for every row, and whole in its scratch, is laid out once.
    let mut ready = [false; 2];
    for row in (0..rows).step_by(high) {
        let count = high.min(rows - row);
        for col in (0..len).step_by(wide) {
            let width = wide.min(len - col);
            // SAFETY: the caller's promise.
            let from: [*mut i8; 3] =
                std::array::from_fn(|v| unsafe { [a, b, out][v].add(row * pitches[v] + col * steps[v]) });
            let mut pair = Pair { a: from[0], b: from[1], out: from[2], pitches, rows: count, len: width };
            for v in [0, 1] {
                if !lays[v] {
                    continue;
                }
                let same = pitches[v] == 0 && (width == len || steps[v] == 0);
                if !(same && ready[v]) {
                    // SAFETY: the scratch takes as many rows of this width.
                    unsafe {
                        lay_out(
                            bytes,
                            from[v],
                            [pitches[v], steps[v]],
                            places[v],
                            [if same { high } else { count }, width],
                        )
                    };
                    ready[v] = same;
                }
                *[&mut pair.a, &mut pair.b][v] = places[v];
                pair.pitches[v] = width;
            }
            if scatters {
                (pair.out, pair.pitches[2]) = (places[2], width);
            }
            kernel(&pair);
            if scatters {
                for i in 0..count * width {
                    let (row, col) = (i / width, i % width);
                    // SAFETY: the caller's promise; the kernel wrote as many bytes to the scratch.
                    unsafe { *from[2].add(row * pitches[2] + col * steps[2]) = *places[2].add(i) };
                }
            }
        }
    }
}

/// Rows of elements that are `step` bytes apart, one behind the other.
///
/// # Safety
/// Both places cover what is described.
unsafe fn lay_out(bytes: &ByteKernels, x: *const i8, [pitch, step]: [usize; 2], out: *mut i8, [rows, len]: [usize; 2]) {
    for row in 0..rows {
        // SAFETY: the caller's promise.
        unsafe { (bytes.pick)(step, x.add(row * pitch), out.add(row * len), len) };
    }
}
