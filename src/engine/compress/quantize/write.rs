//! The quantised graph as ONNX writes it: `QuantizeLinear` and `DequantizeLinear` around what is rounded, weights and biases as
//! integers behind a `DequantizeLinear`.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::layer::Layer;
use super::place::{Placement, Role};
use super::range::Affine;
use super::settings::Activations;
use super::weights::{self, Rows};

use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::node;

/// Writes `model` with the tensors of `placement` rounded as `ranges` say and with the layers' integer weights.
pub fn write(
    model: &ModelProto,
    placement: &Placement,
    ranges: &HashMap<String, Affine>,
    layers: &HashMap<usize, Layer>,
    activations: Activations,
) -> ModelProto {
    let mut written = model.clone();
    let Some(graph) = &mut written.graph else { return written };
    let mut writer = Writer { taken: taken(graph), activations, ..Writer::default() };
    let inputs: HashSet<String> = graph.input.iter().map(|port| port.name.clone()).collect();
    let outputs: HashSet<String> = graph.output.iter().map(|port| port.name.clone()).collect();
    let mut nodes = std::mem::take(&mut graph.node);
    // Readers of a rounded tensor read what its bytes stand for; an input of the graph is given to floats as it is.
    let mut renamed: HashMap<&str, String> = HashMap::new();
    let mut rounded: HashMap<String, [NodeProto; 2]> = HashMap::new();
    for name in &placement.rounded {
        // The graph's own name stays on what is given away.
        let (from, to) = match outputs.contains(name) && !inputs.contains(name) {
            true => (writer.fresh("unrounded"), name.clone()),
            false => (name.clone(), writer.fresh("rounded")),
        };
        for output in nodes.iter_mut().flat_map(|node| &mut node.output).filter(|output| *output == name) {
            output.clone_from(&from);
        }
        rounded.insert(from.clone(), writer.round(&from, &to, ranges[placement.range_of(name)]));
        renamed.insert(name, to);
    }
    for (index, node) in nodes.iter_mut().enumerate() {
        let quantized = placement.roles[index] != Role::Other;
        for input in &mut node.input {
            if let Some(to) = renamed.get(input.as_str()).filter(|_| quantized || !inputs.contains(input)) {
                input.clone_from(to);
            }
        }
        if let Some(layer) = layers.get(&index) {
            writer.layer(node, layer);
        }
    }
    let mut ordered = std::mem::take(&mut writer.made);
    ordered.extend(graph.input.iter().filter_map(|port| rounded.remove(&port.name)).flatten());
    for node in nodes {
        let pairs: Vec<_> = node::outputs(&node).filter_map(|name| rounded.remove(name)).collect();
        ordered.push(node);
        ordered.extend(pairs.into_iter().flatten());
    }
    graph.node = ordered;
    graph.initializer.append(&mut writer.constants);
    super::super::fold::sweep(graph);
    written
}

fn taken(graph: &GraphProto) -> HashSet<String> {
    let names = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output).chain([&node.name]));
    names.chain(graph.initializer.iter().map(|tensor| &tensor.name)).cloned().collect()
}

/// Makes nodes and constants. Names are short: in a small model they are much of the file.
#[derive(Default)]
struct Writer {
    made: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    taken: HashSet<String>,
    counts: HashMap<&'static str, usize>,
    activations: Activations,
}

impl Writer {
    fn fresh(&mut self, part: &'static str) -> String {
        loop {
            let count = self.counts.entry(part).or_default();
            *count += 1;
            let name = format!("{part}{count}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// A constant; the one that is there, where it is the same.
    fn constant(&mut self, part: &'static str, kind: DataType, dims: Vec<i64>, bytes: Vec<u8>) -> String {
        let same =
            |tensor: &&TensorProto| tensor.data_type == kind as i32 && tensor.dims == dims && tensor.raw_data == bytes;
        if let Some(known) = self.constants.iter().find(same) {
            return known.name.clone();
        }
        let name = self.fresh(part);
        self.constants.push(build::tensor(&name, kind, dims, bytes));
        name
    }

    /// Scales of several channels, or one scale of all.
    fn scale(&mut self, values: &[f32], per_channel: bool) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant("scale", DataType::Float, dims_of(values.len(), per_channel), bytes)
    }

    /// `from` to bytes and back: `to`.
    fn round(&mut self, from: &str, to: &str, affine: Affine) -> [NodeProto; 2] {
        let (kind, zero) = match self.activations {
            Activations::U8 => (DataType::Uint8, affine.zero_point),
            Activations::S8 => (DataType::Int8, affine.zero_point.wrapping_sub(128)),
        };
        let scale = self.scale(&[affine.scale], false);
        let zero = self.constant("zero", kind, vec![], vec![zero]);
        let bytes = self.fresh("bytes");
        // The name of what the graph gives away may be that of the node that made it.
        let back = self.fresh("back");
        [
            NodeBuilder::new("QuantizeLinear", [from, &scale, &zero]).named(&bytes, [&bytes]),
            NodeBuilder::new("DequantizeLinear", [&bytes, &scale, &zero]).named(back, [to]),
        ]
    }

    /// Integer weights and bias in the place of a layer's own.
    fn layer(&mut self, node: &mut NodeProto, layer: &Layer) {
        let Rows { shape, axis, .. } = &layer.weights;
        let bytes = layer.weights.joined(|row, value| weights::rounded(value, layer.scales[row]) as i8 as u8);
        let scales = if layer.per_channel { &layer.scales[..] } else { &layer.scales[..1] };
        let weights = self.constant("weights", DataType::Int8, build::dims(shape), bytes);
        node.input[1] = self.dequantized(&weights, DataType::Int8, scales, *axis, layer.per_channel);
        let Some(bias) = &layer.bias else { return };
        let integers = bias.iter().zip(&layer.scales).map(|(&b, &s)| weights::integer_bias(b, layer.input_scale, s));
        let bytes = integers.flat_map(i32::to_le_bytes).collect();
        let bias = self.constant("bias", DataType::Int32, vec![bias.len() as i64], bytes);
        let products: Vec<f32> = scales.iter().map(|scale| scale * layer.input_scale).collect();
        node.input.truncate(2);
        let bias = self.dequantized(&bias, DataType::Int32, &products, 0, layer.per_channel);
        node.input.push(bias);
    }

    fn dequantized(&mut self, from: &str, kind: DataType, scales: &[f32], axis: usize, per_channel: bool) -> String {
        let scale = self.scale(scales, per_channel);
        let size = if kind == DataType::Int32 { 4 } else { 1 };
        let zero = self.constant("zero", kind, dims_of(scales.len(), per_channel), vec![0; scales.len() * size]);
        let to = self.fresh("real");
        let node = NodeBuilder::new("DequantizeLinear", [from, &scale, &zero]);
        let node = if per_channel { node.size("axis", axis) } else { node };
        self.made.push(node.named(&to, [&to]));
        to
    }
}

fn dims_of(count: usize, per_channel: bool) -> Vec<i64> {
    if per_channel { vec![count as i64] } else { vec![] }
}
