//! Channels taken out of a graph.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::{Tensor, TractResult};

use super::labels::Label;
use super::trace::{Cut, Trace, kept};
use crate::compress::fold::sweep;
use crate::onnx::{GraphView, build, node, opset, tensor};

/// Indices that stay, by axis of a constant.
type Keep = Vec<(usize, Vec<usize>)>;

/// The model without the sets that `removed` names, weights otherwise as they were.
///
/// # Errors
/// A constant that cannot be read or written, by name.
pub fn cut(model: &ModelProto, trace: &Trace, removed: &HashSet<Label>) -> Result<ModelProto, String> {
    let mut model = model.clone();
    let opset = opset(&model);
    let Some(graph) = &mut model.graph else { return Ok(model) };
    let old = graph.clone();
    let cutter = Cutter { view: GraphView::new(&old), trace, removed, opset };
    let mut constants = Constants::new(&old);
    let mut nodes: Vec<_> = trace.cuts.iter().collect();
    nodes.sort_by_key(|(index, _)| **index);
    for (&index, cuts) in nodes {
        cutter.node(index, cuts, &mut graph.node[index], &mut constants)?;
    }
    constants.finish(graph)?;
    sweep(graph);
    // Sizes between and behind are those of another model now; outputs keep theirs, for their channels stay.
    Ok(model)
}

struct Cutter<'a> {
    view: GraphView<'a>,
    trace: &'a Trace,
    removed: &'a HashSet<Label>,
    opset: i64,
}

impl Cutter<'_> {
    fn kept(&self, labels: &[Label]) -> Vec<usize> {
        kept(&self.trace.labels, labels, &|head| self.removed.contains(&head))
    }

    fn node(&self, index: usize, cuts: &[Cut], to: &mut NodeProto, constants: &mut Constants) -> Result<(), String> {
        let mut keep: HashMap<usize, Keep> = HashMap::new();
        let mut bounds: Option<(Vec<i64>, Vec<i64>)> = None;
        for cut in cuts {
            match cut {
                Cut::Constant { input, axis, labels } => {
                    let stay = self.kept(labels);
                    if stay.len() < labels.len() {
                        keep.entry(*input).or_default().push((*axis, stay));
                    }
                }
                Cut::Group(labels) => {
                    to.attribute.retain(|attribute| attribute.name != "group");
                    to.attribute.push(build::int("group", self.kept(labels).len() as i64));
                }
                Cut::Shape { input, axes } => {
                    let output = &self.view.node(index).output[0];
                    let labels = &self.trace.axes[output];
                    let mut sizes = self.integers(index, *input)?;
                    for (size, axis) in sizes.iter_mut().zip(axes) {
                        if let (Some(own), true) = (&labels[*axis], *size > 0) {
                            *size = self.kept(own).len() as i64;
                        }
                    }
                    to.input[*input] = constants.list(&sizes);
                }
                Cut::Pieces(pieces) => {
                    let sizes: Vec<i64> = pieces.iter().map(|piece| self.kept(piece).len() as i64).collect();
                    to.attribute.retain(|attribute| attribute.name != "split" && attribute.name != "num_outputs");
                    if self.opset < 13 {
                        let written = build::NodeBuilder::new("Split", [""; 0]).ints("split", &sizes);
                        to.attribute.extend(written.named("", [""; 0]).attribute);
                    } else {
                        to.input.truncate(1);
                        to.input.push(constants.list(&sizes));
                    }
                }
                Cut::Indices(labels) => {
                    let stay = self.kept(labels);
                    let indices = self.view.constant(&self.view.node(index).input[1]);
                    let indices = indices.ok_or_else(|| format!("the indices of {:?} are gone", to.name))?;
                    let all = tensor::ints(&indices).map_err(|error| error.to_string())?;
                    let wrapped = all.into_iter().filter_map(|at| node::axis(at, labels.len()).ok());
                    let moved: Vec<i64> =
                        wrapped.filter_map(|at| stay.binary_search(&at).ok()).map(|at| at as i64).collect();
                    to.input[1] = if indices.rank() == 1 {
                        constants.list(&moved)
                    } else {
                        constants.add(Tensor::from_shape(indices.shape(), &moved).map_err(said)?)
                    };
                }
                Cut::Bounds { at, labels, range } => {
                    let stay = self.kept(labels);
                    let before = |end: usize| stay.partition_point(|index| *index < end) as i64;
                    let (starts, ends) = match &mut bounds {
                        Some(bounds) => bounds,
                        None => bounds.insert((self.integers(index, 1)?, self.integers(index, 2)?)),
                    };
                    (starts[*at], ends[*at]) = (before(range.0), before(range.1));
                }
            }
        }
        if let Some((starts, ends)) = bounds {
            (to.input[1], to.input[2]) = (constants.list(&starts), constants.list(&ends));
        }
        let mut keep: Vec<_> = keep.into_iter().collect();
        keep.sort();
        for (input, keep) in keep {
            to.input[input] = constants.select(&self.view, &to.input[input], keep)?;
        }
        Ok(())
    }

    fn integers(&self, index: usize, input: usize) -> Result<Vec<i64>, String> {
        let name = &self.view.node(index).input[input];
        let constant = self.view.constant(name).ok_or_else(|| format!("constant {name:?} is gone"))?;
        tensor::ints(&constant).map_err(|error| error.to_string())
    }
}

