//! Windows that slide over pictures, and means and greatest values over axes.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::node::{Node, moved};
use crate::onnx::build::NodeBuilder;

/// Windows on both axes of a picture, their padding in numbers.
pub struct Slides {
    strides: [usize; 2],
    pub dilations: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

impl Slides {
    /// Adds what ONNX wants to know.
    pub fn attributes(&self, step: NodeBuilder) -> NodeBuilder {
        step.sizes("strides", &self.strides).sizes("pads", &self.pads)
    }
}

/// Windows of `kernel` that make `out` of `dims`; with `same`, as many as strides fit, the odd one of padding behind.
pub fn slides(
    dims: [usize; 2],
    kernel: [usize; 2],
    out: [usize; 2],
    strides: [i32; 2],
    dilations: [i32; 2],
    same: bool,
) -> Try<Slides> {
    let mut slides = Slides { strides: [1; 2], dilations: [1; 2], pads: [0; 4] };
    for axis in 0..2 {
        let number = |value: i32| usize::try_from(value).ok().filter(|v| *v > 0);
        let (stride, dilation) = match (number(strides[axis]), number(dilations[axis])) {
            (Some(stride), Some(dilation)) => (stride, dilation),
            _ => return Err(format!("its strides {strides:?} and dilations {dilations:?} cannot be")),
        };
        let (dim, reach) = (dims[axis], (kernel[axis] - 1).saturating_mul(dilation).saturating_add(1));
        let made = if same { Some(dim.div_ceil(stride)) } else { dim.checked_sub(reach).map(|room| room / stride + 1) };
        if made != Some(out[axis]) {
            let (window, have) = (kernel[axis], out[axis]);
            return Err(format!("windows of {window} on a dimension of {dim} do not make {have}"));
        }
        let wanted = (out[axis] - 1).saturating_mul(stride).saturating_add(reach);
        let padding = if same { wanted.saturating_sub(dim) } else { 0 };
        slides.pads[axis] = padding / 2;
        slides.pads[axis + 2] = padding - padding / 2;
        (slides.strides[axis], slides.dilations[axis]) = (stride, dilation);
    }
    Ok(slides)
}

/// `AVERAGE_POOL_2D`, which does not count padding, and `MAX_POOL_2D`.
pub fn pool(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    // Options: padding, stride_w, stride_h, filter_width, filter_height, activation.
    let (x, y) = (node.input(0)?, node.output()?);
    let (&[n, h, width, c], &[out_n, out_h, out_w, out_c]) = (&w.tensor(x).shape[..], &w.tensor(y).shape[..]) else {
        return Err("its tensors are no pictures".into());
    };
    if (n, c) != (out_n, out_c) {
        return Err("its result has other channels than its operand".into());
    }
    let number = |id| node.option(0, |o| o.i32(id, 0));
    let size = |id| {
        number(id).and_then(|v| usize::try_from(v).ok().filter(|v| *v > 0).ok_or_else(|| format!("a window of {v}")))
    };
    let kernel = [size(4)?, size(3)?];
    let same = node.option(0, |o| o.i8(0))? == 0;
    let slides = slides([h, width], kernel, [out_h, out_w], [number(2)?, number(1)?], [1, 1], same)?;
    let activation = node.activation(5)?;
    let input = w.real(x, Layout::ChannelsFirst)?;
    let mut steps = vec![slides.attributes(NodeBuilder::new(op, [&input])).sizes("kernel_shape", &kernel)];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, Layout::ChannelsFirst, steps)
}

/// `MEAN` and `REDUCE_MAX` over constant axes.
pub fn reduce(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let rank = w.tensor(x).shape.len();
    let keep = node.option(false, |o| o.flag(0))?;
    let mut axes = Vec::new();
    for axis in w.integers(node.input(1)?)? {
        axes.push(crate::onnx::node::axis(axis, rank)?);
    }
    axes.sort_unstable();
    axes.dedup();
    let shape = &w.tensor(x).shape;
    let left = |(axis, &dim): (usize, &usize)| match (axes.contains(&axis), keep) {
        (false, _) => Some(dim),
        (true, true) => Some(1),
        (true, false) => None,
    };
    let made: Vec<usize> = shape.iter().enumerate().filter_map(left).collect();
    if made != w.tensor(y).shape {
        return Err(format!("axes {axes:?} of {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    // Whole pictures, or axes that stay, can be taken channels first; what is left must then be in the file's order.
    let lies_first = w.lies(x) == Some(Layout::ChannelsFirst);
    let in_order = keep || axes.contains(&3) || axes == [1, 2];
    let layout = if lies_first && in_order { Layout::ChannelsFirst } else { Layout::File };
    let mapped: Vec<usize> = axes.iter().map(|&axis| layout.axis(axis)).collect();
    let result = if keep { layout } else { Layout::File };
    let step =
        |name: &str| vec![NodeBuilder::new(op, [name]).sizes("axes", &mapped).size("keepdims", usize::from(keep))];
    if axes.is_empty() {
        return moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("Identity", [name])]);
    }
    let name = w.real(x, layout)?;
    w.compute(y, result, step(&name))
}
