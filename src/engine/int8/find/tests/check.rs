//! Invariants of every partition found.

use std::collections::HashSet;

use tract_onnx::pb::GraphProto;
use tract_onnx::prelude::DatumType;

use crate::int8::find::{Fact, Found, HashMap, Partition, Verdict, splice};
use crate::int8::graph::{Conv, Element, FloatOp, Format, Graph, Node, Op, Pool, Port, Product, Tensor};

/// Panics where something that was found does not hold together.
pub fn found(graph: &GraphProto, facts: &HashMap<String, Fact>, found: &Found) {
    assert_eq!(found.verdicts.len(), graph.node.len());
    let mut owner = vec![None; graph.node.len()];
    for (index, partition) in found.partitions.iter().enumerate() {
        assert!(!partition.nodes.is_empty());
        for &node in &partition.nodes {
            assert_eq!(owner[node].replace(index), None, "a node in two partitions");
        }
        self::graph(&partition.graph);
        for port in partition.graph.inputs.iter().chain(&partition.graph.outputs) {
            let fact = &facts[&port.name];
            let dtype = match port.format {
                Format::F32 => DatumType::F32,
                Format::I8 => DatumType::I8,
                Format::U8 => DatumType::U8,
            };
            assert_eq!(
                (fact.dtype, &fact.shape),
                (dtype, &partition.graph.tensors[port.tensor].shape),
                "{}",
                port.name
            );
        }
    }
    for (owner, verdict) in owner.iter().zip(&found.verdicts) {
        let partition = match verdict {
            Verdict::Integer { partition } | Verdict::Planned { partition } => Some(*partition),
            Verdict::Float { .. } | Verdict::Folded => None,
        };
        assert_eq!(*owner, partition);
    }
    spliced(graph, &found.partitions);
    // Any of them may turn out not to run.
    for left_out in 0..found.partitions.len() {
        let mut some = found.partitions.clone();
        some.remove(left_out);
        spliced(graph, &some);
    }
}

/// Panics where a graph with these partitions put in does not hold together.
pub fn spliced(graph: &GraphProto, partitions: &[Partition]) {
    let mut spliced = graph.clone();
    splice(&mut spliced, partitions);
    let mut defined: HashSet<&str> = spliced.initializer.iter().map(|t| t.name.as_str()).collect();
    defined.extend(spliced.input.iter().map(|i| i.name.as_str()));
    for node in &spliced.node {
        for input in node.input.iter().filter(|i| !i.is_empty()) {
            assert!(defined.contains(input.as_str()), "{:?} reads {input:?} before it is there", node.name);
        }
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            assert!(defined.insert(output), "{output:?} is made twice");
        }
    }
    assert!(spliced.output.iter().all(|o| defined.contains(o.name.as_str())));
}

fn graph(graph: &Graph) {
    let mut known: HashSet<usize> = HashSet::new();
    for (id, tensor) in graph.tensors.iter().enumerate() {
        assert!(tensor.quant.scale.is_finite() && tensor.quant.scale > 0.0);
        assert!((-128..=127).contains(&tensor.quant.zero_point));
        assert!(!tensor.shape.contains(&0));
        if let Some(bytes) = &tensor.constant {
            assert_eq!(bytes.len(), count(&tensor.shape));
            known.insert(id);
        }
    }
    let inputs: Vec<usize> = graph.inputs.iter().map(|p| p.tensor).collect();
    assert!(inputs.iter().all(|&t| known.insert(t)), "an input twice");
    for node in &graph.nodes {
        assert!(node.inputs.iter().all(|t| known.contains(t)), "{}: operands are not there yet", node.name);
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|&t| &graph.tensors[t]).collect();
        operator(node, &inputs, &graph.tensors[node.output]);
        assert!(known.insert(node.output), "{}: written twice", node.name);
    }
    assert!(!graph.outputs.is_empty());
    let made = |p: &Port| graph.nodes.iter().any(|n| n.output == p.tensor);
    assert!(graph.outputs.iter().all(made));
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// `[N, C, H, W]`.
fn picture(tensor: &Tensor) -> [usize; 4] {
    tensor.shape[..].try_into().expect("a picture")
}

/// Every window lies within what is there and its padding.
fn windows(x: &Tensor, y: &Tensor, window: [[usize; 2]; 3], pads: [usize; 4]) {
    let ([_, _, h, w], [_, _, out_h, out_w]) = (picture(x), picture(y));
    let [kernel, strides, dilations] = window;
    for (axis, (dim, out)) in [(h, out_h), (w, out_w)].into_iter().enumerate() {
        assert!(kernel[axis] >= 1 && strides[axis] >= 1 && dilations[axis] >= 1);
        let last = (out - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis];
        assert!(last < dim + pads[axis] + pads[axis + 2]);
    }
}

