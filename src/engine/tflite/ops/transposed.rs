//! Convolution transposed.

use super::super::layout::Layout;
use super::super::schema::Activation;
use super::super::write::{Try, Writer};
use super::dense;
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// Operands and options.
struct Parts {
    weights: usize,
    x: usize,
    bias: Option<usize>,
    /// The picture is as much larger as the stride says, whatever the window; else it reaches as far as the windows do.
    same: bool,
    /// Down and to the right.
    strides: [i32; 2],
    activation: Activation,
}

/// `TRANSPOSE_CONV`: the size of the result, weights `[M, KH, KW, C]`, a picture, and perhaps a bias.
pub fn conv(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: padding, stride_w, stride_h, activation.
    let stride = |field: usize| node.option(1, |o| o.i32(field, 0));
    let parts = Parts {
        weights: node.input(1)?,
        x: node.input(2)?,
        bias: node.optional(3),
        same: node.option(0, |o| o.i8(0))? == 0,
        strides: [stride(2)?, stride(1)?],
        activation: node.activation(3)?,
    };
    write(w, &parts, node.output()?)
}

/// MediaPipe's `Convolution2DTransposeBias`: a picture, weights `[M, KH, KW, C]` and a bias. Its options are three numbers of 32 bits, as
/// LiteRT holds those of `TRANSPOSE_CONV` in memory: padding (1 same, 2 valid), stride to the right and down.
pub fn conv_with_bias(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let options = node.operator.custom_options;
    let number = |place: usize| {
        let bytes = options.get(4 * place..4 * place + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(i32::from_le_bytes).ok_or_else(|| format!("its options are {} bytes, expected are 12", options.len()))
    };
    let same = match number(0)? {
        1 => true,
        2 => false,
        other => return Err(format!("its padding is {other}, allowed are 1 (same) and 2 (valid)")),
    };
    let parts = Parts {
        weights: node.input(1)?,
        x: node.input(0)?,
        bias: Some(node.input(2)?),
        same,
        strides: [number(2)?, number(1)?],
        activation: Activation::None,
    };
    write(w, &parts, node.output()?)
}

fn write(w: &mut Writer<'_, '_>, parts: &Parts, y: usize) -> Try<()> {
    let (weights, x) = (parts.weights, parts.x);
    let sizes = (&w.tensor(x).shape[..], &w.tensor(weights).shape[..], &w.tensor(y).shape[..]);
    let (&[n, h, width, c], &[m, kh, kw, deep], &[out_n, out_h, out_w, out_m]) = sizes else {
        return Err(format!("shapes {:?}, {:?} and {:?} are not of pictures and windows", sizes.0, sizes.1, sizes.2));
    };
    if (n, m, c) != (out_n, out_m, deep) {
        return Err(format!("weights of shape {:?} do not lead from {c} channels to {out_m}", sizes.1));
    }
    let mut strides = [0; 2];
    // Before and behind, of each axis; what is missing behind is added to the result.
    let (mut pads, mut missing) = ([0usize; 4], [0usize; 2]);
    for (axis, (dim, kernel, out)) in [(h, kh, out_h), (width, kw, out_w)].into_iter().enumerate() {
        let stride = parts.strides[axis];
        let stride = usize::try_from(stride).ok().filter(|s| *s > 0).ok_or_else(|| format!("a stride of {stride}"))?;
        let steps = if parts.same { out.div_ceil(stride) } else { (out + stride).saturating_sub(kernel) / stride };
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
    let kernel = w.real_constant(weights, sizes.1, &[3, 0, 1, 2])?;
    let input = w.real(x, Layout::ChannelsFirst)?;
    let mut inputs = vec![input, kernel];
    if let Some(bias) = parts.bias {
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
    steps.extend(w.activation(parts.activation, y)?);
    w.compute(y, Layout::ChannelsFirst, steps)
}
