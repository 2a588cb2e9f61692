//! An index over the tensors of a graph: producers, consumers, constants, and names that are read from outside.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::{node, tensor};

/// An indexed graph.
#[derive(Debug)]
pub struct GraphView<'a> {
    graph: &'a GraphProto,
    producers: HashMap<&'a str, usize>,
    consumers: HashMap<&'a str, Vec<usize>>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    /// Outputs of the graph, and names that branches and loop bodies read.
    kept: HashSet<&'a str>,
}

impl<'a> GraphView<'a> {
    /// Indexes a graph. Of several nodes with the same output, the last counts.
    pub fn new(graph: &'a GraphProto) -> Self {
        let mut view = GraphView {
            graph,
            producers: HashMap::new(),
            consumers: HashMap::new(),
            initializers: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            kept: graph.output.iter().map(|o| o.name.as_str()).collect(),
        };
        for (index, node) in graph.node.iter().enumerate() {
            view.producers.extend(node::outputs(node).map(|output| (output, index)));
            for input in node::inputs(node) {
                view.consumers.entry(input).or_default().push(index);
            }
            captured_names(node, &mut |name| _ = view.kept.insert(name));
        }
        view
    }

    /// The graph.
    pub fn graph(&self) -> &'a GraphProto {
        self.graph
    }

    /// Node `index`.
    pub fn node(&self, index: usize) -> &'a NodeProto {
        &self.graph.node[index]
    }

    /// Index of the node that computes a tensor.
    pub fn producer(&self, name: &str) -> Option<usize> {
        self.producers.get(name).copied()
    }

    /// Indices of the nodes that read a tensor, once for every input that it is.
    pub fn consumers(&self, name: &str) -> &[usize] {
        self.consumers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes a node out of the consumers of its inputs.
    pub fn forget_consumer(&mut self, index: usize) {
        for input in node::inputs(&self.graph.node[index]) {
            if let Some(consumers) = self.consumers.get_mut(input) {
                consumers.retain(|&consumer| consumer != index);
            }
        }
    }

    /// Test for an output of the graph or a name that a branch or loop body reads.
    pub fn is_kept(&self, name: &str) -> bool {
        self.kept.contains(name)
    }

    /// The initializer of that name.
    pub fn initializer(&self, name: &str) -> Option<&'a TensorProto> {
        self.initializers.get(name).copied()
    }

    /// Value of an initializer or of the output of a `Constant` node.
    pub fn constant(&self, name: &str) -> Option<Tensor> {
        match self.initializer(name) {
            Some(found) => tensor::read(found),
            None => tensor::of_node(self.node(self.producer(name)?)),
        }
    }

    /// The only element of a constant.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        if let Some(found) = self.initializer(name) {
            return tensor::scalar(found);
        }
        let node = self.node(self.producer(name)?);
        match node::attribute(node, "value").and_then(|a| a.t.as_ref()) {
            Some(value) if node.op_type == "Constant" => tensor::scalar(value),
            _ => tensor::floats(&tensor::of_node(node)?).ok()?.first().map(|&value| f64::from(value)),
        }
    }

    /// Indices of the nodes, producers before consumers; nodes on a circle, and behind one, are left out.
    pub fn order(&self) -> Vec<usize> {
        execution_order(self.graph, |name| self.producer(name))
    }
}

/// Version of ONNX's own operators that a model uses; 0 where it does not say.
pub fn opset(model: &ModelProto) -> i64 {
    let own = model.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx");
    own.map_or(0, |o| o.version)
}

/// Calls `found` with every name that the graphs inside a node read from around it.
pub fn captured_names<'a>(node: &'a NodeProto, found: &mut impl FnMut(&'a str)) {
    for graph in node::subgraphs(node) {
        names_from_around(graph).into_iter().for_each(&mut *found);
    }
}

/// Names that a graph, and the graphs inside of it, read and do not make.
fn names_from_around(graph: &GraphProto) -> Vec<&str> {
    let made: HashSet<&str> = (graph.node.iter().flat_map(|node| &node.output).map(String::as_str))
        .chain(graph.input.iter().map(|input| input.name.as_str()))
        .chain(graph.initializer.iter().map(|tensor| tensor.name.as_str()))
        .collect();
    let mut names = Vec::new();
    for node in &graph.node {
        names.extend(node.input.iter().map(String::as_str));
        names.extend(node::subgraphs(node).flat_map(names_from_around));
    }
    names.extend(graph.output.iter().map(|output| output.name.as_str()));
    names.retain(|name| !made.contains(name));
    names
}

