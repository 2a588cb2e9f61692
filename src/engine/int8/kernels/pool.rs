//! Windows over pixels: their greatest bytes, their means; and softmax, which goes over one axis as a pool does.

use super::bytes::{ByteKernels, Lines, SoftmaxParams};
use super::step::{Pixels, Windows, Work};
use super::walk::{Part, Rectangle, at, rectangles};
use super::{SLACK, aligned::Scratch, moves, plain};

/// Bytes of scratch: it stays in the first cache.
const SCRATCH: usize = 16 << 10;

/// A max pool: the greatest of every column of a row of windows, side by side in scratch, then the greatest of those for every window.
///
/// # Safety
/// As [`run`](super::run::run).
pub unsafe fn max(bytes: &ByteKernels, work: &Work, arena: *mut i8, part: Part) {
    let Work::MaxPool { rows, cols, channels, input, output, images } = work else { return };
    let channels = *channels;
    let mut scratch = Scratch::<{ SCRATCH + SLACK }>::new();
    let columns = scratch.as_mut_ptr();
    for line in part.range(images * rows.spans.len()) {
        let (image, row) = (line / rows.spans.len(), line % rows.spans.len());
        let (y, height) = rows.spans[row];
        let down = [height, rows.dilation * input.steps[1]];
        let mut first = 0;
        while first < cols.spans.len() {
            // As many windows as have their columns in the scratch. With dilation, a window cut off by the padding may begin behind
            // the next one.
            let (mut left, mut right, mut end) = (usize::MAX, 0, first);
            for &(x, width) in &cols.spans[first..] {
                let wider = (left.min(x), right.max(x + (width - 1) * cols.dilation + 1));
                if (wider.1 - wider.0) * channels > SCRATCH {
                    break;
                }
                ((left, right), end) = (wider, end + 1);
            }
            let fits = end > first;
            let left = if fits { left } else { cols.spans[first].0 };
            let end = end.max(first + 1);
            // SAFETY: the plan laid every pixel out inside the arena; the scratch has the columns of these windows.
            unsafe {
                let x = arena.add(at(input, image, y, left)).cast_const();
                let out = arena.add(at(output, image, row, first));
                if !fits {
                    huge(bytes, x, down, [cols.spans[first].1, cols.dilation * input.steps[2]], out, channels);
                } else {
                    let pitches = [input.steps[2], channels];
                    (bytes.max)(down, &Lines { x, out: columns, pitches, rows: right - left, len: channels });
                    across(bytes, cols, left, first..end, columns, [channels, output.steps[2]], out);
                }
            }
            first = end;
        }
    }
}

/// The greatest column of every window, from the columns of all of them.
///
/// # Safety
/// `columns` has the columns of the windows, from `origin` on; `out` takes the windows.
unsafe fn across(
    bytes: &ByteKernels,
    cols: &Windows,
    origin: usize,
    windows: std::ops::Range<usize>,
    columns: *const i8,
    [channels, out_step]: [usize; 2],
    out: *mut i8,
) {
    let mut col = windows.start;
    while col < windows.end {
        // Windows of one width, equally far apart, go together.
        let (x, width) = cols.spans[col];
        let stride = if col + 1 < windows.end { cols.spans[col + 1].0.saturating_sub(x) } else { 0 };
        let alike = |&c: &usize| cols.spans[c] == (x + (c - col) * stride, width);
        let count = (col..windows.end).take_while(alike).count();
        let lines = Lines {
            // SAFETY: the caller's promise.
            x: unsafe { columns.add((x - origin) * channels) },
            // SAFETY: the caller's promise.
            out: unsafe { out.add((col - windows.start) * out_step) },
            pitches: [stride * channels, out_step],
            rows: count,
            len: channels,
        };
        // SAFETY: the caller's promise.
        unsafe { (bytes.max)([width, cols.dilation * channels], &lines) };
        col += count;
    }
}

/// One window whose columns do not fit the scratch: channel block by channel block.
///
/// # Safety
/// The window and the result lie inside the arena.
unsafe fn huge(
    bytes: &ByteKernels,
    x: *const i8,
    down: [usize; 2],
    [width, step]: [usize; 2],
    out: *mut i8,
    channels: usize,
) {
    const BLOCK: usize = 64;
    let mut scratch = Scratch::<{ SCRATCH + SLACK }>::new();
    let columns = scratch.as_mut_ptr();
    for channel in (0..channels).step_by(BLOCK) {
        let len = BLOCK.min(channels - channel);
        // Column 0 of the scratch is the greatest so far.
        let mut have = 0;
        let most = SCRATCH / BLOCK;
        let mut col = 0;
        while col < width {
            let count = (width - col).min(most - have);
            // SAFETY: the caller's promise; the scratch has `most` columns.
            unsafe {
                let lines = Lines {
                    x: x.add(col * step + channel),
                    out: columns.add(have * len),
                    pitches: [step, len],
                    rows: count,
                    len,
                };
                (bytes.max)(down, &lines);
                let all = Lines { x: columns, out: columns, pitches: [len; 2], rows: 1, len };
                (bytes.max)([have + count, len], &all);
            }
            (have, col) = (1, col + count);
        }
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(columns, out.add(channel), len) };
    }
}

