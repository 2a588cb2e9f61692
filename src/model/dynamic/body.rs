//! A graph that is computed node by node.

use std::collections::{HashMap, HashSet};

use leptond_engine::onnx::{GraphView, captured_names, node};
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

use super::around::Surroundings;
use super::single;
use super::split::initializers;
use crate::model::bounded::Refused;
use crate::model::budget::Exhausted;

/// A graph in the order of its execution, its constants, and the graphs inside of its nodes.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub around: Surroundings,
    pub graph: Arc<GraphProto>,
    /// Indices of the nodes, producers first.
    pub order: Vec<usize>,
    /// Its own constants, and those of the graphs around it that it reads.
    pub constants: HashMap<String, Arc<Tensor>>,
    /// Names that it reads from the graphs around it and that are no constants.
    pub captured: Vec<String>,
    /// Graphs in attributes, by node index and attribute name.
    pub inner: HashMap<(usize, String), Arc<Body>>,
    /// For every node, the tensors that nothing reads after it.
    pub last_read: Vec<Vec<String>>,
}

impl Body {
    /// A body of `graph`; `outer` are the constants of the graphs around it.
    pub fn new(graph: GraphProto, outer: &HashMap<String, Arc<Tensor>>, around: &Surroundings) -> TractResult<Self> {
        let mut constants = initializers(&graph)?;
        let view = GraphView::new(&graph);
        let order = view.order();
        ensure!(order.len() == graph.node.len(), "the graph runs in a circle");
        let own: HashSet<&str> = (graph.node.iter().flat_map(|n| &n.output).map(String::as_str))
            .chain(graph.input.iter().map(|i| i.name.as_str()))
            .chain(graph.initializer.iter().map(|t| t.name.as_str()))
            .collect();
        let mut read: Vec<&str> = graph.node.iter().flat_map(node::inputs).collect();
        graph.node.iter().for_each(|n| captured_names(n, &mut |name| read.push(name)));
        read.extend(graph.output.iter().map(|o| o.name.as_str()));
        let mut captured = Vec::new();
        for name in read.into_iter().filter(|name| !name.is_empty() && !own.contains(name)) {
            match outer.get(name) {
                Some(constant) => _ = constants.insert(name.to_owned(), constant.clone()),
                None if !captured.iter().any(|c| c == name) => captured.push(name.to_owned()),
                None => {}
            }
        }
        let order = folded(&graph, order, &mut constants, around)?;
        let mut inner = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for attribute in node.attribute.iter().filter(|a| a.g.is_some()) {
                let body = Body::new(attribute.g.clone().unwrap_or_default(), &constants, around)?;
                inner.insert((index, attribute.name.clone()), Arc::new(body));
            }
        }
        let last_read = last_read(&graph, &order);
        drop(view);
        let (around, graph) = (around.clone(), Arc::new(graph));
        Ok(Body { around, graph, order, constants, captured, inner, last_read })
    }

    /// The graph in attribute `name` of node `index`.
    pub fn inner(&self, index: usize, name: &str) -> TractResult<&Arc<Body>> {
        self.inner.get(&(index, name.to_owned())).with_context(|| format!("it has no {name}"))
    }

    /// Names that a node reads, those of the graphs inside of it included; some are made in there.
    pub fn reads<'n>(node: &'n NodeProto) -> Vec<&'n str> {
        let mut names: Vec<&'n str> = node::inputs(node).collect();
        captured_names(node, &mut |name| names.push(name));
        names
    }
}

/// Most bytes of a constant that is computed when a graph is built.
const FOLDED_BYTES: usize = 1 << 20;

/// Computes nodes on constants, whose results become constants; the order of the nodes that are left.
///
/// # Errors
/// The refusal of a node that cannot be computed on its constants, or asks for more than the file may.
fn folded(
    graph: &GraphProto,
    order: Vec<usize>,
    constants: &mut HashMap<String, Arc<Tensor>>,
    around: &Surroundings,
) -> TractResult<Vec<usize>> {
    let mut left = Vec::with_capacity(order.len());
    for index in order {
        let node = &graph.node[index];
        let inputs: Option<Vec<_>> = node.input.iter().map(|name| constants.get(name).cloned().map(Some)).collect();
        let is_plain = node::subgraphs(node).next().is_none() && !node.input.is_empty();
        let Some(inputs) = inputs.filter(|_| is_plain) else {
            left.push(index);
            continue;
        };
        let made = match single::at_once(around, node, &inputs) {
            Ok(made) => made.filter(|made| made.len() == node.output.len()),
            Err(error) if error.chain().any(|cause| cause.is::<Refused>() || cause.is::<Exhausted>()) => {
                return Err(error);
            }
            Err(_) => None,
        };
        let bytes = |t: &Arc<Tensor>| t.len() * t.datum_type().size_of();
        match made.filter(|made| made.iter().map(bytes).sum::<usize>() <= FOLDED_BYTES) {
            Some(made) => {
                for (name, tensor) in node.output.iter().zip(made) {
                    constants.insert(name.clone(), plain(tensor)?);
                }
            }
            None => left.push(index),
        }
    }
    Ok(left)
}

/// Shapes that tract computes symbolically, as plain integers.
pub(super) fn plain(tensor: Arc<Tensor>) -> TractResult<Arc<Tensor>> {
    if tensor.datum_type() == TDim::datum_type() {
        Ok(Arc::new(tensor.cast_to::<i64>()?.into_owned()))
    } else {
        Ok(tensor)
    }
}

fn last_read(graph: &GraphProto, order: &[usize]) -> Vec<Vec<String>> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for &index in order {
        last.extend(Body::reads(&graph.node[index]).into_iter().map(|name| (name, index)));
    }
    for output in &graph.output {
        last.remove(output.name.as_str());
    }
    let mut ends = vec![Vec::new(); graph.node.len()];
    for (name, index) in last {
        ends[index].push(name.to_owned());
    }
    ends
}
