//! Quantised operators (`QLinearConv` and its kin) rewritten as `DequantizeLinear → operator → QuantizeLinear`, which both
//! tract and the search for partitions know.
//!
//! Their inputs and attributes are those of the ONNX operators `QLinearConv` and `QLinearMatMul`, and of onnxruntime's
//! contributed operators for the rest. What does not follow that form is left as it is, for tract to refuse by name.

mod dynamic;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::{DatumType, Tensor};

use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::{node, node::input, tensor};

/// Operators that quantise while they run, which `dynamic` rewrites.
const DYNAMIC: [&str; 3] = ["DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeLSTM"];

/// Rewrites every quantised operator of a graph that can be.
pub fn decompose(graph: &mut GraphProto) {
    let known = |op: &str| op.starts_with("QLinear") || op == "QGemm" || DYNAMIC.contains(&op);
    if !graph.node.iter().any(|node| known(&node.op_type)) {
        return;
    }
    let mut decomposition = Decomposition::of(graph);
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        decomposition.begin();
        let rewritten = match node.op_type.as_str() {
            "QLinearConv" => decomposition.conv(&node),
            "QLinearMatMul" => decomposition.matmul(&node),
            "QGemm" => decomposition.gemm(&node),
            "QLinearAdd" => decomposition.binary(&node, "Add"),
            "QLinearMul" => decomposition.binary(&node, "Mul"),
            "QLinearConcat" => decomposition.concat(&node),
            "QLinearAveragePool" => decomposition.pool(&node, "AveragePool"),
            "QLinearGlobalAveragePool" => decomposition.pool(&node, "GlobalAveragePool"),
            "QLinearSigmoid" => decomposition.unary(&node, "Sigmoid"),
            "QLinearLeakyRelu" => decomposition.unary(&node, "LeakyRelu"),
            "QLinearSoftmax" => decomposition.unary(&node, "Softmax"),
            "QLinearReduceMean" => decomposition.unary(&node, "ReduceMean"),
            "DynamicQuantizeMatMul" => decomposition.dynamic_matmul(&node),
            "MatMulIntegerToFloat" => decomposition.matmul_to_float(&node),
            "DynamicQuantizeLSTM" => decomposition.dynamic_lstm(&node),
            _ => None,
        };
        match rewritten {
            Some(()) => {
                graph.node.append(&mut decomposition.nodes);
                graph.initializer.append(&mut decomposition.constants);
            }
            None => graph.node.push(node),
        }
    }
}

/// State of the rewriting.
struct Decomposition {
    constants_by_name: HashMap<String, Tensor>,
    tensors: HashSet<String>,
    names: HashSet<String>,
    /// Nodes and constants in place of the node at hand.
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

/// Names of a tensor of bytes, its scale and its zero point.
struct Quantised<'n> {
    bytes: &'n str,
    scale: &'n str,
    zero_point: Option<&'n str>,
}

impl Decomposition {
    fn of(graph: &GraphProto) -> Self {
        // Only small ones are looked into: scales and zero points.
        let small = |t: &&TensorProto| tensor::elements(t).is_some_and(|count| count <= 1 << 16);
        let initializers = graph.initializer.iter().filter(small);
        let initializers = initializers.filter_map(|t| Some((t.name.clone(), tensor::read(t)?)));
        let nodes = graph.node.iter().filter_map(|n| Some((n.output.first()?.clone(), tensor::of_node(n)?)));
        let tensors = graph.node.iter().flat_map(|n| n.input.iter().chain(&n.output)).cloned();
        let ports = graph.input.iter().chain(&graph.output).map(|p| p.name.clone());
        Decomposition {
            constants_by_name: initializers.chain(nodes).collect(),
            tensors: tensors.chain(ports).chain(graph.initializer.iter().map(|t| t.name.clone())).collect(),
            names: graph.node.iter().map(|n| n.name.clone()).collect(),
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    fn begin(&mut self) {
        self.nodes.clear();
        self.constants.clear();
    }

    /// A name for a tensor and for the node that makes it.
    fn fresh(&mut self, node: &NodeProto, what: &str) -> String {
        let base = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
        let mut name = format!("{base}:{what}");
        while self.tensors.contains(&name) || self.names.contains(&name) {
            name.push('_');
        }
        self.tensors.insert(name.clone());
        self.names.insert(name.clone());
        name
    }

    /// Adds a constant under its own name.
    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name.clone();
        self.constants.push(tensor);
        name
    }

    /// Constant floats of any shape.
    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.constants_by_name.get(name).filter(|t| t.datum_type() == DatumType::F32)?;
        tensor::floats(tensor).ok()
    }

