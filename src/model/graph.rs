//! The ONNX file itself: decoded, checked for everything that would lead the compiler astray, and described.
//!
//! A file comes from anywhere, so nothing in it is believed: names must be defined, nodes must not form a cycle, tensors
//! must hold as many bytes as their shape says, and no declared size may ask for more memory than [`MAX_TENSOR_BYTES`].

use std::collections::{HashMap, HashSet};
use std::path::Path;

use leptond_engine::onnx::tensor::{datum_type, declared_bytes, type_name};
use leptond_engine::onnx::{self, GraphView};
use prost::Message;
use prost::bytes::Bytes;
use tract_onnx::pb;
use tract_onnx::prelude::DatumType;

use super::state::{self, Kept};
use super::{ModelError, limits, strangers, tensors, wire};
use crate::frame::{DType, Quant};

pub use super::budget::{MAX_FILE_BYTES, MAX_TENSOR_BYTES};

/// Most nodes in a graph, and most initialisers. tract compares each new one with those before it.
const MAX_NODES: usize = 16_384;

/// An input or output of the graph as the file declares it.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DatumType,
    /// Its shape; `None` where the file leaves a dimension open.
    pub dims: Vec<Option<usize>>,
    /// Names of the dimensions that it leaves open, where it has some.
    pub open: Vec<Option<String>>,
    /// Map from its integers to reals, where the graph says it.
    pub quant: Option<Quant>,
}

/// One operator of the graph.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Its name, or its first output's where it has none.
    pub name: String,
    /// ONNX operator type.
    pub operator: String,
    /// Names of the tensors that it reads.
    pub inputs: Vec<String>,
    /// Names of the tensors that it writes.
    pub outputs: Vec<String>,
}

/// Description of a file's graph.
#[derive(Clone, Debug, Default)]
pub struct GraphInfo {
    /// ONNX operator set.
    pub opset: i64,
    /// The program that wrote the file, with its version.
    pub producer: String,
    /// Inputs in graph order, initialisers left out.
    pub inputs: Vec<Port>,
    /// Outputs in graph order.
    pub outputs: Vec<Port>,
    /// State kept between runs: inputs and outputs behind the others, in one order.
    pub kept: Vec<Kept>,
    /// Operators in file order.
    pub nodes: Vec<NodeInfo>,
    /// Bytes of all initialisers.
    pub weights_bytes: usize,
    /// Metadata of the exporting program, as far as it is short.
    pub metadata: Vec<(String, String)>,
}

/// Longest value of a file's metadata that is kept, in bytes.
const MAX_METADATA_BYTES: usize = 64 << 10;

/// Decodes an ONNX file and checks it. The file's bytes are gone afterwards: with weights of megabytes, holding them once more while the
/// model is compiled would show.
pub fn decode(bytes: Bytes, path: &Path) -> Result<(pb::ModelProto, OpenDimensions), ModelError> {
    let parse = |reason: String| ModelError::Parse { path: path.into(), reason };
    if let Some(kind) = strangers::kind_of(&bytes) {
        return Err(parse(kind.into()));
    }
    wire::check(&bytes).map_err(parse)?;
    accepted(pb::ModelProto::decode(bytes).map_err(|e| parse(e.to_string()))?, path)
}

/// [`decode`] for a model that was decoded before, or never encoded.
pub fn accepted(mut model: pb::ModelProto, path: &Path) -> Result<(pb::ModelProto, OpenDimensions), ModelError> {
    let parse = |reason: String| ModelError::Parse { path: path.into(), reason };
    let Some(graph) = &mut model.graph else {
        return Err(parse("it holds no graph (cut short, or another format)".into()));
    };
    Check { path }.graph(graph, &HashSet::new())?;
    name_nodes(graph);
    limits::check(graph, path)?;
    // Only the top level of the graph decides shapes: its inputs are made concrete per plan, everything else follows by
    // inference. Hints in the file can only contradict that.
    let open = open_dimensions(graph);
    forget_hints(graph);
    Ok((model, open))
}

/// Names of the dimensions that the inputs leave open, by input.
pub type OpenDimensions = HashMap<String, Vec<Option<String>>>;

fn open_dimensions(graph: &pb::GraphProto) -> OpenDimensions {
    let mut open = OpenDimensions::new();
    for input in &graph.input {
        let value = input.r#type.as_ref().and_then(|t| t.value.as_ref());
        let Some(pb::type_proto::Value::TensorType(tensor)) = value else { continue };
        let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
            Some(pb::tensor_shape_proto::dimension::Value::DimParam(name)) if !name.is_empty() => Some(name.clone()),
            _ => None,
        });
        open.insert(input.name.clone(), dims.collect());
    }
    open
}

