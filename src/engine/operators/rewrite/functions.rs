//! Functions of a model in place of the nodes that call them.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{FunctionProto, GraphProto, ModelProto, NodeProto};

use crate::onnx::node;

/// Most nodes of a model after its functions are put in place.
const MAX_NODES: usize = 1 << 16;
/// Deepest nesting of functions.
const MAX_DEPTH: usize = 32;

/// Puts the functions of a model in place of their calls.
pub(super) fn put_in_place(model: &mut ModelProto) -> Result<(), String> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    let by_name: HashMap<(&str, &str), &FunctionProto> = functions
        .iter()
        .map(|f| ((f.domain.as_deref().unwrap_or_default(), f.name.as_deref().unwrap_or_default()), f))
        .collect();
    let mut calls = Calls { by_name, count: 0, names: HashSet::new(), calls: HashSet::new() };
    if let Some(graph) = &mut model.graph {
        calls.names.extend(graph.node.iter().map(|n| n.name.clone()));
        calls.graph(graph, 0)?;
    }
    for import in functions.iter().flat_map(|f| &f.opset_import) {
        if !model.opset_import.iter().any(|known| known.domain == import.domain) {
            model.opset_import.push(import.clone());
        }
    }
    Ok(())
}

struct Calls<'f> {
    by_name: HashMap<(&'f str, &'f str), &'f FunctionProto>,
    /// Nodes that were put in place.
    count: usize,
    names: HashSet<String>,
    /// Names of calls that were put in place: those of their tensors begin with them.
    calls: HashSet<String>,
}

impl Calls<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<(), String> {
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            self.node(node, depth, &mut nodes)?;
        }
        graph.node = nodes;
        Ok(())
    }

    fn node(&mut self, mut call: NodeProto, depth: usize, nodes: &mut Vec<NodeProto>) -> Result<(), String> {
        let found = self.by_name.get(&(call.domain.as_str(), call.op_type.as_str())).copied();
        let Some(function) = found else {
            for inner in node::subgraphs_mut(&mut call) {
                self.graph(inner, depth)?;
            }
            nodes.push(call);
            return Ok(());
        };
        // Inside of branches and loops names are not always there, nor different.
        while call.name.is_empty() || !self.calls.insert(call.name.clone()) {
            call.name = format!("{}_{}", call.op_type, self.calls.len());
        }
        self.count += function.node.len();
        if depth >= MAX_DEPTH || self.count > MAX_NODES {
            return Err(format!("its function {:?} calls itself, or is put in place too often", call.op_type));
        }
        // Tensors of the function by their names in the graph; one that is left out has none.
        let mut names: HashMap<&str, String> = HashMap::new();
        let given = |names: &[String], index: usize| names.get(index).cloned().unwrap_or_default();
        names.extend(function.input.iter().enumerate().map(|(i, name)| (name.as_str(), given(&call.input, i))));
        for (index, name) in function.output.iter().enumerate() {
            let outer = given(&call.output, index);
            if !outer.is_empty() {
                names.insert(name, outer);
            }
        }
        for inner in &function.node {
            let mut node = inner.clone();
            self.fit(&mut node, &call, &names);
            self.node(node, depth + 1, nodes)?;
        }
        Ok(())
    }

    /// A node of a function with the names and attributes of its call.
    fn fit(&mut self, node: &mut NodeProto, call: &NodeProto, names: &HashMap<&str, String>) {
        let inside = |name: &str| format!("{}/{name}", call.name);
        let renamed = |names: &HashMap<&str, String>, name: &str| match names.get(name) {
            _ if name.is_empty() => String::new(),
            Some(outer) => outer.clone(),
            None => inside(name),
        };
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = renamed(names, name);
        }
        node.name = inside(&node.name);
        while node.name.ends_with('/') || !self.names.insert(node.name.clone()) {
            node.name = format!("{}_{}", node.name, self.names.len());
        }
        let from_call = |attribute: &mut tract_onnx::pb::AttributeProto| -> bool {
            if attribute.ref_attr_name.is_empty() {
                return true;
            }
            let given = node::attribute(call, &attribute.ref_attr_name);
            let Some(given) = given else { return false };
            let name = std::mem::take(&mut attribute.name);
            *attribute = given.clone();
            attribute.name = name;
            true
        };
        node.attribute.retain_mut(from_call);
        for graph in node::subgraphs_mut(node) {
            rename(graph, &|name| renamed(names, name), &mut |attribute| from_call(attribute));
        }
    }
}

/// Renames everything in a graph inside of another.
pub(super) fn rename(
    graph: &mut GraphProto,
    renamed: &dyn Fn(&str) -> String,
    attribute: &mut dyn FnMut(&mut tract_onnx::pb::AttributeProto) -> bool,
) {
    graph.initializer.iter_mut().for_each(|t| t.name = renamed(&t.name));
    graph.input.iter_mut().chain(&mut graph.output).for_each(|port| port.name = renamed(&port.name));
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = renamed(name));
        node.attribute.retain_mut(|a| attribute(a));
        for inner in node::subgraphs_mut(node) {
            rename(inner, renamed, attribute);
        }
    }
}
