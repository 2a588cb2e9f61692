//! Drives the kernels through one step: walks tiles, rows and strides.

pub mod float;
mod hybrid;

use super::step::{Pixels, Step, Windows, Work};
use super::{DepthwiseCall, GemmCall, Kernels, Loops, MAX_ROWS, Requant, elementwise};

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

/// One thread's share of a step.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Index of the thread.
    pub index: usize,
    /// Number of threads.
    pub count: usize,
}

impl Part {
    /// Everything.
    pub const WHOLE: Part = Part { index: 0, count: 1 };

    /// This thread's range of `len` items.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        len * self.index / self.count..len * (self.index + 1) / self.count
    }
}

/// Runs a thread's part of a step that stays inside the arena.
///
/// # Safety
/// The step belongs to a plan whose arena, [`super::SLACK`] bytes included, starts at `arena`; the processor has the set's instructions;
/// other threads run other parts of the same step, or none.
pub unsafe fn run(step: &Step, kernels: &dyn Kernels, arena: *mut i8, part: Part) {
    // What every SAFETY line below refers to: the plan laid every place out inside the arena, and no step's output lies over its
    // input unless element for element; parts are disjoint in what they write.
    match &step.work {
        // SAFETY: see above.
        Work::Gemm { .. } => unsafe { gemm(&step.work, kernels, arena, part) },
        Work::Depthwise { packed, ending, taps, input, output, dims } => {
            // SAFETY: see above.
            let finish = unsafe { hybrid::finish(ending, arena) };
            let [images, rows, cols] = *dims;
            let lines = part.range(images * rows);
            let mut line = lines.start;
            while line < lines.end {
                let (image, row) = (line / rows, line % rows);
                let count = (rows - row).min(lines.end - line);
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
                line += count;
            }
        }
        Work::Add { params, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[a, b, out], len, [sa, sb, so]| {
                // SAFETY: see above.
                let (a, b, out) = unsafe { (arena.add(a), arena.add(b), arena.add(out)) };
                if (sa, sb, so) == (1, 1, 1) {
                    // SAFETY: see above.
                    return unsafe { kernels.add(params, a, b, out, len) };
                }
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe { super::plain::add(params, a.add(i * sa), b.add(i * sb), out.add(i * so), 1) };
                }
            });
        }
        Work::Mul { zeros, scale, requant, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[a, b, out], len, steps| {
                // SAFETY: see above.
                unsafe {
                    let places = (arena.add(a).cast_const(), arena.add(b).cast_const(), arena.add(out));
                    elementwise::mul(*zeros, *scale, requant, places, len, steps);
                }
            });
        }
        Work::Lookup { table, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, steps| {
                // SAFETY: see above.
                let (x, out) = unsafe { (arena.add(x).cast_const(), arena.add(out)) };
                match (table, steps) {
                    // SAFETY: see above.
                    (Some(table), [1, 1]) => unsafe { kernels.lut(table, x, out, len) },
                    // SAFETY: see above.
                    (table, steps) => unsafe { elementwise::copy(table.as_deref(), x, out, len, steps) },
                }
            });
        }
        Work::Fill { value, place, runs } => {
            for &(start, len) in &runs[part.range(runs.len())] {
                // SAFETY: see above.
                unsafe { std::ptr::write_bytes(arena.add(place.offset + start), *value as u8, len) };
            }
        }
        Work::MaxPool { rows, cols, channels, input, output, images } => {
            windows(rows, cols, *images, part, |image, row, col, window| {
                // SAFETY: see above.
                let out = unsafe { arena.add(at(output, image, row, col)) };
                // SAFETY: see above.
                unsafe { std::ptr::write_bytes(out, 0x80, *channels) };
                window(&mut |y, x| {
                    // SAFETY: see above.
                    unsafe { kernels.max(arena.add(at(input, image, y, x)), out, *channels) };
                });
            });
        }
        Work::AveragePool { rows, cols, channels, input, output, images, means } => {
            windows(rows, cols, *images, part, |image, row, col, _| {
                let (y, height) = rows.spans[row];
                let (x, width) = cols.spans[col];
                let steps = [input.steps[1] * rows.dilation, input.steps[2] * cols.dilation];
                // SAFETY: see above.
                unsafe {
                    let x = arena.add(at(input, image, y, x)).cast_const();
                    let out = arena.add(at(output, image, row, col));
                    elementwise::average(means, x, [height, width], steps, out, *channels);
                }
            });
        }
        // SAFETY: see above.
        Work::Resize { .. } => unsafe { resize(&step.work, arena, part) },
        Work::Gather { offsets, step, places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, steps| {
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe {
                        let (x, out) = (arena.add(x + i * steps[0]).cast_const(), arena.add(out + i * steps[1]));
                        elementwise::gather(offsets, *step, x, out);
                    }
                }
            });
        }
        Work::Softmax { table, inverse, requant, len: count, steps: [x_step, out_step], places, loops } => {
            each(loops, places.map(|p| p.offset), part, |[x, out], len, steps| {
                for i in 0..len {
                    // SAFETY: see above.
                    unsafe {
                        let x = (arena.add(x + i * steps[0]).cast_const(), *x_step);
                        let out = (arena.add(out + i * steps[1]), *out_step);
                        elementwise::softmax(table, *inverse, requant, x, out, *count);
                    }
                }
            });
        }
        // SAFETY: see above.
        Work::Hybrid(work) => unsafe { hybrid::run(work, arena, part) },
        // Floats have kernels of their own: `float::run`.
        Work::Float(_) | Work::Load { .. } | Work::Store { .. } => {}
    }
}

