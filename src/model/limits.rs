//! What an operator lacks that tract relies on without looking, found before the graph is built.

use std::path::Path;

use tract_onnx::pb;

use super::ModelError;

/// Checks a graph and its sub-graphs.
pub(super) fn check(graph: &pb::GraphProto, path: &Path) -> Result<(), ModelError> {
    for node in &graph.node {
        if let Some(reason) = misses(node) {
            let (node, operator) = (node.name.clone(), node.op_type.clone());
            return Err(ModelError::Unsupported { path: path.into(), node, operator, reason });
        }
        for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            check(inner, path)?;
        }
    }
    Ok(())
}

/// Operands and outputs that have to be there.
fn misses(node: &pb::NodeProto) -> Option<String> {
    let needs = match node.op_type.as_str() {
        "QLinearConv" | "QLinearMatMul" => 8,
        "BatchNormalization" => 5,
        "LSTM"
        | "GRU"
        | "RNN"
        | "InstanceNormalization"
        | "Where"
        | "Range"
        | "OneHot"
        | "ScatterElements"
        | "Scatter"
        | "ScatterND" => 3,
        "Conv" | "ConvTranspose" | "ConvInteger" | "Gemm" | "MatMul" | "MatMulInteger" | "Add" | "Sub" | "Mul"
        | "Div" | "Pow" | "Reshape" | "Expand" | "Gather" | "GatherElements" | "GatherND" | "QuantizeLinear"
        | "DequantizeLinear" | "Tile" | "PRelu" | "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual"
        | "And" | "Or" | "Xor" | "Mod" | "CumSum" | "LayerNormalization" | "Compress" | "BitShift" | "GridSample" => 2,
        "Softmax" | "LogSoftmax" | "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" | "Elu"
        | "Clip" | "MaxPool" | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "Concat"
        | "Transpose" | "Flatten" | "Squeeze" | "Unsqueeze" | "Slice" | "Split" | "Pad" | "Resize" | "Upsample"
        | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ArgMax" | "ArgMin" | "TopK" | "NonZero" | "Cast" | "Shape" | "Size" | "ConstantOfShape" | "Identity"
        | "Dropout" | "DepthToSpace" | "SpaceToDepth" | "LRN" | "Sum" | "Mean" | "Max" | "Min" | "Erf" | "Exp"
        | "Log" | "Sqrt" | "Abs" | "Neg" | "Not" | "Floor" | "Ceil" | "Round" | "Sign" | "Einsum" | "Trilu"
        | "EyeLike" | "If" => 1,
        _ => 0,
    };
    if let Some(index) = (0..needs).find(|&i| node.input.get(i).is_none_or(String::is_empty)) {
        return Some(format!("its input {index} is missing"));
    }
    node.output.iter().all(String::is_empty).then(|| "it has no output".into())
}
