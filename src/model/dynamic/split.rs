//! The cut between the part of a graph whose shapes are known and the rest.

use std::collections::{HashMap, HashSet};

use leptond_engine::onnx::build::{self, NodeBuilder};
use leptond_engine::onnx::{GraphView, captured_names, node, tensor};
use leptond_engine::operators;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use crate::model::bounded::Refused;
use crate::model::budget::Exhausted;

/// ONNX operator type of the part.
pub(in crate::model) const DYNAMIC_OPERATOR: &str = "DynamicPart";
/// Its attributes.
pub(super) const BODY: &str = "body";
pub(super) const FILE_BYTES: &str = "file_bytes";

/// Operators behind which no shape is known, whatever the shapes in front of them.
const DEPENDS_ON_DATA: &[&str] = &["Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "Unique"];

/// Most attempts to find what cannot be analysed; each one names at least one node.
const MAX_ATTEMPTS: usize = 24;

/// Test for a graph that has such operators at its top level.
pub(in crate::model) fn needed(model: &ModelProto) -> bool {
    model.graph.iter().flat_map(|graph| &graph.node).any(|node| DEPENDS_ON_DATA.contains(&node.op_type.as_str()))
}

/// A graph with one operator for all that depends on data.
pub(in crate::model) struct Split {
    pub proto: ModelProto,
    /// Its analysis: every shape in front of the operator is known.
    pub model: InferenceModel,
}

/// Cuts a graph. `dynamic` names nodes that are known to belong to the rest, `analyse` parses a graph and infers its shapes.
///
/// # Errors
/// That of `analyse` where it names no node, or none that is left.
pub(in crate::model) fn split(
    model: &ModelProto,
    dynamic: &HashSet<String>,
    file_bytes: usize,
    analyse: &dyn Fn(&ModelProto) -> TractResult<InferenceModel>,
) -> TractResult<Split> {
    let empty = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&empty);
    let view = GraphView::new(graph);
    let order = view.order();
    let mut rest: Vec<bool> =
        graph.node.iter().map(|n| DEPENDS_ON_DATA.contains(&n.op_type.as_str()) || dynamic.contains(&n.name)).collect();
    let constants = Constants::of(&view);
    let hopeless = |index: usize| {
        let node = view.node(index);
        let has_kernel = operators::kernel(node, operators::version(model, node)).is_some();
        !has_kernel && node::inputs(node).skip(1).all(|name| constants.holds(&view, name))
    };
    let mut refusal = None;
    for _ in 0..MAX_ATTEMPTS {
        spread(&view, &order, &mut rest);
        let spliced = spliced(model, &view, &rest, &constants, file_bytes);
        match analyse(&spliced) {
            Ok(analysed) => {
                let open = open_nodes(&analysed, &view, &rest);
                if open.is_empty() || is_whole(&analysed)? {
                    return Ok(Split { proto: spliced, model: analysed });
                }
                open.into_iter().for_each(|index| rest[index] = true);
            }
            Err(error) => match blamed(&error, graph).filter(|&index| !rest[index]) {
                // Its values in a run would say nothing that its constants do not say now.
                Some(index) if hopeless(index) => return Err(refusal.unwrap_or(error)),
                Some(index) => {
                    rest[index] = true;
                    refusal.get_or_insert(error);
                }
                None => return Err(refusal.unwrap_or(error)),
            },
        }
    }
    Err(refusal.unwrap_or_else(|| format_err!("its shapes cannot be inferred")))
}

/// Index of the node that an error is about; none for an error of the budget, which holds for the whole model.
fn blamed(error: &TractError, graph: &GraphProto) -> Option<usize> {
    if error.chain().any(|cause| cause.is::<Exhausted>()) {
        return None;
    }
    let refused = error.chain().find_map(|cause| cause.downcast_ref::<Refused>())?;
    graph.node.iter().position(|n| n.name == refused.node)
}

/// Everything behind a node of the rest belongs to the rest.
fn spread(view: &GraphView, order: &[usize], rest: &mut [bool]) {
    for &index in order {
        let from_rest = |name: &str| view.producer(name).is_some_and(|producer| rest[producer]);
        let node = view.node(index);
        let mut found = node::inputs(node).any(from_rest);
        captured_names(node, &mut |name| found |= from_rest(name));
        rest[index] |= found;
    }
}

/// Nodes outside of the rest with an output whose shape is not known.
fn open_nodes(analysed: &InferenceModel, view: &GraphView, rest: &[bool]) -> Vec<usize> {
    let mut open = Vec::new();
    for node in &analysed.nodes {
        for (slot, output) in node.outputs.iter().enumerate() {
            if is_known(&output.fact) {
                continue;
            }
            let label = analysed.outlet_label(OutletId::new(node.id, slot)).unwrap_or(&node.name);
            open.extend(view.producer(label).filter(|&index| !rest[index]));
        }
    }
    open
}

/// Test for a tensor of known type and shape.
fn is_known(fact: &InferenceFact) -> bool {
    let shape = fact.shape.concretize();
    fact.datum_type().is_some() && shape.is_some_and(|dims| dims.iter().all(|d| d.to_i64().is_ok()))
}