/// An average pool.
///
/// # Safety
/// As [`run`](super::run::run).
pub unsafe fn average(bytes: &ByteKernels, work: &Work, arena: *mut i8, part: Part) {
    let Work::AveragePool { rows, cols, channels, input, output, images, means } = work else { return };
    let lines = images * rows.spans.len();
    // Where there are fewer rows than threads, each takes channels.
    const BLOCK: usize = 64;
    let by_channels = lines < part.count;
    let blocks = if by_channels { part.range(channels.div_ceil(BLOCK)) } else { 0..channels.div_ceil(BLOCK) };
    let channels = blocks.start * BLOCK..(blocks.end * BLOCK).min(*channels);
    if channels.is_empty() {
        return;
    }
    let shifted = |pixels: &Pixels, image, row, col| at(pixels, image, row, col) + channels.start;
    for line in if by_channels { 0..lines } else { part.range(lines) } {
        let (image, row) = (line / rows.spans.len(), line % rows.spans.len());
        let (y, height) = rows.spans[row];
        let steps = [input.steps[1] * rows.dilation, input.steps[2] * cols.dilation];
        for (col, &(x, width)) in cols.spans.iter().enumerate() {
            // SAFETY: the plan laid every pixel out inside the arena.
            unsafe {
                let x = arena.add(shifted(input, image, y, x)).cast_const();
                let out = arena.add(shifted(output, image, row, col));
                (bytes.average)(means, x, [height, width], steps, out, channels.len());
            }
        }
    }
}

/// Softmax over one axis.
///
/// # Safety
/// As [`run`](super::run::run).
pub unsafe fn softmax(bytes: &ByteKernels, work: &Work, arena: *mut i8, part: Part) {
    let Work::Softmax { table, inverse, requant, len, steps, places, loops } = work else { return };
    let params = SoftmaxParams { table, inverse: *inverse, requant: *requant };
    let (params, len, steps) = (&params, *len, *steps);
    rectangles(loops, None, places.map(|p| p.offset), part, |outer| {
        for row in 0..outer.rows {
            // SAFETY: the caller's promise.
            let (x, out) = unsafe {
                (
                    arena.add(outer.start[0] + row * outer.pitches[0]).cast_const(),
                    arena.add(outer.start[1] + row * outer.pitches[1]),
                )
            };
            // SAFETY: the caller's promise.
            unsafe {
                if steps == [1, 1] {
                    let lines = Lines { x, out, pitches: outer.steps, rows: outer.len, len };
                    rows_of(bytes, params, &lines);
                } else {
                    strided(bytes, params, len, steps, &outer, x, out);
                }
            }
        }
    });
}

/// Rows whose elements are neighbours.
///
/// # Safety
/// Both places have the rows described.
unsafe fn rows_of(bytes: &ByteKernels, params: &SoftmaxParams, lines: &Lines) {
    // SAFETY: the caller's promise.
    unsafe {
        if lines.len < bytes.long {
            return (bytes.softmax)(params, lines);
        }
        for row in 0..lines.rows {
            let (x, out) = (lines.x.add(row * lines.pitches[0]), lines.out.add(row * lines.pitches[1]));
            let table = (bytes.softmax_table)(params, x, lines.len);
            (bytes.lut)(&table, &Lines { x, out, rows: 1, ..*lines });
        }
    }
}

/// Rows whose elements are apart: some of them at a time are transposed into scratch and back.
///
/// # Safety
/// Both places have the rows described.
unsafe fn strided(
    bytes: &ByteKernels,
    params: &SoftmaxParams,
    len: usize,
    steps: [usize; 2],
    outer: &Rectangle<2>,
    x: *const i8,
    out: *mut i8,
) {
    let mut scratch = [const { Scratch::<{ SCRATCH + SLACK }>::new() }; 2];
    let [from, to] = scratch.each_mut().map(Scratch::as_mut_ptr);
    let rows = (SCRATCH / len).min(64);
    if rows == 0 {
        for row in 0..outer.len {
            // SAFETY: the caller's promise.
            unsafe {
                plain::softmax_row(params, x.add(row * outer.steps[0]), out.add(row * outer.steps[1]), steps, len);
            }
        }
        return;
    }
    for row in (0..outer.len).step_by(rows) {
        let rows = rows.min(outer.len - row);
        // SAFETY: the caller's promise; the scratch takes so many rows.
        unsafe {
            let (x, out) = (x.add(row * outer.steps[0]), out.add(row * outer.steps[1]));
            if outer.steps[0] == 1 {
                moves::transpose(bytes, &Lines { x, out: from, pitches: [steps[0], len], rows, len });
            } else {
                for i in 0..rows {
                    (bytes.pick)(steps[0], x.add(i * outer.steps[0]), from.add(i * len), len);
                }
            }
            rows_of(bytes, params, &Lines { x: from, out: to, pitches: [len; 2], rows, len });
            if outer.steps[1] == 1 {
                moves::transpose(bytes, &Lines { x: to, out, pitches: [len, steps[1]], rows: len, len: rows });
            } else {
                for i in 0..rows * len {
                    *out.add(i / len * outer.steps[1] + i % len * steps[1]) = *to.add(i);
                }
            }
        }
    }
}
