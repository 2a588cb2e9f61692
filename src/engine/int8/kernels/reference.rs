//! Plain Rust: what every other set must equal bit for bit, and what runs where no better one fits.

use super::{
    AlignedBytes, DepthwiseCall, DepthwiseWeights, Finish, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm,
    Terms,
};

/// The plain set.
#[derive(Debug)]
pub struct Reference;

/// Rows of a gemm call: as many as make the weights worth loading.
const ROWS: usize = 4;

/// Bytes of one channel's block before the weights: starting sum, scale. Weights, less their zero point, take two bytes.
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
        let block_bytes = (HEAD + 2 * k).next_multiple_of(4);
        let mut data = AlignedBytes::zeroed(weights.n * block_bytes);
        for channel in 0..weights.n {
            let at = channel * block_bytes;
            data.put_i32(at, [weights.start(channel, weights.x_zero)]);
            data.put_f32(at + 4, [weights.scale[channel]]);
            data.put_i16(at + HEAD, (0..k).map(|i| weights.weight(channel, i)));
        }
        let GemmWeights { n, segments, segment, .. } = *weights;
        let terms = Terms::of_gemm(weights, n, |channel| channel, &[]);
        PackedGemm { n, segments, segment, block: 1, block_bytes, data, terms, variant: 0 }
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
                        acc = acc.wrapping_add(i32::from(x) * i32::from(i16::from_le_bytes(w)));
                    }
                }
                // SAFETY: the row's output has a result for every channel.
                unsafe { put(&call.finish, &packed.terms, channel, (acc, scale), out) };
            }
        }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        let taps = weights.kh * weights.kw;
        let block_bytes = (HEAD + 2 * taps).next_multiple_of(4);
        let mut data = AlignedBytes::zeroed(weights.channels * block_bytes);
        for channel in 0..weights.channels {
            let at = channel * block_bytes;
            data.put_i32(at, [weights.start(channel, weights.x_zero)]);
            data.put_f32(at + 4, [weights.scale[channel]]);
            data.put_i16(at + HEAD, (0..taps).map(|tap| weights.weight(channel, tap)));
        }
        let DepthwiseWeights { channels, kh, kw, .. } = *weights;
        let terms = Terms::of_depthwise(weights, channels, Some);
        PackedDepthwise { channels, kh, kw, block: 1, block_bytes, data, terms, ..PackedDepthwise::default() }
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
                            let w = i16::from_le_bytes(weights[ky * packed.kw + kx]);
                            acc = acc.wrapping_add(i32::from(x) * i32::from(w));
                        }
                    }
                    // SAFETY: the output covers every pixel.
                    unsafe {
                        let out = call.out.add(row * call.out_row + col * call.out_col);
                        put(&call.finish, &packed.terms, channel, (acc, scale), out);
                    }
                }
            }
        }
    }
}

/// Writes the result of a channel.
///
/// # Safety
/// `out` has it.
unsafe fn put(finish: &Finish, terms: &Terms, channel: usize, (acc, scale): (i32, f32), out: *mut i8) {
    match finish {
        // SAFETY: the caller's promise.
        Finish::Bytes(requant) => unsafe { *out.add(channel) = requant.apply(acc, scale) },
        Finish::Floats(dequant) => {
            let (sum, bias) = (terms.sums.as_slice(), terms.bias.as_slice());
            let sum = i32::from_le_bytes(word(sum, 4 * channel)).wrapping_neg();
            let bias = f32::from_le_bytes(word(bias, 4 * channel));
            // SAFETY: as above.
            unsafe { out.cast::<f32>().add(channel).write_unaligned(dequant.apply(acc, sum, scale, bias)) };
        }
    }
}

/// Starting sum, scale and weights of a channel.
fn split(block: &[u8]) -> (i32, f32, &[[u8; 2]]) {
    let weights = block[HEAD..].as_chunks().0;
    (i32::from_le_bytes(word(block, 0)), f32::from_le_bytes(word(block, 4)), weights)
}

/// Four bytes.
fn word(bytes: &[u8], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}
