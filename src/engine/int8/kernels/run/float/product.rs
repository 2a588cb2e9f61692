//! Drives the kernels of products: convolutions and products of matrices.

use super::super::super::float::{
    Epilogue, FloatDepthwiseCall, FloatGemmCall, FloatKernels, GemmShape, MAX_ROWS, PackCall,
};
use super::super::super::step::{FloatWork, Pixels};
use super::super::super::walk::{Part, at, nest};

/// Bytes of a float.
const FLOAT: usize = 4;

/// Runs a thread's part of a product.
///
/// # Safety
/// As [`super::run`].
pub(super) unsafe fn run(work: &FloatWork, kernels: &dyn FloatKernels, arena: *mut i8, part: Part) {
    match work {
        FloatWork::Gemm { packed, epilogue, offsets, input, output, residual, dims } => {
            let rows = Rows { input, output, residual: residual.as_ref(), dims: *dims };
            // SAFETY: the caller's promise.
            unsafe { gemm(kernels, arena, part, (&packed.shape, packed.as_ptr()), epilogue, offsets, &rows) };
        }
        FloatWork::Depthwise { packed, function, taps, input, output, dims } => {
            let [images, rows, cols] = *dims;
            let lines = part.range(images * rows);
            let mut line = lines.start;
            while line < lines.end {
                let (image, row) = (line / rows, line % rows);
                let count = (rows - row).min(lines.end - line);
                // SAFETY: the plan laid every pixel out inside the arena; parts are disjoint in what they write.
                unsafe {
                    kernels.depthwise(&FloatDepthwiseCall {
                        packed,
                        function: *function,
                        input: arena.add(at(input, image, row, 0)).cast_const().cast(),
                        tap_row: taps[0] / FLOAT,
                        tap_col: taps[1] / FLOAT,
                        step_row: input.steps[1] / FLOAT,
                        step_col: input.steps[2] / FLOAT,
                        out: arena.add(at(output, image, row, 0)).cast(),
                        out_row: output.steps[1] / FLOAT,
                        out_col: output.steps[2] / FLOAT,
                        rows: count,
                        cols,
                    });
                }
                line += count;
            }
        }
        FloatWork::Pack { shape, steps, places, loops } => {
            let matrices: usize = loops.axes.iter().map(|a| a.0).product();
            let blocks = shape.blocks();
            // Blocks of all matrices, one behind another, are what threads divide.
            let range = part.range(matrices * blocks);
            let mut matrix = 0;
            nest(&loops.axes, usize::MAX, places.map(|p| p.offset), &mut |[b, out]| {
                let first = range.start.max(matrix * blocks);
                let end = range.end.min((matrix + 1) * blocks);
                if first < end {
                    // SAFETY: as above.
                    unsafe {
                        kernels.pack_matrix(&PackCall {
                            shape: *shape,
                            b: arena.add(b).cast_const().cast(),
                            k_step: steps[0] / FLOAT,
                            n_step: steps[1] / FLOAT,
                            out: arena.add(out).cast(),
                            first_block: first - matrix * blocks,
                            blocks: end - first,
                        });
                    }
                }
                matrix += 1;
            });
        }
        FloatWork::Product { shape, function, rows, steps, places, loops } => {
            let matrices: usize = loops.axes.iter().map(|a| a.0).product();
            let most = kernels.gemm_rows(shape).clamp(1, MAX_ROWS);
            let tiles = rows.div_ceil(most);
            let range = part.range(matrices * tiles);
            let mut matrix = 0;
            nest(&loops.axes, usize::MAX, places.map(|p| p.offset), &mut |[a, packed, out]| {
                let first = range.start.max(matrix * tiles);
                let end = range.end.min((matrix + 1) * tiles);
                for tile in first..end {
                    let tile = tile - matrix * tiles;
                    let (row, count) = (rows * tile / tiles, rows * (tile + 1) / tiles - rows * tile / tiles);
                    let (mut x, mut y) = ([std::ptr::null(); MAX_ROWS], [std::ptr::null_mut(); MAX_ROWS]);
                    for (i, (x, y)) in x.iter_mut().zip(&mut y).take(count).enumerate() {
                        // SAFETY: as above.
                        unsafe {
                            *x = arena.add(a + (row + i) * steps[0]).cast_const().cast();
                            *y = arena.add(out + (row + i) * steps[1]).cast();
                        }
                    }
                    // SAFETY: as above.
                    unsafe {
                        kernels.gemm(&FloatGemmCall {
                            shape: *shape,
                            weights: arena.add(packed).cast_const().cast(),
                            offsets: &[0],
                            first_block: 0,
                            blocks: shape.blocks(),
                            rows: &x[..count],
                            outs: &y[..count],
                            residual: &[],
                            epilogue: Epilogue::of(*function),
                        });
                    }
                }
                matrix += 1;
            });
        }
        _ => {}
    }
}

/// The rows of a product.
struct Rows<'a> {
    input: &'a Pixels,
    output: &'a Pixels,
    residual: Option<&'a Pixels>,
    dims: [usize; 3],
}

/// Tiles of rows by blocks of output channels.
///
/// # Safety
/// As [`run`].
unsafe fn gemm(
    kernels: &dyn FloatKernels,
    arena: *mut i8,
    part: Part,
    (shape, weights): (&GemmShape, *const f32),
    epilogue: &Epilogue,
    offsets: &[usize],
    rows: &Rows,
) {
    let [images, height, width] = rows.dims;
    let pixels = images * height * width;
    let most = kernels.gemm_rows(shape).clamp(1, MAX_ROWS);
    let tiles = pixels.div_ceil(most);
    // Few pixels and many channels (a fully connected layer): threads share the channels instead.
    let by_blocks = tiles < part.count;
    let blocks = if by_blocks { part.range(shape.blocks()) } else { 0..shape.blocks() };
    let range = if by_blocks { 0..tiles } else { part.range(tiles) };
    if blocks.is_empty() || range.is_empty() {
        return;
    }
    // Tiles of nearly equal height are better than full ones and a small rest.
    let bound = |tile: usize| pixels * tile / tiles;
    let mut pixel = bound(range.start);
    let (mut col, mut line) = (pixel % width, pixel / width);
    let (mut x, mut y) = ([std::ptr::null::<f32>(); MAX_ROWS], [std::ptr::null_mut::<f32>(); MAX_ROWS]);
    let mut added = [std::ptr::null::<f32>(); MAX_ROWS];
    for tile in range {
        let end = bound(tile + 1);
        let count = end - pixel;
        for index in 0..count {
            let (image, row) = if images == 1 { (0, line) } else { (line / height, line % height) };
            // SAFETY: the plan laid every pixel out inside the arena.
            unsafe {
                x[index] = arena.add(at(rows.input, image, row, col)).cast_const().cast();
                y[index] = arena.add(at(rows.output, image, row, col)).cast();
                if let Some(residual) = rows.residual {
                    added[index] = arena.add(at(residual, image, row, col)).cast_const().cast();
                }
            }
            col += 1;
            if col == width {
                (col, line) = (0, line + 1);
            }
        }
        pixel = end;
        let call = FloatGemmCall {
            shape: *shape,
            weights,
            offsets,
            first_block: blocks.start,
            blocks: blocks.len(),
            rows: &x[..count],
            outs: &y[..count],
            residual: if rows.residual.is_some() { &added[..count] } else { &[] },
            epilogue: *epilogue,
        };
        // SAFETY: as above; outputs never lie over inputs of such a step.
        unsafe { kernels.gemm(&call) };
    }
}