/// Indices of the nodes with producers before consumers, otherwise in file order (Kahn's algorithm). Nodes on a circle, and
/// nodes behind one, are left out.
pub fn execution_order(graph: &GraphProto, producer: impl Fn(&str) -> Option<usize>) -> Vec<usize> {
    let mut waiting = vec![0usize; graph.node.len()];
    let mut consumers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        let mut reads = |name: &str| {
            if let Some(from) = producer(name) {
                consumers[from].push(index);
                waiting[index] += 1;
            }
        };
        node::inputs(node).for_each(&mut reads);
        captured_names(node, &mut |name| reads(name));
    }
    let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| Reverse(index));
    let mut ready: BinaryHeap<_> = ready.collect();
    let mut order = Vec::with_capacity(graph.node.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &consumer in &consumers[index] {
            waiting[consumer] -= 1;
            if waiting[consumer] == 0 {
                ready.push(Reverse(consumer));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::AttributeProto;

    use super::super::build::{self, NodeBuilder};
    use super::*;

    fn graph(nodes: &[(&str, &[&str], &[&str])]) -> GraphProto {
        let node = |(op, inputs, outputs): &(&str, &[&str], &[&str])| {
            NodeBuilder::new(op, inputs.iter().copied()).named(outputs[0], outputs.iter().copied())
        };
        GraphProto { node: nodes.iter().map(node).collect(), ..Default::default() }
    }

    #[test]
    fn producers_and_consumers_are_found_by_tensor() {
        let mut graph =
            graph(&[("Add", &["x", "x"], &["a"]), ("Split", &["a", ""], &["b", "", "c"]), ("Relu", &["c"], &["y"])]);
        graph.output.push(build::untyped_port("y"));
        let mut view = GraphView::new(&graph);
        assert_eq!((view.producer("c"), view.producer("x"), view.producer("")), (Some(1), None, None));
        assert_eq!((view.consumers("x"), view.consumers("a"), view.consumers("")), (&[0, 0][..], &[1][..], &[][..]));
        assert!(view.is_kept("y") && !view.is_kept("c"));
        view.forget_consumer(0);
        assert!(view.consumers("x").is_empty());
        assert_eq!(view.order(), [0, 1, 2]);
    }

    #[test]
    fn nodes_in_any_order_are_put_in_one_that_runs_and_circles_are_left_out() {
        let any = graph(&[("Relu", &["b"], &["y"]), ("Relu", &["x"], &["a"]), ("Relu", &["a"], &["b"])]);
        assert_eq!(GraphView::new(&any).order(), [1, 2, 0]);
        let circle = graph(&[("Add", &["x", "b"], &["a"]), ("Relu", &["a"], &["b"]), ("Relu", &["x"], &["y"])]);
        assert_eq!(GraphView::new(&circle).order(), [2]);
    }

    #[test]
    fn branches_read_what_lies_around_them() {
        let inner = graph(&[("Relu", &["outer"], &["z"])]);
        let mut outer = graph(&[("If", &["condition"], &["y"]), ("Relu", &["x"], &["outer"])]);
        let branch = AttributeProto { name: "then_branch".into(), g: Some(inner), ..Default::default() };
        outer.node[0].attribute.push(branch);
        let view = GraphView::new(&outer);
        assert!(view.is_kept("outer"));
        assert_eq!(view.order(), [1, 0]);
    }

    #[test]
    fn what_a_graph_in_a_graph_makes_is_not_read_from_around() {
        let with = |mut graph: GraphProto, inner: GraphProto| {
            let body = AttributeProto { name: "body".into(), g: Some(inner), ..Default::default() };
            graph.node[0].attribute.push(body);
            graph
        };
        let branch = graph(&[("Add", &["outer", "own"], &["made"]), ("Relu", &["made"], &["z"])]);
        let mut body = with(graph(&[("If", &["condition"], &["y"])]), branch);
        body.input.push(build::untyped_port("own"));
        let whole = with(graph(&[("Loop", &["count"], &["y"])]), body);
        let mut names = Vec::new();
        captured_names(&whole.node[0], &mut |name| names.push(name));
        assert_eq!(names, ["condition", "outer"]);
    }

    #[test]
    fn constants_are_initializers_and_nodes() {
        let mut graph = graph(&[("Relu", &["x"], &["y"])]);
        graph.initializer.push(build::floats("one", &[0.25]));
        graph.initializer.push(build::floats("two", &[1.0, 2.0]));
        graph.node.push(NodeBuilder::new("Constant", [""; 0]).float("value_float", 0.5).named("c", ["c"]));
        let view = GraphView::new(&graph);
        let scalars = ["one", "c", "two", "y", "x"].map(|name| view.scalar(name));
        assert_eq!(scalars, [Some(0.25), Some(0.5), None, None, None]);
        assert_eq!(view.constant("two").map(|t| t.shape().to_vec()), Some(vec![2]));
    }
}
