//! A set of kernels out of the generic ones.

/// Defines the set `$set`: its name, its rate, its vector type, the features it is compiled for (if any), what computes a
/// tile, bytes of rows beside weights that stay in the cache and beside others, and the tiles: for each
/// number of vectors in a block the numbers of rows, all from 1 to the most, and the most. The first block is the widest.
macro_rules! float_kernels {
    ($(#[$doc:meta])* $set:ident, $name:literal, $macs_per_us:literal, $simd:ty, [$($features:literal)?], $($tile:ident)::+, $near_far:expr, {
        $widest:literal,
        $($vectors:literal: $($rows:literal)+ => $most:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $set;

        /// Rows of the largest tile of so many vectors.
        fn most_rows(vectors: usize) -> usize {
            match vectors {
                $($vectors => $most,)+
                _ => unreachable!("blocks have 1 to {} vectors", $widest),
            }
        }

        /// Not inlined, so that each tile has the registers to itself.
        ///
        /// # Safety
        /// As the generic one.
        #[inline(never)]
        $(#[target_feature(enable = $features)])?
        unsafe fn tile<const R: usize, const V: usize>(tile: &super::gemm::Tile) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $($tile)::+::<$simd, R, V>(tile) }
        }

        /// The tile of so many vectors and rows.
        fn tile_of(vectors: usize, rows: usize) -> unsafe fn(&super::gemm::Tile) {
            match (vectors, rows) {
                $($(($vectors, $rows) => tile::<$rows, $vectors>,)+)+
                _ => unreachable!("tiles have 1 to `most_rows` rows"),
            }
        }

        /// Not inlined: it has every function in it.
        ///
        /// # Safety
        /// As the generic one.
        #[inline(never)]
        $(#[target_feature(enable = $features)])?
        unsafe fn unary(function: &super::Function, x: *const f32, out: *mut f32, grid: &super::Grid<2>) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { super::elementwise::unary::<$simd>(function, x, out, grid) }
        }

        /// # Safety
        /// As [`unary`], of `len` adjacent elements.
        unsafe fn apply(function: &super::Function, out: *mut f32, len: usize) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { unary(function, out, out, &super::Grid::flat(len)) }
        }

        impl super::FloatKernels for $set {
            fn name(&self) -> &'static str {
                $name
            }

            fn macs_per_us(&self) -> u64 {
                $macs_per_us
            }

            fn gemm_shape(&self, n: usize, segments: usize, segment: usize) -> super::GemmShape {
                super::gemm::shape::<$simd>($widest, n, segments, segment)
            }

            fn gemm_rows(&self, shape: &super::GemmShape) -> usize {
                super::gemm::rows(most_rows(super::gemm::width::<$simd>(shape, 0)), shape, $near_far)
            }

            fn pack_gemm(&self, weights: &super::FloatGemmWeights) -> super::PackedFloatGemm {
                let shape = self.gemm_shape(weights.n, weights.segments, weights.segment);
                super::gemm::pack::<$simd>(shape, weights)
            }

            fn pack_depthwise(&self, weights: &super::FloatDepthwiseWeights) -> super::PackedFloatDepthwise {
                super::depthwise::pack::<$simd>(weights)
            }

            unsafe fn gemm(&self, call: &super::FloatGemmCall) {
                $(#[target_feature(enable = $features)])?
                unsafe fn compiled(call: &super::FloatGemmCall) {
                    // SAFETY: the caller's promise is the callee's.
                    unsafe { super::gemm::gemm::<$simd>(call, most_rows, tile_of, apply) }
                }
                // SAFETY: the caller's promise is the callee's.
                unsafe { compiled(call) }
            }

            super::generic::forward! { [$($features)?]
                pack_matrix(call: &super::PackCall) = super::gemm::pack_matrix::<$simd>;
                binary(op: super::Binary, a: *const f32, b: *const f32, out: *mut f32, grid: &super::Grid<3>)
                    = super::elementwise::binary::<$simd>;
                softmax(log: bool, x: &super::Lines, out: *mut f32, out_steps: [usize; 2])
                    = super::softmax::softmax::<$simd>;
                reduce(reduction: super::Reduction, x: &super::Lines, out: *mut f32, out_step: usize)
                    = super::reduce::reduce::<$simd>;
                arg(least: bool, last: bool, x: &super::Lines, out: *mut i32, out_step: usize) = super::arg::arg::<$simd>;
                normalize(call: &super::NormCall) = super::norm::normalize::<$simd>;
                pool(call: &super::PoolCall) = super::pool::pool::<$simd>;
                resize(call: &super::ResizeCall) = super::resize::resize::<$simd>;
                copy(x: *const f32, out: *mut f32, grid: &super::Grid<2>) = super::moves::copy::<$simd>;
                quantize(quant: (f32, i32), x: *const f32, out: *mut i8, len: usize) = super::convert::quantize::<$simd>;
                rescale(row: &super::Rescale, out: *mut f32) = super::convert::rescale::<$simd>;
                dequantize(quant: (f32, i32), x: *const i8, out: *mut f32, len: usize)
                    = super::convert::dequantize::<$simd>;
                lstm(call: &super::LstmCall) = super::recurrent::lstm::<$simd>;
                gru_reset(call: &super::GruCall, out: *mut f32) = super::recurrent::gru_reset::<$simd>;
                gru(linear: bool, call: &super::GruCall) = super::recurrent::gru::<$simd>;
            }

            unsafe fn depthwise(&self, call: &super::FloatDepthwiseCall) {
                $(#[target_feature(enable = $features)])?
                unsafe fn compiled(call: &super::FloatDepthwiseCall) {
                    // SAFETY: the caller's promise is the callee's.
                    unsafe { super::depthwise::depthwise::<$simd>(call, apply) }
                }
                // SAFETY: the caller's promise is the callee's.
                unsafe { compiled(call) }
            }

            unsafe fn unary(&self, function: &super::Function, x: *const f32, out: *mut f32, grid: &super::Grid<2>) {
                // SAFETY: the caller's promise is the callee's.
                unsafe { unary(function, x, out, grid) }
            }

            unsafe fn range(&self, x: *const f32, len: usize) -> (f32, f32) {
                $(#[target_feature(enable = $features)])?
                unsafe fn compiled(x: *const f32, len: usize) -> (f32, f32) {
                    // SAFETY: the caller's promise is the callee's.
                    unsafe { super::convert::range::<$simd>(x, len) }
                }
                // SAFETY: the caller's promise is the callee's.
                unsafe { compiled(x, len) }
            }
        }
    };
}

/// Unsafe methods with the arguments of functions that are compiled for the features.
macro_rules! forward {
    ([] $($method:ident($($arg:ident: $type:ty),*) = $function:path;)+) => {
        $(unsafe fn $method(&self, $($arg: $type),*) {
            // SAFETY: the caller's promise is the callee's.
            unsafe { $function($($arg),*) }
        })+
    };
    ([$features:literal] $($method:ident($($arg:ident: $type:ty),*) = $function:path;)+) => {
        $(unsafe fn $method(&self, $($arg: $type),*) {
            #[target_feature(enable = $features)]
            unsafe fn compiled($($arg: $type),*) {
                // SAFETY: the caller's promise is the callee's.
                unsafe { $function($($arg),*) }
            }
            // SAFETY: the caller's promise is the callee's.
            unsafe { compiled($($arg),*) }
        })+
    };
}

pub(super) use {float_kernels, forward};