/// Brings a tensor in.
///
/// # Safety
/// As [`run`]; `input` has the elements that the step's loops cover.
pub unsafe fn load(step: &Step, arena: *mut i8, input: Input) {
    let Work::Load { quant, place, loops, .. } = &step.work else { return };
    each(loops, [0, place.offset], Part::WHOLE, |[from, to], len, _| {
        // SAFETY: the plan laid the result out inside the arena, and nothing else refers to it now.
        let to = unsafe { std::slice::from_raw_parts_mut(arena.add(to), len) };
        match input {
            Input::F32(values) => elementwise::quantize(&values[from..][..len], *quant, to),
            Input::I8(values) => to.copy_from_slice(&values[from..][..len]),
            Input::U8(values) => {
                for (to, from) in to.iter_mut().zip(&values[from..][..len]) {
                    *to = (from ^ 0x80) as i8;
                }
            }
        }
    });
}

/// Takes a tensor out.
///
/// # Safety
/// As [`run`]; `output` has the elements that the step's loops cover.
pub unsafe fn store(step: &Step, arena: *const i8, output: &mut Output) {
    let Work::Store { quant: (scale, zero), place, loops, .. } = &step.work else { return };
    each(loops, [place.offset, 0], Part::WHOLE, |[from, to], len, _| {
        // SAFETY: the plan laid the operand out inside the arena, and nothing writes there now.
        let from = unsafe { std::slice::from_raw_parts(arena.add(from), len) };
        match output {
            Output::F32(values) => {
                for (to, from) in values[to..][..len].iter_mut().zip(from) {
                    *to = (i32::from(*from) - zero) as f32 * scale;
                }
            }
            Output::I8(values) => values[to..][..len].copy_from_slice(from),
            Output::U8(values) => {
                for (to, from) in values[to..][..len].iter_mut().zip(from) {
                    *to = *from as u8 ^ 0x80;
                }
            }
        }
    });
}

fn at(pixels: &Pixels, image: usize, row: usize, col: usize) -> usize {
    pixels.place.offset + image * pixels.steps[0] + row * pixels.steps[1] + col * pixels.steps[2]
}

/// Calls `body` with the offsets, length and steps of every innermost run of this part.
#[inline(always)]
fn each<const N: usize>(
    loops: &Loops<N>,
    base: [usize; N],
    part: Part,
    mut body: impl FnMut([usize; N], usize, [usize; N]),
) {
    // A single run is cut into pieces, more of them are dealt out by the outermost axis.
    let Some((&(outer, outer_steps), rest)) = loops.axes.split_first() else { return };
    let range = part.range(outer);
    if range.is_empty() {
        return;
    }
    let start: [usize; N] = std::array::from_fn(|v| base[v] + range.start * outer_steps[v]);
    let Some((&(len, steps), middle)) = rest.split_last() else {
        return body(start, range.len(), outer_steps);
    };
    for index in 0..range.len() {
        let start = std::array::from_fn(|v| start[v] + index * outer_steps[v]);
        nest(middle, start, &mut |offsets| body(offsets, len, steps));
    }
}

fn nest<const N: usize>(axes: &[(usize, [usize; N])], start: [usize; N], body: &mut impl FnMut([usize; N])) {
    match axes.split_first() {
        None => body(start),
        Some((&(len, steps), rest)) => {
            for index in 0..len {
                nest(rest, std::array::from_fn(|v| start[v] + index * steps[v]), body);
            }
        }
    }
}

/// Calls `body` with image, row, column and a walk over the window's input pixels, for every output pixel of this part.
#[inline(always)]
fn windows(
    rows: &Windows,
    cols: &Windows,
    images: usize,
    part: Part,
    mut body: impl FnMut(usize, usize, usize, &dyn Fn(&mut dyn FnMut(usize, usize))),
) {
    for line in part.range(images * rows.spans.len()) {
        let (image, row) = (line / rows.spans.len(), line % rows.spans.len());
        let (y, height) = rows.spans[row];
        for (col, &(x, width)) in cols.spans.iter().enumerate() {
            body(image, row, col, &|visit| {
                for dy in 0..height {
                    for dx in 0..width {
                        visit(y + dy * rows.dilation, x + dx * cols.dilation);
                    }
                }
            });
        }
    }
}

/// Tiles of rows by blocks of output channels.
///
/// # Safety
/// As [`run`].
unsafe fn gemm(work: &Work, kernels: &dyn Kernels, arena: *mut i8, part: Part) {
    let Work::Gemm { packed, ending, offsets, input, output, dims: [images, rows, cols] } = work else { return };
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
    }
}

/// # Safety
/// As [`run`].
unsafe fn resize(work: &Work, arena: *mut i8, part: Part) {
    let Work::Resize { rows, cols, channels, input, output, images, x_zero, ratio, requant, copy } = work else {
        return;
    };
    let scale = ratio / (ONE * ONE) as f32;
    for line in part.range(images * rows.len()) {
        let (image, row) = (line / rows.len(), line % rows.len());
        let (top, bottom, down) = rows[row];
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
                blend(corners, shares, *x_zero, scale, requant, out, *channels);
            }
        }
    }
}

/// Unit of the shares of a resize: 2048 of them make one.
pub const ONE: i32 = 1 << 11;

/// # Safety
/// `corners` and `out` have `channels` bytes.
unsafe fn blend(
    corners: [*const i8; 4],
    shares: [i32; 4],
    x_zero: i32,
    scale: f32,
    requant: &Requant,
    out: *mut i8,
    channels: usize,
) {
    for channel in 0..channels {
        // SAFETY: the caller's promise.
        let values = corners.map(|c| i32::from(unsafe { *c.add(channel) }) - x_zero);
        let sum = values.iter().zip(shares).map(|(v, s)| v * s).sum::<i32>();
        // SAFETY: the caller's promise.
        unsafe { *out.add(channel) = requant.apply(sum, scale) };
    }
}