/// Constants that are made on the way.
struct Constants {
    names: HashSet<String>,
    selected: HashMap<(String, Keep), String>,
    made: Vec<(String, Tensor)>,
}

impl Constants {
    fn new(graph: &GraphProto) -> Self {
        let names = graph.initializer.iter().map(|tensor| &tensor.name);
        let outputs = graph.node.iter().flat_map(|node| &node.output);
        let inputs = graph.input.iter().map(|port| &port.name);
        let names = names.chain(outputs).chain(inputs).cloned().collect();
        Constants { names, selected: HashMap::new(), made: vec![] }
    }

    fn name(&mut self, base: &str) -> String {
        let mut name = format!("{base}.kept");
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{base}.kept{count}");
        }
        name
    }

    fn add(&mut self, tensor: Tensor) -> String {
        let name = self.name("sizes");
        self.made.push((name.clone(), tensor));
        name
    }

    fn list(&mut self, values: &[i64]) -> String {
        self.add(tract_onnx::prelude::tensor1(values))
    }

    fn select(&mut self, view: &GraphView<'_>, name: &str, mut keep: Keep) -> Result<String, String> {
        keep.sort();
        if let Some(made) = self.selected.get(&(name.to_owned(), keep.clone())) {
            return Ok(made.clone());
        }
        let mut value = view.constant(name).ok_or_else(|| format!("constant {name:?} cannot be read"))?;
        for (axis, stay) in &keep {
            value = select(&value, *axis, stay).map_err(|error| format!("constant {name:?}: {error:#}"))?;
        }
        let made = self.name(name);
        self.selected.insert((name.to_owned(), keep), made.clone());
        self.made.push((made.clone(), value));
        Ok(made)
    }

    fn finish(self, graph: &mut GraphProto) -> Result<(), String> {
        for (name, value) in self.made {
            let written = tensor::write(&name, &value);
            graph.initializer.push(written.ok_or_else(|| format!("constant {name:?} cannot be written"))?);
        }
        Ok(())
    }
}

/// Some indices of an axis, in rising order.
fn select(value: &Tensor, axis: usize, stay: &[usize]) -> TractResult<Tensor> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &index in stay {
        match runs.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => runs.push((index, index + 1)),
        }
    }
    let pieces = runs.into_iter().map(|(start, end)| value.slice(axis, start, end));
    Tensor::stack_tensors(axis, &pieces.collect::<TractResult<Vec<_>>>()?)
}

fn said(error: tract_onnx::prelude::TractError) -> String {
    format!("{error:#}")
}