    /// Reals of bytes; `axis` is what several scales run along.
    fn dequantize(&mut self, node: &NodeProto, q: &Quantised, what: &str, axis: i64) -> String {
        let name = self.fresh(node, what);
        let inputs = [Some(q.bytes), Some(q.scale), q.zero_point].into_iter().flatten();
        self.nodes.push(NodeBuilder::new("DequantizeLinear", inputs).int("axis", axis).named(&name, [&name]));
        name
    }

    /// The `QuantizeLinear` of a QDQ pattern: `reals` become the output of the node. A missing zero point takes the type of `like`.
    fn quantize(&mut self, node: &NodeProto, reals: &str, y: (&str, Option<&str>), like: Option<&str>) -> Option<()> {
        let zero_point = match y.1 {
            Some(name) => name.to_owned(),
            None => {
                let dtype = self.constants_by_name.get(like?)?.datum_type();
                let data_type = match dtype {
                    DatumType::I8 => DataType::Int8,
                    DatumType::U8 => DataType::Uint8,
                    _ => return None,
                };
                let name = self.fresh(node, "zero_point");
                self.constant(build::tensor(name, data_type, vec![], vec![0]))
            }
        };
        let name = self.fresh(node, "quantize");
        let output = node.output.first().filter(|o| !o.is_empty())?.clone();
        self.nodes.push(NodeBuilder::new("QuantizeLinear", [reals, y.0, &zero_point]).named(name, [output]));
        Some(())
    }

    /// The computing node of a QDQ pattern, under the name of the original.
    fn compute(&mut self, node: &NodeProto, op: &str, inputs: Vec<String>, attributes: Vec<AttributeProto>) -> String {
        let output = self.fresh(node, "real");
        self.nodes.push(NodeBuilder::new(op, inputs).attributes(attributes).named(&node.name, [&output]));
        output
    }

