//! Transposed convolutions taken apart: which outputs read which inputs through which taps.

use super::super::graph::Conv;

/// The outputs along one axis that are a stride apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// The first of them.
    pub first: usize,
    /// Number of them.
    pub count: usize,
    /// Input that the first tap of the first output reads; the next output reads the next input.
    pub start: isize,
    /// Taps of the kernel in the order of the inputs that they read; none where the kernel is shorter than the stride.
    pub taps: Vec<usize>,
    /// Inputs between those of two taps.
    pub dilation: usize,
}

impl Phase {
    /// Index behind the last input read.
    pub fn end(&self) -> isize {
        self.start + (self.count - 1 + self.taps.len().saturating_sub(1) * self.dilation) as isize + 1
    }
}

/// The phases along rows (0) or columns (1) that have outputs.
pub(super) fn phases(conv: &Conv, axis: usize, outputs: usize) -> Vec<Phase> {
    let (kernel, stride) = (conv.kernel[axis], conv.strides[axis]);
    let (dilation, pad) = (conv.dilations[axis], conv.pads[axis]);
    let phase = |rest: usize| {
        // Output o = i · stride + tap · dilation − pad: the rest of o + pad says which taps there are.
        let first = (rest + stride - pad % stride) % stride;
        let at = ((first + pad - rest) / stride) as isize;
        let taps: Vec<usize> = (0..kernel).rev().filter(|tap| tap * dilation % stride == rest).collect();
        let back = |tap: usize| ((tap * dilation - rest) / stride) as isize;
        let step = if let [a, b, ..] = taps[..] { (back(a) - back(b)) as usize } else { 1 };
        let start = at - taps.first().map_or(0, |&tap| back(tap));
        let count = outputs.saturating_sub(first).div_ceil(stride);
        Phase { first, count, start, taps, dilation: step }
    };
    (0..stride).map(phase).filter(|phase| phase.count > 0).collect()
}

/// Rows before and after, and columns before and after, that the phases read beyond an input `[N, C, H, W]`.
pub(super) fn borders(conv: &Conv, input: &[usize], output: &[usize]) -> [(usize, usize); 2] {
    [0, 1].map(|axis| {
        let phases = phases(conv, axis, output[2 + axis]);
        let before = phases.iter().map(|p| -p.start).max().unwrap_or(0);
        let after = phases.iter().map(|p| p.end() - input[2 + axis] as isize).max().unwrap_or(0);
        (before.max(0) as usize, after.max(0) as usize)
    })
}