/// Describes a decoded model.
pub fn describe(model: &pb::ModelProto, path: &Path) -> Result<GraphInfo, ModelError> {
    let empty = pb::GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&empty);
    let view = GraphView::new(graph);
    let ports = |infos: &mut dyn Iterator<Item = &pb::ValueInfoProto>| {
        infos.map(|info| port(info, path)).collect::<Result<Vec<_>, _>>()
    };
    let mut inputs = ports(&mut graph.input.iter().filter(|i| view.initializer(&i.name).is_none()))?;
    let mut outputs = ports(&mut graph.output.iter())?;
    let count = state::count(model);
    let last = |ports: &mut Vec<Port>| -> Vec<state::End> {
        ports.split_off(ports.len().saturating_sub(count)).into_iter().map(|p| (p.name, p.dtype, p.dims)).collect()
    };
    let (kept_inputs, kept_outputs) = (last(&mut inputs), last(&mut outputs));
    let kept = state::of_ends(model, kept_inputs, kept_outputs, path)?;
    for input in inputs.iter_mut().filter(|p| p.dtype.is_integer()) {
        input.quant = tensors::quant_of_input(&view, &input.name);
    }
    for output in outputs.iter_mut().filter(|p| p.dtype.is_integer()) {
        output.quant = tensors::quant_of_output(&view, &output.name);
    }
    Ok(GraphInfo {
        opset: onnx::opset(model),
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
        inputs,
        outputs,
        kept,
        nodes: graph
            .node
            .iter()
            .map(|n| NodeInfo {
                name: n.name.clone(),
                operator: n.op_type.clone(),
                inputs: n.input.clone(),
                outputs: n.output.clone(),
            })
            .collect(),
        weights_bytes: graph.initializer.iter().filter_map(declared_bytes).sum(),
        metadata: (model.metadata_props.iter())
            .filter(|p| p.value.len() <= MAX_METADATA_BYTES)
            .take(64)
            .map(|p| (p.key.clone(), p.value.clone()))
            .collect(),
    })
}

/// The pipeline's name for an element type, if it has one.
pub fn dtype_of(datum: DatumType) -> Option<DType> {
    match datum {
        DatumType::F32 => Some(DType::F32),
        DatumType::I8 => Some(DType::I8),
        DatumType::U8 => Some(DType::U8),
        DatumType::I32 => Some(DType::I32),
        DatumType::I64 => Some(DType::I64),
        _ => None,
    }
}

fn port(info: &pb::ValueInfoProto, path: &Path) -> Result<Port, ModelError> {
    let bad = |reason: String| ModelError::Shape { path: path.into(), tensor: info.name.clone(), reason };
    let Some(pb::type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(bad("it is not a tensor, or has no type".into()));
    };
    let dtype = datum_type(tensor.elem_type)
        .ok_or_else(|| bad(format!("its element type ({}) is not supported", type_name(tensor.elem_type))))?;
    let Some(shape) = &tensor.shape else {
        return Err(bad("it has no shape: the number of its dimensions must be known".into()));
    };
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        dims.push(match dim.value {
            // Exporters write "unknown" as a missing value, a name, -1 or 0.
            Some(pb::tensor_shape_proto::dimension::Value::DimValue(v)) if v > 0 => {
                Some(usize::try_from(v).map_err(|_| bad(format!("dimension {axis} is {v}: too large")))?)
            }
            _ => None,
        });
    }
    if dims.len() > 8 {
        return Err(bad(format!("it has {} dimensions, allowed are up to 8", dims.len())));
    }
    let known = dims.iter().map(|d| d.unwrap_or(1)).try_fold(dtype.size_of(), |acc, d| acc.checked_mul(d));
    if known.is_none_or(|bytes| bytes > MAX_TENSOR_BYTES) {
        return Err(bad(format!("its shape {} asks for more than {} MiB", show(&dims), MAX_TENSOR_BYTES >> 20)));
    }
    let open = vec![None; dims.len()];
    Ok(Port { name: info.name.clone(), dtype, dims, open, quant: None })
}

/// A shape as `[1, ?, 3]`.
pub(super) fn show(dims: &[Option<usize>]) -> String {
    let dims: Vec<String> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

/// A dimension that cannot be; exporters write -1 for one that is left open.
fn negative_dimension(info: &pb::ValueInfoProto) -> Option<String> {
    let Some(pb::type_proto::Value::TensorType(tensor)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    tensor.shape.as_ref()?.dim.iter().enumerate().find_map(|(axis, dim)| match dim.value {
        Some(pb::tensor_shape_proto::dimension::Value::DimValue(v)) if v < -1 => {
            Some(format!("dimension {axis} is {v}, allowed are numbers from 1, and -1 for one that is left open"))
        }
        _ => None,
    })
}

/// Gives every node a unique name: errors name nodes, and the compiler refuses duplicates.
fn name_nodes(graph: &mut pb::GraphProto) {
    let mut seen = HashSet::new();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() {
            let output = node.output.iter().find(|o| !o.is_empty());
            node.name = output.cloned().unwrap_or_else(|| format!("{}_{index}", node.op_type));
        }
        while !seen.insert(node.name.clone()) {
            node.name = format!("{}_{index}", node.name);
        }
    }
}

/// Drops what the file claims about intermediate shapes, and symbolic dimension expressions everywhere.
fn forget_hints(graph: &mut pb::GraphProto) {
    graph.value_info.clear();
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(pb::type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            for dim in t.shape.iter_mut().flat_map(|s| &mut s.dim) {
                if !matches!(dim.value, Some(pb::tensor_shape_proto::dimension::Value::DimValue(v)) if v > 0) {
                    dim.value = None;
                }
            }
        }
    }
    graph.node.iter_mut().flat_map(onnx::node::subgraphs_mut).for_each(forget_hints);
}

