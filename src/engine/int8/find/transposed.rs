//! `ConvTranspose` with constant weights.

use tract_onnx::pb::NodeProto;

use super::dense::Rows;
use super::net::Try;
use super::params::Stored;
use super::pool;
use super::search::Search;
use crate::int8::graph::{Conv, Op};
use crate::onnx::node;

/// The largest kernel, stride or dilation that is believed.
const MAX_WINDOW: usize = 1 << 16;

/// A transposed window on one axis.
#[derive(Clone, Copy)]
struct Window {
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Elements of the result that are cut off in front.
    before: usize,
}

impl Search<'_> {
    /// `ConvTranspose` over one or two spatial axes.
    pub fn conv_transpose(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let stored = self.stored_weights(node::required_input(node, 1)?)?;
        let out = self.net.shape(output)?;
        let x = self.real(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        let ([n, c, h, w], [out_n, m, out_h, out_w]) = (pool::picture(&shape)?, pool::picture(&out)?);
        let rank = out.len();
        if stored.shape.len() != rank || shape.len() != rank {
            return Err("its weights have other dimensions than its input".into());
        }
        let groups = usize::try_from(node::int(node, "group", 1)?).ok().filter(|g| (1..=c).contains(g));
        let groups = groups.ok_or("its number of groups cannot be")?;
        if out_n != n || stored.shape[0] != c || c % groups != 0 || stored.shape[1] * groups != m {
            return Err(format!("weights of shape {:?} do not fit {c} channels in {groups} groups", stored.shape));
        }
        let windows = windows(node, &stored.shape[2..], &shape[2..], &out[2..])?;
        let pair = |get: fn(&Window) -> usize, single: usize| match &windows[..] {
            [columns] => [single, get(columns)],
            [rows, columns, ..] => [get(rows), get(columns)],
            [] => [single; 2],
        };
        let bias = node::input(node, 2).map(|name| self.channel_terms(name, m)).transpose()?;
        let epilogue = self.epilogue(output, Some(1))?;
        let dense = self.dense(x, turned(stored, groups)?, bias, &epilogue)?;
        let mut draft = self.draft(index);
        let x = self.reshape(&mut draft, x, vec![n, c, h, w]);
        let [top, left] = pair(|w| w.before, 0);
        let op = Op::ConvTranspose(Conv {
            weights: dense.weights,
            weight_zeros: dense.zeros,
            kernel: pair(|w| w.kernel, 1),
            weight_scales: dense.scales,
            bias: dense.bias,
            strides: pair(|w| w.stride, 1),
            dilations: pair(|w| w.dilation, 1),
            pads: [top, left, 0, 0],
            groups,
            clamp: epilogue.clamp,
        });
        let y = self.step(&mut draft, op, vec![x], vec![n, m, out_h, out_w], epilogue.quant);
        let y = self.reshape(&mut draft, y, out);
        self.finish(draft, y, &epilogue, true)
    }
}

/// Weights `[C, M / groups, …]` as `[M, C / groups, …]`.
fn turned(stored: Stored, groups: usize) -> Try<Rows> {
    let [c, outside] = [stored.shape[0], stored.shape[1]];
    let (inside, taps) = (c / groups, stored.shape[2..].iter().product::<usize>());
    if stored.slices() > 1 && stored.axis != 1 {
        return Err("the scales of its weights do not run along the output channels".into());
    }
    let outputs = groups * outside;
    let scales = (0..outputs).map(|o| f64::from(stored.scales[o % outside % stored.scales.len()])).collect();
    let (bytes, zero_points) = stored.into_bytes()?;
    let zero_points = (0..outputs).map(|o| zero_points[o % outside % zero_points.len()]).collect();
    let mut turned = Vec::with_capacity(bytes.len());
    for output in 0..outputs {
        let (group, within) = (output / outside, output % outside);
        for input in 0..inside {
            let start = ((group * inside + input) * outside + within) * taps;
            turned.extend_from_slice(&bytes[start..start + taps]);
        }
    }
    Ok(Rows { outputs, inputs: inside * taps, bytes: turned.into(), zero_points, scales })
}

/// The windows of a node over spatial dimensions `dims` that make `out`.
fn windows(node: &NodeProto, kernel: &[usize], dims: &[usize], out: &[usize]) -> Try<Vec<Window>> {
    let rank = kernel.len();
    let strides = node::window(node, "strides", rank, 1, 1)?;
    let dilations = node::window(node, "dilations", rank, 1, 1)?;
    let pads = node::window(node, "pads", 2 * rank, 0, 0)?;
    let more = node::window(node, "output_padding", rank, 0, 0)?;
    let auto_pad = node::text(node, "auto_pad", "NOTSET")?;
    let by_shape = node::ints(node, "output_shape")?.is_some() || matches!(auto_pad, "SAME_UPPER" | "SAME_LOWER");
    let window = |axis: usize| {
        let (kernel, stride, dilation) = (kernel[axis], strides[axis], dilations[axis]);
        if [kernel, stride, dilation].iter().any(|v| *v > MAX_WINDOW) {
            return Err("its window is too large".to_owned());
        }
        let full = (dims[axis] - 1).checked_mul(stride).and_then(|f| f.checked_add((kernel - 1) * dilation + 1));
        let full = full.and_then(|f| f.checked_add(more[axis])).ok_or("its window is too large")?;
        // Source: the specification of the operator, where pads follow from the shape of the result.
        let (before, after) = match auto_pad {
            _ if by_shape => {
                let total = full.checked_sub(out[axis]).ok_or("its output_shape is larger than what it makes")?;
                let less = total / 2;
                if auto_pad == "SAME_UPPER" { (less, total - less) } else { (total - less, less) }
            }
            "NOTSET" | "" => (pads[axis], pads[axis + rank]),
            "VALID" => (0, 0),
            other => return Err(format!("its auto_pad {other:?} is not known")),
        };
        if full.checked_sub(before).and_then(|f| f.checked_sub(after)) != Some(out[axis]) {
            return Err(format!("a dimension of {} does not become {}", dims[axis], out[axis]));
        }
        Ok(Window { kernel, stride, dilation, before })
    };
    (0..rank).map(window).collect()
}
