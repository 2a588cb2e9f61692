//! Lowering of transposed convolutions. Outputs that are a stride apart read the same taps, so that each of the stride × stride phases is
//! a small convolution of its own, written where its pixels lie among the others: no multiplication by an inserted zero, and no pass
//! that puts the phases together.
//!
//! Source: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?", <https://arxiv.org/abs/1609.07009>.

use super::super::graph::{Conv, Node};
use super::super::kernels::step::Pixels;
use super::error::PlanError;
use super::lower::{Lowering, place};
use super::phases::{Phase, borders, phases};

/// The convolution of one phase.
fn part(conv: &Conv, rows: &Phase, cols: &Phase) -> Conv {
    let [kh, kw] = conv.kernel;
    let mut weights = Vec::new();
    let inside = conv.weights.len() / (kh * kw) / conv.weight_scales.len();
    for (index, plane) in conv.weights.chunks_exact(kh * kw).enumerate() {
        weights.extend(rows.taps.iter().flat_map(|&y| cols.taps.iter().map(move |&x| plane[y * kw + x])));
        if rows.taps.is_empty() || cols.taps.is_empty() {
            // Nothing but the bias: one tap that counts nothing.
            weights.push(conv.weight_zeros.get(index / inside).copied().unwrap_or(0));
        }
    }
    let empty = rows.taps.is_empty() || cols.taps.is_empty();
    let kernel = if empty { [1, 1] } else { [rows.taps.len(), cols.taps.len()] };
    Conv {
        weights: weights.into(),
        kernel,
        weight_zeros: conv.weight_zeros.clone(),
        weight_scales: conv.weight_scales.clone(),
        bias: conv.bias.clone(),
        strides: [1, 1],
        dilations: [rows.dilation, cols.dilation],
        pads: [0; 4],
        groups: conv.groups,
        clamp: conv.clamp,
    }
}

impl Lowering<'_> {
    pub(super) fn conv_transpose(&mut self, node: &Node, conv: &Conv) -> Result<(), PlanError> {
        let [n, channels, ..] = self.image(node.inputs[0])?;
        let [_, outs, height, width] = self.image(node.output)?;
        let [(top, bottom), (left, right)] = borders(conv, self.shape(node.inputs[0]), self.shape(node.output));
        let mut x = self.channels_last(node.inputs[0], [top, left, bottom, right])?;
        if x.shape[1] == 1 {
            x.strides[1] = 1;
        }
        let (y, elsewhere) = self.bytes_out(node, outs);
        let sums = self.sums(node, &conv.weight_scales, conv.clamp);
        let columns = phases(conv, 1, width);
        for rows in phases(conv, 0, height) {
            for cols in &columns {
                let part = part(conv, &rows, cols);
                let at = |start: isize, stride: usize| start * stride as isize;
                let offset = at(rows.start, x.strides[2]) + at(cols.start, x.strides[3]);
                let mut input = Pixels { place: place(&x), steps: [x.strides[0], x.strides[2], x.strides[3]] };
                // Inside the border that has been asked for.
                input.place.offset = input.place.offset.wrapping_add_signed(offset);
                let mut output = Pixels {
                    place: place(&y),
                    steps: [y.strides[0], y.strides[2] * conv.strides[0], y.strides[3] * conv.strides[1]],
                };
                output.place.offset += rows.first * y.strides[2] + cols.first * y.strides[3];
                let dims = [n, rows.count, cols.count];
                if conv.groups == channels && outs == channels && channels > 1 {
                    self.depthwise(&part, &x, (input, output), dims, &sums);
                } else {
                    self.grouped(&part, &x, (input, output), dims, &sums)?;
                }
            }
        }
        if let Some((to, table)) = elsewhere {
            self.copy(&y, &to, table);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::graph::Clamp;
    use super::*;

    fn conv(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Conv {
        Conv {
            weights: vec![1; kernel * kernel].into(),
            kernel: [kernel; 2],
            weight_zeros: Vec::new(),
            weight_scales: vec![1.0],
            bias: vec![0],
            strides: [stride; 2],
            dilations: [dilation; 2],
            pads: [pad; 4],
            groups: 1,
            clamp: Clamp::NONE,
        }
    }

    #[test]
    fn phases_add_what_the_definition_adds() {
        for (kernel, stride, dilation, pad) in [
            (2, 2, 1, 0),
            (3, 2, 1, 1),
            (4, 2, 1, 1),
            (5, 3, 1, 2),
            (3, 2, 2, 0),
            (3, 2, 3, 1),
            (1, 3, 1, 0),
            (3, 1, 1, 5),
        ] {
            let inputs = 7;
            let outputs = (inputs - 1) * stride + (kernel - 1) * dilation + 1 - 2 * pad.min(4) + 1;
            let mut defined: Vec<Vec<(usize, usize)>> = vec![Vec::new(); outputs];
            for input in 0..inputs {
                for tap in 0..kernel {
                    if let Some(o) = (input * stride + tap * dilation).checked_sub(pad).filter(|o| *o < outputs) {
                        defined[o].push((input, tap));
                    }
                }
            }
            let conv = conv(kernel, stride, dilation, pad);
            let [(before, after), _] = borders(&conv, &[1, 1, inputs, inputs], &[1, 1, outputs, outputs]);
            let mut found: Vec<Vec<(usize, usize)>> = vec![Vec::new(); outputs];
            for phase in phases(&conv, 0, outputs) {
                for nth in 0..phase.count {
                    for (k, &tap) in phase.taps.iter().enumerate() {
                        let input = phase.start + (nth + k * phase.dilation) as isize;
                        assert!(input >= -(before as isize) && input < (inputs + after) as isize);
                        if (0..inputs as isize).contains(&input) {
                            found[phase.first + nth * stride].push((input as usize, tap));
                        }
                    }
                }
            }
            assert_eq!(found, defined, "kernel {kernel} stride {stride} dilation {dilation} pad {pad}");
        }
    }
}
