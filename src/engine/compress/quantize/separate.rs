//! Layers that share no weights.

use std::collections::HashSet;

use tract_onnx::pb::{ModelProto, TensorProto};

/// Gives each layer weights and bias of its own where several share a tensor.
pub(super) fn separate(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let mut used: HashSet<String> = HashSet::new();
    let mut copies = Vec::new();
    for node in
        graph.node.iter_mut().filter(|n| matches!(n.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"))
    {
        for input in node.input.iter_mut().skip(1) {
            let Some(shared) = graph.initializer.iter().find(|tensor| tensor.name == *input) else { continue };
            if !used.insert(input.clone()) {
                let name = format!("{}.own.{input}", node.name);
                copies.push(TensorProto { name: name.clone(), ..shared.clone() });
                *input = name;
            }
        }
    }
    graph.initializer.append(&mut copies);
}
