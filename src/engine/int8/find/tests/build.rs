//! Small graphs, and what tract knows of their tensors.

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, TensorProto};
use tract_onnx::prelude::{Fact as _, InferenceFact, InferenceModelExt};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use super::check;
use crate::int8::decompose;
use crate::int8::find::{Fact, Found, HashMap, Idle, find_with};
use crate::onnx::build::{self, NodeBuilder};

/// A graph under construction. Tensors have the name of what makes them.
#[derive(Default)]
pub struct Builder {
    pub graph: GraphProto,
    pub opset: i64,
}

impl Builder {
    /// A graph of operator set 13 with one float input `x`.
    pub fn new(shape: &[usize]) -> Self {
        let mut builder = Builder { opset: 13, ..Default::default() };
        builder.input("x", DataType::Float, shape);
        builder
    }

    pub fn input(&mut self, name: &str, dtype: DataType, shape: &[usize]) {
        self.graph.input.push(build::port_of_shape(name, dtype, shape));
    }

    pub fn constant(&mut self, name: &str, dims: &[usize], dtype: DataType, values: &[f64]) -> String {
        let mut tensor = TensorProto {
            name: name.into(),
            data_type: dtype as i32,
            dims: dims.iter().map(|&d| d as i64).collect(),
            ..Default::default()
        };
        match dtype {
            DataType::Float => tensor.float_data = values.iter().map(|&v| v as f32).collect(),
            DataType::Int64 => tensor.int64_data = values.iter().map(|&v| v as i64).collect(),
            _ => tensor.int32_data = values.iter().map(|&v| v as i32).collect(),
        }
        self.graph.initializer.push(tensor);
        name.into()
    }

    pub fn float(&mut self, name: &str, values: &[f64]) -> String {
        let dims = if values.len() == 1 { vec![] } else { vec![values.len()] };
        self.constant(name, &dims, DataType::Float, values)
    }

    pub fn ints(&mut self, name: &str, values: &[f64]) -> String {
        self.constant(name, &[values.len()], DataType::Int64, values)
    }

    /// A node called `name` with the output `name`.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let node = NodeBuilder::new(op, inputs.iter().copied());
        let node = attributes.iter().fold(node, |node, (name, value)| value.put(node, name));
        self.graph.node.push(node.named(name, [name]));
        name.into()
    }

    /// `QuantizeLinear` to signed bytes.
    pub fn quantize(&mut self, name: &str, x: &str, scale: f64, zero_point: i32) -> String {
        self.linear("QuantizeLinear", name, x, scale, zero_point, DataType::Int8)
    }

    /// `DequantizeLinear` of signed bytes.
    pub fn dequantize(&mut self, name: &str, x: &str, scale: f64, zero_point: i32) -> String {
        self.linear("DequantizeLinear", name, x, scale, zero_point, DataType::Int8)
    }

    pub fn linear(&mut self, op: &str, name: &str, x: &str, scale: f64, zero_point: i32, dtype: DataType) -> String {
        let scale = self.float(&format!("{name}.scale"), &[scale]);
        let zero_point = self.constant(&format!("{name}.zero_point"), &[], dtype, &[f64::from(zero_point)]);
        self.node(op, name, &[x, &scale, &zero_point], &[])
    }

    /// Both: rounds `x` to steps of `scale`.
    pub fn qdq(&mut self, name: &str, x: &str, scale: f64, zero_point: i32) -> String {
        let bytes = self.quantize(&format!("{name}.q"), x, scale, zero_point);
        self.dequantize(name, &bytes, scale, zero_point)
    }

    /// Weights with a scale for each slice along `axis`, or one for all.
    pub fn weights(&mut self, name: &str, dims: &[usize], bytes: &[f64], scales: &[f64], axis: i64) -> String {
        let bytes = self.constant(&format!("{name}.bytes"), dims, DataType::Int8, bytes);
        let scale = self.float(&format!("{name}.scale"), scales);
        self.node("DequantizeLinear", name, &[&bytes, &scale], &[("axis", Attribute::Int(axis))])
    }

    pub fn output(&mut self, name: &str) {
        self.graph.output.push(build::untyped_port(name));
    }

    pub fn model(&self) -> ModelProto {
        let opset = |domain: &str, version: i64| OperatorSetIdProto { domain: domain.into(), version };
        ModelProto {
            ir_version: 8,
            opset_import: vec![opset("", self.opset), opset("com.microsoft", 1)],
            graph: Some(self.graph.clone()),
            ..Default::default()
        }
    }

    /// Lowers and searches. Partitions are checked for what every one must hold, and that they fit back into the graph.
    pub fn find(&mut self, idle: Idle) -> Found {
        decompose(&mut self.graph);
        let facts = facts(&self.model(), &[]);
        let found = find_with(&self.graph, self.opset, &facts, idle);
        check::found(&self.graph, &facts, &found);
        found
    }

    /// The one partition of a graph that computes.
    pub fn partition(&mut self) -> crate::int8::graph::Graph {
        let found = self.find(Idle::Drop);
        assert_eq!(found.partitions.len(), 1, "{:?}", found.verdicts);
        found.partitions.into_iter().next().unwrap().graph
    }

    /// Reason why a node stays in floats.
    pub fn why(&mut self, name: &str) -> String {
        let found = self.find(Idle::Keep);
        let index = self.graph.node.iter().position(|n| n.name == name).unwrap();
        match &found.verdicts[index] {
            crate::int8::find::Verdict::Float { why } => why.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// A value of an attribute.
pub enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

impl Attribute {
    fn put(&self, node: NodeBuilder, name: &str) -> NodeBuilder {
        match self {
            Attribute::Int(value) => node.int(name, *value),
            Attribute::Ints(values) => node.ints(name, values),
            Attribute::Float(value) => node.float(name, *value),
            Attribute::Text(value) => node.text(name, value),
        }
    }
}

/// Type, shape and value of every tensor, from tract's analysis; open dimensions of inputs are taken from `open`.
pub fn facts(model: &ModelProto, open: &[usize]) -> HashMap<String, Fact> {
    // Parsing what was encoded, as files are.
    let model = ModelProto::decode(&*model.encode_to_vec()).unwrap();
    let mut parsed = tract_onnx::onnx().parse(&model, None).unwrap().model;
    for index in 0..parsed.inputs.len() {
        let fact = parsed.input_fact(index).unwrap().clone();
        let rank = fact.shape.rank().concretize().unwrap() as usize;
        let known = |axis| fact.shape.dim(axis).and_then(|d| d.concretize()).and_then(|d| d.to_usize().ok());
        let dim = |axis| known(axis).unwrap_or_else(|| open.get(axis).copied().unwrap_or(1));
        let dims: Vec<usize> = (0..rank).map(dim).collect();
        let dtype = fact.datum_type().unwrap();
        parsed.set_input_fact(index, InferenceFact::dt_shape(dtype, &dims)).unwrap();
    }
    parsed.analyse(false).unwrap();
    crate::int8::facts(&parsed)
}
