//! ONNX files made by hand, good and bad.

use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{self, attribute_proto::AttributeType, tensor_shape_proto, type_proto};

/// A tensor of 32-bit floats.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> pb::TensorProto {
    raw(name, dims, DataType::Float, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// A tensor of 64-bit integers.
pub fn ints(name: &str, dims: &[i64], values: &[i64]) -> pb::TensorProto {
    raw(name, dims, DataType::Int64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// A tensor of any type, from its bytes.
pub fn raw(name: &str, dims: &[i64], dtype: DataType, bytes: Vec<u8>) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: dtype as i32,
        raw_data: bytes,
        ..Default::default()
    }
}

/// An operator, named like its first output.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> pb::NodeProto {
    pb::NodeProto {
        op_type: op.into(),
        name: format!("the_{}", outputs.first().unwrap_or(&op)),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: outputs.iter().map(|s| s.to_string()).collect(),
        ..Default::default()
    }
}

/// An attribute of one integer.
pub fn attr_int(name: &str, value: i64) -> pb::AttributeProto {
    pb::AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

/// An attribute of integers.
pub fn attr_ints(name: &str, values: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

/// An attribute that is a graph.
pub fn attr_graph(name: &str, graph: pb::GraphProto) -> pb::AttributeProto {
    pb::AttributeProto { name: name.into(), r#type: AttributeType::Graph as i32, g: Some(graph), ..Default::default() }
}

/// An input or output; a dimension of -1 is left open.
pub fn port(name: &str, dtype: DataType, dims: &[i64]) -> pb::ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&d| pb::tensor_shape_proto::Dimension {
            value: (d >= 0).then_some(tensor_shape_proto::dimension::Value::DimValue(d)),
            ..Default::default()
        })
        .collect();
    let tensor = type_proto::Tensor { elem_type: dtype as i32, shape: Some(pb::TensorShapeProto { dim }) };
    pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

/// A graph from its parts.
pub fn graph(
    inputs: Vec<pb::ValueInfoProto>,
    initializer: Vec<pb::TensorProto>,
    node: Vec<pb::NodeProto>,
    output: Vec<pb::ValueInfoProto>,
) -> pb::GraphProto {
    pb::GraphProto { name: "g".into(), input: inputs, initializer, node, output, ..Default::default() }
}

/// A whole file.
pub fn file(graph: pb::GraphProto) -> Vec<u8> {
    let opset = pb::OperatorSetIdProto { domain: String::new(), version: 15 };
    pb::ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
        .encode_to_vec()
}

/// `x [1, 4] f32` through `nodes` to `y`.
pub fn line(initializer: Vec<pb::TensorProto>, nodes: Vec<pb::NodeProto>) -> Vec<u8> {
    let x = port("x", DataType::Float, &[1, 4]);
    file(graph(vec![x], initializer, nodes, vec![port("y", DataType::Float, &[])]))
}

/// A small quantised network with an open batch: QDQ, convolution, pooling, fully connected, softmax.
pub fn network() -> pb::GraphProto {
    let weights: Vec<u8> = (0..36u8).map(|i| i.wrapping_mul(37)).collect();
    let dense: Vec<f32> = (0..4 * 3 * 3 * 5).map(|i| (i as f32 * 0.7).sin()).collect();
    let mut conv = node("Conv", &["xf", "wf"], &["c"]);
    conv.attribute = vec![attr_ints("kernel_shape", &[3, 3]), attr_ints("pads", &[0, 0, 0, 0])];
    let mut pool = node("MaxPool", &["r"], &["p"]);
    pool.attribute = vec![attr_ints("kernel_shape", &[2, 2]), attr_ints("strides", &[2, 2])];
    graph(
        vec![port("x", DataType::Int8, &[-1, 1, 8, 8])],
        vec![
            floats("s", &[], &[0.05]),
            raw("z", &[], DataType::Int8, vec![3]),
            raw("w", &[4, 1, 3, 3], DataType::Int8, weights),
            floats("ws", &[4], &[0.01, 0.02, 0.03, 0.04]),
            raw("wz", &[4], DataType::Int8, vec![0; 4]),
            floats("d", &[36, 5], &dense),
            ints("flat", &[2], &[-1, 36]),
            floats("os", &[], &[0.01]),
            raw("oz", &[], DataType::Int8, vec![0x80]),
        ],
        vec![
            node("DequantizeLinear", &["x", "s", "z"], &["xf"]),
            {
                let mut weights = node("DequantizeLinear", &["w", "ws", "wz"], &["wf"]);
                let axis = pb::AttributeProto {
                    name: "axis".into(),
                    r#type: AttributeType::Int as i32,
                    i: 0,
                    ..Default::default()
                };
                weights.attribute = vec![axis];
                weights
            },
            conv,
            node("Relu", &["c"], &["r"]),
            pool,
            node("Reshape", &["p", "flat"], &["f"]),
            node("MatMul", &["f", "d"], &["m"]),
            node("Softmax", &["m"], &["y0"]),
            node("QuantizeLinear", &["y0", "os", "oz"], &["y"]),
        ],
        vec![port("y", DataType::Int8, &[-1, 5])],
    )
}
