//! Windows that slide over pictures.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::node::Node;
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

/// Elements from the first to the last of a window.
pub fn reach(kernel: usize, dilation: usize) -> usize {
    kernel.saturating_sub(1).saturating_mul(dilation).saturating_add(1)
}

/// Number of windows of this reach on a dimension; with `same`, as many as strides fit.
pub fn places(dim: usize, reach: usize, stride: usize, same: bool) -> Option<usize> {
    if same { Some(dim.div_ceil(stride)) } else { dim.checked_sub(reach).map(|room| room / stride + 1) }
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
        let (dim, reach) = (dims[axis], reach(kernel[axis], dilation));
        if places(dim, reach, stride, same) != Some(out[axis]) {
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

/// Reduction of a window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The mean, which does not count padding.
    Average,
    Max,
    /// The root of the mean of squares.
    L2,
}

/// `AVERAGE_POOL_2D`, `MAX_POOL_2D` and `L2_POOL_2D`.
pub fn pool(w: &mut Writer<'_, '_>, node: Node<'_, '_>, pool: Pool) -> Try<()> {
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
    let input = if pool == Pool::L2 { w.extra(y, NodeBuilder::new("Mul", [&input, &input])) } else { input };
    let op = if pool == Pool::Max { "MaxPool" } else { "AveragePool" };
    let mut steps = vec![slides.attributes(NodeBuilder::new(op, [&input])).sizes("kernel_shape", &kernel)];
    if pool == Pool::L2 {
        steps.push(NodeBuilder::new("Sqrt", [""; 0]));
    }
    steps.extend(w.activation(activation, y)?);
    w.compute(y, Layout::ChannelsFirst, steps)
}
