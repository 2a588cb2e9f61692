//! Nodes, tensors and models to be written.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// Version of the file format that goes with operator sets 13 to 18.
const IR_VERSION: i64 = 8;

/// A node whose name and outputs are given when it is finished.
#[derive(Clone, Debug)]
pub struct NodeBuilder(NodeProto);

impl NodeBuilder {
    /// A node of operator `operator` that reads `inputs`; an empty name leaves an input out.
    pub fn new<S: Into<String>>(operator: &str, inputs: impl IntoIterator<Item = S>) -> Self {
        NodeBuilder(NodeProto {
            op_type: operator.into(),
            input: inputs.into_iter().map(Into::into).collect(),
            ..Default::default()
        })
    }

    /// In a domain other than ONNX's own.
    pub fn domain(mut self, domain: &str) -> Self {
        self.0.domain = domain.into();
        self
    }

    /// Operator type.
    pub fn operator(&self) -> &str {
        &self.0.op_type
    }

    /// Names of the inputs.
    pub fn inputs(&self) -> &[String] {
        &self.0.input
    }

    /// Puts an input in front of the others.
    pub fn prepend_input(&mut self, name: impl Into<String>) {
        self.0.input.insert(0, name.into());
    }

    fn with(mut self, name: &str, kind: AttributeType, value: AttributeProto) -> Self {
        self.0.attribute.push(AttributeProto { name: name.into(), r#type: kind as i32, ..value });
        self
    }

    /// Integer attribute.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.attributes([int(name, value)])
    }

    /// Integer attribute that is an axis, a size or a flag.
    pub fn size(self, name: &str, value: usize) -> Self {
        self.int(name, value as i64)
    }

    /// Attribute that is a list of integers.
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.with(name, AttributeType::Ints, AttributeProto { ints: values.to_vec(), ..Default::default() })
    }

    /// Attribute that is a list of axes or sizes.
    pub fn sizes(self, name: &str, values: &[usize]) -> Self {
        self.with(name, AttributeType::Ints, AttributeProto { ints: dims(values), ..Default::default() })
    }

    /// Float attribute.
    pub fn float(self, name: &str, value: f32) -> Self {
        self.with(name, AttributeType::Float, AttributeProto { f: value, ..Default::default() })
    }

    /// String attribute.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.with(name, AttributeType::String, AttributeProto { s: value.as_bytes().to_vec(), ..Default::default() })
    }

    /// Attribute that is a graph.
    pub fn graph(self, name: &str, graph: GraphProto) -> Self {
        self.with(name, AttributeType::Graph, AttributeProto { g: Some(graph), ..Default::default() })
    }

    /// Attributes taken over from another node.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = AttributeProto>) -> Self {
        self.0.attribute.extend(attributes);
        self
    }

    /// The node, called `name`.
    pub fn named<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        outputs: impl IntoIterator<Item = S>,
    ) -> NodeProto {
        self.0.name = name.into();
        self.0.output = outputs.into_iter().map(Into::into).collect();
        self.0
    }
}

/// An integer attribute by itself.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

/// A string attribute by itself.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..Default::default()
    }
}

/// A tensor from little-endian bytes, row-major.
pub fn tensor(name: impl Into<String>, kind: DataType, dims: Vec<i64>, raw_data: Vec<u8>) -> TensorProto {
    TensorProto { name: name.into(), data_type: kind as i32, dims, raw_data, ..Default::default() }
}

/// Floats: a scalar where there is one, else a list.
pub fn floats(name: impl Into<String>, values: &[f32]) -> TensorProto {
    let dims = if values.len() == 1 { vec![] } else { vec![values.len() as i64] };
    tensor(name, DataType::Float, dims, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// A dimension of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known.
    Size(usize),
    /// Left open under a name.
    Open(&'static str),
}

/// An input or output of a graph.
pub fn port(name: impl Into<String>, kind: DataType, dims: &[Dim]) -> ValueInfoProto {
    let dim = |dim: &Dim| {
        let value = match dim {
            Dim::Size(size) => dimension::Value::DimValue(*size as i64),
            Dim::Open(name) => dimension::Value::DimParam((*name).into()),
        };
        Dimension { value: Some(value), ..Default::default() }
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type: kind as i32, shape });
    let r#type = Some(TypeProto { value: Some(value), ..Default::default() });
    ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

/// An input or output of a known shape.
pub fn port_of_shape(name: impl Into<String>, kind: DataType, shape: &[usize]) -> ValueInfoProto {
    port(name, kind, &shape.iter().map(|&d| Dim::Size(d)).collect::<Vec<_>>())
}

/// An output of which only the name is said; type and shape follow by inference.
pub fn untyped_port(name: impl Into<String>) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), ..Default::default() }
}

/// A model of one graph in ONNX's operator set `opset`.
pub fn model(graph: GraphProto, opset: i64) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// A shape as ONNX writes it.
pub fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}
