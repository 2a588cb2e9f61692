//! The checks themselves: sets that are wrong in the ways in which sets go wrong have to be found out.

use crate::kernels::{
    DepthwiseCall, DepthwiseWeights, GemmCall, GemmWeights, Kernels, PackedDepthwise, PackedGemm, Requant,
    reference::Reference,
};

use super::rng::{Fill, Rng};
use super::{Results, depthwise, gemm};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    /// None: the cases below pass where nothing is wrong.
    None,
    /// Halves go away from 0.
    Rounding,
    /// Sums of two products saturate at 16 bits.
    Saturation,
    /// One byte behind the last channel is written.
    Behind,
    /// A byte of the slack has a part in the result.
    Slack,
    /// A block that was not asked for is computed.
    Block,
}

/// The reference with a mistake.
#[derive(Debug)]
struct Broken(Mistake);

impl Kernels for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn gemm_rows(&self, packed: &PackedGemm) -> usize {
        Reference.gemm_rows(packed)
    }

    fn pack_gemm(&self, weights: &GemmWeights) -> PackedGemm {
        let mut weights = *weights;
        // A product of −128 · −128 twice is the one that does not fit: take one away from one of its factors.
        let less: Vec<i8> = weights.data.iter().map(|&w| w.max(-127)).collect();
        if self.0 == Mistake::Saturation {
            weights.data = &less;
        }
        Reference.pack_gemm(&weights)
    }

    unsafe fn gemm(&self, call: &GemmCall) {
        let mut call = *call;
        if self.0 == Mistake::Block {
            call.first_block = 0;
        }
        // SAFETY: the caller's promise.
        unsafe { Reference.gemm(&call) };
        let last = call.first_block + call.blocks - 1;
        for (&row, &out) in call.rows.iter().zip(call.outs) {
            // SAFETY: the output has the last block's channel, and the tests' buffers bytes behind it.
            unsafe {
                match self.0 {
                    Mistake::Behind => *out.add(last + 1) = !*out.add(last + 1),
                    Mistake::Slack => *out.add(last) ^= *row.add(call.offsets[0] + call.packed.segment) & 1,
                    Mistake::Rounding => {
                        // What the reference made of 0.5 is 0; away from zero it would have been 1.
                        *out.add(last) = (*out.add(last)).max(1);
                    }
                    _ => (),
                }
            }
        }
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        Reference.pack_depthwise(weights)
    }

    unsafe fn depthwise(&self, call: &DepthwiseCall) {
        // SAFETY: the caller's promise; the tests' buffers have bytes behind the last pixel.
        unsafe {
            Reference.depthwise(call);
            let last = (call.rows - 1) * call.out_row + (call.cols - 1) * call.out_col + call.packed.channels;
            match self.0 {
                Mistake::Behind => *call.out.add(last) = !*call.out.add(last),
                Mistake::Rounding => *call.out.add(last - 1) = !*call.out.add(last - 1),
                _ => (),
            }
        }
    }
}

const WHOLE: Requant = Requant { zero_point: 0, low: -128, high: 127 };

/// Some dense layers, the fill chosen by the mistake.
fn dense(mistake: Mistake) {
    for seed in 0..20 {
        let mut rng = Rng(seed);
        let fill = if mistake == Mistake::Saturation { Fill::Lowest } else { Fill::Small };
        let case = gemm::Case {
            n: 2 + rng.below(20),
            segments: 1,
            segment: 3 + rng.below(30),
            rows: 3,
            x_zero: 0,
            results: Results::Bytes(WHOLE),
            x: fill,
            w: fill,
            zeros: None,
            range: if mistake == Mistake::Block { (200, 1) } else { (0, 255) },
            tight_front: false,
            seed,
        };
        let mut data = case.data();
        data.scale.fill(if mistake == Mistake::Saturation { 1.0 / 4096.0 } else { 1.0 / 256.0 });
        data.bias.fill(if mistake == Mistake::Rounding { 128 } else { 0 });
        let expected = data.expected(&case);
        gemm::check(&Broken(mistake), &case, &mut data, &expected);
    }
}

fn depth(mistake: Mistake) {
    for seed in 0..20 {
        let case = depthwise::Case {
            channels: 5,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            size: [2, 2],
            gaps: [0; 4],
            x_zero: 0,
            results: Results::Bytes(WHOLE),
            x: Fill::Any,
            w: Fill::Any,
            zeros: None,
            tight_front: false,
            seed,
        };
        depthwise::check(&case, &[&Broken(mistake)]);
    }
}

#[test]
fn nothing_wrong() {
    dense(Mistake::None);
    depth(Mistake::None);
}

#[test]
#[should_panic = "broken"]
fn rounding() {
    dense(Mistake::Rounding);
}

#[test]
#[should_panic = "broken"]
fn saturation() {
    dense(Mistake::Saturation);
}

#[test]
#[should_panic = "broken"]
fn byte_behind() {
    dense(Mistake::Behind);
}

#[test]
#[should_panic = "broken"]
fn slack_in_the_result() {
    dense(Mistake::Slack);
}

#[test]
#[should_panic = "broken"]
fn block_too_many() {
    dense(Mistake::Block);
}

#[test]
#[should_panic = "broken"]
fn depthwise_result() {
    depth(Mistake::Rounding);
}

#[test]
#[should_panic = "broken"]
fn depthwise_byte_behind() {
    depth(Mistake::Behind);
}

/// A byte behind the slack, or before the input: a child that reads one must not come back well. With `heap_buffers` this shows that
/// the sanitizer is in force.
#[cfg(all(unix, not(miri)))]
#[test]
fn read_beyond_the_slack() {
    use super::memory::Input;
    use crate::kernels::SLACK;

    let x = [1i8; 100];
    for (tight_front, at, allowed) in [
        (false, 100 + SLACK as isize - 1, true),
        (false, 100 + SLACK as isize, false),
        (true, 0, true),
        (true, -1, false),
    ] {
        let mut input = Input::new(&x, tight_front, &mut Rng(1));
        let from = input.ptr();
        // SAFETY: the child only reads a byte and leaves, by a fault or by `_exit`: it takes no lock.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                from.offset(at).read_volatile();
                libc::_exit(0);
            }
            assert!(child > 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            status
        };
        assert_eq!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, allowed, "byte {at} of 100 and {SLACK}");
    }
}
