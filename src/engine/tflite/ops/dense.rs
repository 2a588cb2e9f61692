//! Products with constant weights.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::elementwise::real;
use super::node::Node;
use super::window;
use crate::onnx::build::NodeBuilder;
use crate::onnx::operators::ROUNDS_OPERAND;

/// `CONV_2D` (weights `[M, KH, KW, C / groups]`) and `DEPTHWISE_CONV_2D` (weights `[1, KH, KW, M]`).
pub fn conv(w: &mut Writer<'_, '_>, node: Node<'_, '_>, depthwise: bool) -> Try<()> {
    // Options: padding, stride_w, stride_h, (depth_multiplier,) activation, dilation_w, dilation_h.
    let shift = usize::from(depthwise);
    let (x, weights, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let sizes = (&w.tensor(x).shape[..], &w.tensor(weights).shape[..], &w.tensor(y).shape[..]);
    let (&[n, h, width, c], &[first, kh, kw, last], &[out_n, out_h, out_w, m]) = sizes else {
        return Err(format!("shapes {:?}, {:?} and {:?} are not of pictures and windows", sizes.0, sizes.1, sizes.2));
    };
    let groups = if depthwise { c } else { c / last };
    let fits =
        if depthwise { first == 1 && last == m && m % c == 0 } else { first == m && c % last == 0 && m % groups == 0 };
    if !fits || n != out_n {
        return Err(format!("weights of shape {:?} do not fit {c} channels and {m} results", sizes.1));
    }
    let same = node.option(0, |o| o.i8(0))? == 0;
    let stride = |id| node.option(1, |o| o.i32(id, 0));
    let dilation = |id| node.option(1, |o| o.i32(id, 1));
    let (strides, dilations) = ([stride(2)?, stride(1)?], [dilation(5 + shift)?, dilation(4 + shift)?]);
    let slides = window::slides([h, width], [kh, kw], [out_h, out_w], strides, dilations, same)?;
    let activation = node.activation(3 + shift)?;

    let order = if depthwise { [3, 0, 1, 2] } else { [0, 3, 1, 2] };
    let input = w.real(x, Layout::ChannelsFirst)?;
    let kernel = w.real_constant(weights, sizes.1, &order)?;
    let mut inputs = vec![input, kernel];
    inputs.extend(bias(w, node, x, weights, m)?);
    let step =
        slides.attributes(NodeBuilder::new("Conv", inputs)).sizes("kernel_shape", &[kh, kw]).size("group", groups);
    let step = marked(w, step.sizes("dilations", &slides.dilations), x, weights);
    let mut steps = vec![step];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, Layout::ChannelsFirst, steps)
}

/// A product of `x` and `weights`, marked where the runtime rounds its floats to bytes since the weights are of bytes.
pub fn marked(w: &Writer<'_, '_>, product: NodeBuilder, x: usize, weights: usize) -> NodeBuilder {
    let (x, weights) = (w.tensor(x), w.tensor(weights));
    let rounds = x.kind == ElementType::F32 && weights.kind == ElementType::I8 && weights.data.is_some();
    if rounds { product.int(ROUNDS_OPERAND, 1) } else { product }
}

/// The third operand, with one value for each of `count` results.
fn bias(w: &mut Writer<'_, '_>, node: Node<'_, '_>, x: usize, weights: usize, count: usize) -> Try<Option<String>> {
    let Some(bias) = node.optional(2) else { return Ok(None) };
    let tensor = w.tensor(bias);
    if tensor.shape != [count] {
        return Err(format!(
            "its bias {:?} of shape {:?} is not one value for each of {count}",
            tensor.name, tensor.shape
        ));
    }
    bias_of(w, bias, x, weights).map(Some)
}

/// A bias: as it is, or in units of the products of `x` and `weights` where these are of integers.
pub fn bias_of(w: &mut Writer<'_, '_>, bias: usize, x: usize, weights: usize) -> Try<String> {
    let tensor = w.tensor(bias);
    if matches!(tensor.kind, ElementType::F32 | ElementType::F16) {
        return w.real(bias, Layout::File);
    }
    let unit = w.scale(x)?;
    let quant = w.tensor(weights).quant.as_ref();
    let scales = quant.ok_or_else(|| format!("its weights {:?} have no scale", w.tensor(weights).name))?;
    // The runtime adds the integers to the sums as they are, whatever scale the file writes beside them.
    let scales: Vec<f32> = scales.scales.iter().map(|scale| scale * unit).collect();
    if scales.iter().any(|s| !s.is_normal()) {
        return Err("its scales are out of range".into());
    }
    w.terms(bias, &scales)
}

