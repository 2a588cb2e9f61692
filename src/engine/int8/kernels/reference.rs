//! Plain Rust: what every other set must equal bit for bit, and what runs where no better one fits.

use super::{
    AlignedBytes, DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm,
};

/// The plain set.
#[derive(Debug)]
pub struct Reference;

/// Rows of a gemm call: as many as make the weights worth loading.
const ROWS: usize = 4;

/// Bytes of one channel's block: starting sum, scale, weights.
const HEAD: usize = 8;

impl Kernels for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn gemm_rows(&self, _packed: &PackedGemm) -> usize {
        ROWS
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        let k = weights.segments * weights.segment;
        let block_bytes = (HEAD + k).next_multiple_of(4);
        let mut data = AlignedBytes::zeroed(weights.n * block_bytes);
        for channel in 0..weights.n {
            let at = channel * block_bytes;
            data.put_i32(at, [weights.start(channel, weights.x_zero)]);
            data.put_f32(at + 4, [weights.scale[channel]]);
            data.put_i8(at + HEAD, weights.data[channel * k..][..k].iter().copied());
        }
        let GemmWeights { n, segments, segment, .. } = *weights;
        PackedGemm { n, segments, segment, block: 1, block_bytes, data, variant: 0 }
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        let packed = call.packed;
        for channel in call.first_block..call.first_block + call.blocks {
            let block = &packed.data.as_slice()[channel * packed.block_bytes..][..packed.block_bytes];
            let (start, scale, weights) = split(block);
            for (&row, &out) in call.rows.iter().zip(call.outs) {
                let mut acc = start;
                for (&offset, weights) in call.offsets.iter().zip(weights.chunks_exact(packed.segment)) {
                    // SAFETY: the row covers every segment.
                    let x = unsafe { std::slice::from_raw_parts(row.add(offset), packed.segment) };
                    for (&x, &w) in x.iter().zip(weights) {
                        acc = acc.wrapping_add(i32::from(x) * i32::from(w as i8));
                    }
                }
                // SAFETY: the row's output has a byte for every channel.
                unsafe { *out.add(channel) = call.requant.apply(acc, scale) };
            }
        }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        let taps = weights.kh * weights.kw;
        let block_bytes = (HEAD + taps).next_multiple_of(4);
        let mut data = AlignedBytes::zeroed(weights.channels * block_bytes);
        for channel in 0..weights.channels {
            let at = channel * block_bytes;
            data.put_i32(at, [weights.start(channel, weights.x_zero)]);
            data.put_f32(at + 4, [weights.scale[channel]]);
            data.put_i8(at + HEAD, (0..taps).map(|tap| weights.data[tap * weights.channels + channel]));
        }
        let DepthwiseWeights { channels, kh, kw, .. } = *weights;
        PackedDepthwise { channels, kh, kw, block: 1, block_bytes, data, variant: 0 }
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        let packed = call.packed;
        for channel in 0..packed.channels {
            let block = &packed.data.as_slice()[channel * packed.block_bytes..][..packed.block_bytes];
            let (start, scale, weights) = split(block);
            for row in 0..call.rows {
                for col in 0..call.cols {
                    let mut acc = start;
                    for ky in 0..packed.kh {
                        for kx in 0..packed.kw {
                            let at = row * call.step_row + col * call.step_col + ky * call.tap_row + kx * call.tap_col;
                            // SAFETY: the input covers every tap of every pixel.
                            let x = unsafe { *call.input.add(at + channel) };
                            acc = acc.wrapping_add(i32::from(x) * i32::from(weights[ky * packed.kw + kx] as i8));
                        }
                    }
                    // SAFETY: the output covers every pixel.
                    unsafe {
                        *call.out.add(row * call.out_row + col * call.out_col + channel) =
                            call.requant.apply(acc, scale);
                    }
                }
            }
        }
    }
}

/// Starting sum, scale and weights of a channel.
fn split(block: &[u8]) -> (i32, f32, &[u8]) {
    let word = |at: usize| [block[at], block[at + 1], block[at + 2], block[at + 3]];
    (i32::from_le_bytes(word(0)), f32::from_le_bytes(word(4)), &block[HEAD..])
}