fn conv(conv: &Conv, x: &Tensor, y: &Tensor) {
    let ([n, c, ..], [out_n, m, ..]) = (picture(x), picture(y));
    assert_eq!(n, out_n);
    assert!(c % conv.groups == 0 && m % conv.groups == 0);
    assert_eq!(conv.weights.len(), m * (c / conv.groups) * count(&conv.kernel));
    assert_eq!((conv.bias.len(), conv.weight_scales.len()), (m, m));
    assert!(conv.weight_scales.iter().all(|s| s.is_finite() && *s != 0.0));
    windows(x, y, [conv.kernel, conv.strides, conv.dilations], conv.pads);
}

fn pool(pool: &Pool, x: &Tensor, y: &Tensor) {
    assert_eq!(picture(x)[..2], picture(y)[..2]);
    windows(x, y, [pool.kernel, pool.strides, pool.dilations], pool.pads);
}

fn float(op: &FloatOp, inputs: &[&Tensor], y: &Tensor) {
    let x = inputs[0];
    let from = match op {
        FloatOp::Dequantize | FloatOp::Lookup(_) => Element::Byte,
        _ => Element::Float,
    };
    assert!(inputs.iter().all(|t| t.element == from) && y.element == op.element(), "{}", op.name());
    match op {
        FloatOp::Conv(c) => {
            let ([n, channels, ..], [out_n, m, ..]) = (picture(x), picture(y));
            assert!(n == out_n && channels % c.groups == 0 && m % c.groups == 0 && m == c.bias.len());
            assert_eq!(c.weights.len(), m * (channels / c.groups) * count(&c.kernel));
            windows(x, y, [c.kernel, c.strides, c.dilations], c.pads);
            assert!(inputs[1..].iter().all(|added| added.shape == y.shape));
        }
        FloatOp::MatMul(m) => {
            let ((n, lead), (k, x_lead)) = (y.shape.split_last().unwrap(), x.shape.split_last().unwrap());
            assert_eq!((lead, m.weights.len(), m.bias.len()), (x_lead, n * k, *n));
            assert!(inputs[1..].iter().all(|added| added.shape == y.shape));
        }
        FloatOp::Unary(_) | FloatOp::Quantize | FloatOp::Dequantize | FloatOp::Lookup(_) | FloatOp::Norm(_) => {
            assert_eq!((inputs.len(), &x.shape), (1, &y.shape));
        }
        FloatOp::Hybrid(hybrid) => match &hybrid.product {
            Product::Conv(c) => {
                let ([n, channels, ..], [out_n, m, ..]) = (picture(x), picture(y));
                assert!(n == out_n && channels % c.groups == 0 && m % c.groups == 0 && m == hybrid.bias.len());
                assert_eq!(c.weights.len(), m * (channels / c.groups) * count(&c.kernel));
                assert!(c.weight_scales.len() == m && (c.weight_zeros.is_empty() || c.weight_zeros.len() == m));
                windows(x, y, [c.kernel, c.strides, c.dilations], c.pads);
            }
            Product::MatMul(m) => {
                let ((n, lead), (k, x_lead)) = (y.shape.split_last().unwrap(), x.shape.split_last().unwrap());
                assert_eq!((lead, m.weights.len(), hybrid.bias.len()), (x_lead, n * k, *n));
            }
        },
        FloatOp::LogSoftmax { axis } => assert!(x.shape == y.shape && *axis < x.shape.len()),
        FloatOp::Product { .. } | FloatOp::Binary { .. } => assert_eq!(inputs.len(), 2),
        FloatOp::Reduce { axes, .. } => {
            let kept = |(axis, &dim): (usize, &usize)| if axes.contains(&axis) { 1 } else { dim };
            assert_eq!(x.shape.iter().enumerate().map(kept).collect::<Vec<_>>(), y.shape);
        }
        FloatOp::Recurrent(layer) => {
            let (gates, units) = (layer.cell.gates(), y.shape[2]);
            assert_eq!(
                (x.shape[2], layer.weights.count(), layer.bias.len()),
                (gates * units, gates * units * units, gates * units)
            );
        }
        FloatOp::Pad { before, after, .. } => {
            let padded = x.shape.iter().zip(before.iter().zip(after)).map(|(d, (b, a))| d + b + a);
            assert_eq!(padded.collect::<Vec<_>>(), y.shape);
        }
    }
}

