//! Partitions as graphs, and a verdict for each node of the file.

use std::collections::{HashMap, HashSet};

use super::found::{Found, Partition, Verdict};
use super::partition::Cut;
use super::search::{Role, View};
use crate::int8::graph::{Format, Graph, Node, Port, TensorId};

/// Partitions and verdicts of a cut.
pub(super) fn found(cut: &Cut) -> Found {
    let search = cut.search;
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut first_reader: HashMap<TensorId, usize> = HashMap::new();
    for item in cut.live() {
        members.entry(cut.groups[item]).or_default().push(item);
        for tensor in cut.operands(item) {
            first_reader.entry(tensor).or_insert(item);
        }
    }
    let mut roots: Vec<usize> = members.keys().copied().collect();
    roots.sort_unstable_by_key(|&root| (cut.levels[root], root));
    let number: HashMap<usize, usize> = roots.iter().enumerate().map(|(n, &root)| (root, n)).collect();
    let outputs = cut.outputs();
    let mut partitions: Vec<Partition> = roots
        .iter()
        .map(|root| {
            let outputs = outputs.get(root).map_or(&[][..], Vec::as_slice);
            let members = members.get(root).map_or(&[][..], Vec::as_slice);
            Partition { graph: graph(cut, *root, members, outputs), ..Partition::default() }
        })
        .collect();

    let mut verdicts = Vec::with_capacity(search.roles.len());
    for (index, role) in search.roles.iter().enumerate() {
        let item = match role {
            Some(Role::Item(item)) if cut.is_live(*item) => Some(*item),
            // A name for a tensor belongs to the partition that makes it, or else to one that reads it.
            Some(Role::View) if !cut.stays[index] => {
                let mut names = search.net.node(index).output.iter();
                let tensor = names.find_map(|o| search.views.get(o.as_str())).map(View::tensor);
                tensor.and_then(|t| cut.made_by(t).or_else(|| first_reader.get(&t).copied()))
            }
            _ => None,
        };
        let partition = item.and_then(|item| number.get(&cut.groups[item]).copied());
        let float = |why: &str| Verdict::Float { why: why.to_owned() };
        verdicts.push(match (partition, role) {
            (Some(partition), _) => {
                partitions[partition].nodes.push(index);
                let floats = item.is_some_and(|item| search.is_of_floats(item) && !search.is_hybrid(item));
                if floats { Verdict::Planned { partition } } else { Verdict::Integer { partition } }
            }
            (None, Some(Role::Folded)) => Verdict::Folded,
            (None, Some(Role::Float(why))) => float(why),
            (None, Some(Role::View)) if cut.stays[index] => float("its result is read outside"),
            (None, Some(_)) => float("no operator around it is worth a partition"),
            (None, None) => float("it is part of a circle"),
        });
    }
    // What they asked about may be gone; they are of no partition in particular.
    if let Some(first) = partitions.first_mut() {
        first.asking = (0..search.roles.len()).filter(|&index| search.net.is_asking(index)).collect();
        first.constants = first.asking.iter().filter_map(|&index| search.net.values_of(index)).flatten().collect();
    }
    Found { partitions, verdicts }
}

/// The graph of the partition whose first item is `root`.
fn graph(cut: &Cut, root: usize, members: &[usize], outputs: &[(TensorId, &str, Format)]) -> Graph {
    let search = cut.search;
    let is_own = |tensor: TensorId| cut.made_by(tensor).is_some_and(|item| cut.groups[item] == root);
    // Steps that nothing reads (parts of a Split) are left out.
    let mut read: HashSet<TensorId> = outputs.iter().map(|(tensor, ..)| *tensor).collect();
    let mut steps: Vec<&Node> = Vec::new();
    for step in members.iter().rev().flat_map(|&item| search.items[item].steps.iter().rev()) {
        if read.contains(&step.output) {
            read.extend(&step.inputs);
            steps.push(step);
        }
    }
    steps.reverse();

    let mut graph = Graph::default();
    let mut ids: HashMap<TensorId, TensorId> = HashMap::new();
    let mut local = |graph: &mut Graph, tensor: TensorId| -> TensorId {
        *ids.entry(tensor).or_insert_with(|| {
            graph.tensors.push(search.tensors[tensor].tensor.clone());
            let id = graph.tensors.len() - 1;
            if !is_own(tensor)
                && let Some((name, format)) = cut.outer(tensor)
            {
                graph.inputs.push(Port { tensor: id, name: name.to_owned(), format });
            }
            id
        })
    };
    for step in steps {
        let inputs = step.inputs.iter().map(|&t| local(&mut graph, t)).collect();
        let output = local(&mut graph, step.output);
        graph.nodes.push(Node { name: step.name.clone(), op: step.op.clone(), inputs, output });
    }
    for &(tensor, name, format) in outputs {
        let tensor = local(&mut graph, tensor);
        graph.outputs.push(Port { tensor, name: name.to_owned(), format });
    }
    graph
}
