//! Convolution transposed.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::dense;
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// `TRANSPOSE_CONV`: the size of the result, weights `[M, KH, KW, C]`, a picture, and perhaps a bias.
pub fn conv(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: padding, stride_w, stride_h, activation.
    let (weights, x, y) = (node.input(1)?, node.input(2)?, node.output()?);
    let sizes = (&w.tensor(x).shape[..], &w.tensor(weights).shape[..], &w.tensor(y).shape[..]);
    let (&[n, h, width, c], &[m, kh, kw, deep], &[out_n, out_h, out_w, out_m]) = sizes else {
        return Err(format!("shapes {:?}, {:?} and {:?} are not of pictures and windows", sizes.0, sizes.1, sizes.2));
    };
    if (n, m, c) != (out_n, out_m, deep) {
        return Err(format!("weights of shape {:?} do not lead from {c} channels to {out_m}", sizes.1));
    }
    let same = node.option(0, |o| o.i8(0))? == 0;
    let mut strides = [0; 2];
    // Before and behind, of each axis; what is missing behind is added to the result.
    let (mut pads, mut missing) = ([0usize; 4], [0usize; 2]);
    for (axis, (field, dim, kernel, out)) in [(2, h, kh, out_h), (1, width, kw, out_w)].into_iter().enumerate() {
        let stride = node.option(1, |o| o.i32(field, 0))?;
        let stride = usize::try_from(stride).ok().filter(|s| *s > 0).ok_or_else(|| format!("a stride of {stride}"))?;
        let steps = if same { out.div_ceil(stride) } else { (out + stride).saturating_sub(kernel) / stride };
        if steps != dim {
            return Err(format!("windows of {kernel} a stride of {stride} apart do not lead from {dim} to {out}"));
        }
        let reach = (dim - 1).saturating_mul(stride).saturating_add(kernel);
        let before = reach.saturating_sub(out) / 2;
        pads[axis] = before;
        pads[axis + 2] = reach.saturating_sub(before).saturating_sub(out);
        missing[axis] = (out + before).saturating_sub(reach);
        strides[axis] = stride;
    }
    let activation = node.activation(3)?;
    let kernel = w.real_constant(weights, sizes.1, &[3, 0, 1, 2])?;
    let input = w.real(x, Layout::ChannelsFirst)?;
    let mut inputs = vec![input, kernel];
    if let Some(bias) = node.optional(3) {
        if w.tensor(bias).shape != [m] {
            return Err(format!("its bias of shape {:?} is not one value for each of {m}", w.tensor(bias).shape));
        }
        inputs.push(dense::bias_of(w, bias, x, weights)?);
    }
    let step = NodeBuilder::new("ConvTranspose", inputs)
        .sizes("kernel_shape", &[kh, kw])
        .sizes("strides", &strides)
        .sizes("pads", &pads)
        .sizes("output_padding", &missing);
    let mut steps = vec![step];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, Layout::ChannelsFirst, steps)
}