/// `FULLY_CONNECTED`: weights `[M, K]`.
pub fn fully_connected(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, weights, y) = (node.input(0)?, node.input(1)?, node.output()?);
    if node.option(0, |o| o.i8(1))? != 0 {
        return Err("its weights are stored in shuffled order".into());
    }
    if w.tensor(weights).data.is_none() {
        return by_rows(w, node);
    }
    let &[m, k] = &w.tensor(weights).shape[..] else {
        return Err(format!("weights of shape {:?} are no matrix", w.tensor(weights).shape));
    };
    let (from, to) = (w.tensor(x), w.tensor(y));
    if to.shape.last() != Some(&m) || from.len() / k * m != to.len() || from.len() % k != 0 {
        return Err(format!("weights of shape [{m}, {k}] do not lead from {:?} to {:?}", from.shape, to.shape));
    }
    let rows = from.len() / k;
    if rows != 1 && w.is_open() && from.shape.len() != 2 {
        // Rows of one item follow one another, those of several items too.
        return matrix(w, node, [x, weights, y], vec![1, rows, k]);
    }
    let flat = if from.shape.len() == 2 && from.shape[1] == k { None } else { Some(vec![rows, k]) };
    let activation = node.activation(0)?;
    let input = match flat {
        None => w.real(x, Layout::File)?,
        Some(shape) => reshaped(w, x, &shape)?,
    };
    let kernel = w.real_constant(weights, &[m, k], &[0, 1])?;
    let mut inputs = vec![input, kernel];
    inputs.extend(bias(w, node, x, weights, m)?);
    let mut steps = vec![marked(w, NodeBuilder::new("Gemm", inputs).size("transB", 1), x, weights)];
    steps.extend(w.activation(activation, y)?);
    if to.shape != [rows, m] {
        let dims = w.dims(&to.shape)?;
        steps.push(NodeBuilder::new("Reshape", [&dims]));
    }
    w.compute(y, Layout::File, steps)
}

/// `FULLY_CONNECTED` with weights that are computed.
fn by_rows(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, weights, y) = (node.input(0)?, node.input(1)?, node.output()?);
    real(w, &[x, weights], y)?;
    let (from, to) = (w.tensor(x), w.tensor(y));
    let &[m, k] = &w.tensor(weights).shape[..] else {
        return Err(format!("weights of shape {:?} are no matrix", w.tensor(weights).shape));
    };
    let rows = from.len() / k;
    if from.len() % k != 0 || rows.checked_mul(m) != Some(to.len()) || to.shape.last() != Some(&m) {
        return Err(format!("weights of shape [{m}, {k}] do not lead from {:?} to {:?}", from.shape, to.shape));
    }
    let activation = node.activation(0)?;
    let (flat, dims) = (w.dims(&[rows, k])?, w.dims(&to.shape)?);
    let name = w.real(x, Layout::File)?;
    let name = w.extra(x, NodeBuilder::new("Reshape", [&name, &flat]));
    let kernel = w.real(weights, Layout::File)?;
    let mut inputs = vec![name, kernel];
    if let Some(bias) = node.optional(2) {
        if w.tensor(bias).shape != [m] {
            return Err(format!("its bias of shape {:?} is not one value for each of {m}", w.tensor(bias).shape));
        }
        inputs.push(bias_of(w, bias, x, weights)?);
    }
    let mut steps = vec![NodeBuilder::new("Gemm", inputs).size("transB", 1)];
    steps.extend(w.activation(activation, y)?);
    steps.push(NodeBuilder::new("Reshape", [&dims]));
    w.compute(y, Layout::File, steps)
}

/// Several rows for each item of an open batch.
fn matrix(w: &mut Writer<'_, '_>, node: Node<'_, '_>, [x, weights, y]: [usize; 3], shape: Vec<usize>) -> Try<()> {
    let (m, k) = (w.tensor(weights).shape[0], w.tensor(weights).shape[1]);
    let activation = node.activation(0)?;
    let input = reshaped(w, x, &shape)?;
    let kernel = w.real_constant(weights, &[m, k], &[1, 0])?;
    let mut steps = vec![marked(w, NodeBuilder::new("MatMul", [&input, &kernel]), x, weights)];
    if let Some(bias) = bias(w, node, x, weights, m)? {
        steps.push(NodeBuilder::new("Add", [&bias]));
    }
    steps.extend(w.activation(activation, y)?);
    let made = [1, shape[1], m];
    if w.tensor(y).shape != made {
        let dims = w.dims(&w.tensor(y).shape)?;
        steps.push(NodeBuilder::new("Reshape", [&dims]));
    }
    w.compute(y, Layout::File, steps)
}

/// The reals of a tensor under another shape.
fn reshaped(w: &mut Writer<'_, '_>, x: usize, shape: &[usize]) -> Try<String> {
    let stored = w.in_order(x)?;
    let dims = w.dims(shape)?;
    let stored = w.extra(x, NodeBuilder::new("Reshape", [&stored, &dims]));
    w.dequantised(x, stored, None)
}