/// Test for a graph all of whose shapes are known, but for those of what depends on data: by inference, else by what its operators say
/// of themselves once they are translated.
///
/// # Errors
/// Those of the budget.
pub(in crate::model) fn is_whole(model: &InferenceModel) -> TractResult<bool> {
    let depends = |name: &str| name == DYNAMIC_OPERATOR;
    let mut inferred = model.nodes.iter().filter(|node| !depends(&node.name)).flat_map(|node| &node.outputs);
    if inferred.all(|output| is_known(&output.fact)) {
        return Ok(true);
    }
    match model.clone().into_typed() {
        Ok(typed) => {
            let mut nodes = typed.nodes.iter().filter(|node| !depends(&node.name));
            Ok(nodes.all(|node| node.outputs.iter().all(|output| output.fact.shape.as_concrete().is_some())))
        }
        Err(error) if error.chain().any(|cause| cause.is::<Exhausted>()) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The graph with the rest as one operator that holds it.
fn spliced(
    model: &ModelProto,
    view: &GraphView,
    rest: &[bool],
    constants: &Constants<'_>,
    file_bytes: usize,
) -> ModelProto {
    let graph = view.graph();
    // Constants that the rest reads go into it, with the nodes that compute them.
    let mut inside: Vec<bool> = rest.to_vec();
    let mut wanted: Vec<usize> = (0..rest.len()).filter(|&index| rest[index]).collect();
    let (mut inputs, mut initializers, mut seen) = (Vec::new(), HashSet::new(), HashSet::new());
    while let Some(index) = wanted.pop() {
        let mut read = |name: &str| {
            if name.is_empty() || !seen.insert(name.to_owned()) {
                return;
            }
            match view.producer(name) {
                Some(producer) if inside[producer] => {}
                Some(producer) if constants.nodes[producer] => {
                    inside[producer] = true;
                    wanted.push(producer);
                }
                Some(_) => inputs.push(name.to_owned()),
                None if view.initializer(name).is_some() => _ = initializers.insert(name.to_owned()),
                None if graph.input.iter().any(|i| i.name == name) => inputs.push(name.to_owned()),
                None => {} // made inside of a branch or loop
            }
        };
        let node = view.node(index);
        node::inputs(node).for_each(&mut read);
        captured_names(node, &mut read);
    }
    let made = |name: &str| view.producer(name).is_some_and(|producer| rest[producer]);
    let outputs: Vec<_> = graph.output.iter().filter(|o| made(&o.name)).cloned().collect();
    let body = GraphProto {
        node: nodes(graph, |index| inside[index]),
        initializer: graph.initializer.iter().filter(|t| initializers.contains(&t.name)).cloned().collect(),
        input: inputs.iter().map(build::untyped_port).collect(),
        output: outputs.clone(),
        ..Default::default()
    };
    let attribute =
        AttributeProto { name: BODY.into(), r#type: AttributeType::Graph as i32, g: Some(body), ..Default::default() };
    let part = NodeBuilder::new(DYNAMIC_OPERATOR, inputs)
        .size(FILE_BYTES, file_bytes)
        .attributes([attribute])
        .named(DYNAMIC_OPERATOR, outputs.iter().map(|o| o.name.as_str()));
    let mut outer: Vec<NodeProto> = nodes(graph, |index| !rest[index]);
    let mut read: HashSet<&str> = outer.iter().flat_map(node::inputs).collect();
    outer.iter().for_each(|n| captured_names(n, &mut |name| _ = read.insert(name)));
    read.extend(graph.output.iter().chain(&graph.input).map(|port| port.name.as_str()));
    let initializer = graph.initializer.iter().filter(|t| read.contains(t.name.as_str())).cloned().collect();
    if !outputs.is_empty() {
        outer.push(part);
    }
    let graph = GraphProto {
        node: outer,
        initializer,
        input: graph.input.clone(),
        output: graph.output.clone(),
        ..Default::default()
    };
    ModelProto {
        graph: Some(graph),
        opset_import: model.opset_import.clone(),
        ir_version: model.ir_version,
        ..Default::default()
    }
}

fn nodes(graph: &GraphProto, keep: impl Fn(usize) -> bool) -> Vec<NodeProto> {
    graph.node.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, node)| node.clone()).collect()
}

/// What of a graph depends on nothing that comes with a run.
struct Constants<'g> {
    /// Set for nodes that read constants only.
    nodes: Vec<bool>,
    /// Names that a run may give another value.
    inputs: HashSet<&'g str>,
}

impl<'g> Constants<'g> {
    fn of(view: &GraphView<'g>) -> Self {
        let graph = view.graph();
        let inputs = graph.input.iter().map(|i| i.name.as_str()).collect();
        let mut constants = Constants { nodes: vec![false; graph.node.len()], inputs };
        for index in view.order() {
            let node = view.node(index);
            let reads = node::inputs(node).all(|name| constants.holds(view, name));
            constants.nodes[index] = node::subgraphs(node).next().is_none() && reads;
        }
        constants
    }

    /// Test for a tensor that is an initializer, or made of such.
    fn holds(&self, view: &GraphView, name: &str) -> bool {
        match view.producer(name) {
            Some(producer) => self.nodes[producer],
            None => view.initializer(name).is_some() && !self.inputs.contains(name),
        }
    }
}

/// Constants of a graph by name: initializers, in tract's form.
pub(super) fn initializers(graph: &GraphProto) -> TractResult<HashMap<String, Arc<Tensor>>> {
    let read = |proto| tensor::read(proto).with_context(|| format!("tensor {:?} cannot be read", proto.name));
    graph.initializer.iter().map(|t| Ok((t.name.clone(), Arc::new(read(t)?)))).collect()
}