fn operator(node: &Node, inputs: &[&Tensor], y: &Tensor) {
    let x = inputs[0];
    let with = |axis: usize, dim: usize| {
        let mut shape = x.shape.clone();
        shape[axis] = dim;
        assert_eq!(shape, y.shape);
    };
    let mut moves = true;
    match &node.op {
        Op::MaxPool(p) => pool(p, x, y),
        Op::Pad { before, after, .. } => {
            let sides = before.iter().zip(after);
            let padded: Vec<usize> = x.shape.iter().zip(sides).map(|(d, (b, a))| d + b + a).collect();
            assert_eq!((before.len(), after.len(), &padded), (x.shape.len(), x.shape.len(), &y.shape));
        }
        Op::Reshape => assert_eq!(count(&x.shape), count(&y.shape)),
        Op::Transpose { perm } => {
            assert_eq!(perm.iter().map(|&p| x.shape[p]).collect::<Vec<_>>(), y.shape);
            assert_eq!(perm.iter().collect::<HashSet<_>>().len(), x.shape.len());
        }
        Op::Slice { axis, start, step } => {
            assert!(*step >= 1 && start + (y.shape[*axis] - 1) * step < x.shape[*axis]);
            with(*axis, y.shape[*axis]);
        }
        Op::Gather { axis, indices } => {
            assert!(indices.iter().all(|&i| i < x.shape[*axis]));
            with(*axis, indices.len());
        }
        _ => moves = false,
    }
    if moves {
        assert_eq!((inputs.len(), x.element, x.quant), (1, y.element, y.quant), "{}", node.name);
        return;
    }
    match &node.op {
        Op::Conv(c) => conv(c, x, y),
        Op::ConvTranspose(c) => {
            assert_eq!((picture(x)[..2].to_vec(), picture(y)[1] % c.groups), (vec![picture(y)[0], picture(x)[1]], 0));
            assert_eq!(c.weights.len(), picture(y)[1] * (picture(x)[1] / c.groups) * count(&c.kernel));
        }
        Op::MatMul(m) => {
            let ((n, lead), (k, x_lead)) = (y.shape.split_last().unwrap(), x.shape.split_last().unwrap());
            assert_eq!((lead, m.weights.len()), (x_lead, n * k));
            assert_eq!((m.bias.len(), m.weight_scales.len()), (*n, *n));
        }
        Op::AveragePool(p) => pool(p, x, y),
        Op::Lookup(_) => assert_eq!(x.shape, y.shape),
        Op::LayerNorm(norm) => {
            assert_eq!(x.shape, y.shape);
            let whole = |values: &std::sync::Arc<Vec<f32>>| Some(&values.len()) == x.shape.last();
            assert!(norm.scale.iter().chain(&norm.bias).all(whole));
        }
        Op::Softmax { axis } => assert!(x.shape == y.shape && *axis < x.shape.len()),
        Op::Concat { axis } => with(*axis, inputs.iter().map(|t| t.shape[*axis]).sum()),
        Op::BatchMatMul { factor, .. } => {
            let b = inputs[1];
            let (m, k) = (x.shape[x.shape.len() - 2], x.shape[x.shape.len() - 1]);
            assert!(factor.is_finite() && *factor != 0.0);
            assert_eq!((b.shape[b.shape.len() - 2], m), (k, y.shape[y.shape.len() - 2]));
            assert_eq!(b.shape.last(), y.shape.last());
        }
        Op::Add { .. } | Op::Mul { .. } => {
            assert_eq!(inputs.len(), 2);
            for input in inputs {
                let shift = y.shape.len() - input.shape.len();
                let fits = |(axis, &dim): (usize, &usize)| dim == 1 || dim == y.shape[axis + shift];
                assert!(input.shape.iter().enumerate().all(fits));
            }
        }
        Op::Resize { rows, cols } => {
            let ([n, c, h, w], [out_n, out_c, ..]) = (picture(x), picture(y));
            assert_eq!((n, c, picture(y)[2..].to_vec()), (out_n, out_c, vec![rows.len(), cols.len()]));
            for (taps, dim) in [(rows, h), (cols, w)] {
                let fits = taps.iter().all(|t| t.first < dim && t.second < dim && (0.0..=1.0).contains(&t.share));
                assert!(fits);
            }
        }
        Op::Float(op) => float(op, inputs, y),
        other => panic!("{} is movement", other.name()),
    }
}