/// The structural check of a graph and its sub-graphs.
struct Check<'a> {
    path: &'a Path,
}

impl Check<'_> {
    fn graph(&self, graph: &pb::GraphProto, outer: &HashSet<&str>) -> Result<(), ModelError> {
        let parse = |reason: String| ModelError::Parse { path: self.path.into(), reason };
        for (count, what) in [(graph.node.len(), "nodes"), (graph.initializer.len(), "initialisers")] {
            if count > MAX_NODES {
                return Err(parse(format!("{count} {what}, allowed are up to {MAX_NODES}")));
            }
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
            return Err(self.tensor_error(&name, "sparse initialisers are not supported".into()));
        }
        let mut own: HashSet<&str> = HashSet::new();
        let mut initialisers: HashSet<&str> = HashSet::new();
        for tensor in &graph.initializer {
            self.tensor(tensor, &tensor.name)?;
            if tensor.name.is_empty() || !initialisers.insert(&tensor.name) {
                return Err(self.tensor_error(&tensor.name, "an initialiser without a name of its own".into()));
            }
            own.insert(&tensor.name);
        }
        for input in &graph.input {
            if input.name.is_empty() || (!own.insert(&input.name) && !initialisers.contains(&*input.name)) {
                return Err(self.tensor_error(&input.name, "an input without a name of its own".into()));
            }
        }
        for info in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            if let Some(reason) = negative_dimension(info) {
                return Err(self.tensor_error(&info.name, reason));
            }
        }
        let mut producer: HashMap<&str, usize> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if !own.insert(output) {
                    return Err(self.node_error(node, format!("its output {output:?} is defined twice")));
                }
                producer.insert(output, index);
            }
        }
        let known = |name: &str| own.contains(name) || outer.contains(name);
        for node in &graph.node {
            if node.op_type.is_empty() {
                return Err(self.node_error(node, "it has no operator type".into()));
            }
            if let Some(missing) = node.input.iter().find(|i| !i.is_empty() && !known(i)) {
                return Err(self.node_error(node, format!("its input {missing:?} is defined nowhere")));
            }
        }
        for output in &graph.output {
            if !known(&output.name) {
                return Err(self.tensor_error(&output.name, "an output that no node computes".into()));
            }
        }
        self.acyclic(graph, &producer)?;
        let mut visible = outer.clone();
        visible.extend(own);
        for node in &graph.node {
            let mut names = HashSet::new();
            for attribute in &node.attribute {
                if !names.insert(&attribute.name) {
                    return Err(self.node_error(node, format!("its attribute {:?} is given twice", attribute.name)));
                }
                for tensor in attribute.t.iter().chain(&attribute.tensors) {
                    self.tensor(tensor, &node.name)?;
                }
                for inner in attribute.g.iter().chain(&attribute.graphs) {
                    self.graph(inner, &visible)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses a graph with a circle: the first node that cannot be ordered is part of one or behind it.
    fn acyclic(&self, graph: &pb::GraphProto, producer: &HashMap<&str, usize>) -> Result<(), ModelError> {
        let order: HashSet<usize> =
            onnx::execution_order(graph, |name| producer.get(name).copied()).into_iter().collect();
        match graph.node.iter().enumerate().find(|(index, _)| !order.contains(index)) {
            Some((_, node)) => Err(self.node_error(node, "the graph runs in a circle through it".into())),
            None => Ok(()),
        }
    }

    fn tensor(&self, tensor: &pb::TensorProto, name: &str) -> Result<(), ModelError> {
        tensors::check(tensor).map_err(|reason| self.tensor_error(name, reason))
    }

    fn tensor_error(&self, tensor: &str, reason: String) -> ModelError {
        ModelError::Shape { path: self.path.into(), tensor: tensor.into(), reason }
    }

    fn node_error(&self, node: &pb::NodeProto, reason: String) -> ModelError {
        let output = node.output.first().cloned().unwrap_or_default();
        ModelError::Unsupported {
            path: self.path.into(),
            node: if node.name.is_empty() { output } else { node.name.clone() },
            operator: node.op_type.clone(),
            reason,
        }
    }
}