    /// Integers in units of `scales` as reals. There is one scale for each along `axis`, or one for all.
    fn bias(&mut self, node: &NodeProto, name: &str, scales: Vec<f32>, axis: i64) -> Option<String> {
        if scales.is_empty() || scales.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return None;
        }
        let fresh = self.fresh(node, "bias_scale");
        let scale = self.constant(build::floats(fresh, &scales));
        let bias = Quantised { bytes: name, scale: &scale, zero_point: None };
        Some(self.dequantize(node, &bias, "bias", axis))
    }

    /// `a · b · factor` for the one scale of an operand and those of the weights.
    fn bias_scales(&self, a: &str, b: &str, factor: f32) -> Option<Vec<f32>> {
        let (a, b) = (self.floats(a)?, self.floats(b)?);
        let &[a] = &a[..] else { return None };
        Some(b.into_iter().map(|b| a * b * factor).collect())
    }

    fn conv(&mut self, node: &NodeProto) -> Option<()> {
        let (x, w) = (quantised(node, 0)?, quantised(node, 3)?);
        let mut parameters = vec![self.dequantize(node, &w, "weights", 0)];
        if let Some(bias) = input(node, 8) {
            let scales = self.bias_scales(x.scale, w.scale, 1.0)?;
            parameters.push(self.bias(node, bias, scales, 0)?);
        }
        self.windowed(node, "Conv", &x, parameters, (input(node, 6)?, input(node, 7)))
    }

    fn pool(&mut self, node: &NodeProto, op: &str) -> Option<()> {
        let x = quantised(node, 0)?;
        self.windowed(node, op, &x, vec![], (input(node, 3)?, input(node, 4)))
    }

    /// An operator over pictures, which lie channels last where the attribute `channels_last` says so.
    fn windowed(
        &mut self,
        node: &NodeProto,
        op: &str,
        x: &Quantised,
        parameters: Vec<String>,
        y: (&str, Option<&str>),
    ) -> Option<()> {
        let last = channels_last(node)?;
        let rank = node::ints(node, "kernel_shape").ok()?.map(|kernel| kernel.len() + 2);
        let mut reals = self.dequantize(node, x, "input", 1);
        if last {
            reals = self.transpose_to_first(node, &reals, rank?);
        }
        let inputs = std::iter::once(reals).chain(parameters).collect();
        let mut reals = self.compute(node, op, inputs, attributes(node, &["channels_last"]));
        if last {
            reals = self.transpose_to_last(node, &reals, rank?);
        }
        self.quantize(node, &reals, y, x.zero_point)
    }

    fn matmul(&mut self, node: &NodeProto) -> Option<()> {
        let (a, b) = (quantised(node, 0)?, quantised(node, 3)?);
        // Several scales are one for each row of the first matrix, or for each column of the second.
        let left = self.dequantize(node, &a, "a", -2);
        let right = self.dequantize(node, &b, "b", -1);
        let reals = self.compute(node, "MatMul", vec![left, right], vec![]);
        self.quantize(node, &reals, (input(node, 6)?, input(node, 7)), a.zero_point)
    }

    fn gemm(&mut self, node: &NodeProto) -> Option<()> {
        let (a, b) = (quantised(node, 0)?, quantised(node, 3)?);
        let transposed = node::flag(node, "transB").ok()?;
        let alpha = node::float(node, "alpha", 1.0).ok()?;
        let left = self.dequantize(node, &a, "a", 1);
        let right = self.dequantize(node, &b, "b", if transposed { 0 } else { 1 });
        let mut inputs = vec![left, right];
        if let Some(bias) = input(node, 6) {
            let scales = self.bias_scales(a.scale, b.scale, alpha)?;
            inputs.push(self.bias(node, bias, scales, -1)?);
        }
        let attributes = attributes(node, &[]);
        match input(node, 7) {
            Some(scale) => {
                let reals = self.compute(node, "Gemm", inputs, attributes);
                self.quantize(node, &reals, (scale, input(node, 8)), a.zero_point)
            }
            // Without a scale for the result, that is of floats.
            None => {
                let output = node.output.first().filter(|o| !o.is_empty())?;
                self.nodes.push(NodeBuilder::new("Gemm", inputs).attributes(attributes).named(&node.name, [output]));
                Some(())
            }
        }
    }

    fn binary(&mut self, node: &NodeProto, op: &str) -> Option<()> {
        let (a, b) = (quantised(node, 0)?, quantised(node, 3)?);
        let left = self.dequantize(node, &a, "a", 1);
        let right = self.dequantize(node, &b, "b", 1);
        let reals = self.compute(node, op, vec![left, right], vec![]);
        self.quantize(node, &reals, (input(node, 6)?, input(node, 7)), a.zero_point)
    }

    fn concat(&mut self, node: &NodeProto) -> Option<()> {
        let y = (input(node, 0)?, input(node, 1));
        if node.input.len() < 5 || !(node.input.len() - 2).is_multiple_of(3) {
            return None;
        }
        let mut parts = Vec::new();
        let mut like = None;
        for index in (2..node.input.len()).step_by(3) {
            let part = quantised(node, index)?;
            like = like.or(part.zero_point);
            parts.push(self.dequantize(node, &part, &format!("part{}", index / 3), 1));
        }
        let reals = self.compute(node, "Concat", parts, attributes(node, &[]));
        self.quantize(node, &reals, y, like)
    }

    fn unary(&mut self, node: &NodeProto, op: &str) -> Option<()> {
        let x = quantised(node, 0)?;
        let y = (input(node, 3)?, input(node, 4));
        let reals = self.dequantize(node, &x, "input", 1);
        let mut attributes = attributes(node, &["opset"]);
        if op == "Softmax" && !attributes.iter().any(|a| a.name == "axis") {
            attributes.push(build::int("axis", -1));
        }
        let reals = self.compute(node, op, vec![reals], attributes);
        self.quantize(node, &reals, y, x.zero_point)
    }

    fn transpose_to_first(&mut self, node: &NodeProto, x: &str, rank: usize) -> String {
        let last = rank as i64 - 1;
        let perm = [0, last].into_iter().chain(1..last).collect();
        self.transpose(node, x, "channels_first", perm)
    }

    fn transpose_to_last(&mut self, node: &NodeProto, x: &str, rank: usize) -> String {
        let perm = std::iter::once(0).chain(2..rank as i64).chain([1]).collect();
        self.transpose(node, x, "channels_last", perm)
    }

    fn transpose(&mut self, node: &NodeProto, x: &str, what: &str, perm: Vec<i64>) -> String {
        let name = self.fresh(node, what);
        self.nodes.push(NodeBuilder::new("Transpose", [x]).ints("perm", &perm).named(&name, [&name]));
        name
    }
}

/// Bytes at input `index`, scale and zero point behind them.
fn quantised(node: &NodeProto, index: usize) -> Option<Quantised<'_>> {
    Some(Quantised { bytes: input(node, index)?, scale: input(node, index + 1)?, zero_point: input(node, index + 2) })
}

/// The flag `channels_last`; `None` if it is neither 0 nor 1.
fn channels_last(node: &NodeProto) -> Option<bool> {
    match node::int(node, "channels_last", 0) {
        Ok(0) => Some(false),
        Ok(1) => Some(true),
        _ => None,
    }
}

/// The attributes of a node but for those that its float form does not have.
fn attributes(node: &NodeProto, without: &[&str]) -> Vec<AttributeProto> {
    node.attribute.iter().filter(|a| !without.contains(&a.name.as_str())).cloned().collect()
}
