//! Branches, loops, and variables.

use super::super::constants::onnx_type;
use super::super::graph::Operator;
use super::super::layout::Layout;
use super::super::reader::Table;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::Node;
use crate::onnx::build::{self, NodeBuilder};

/// The place of a graph that field `id` of the options names.
fn graph(node: Node<'_, '_>, id: usize) -> Try<usize> {
    let index = node.option(0, |o| o.i32(id, 0))?;
    usize::try_from(index).map_err(|_| format!("graph {index}, which it names, is not in the file"))
}

/// Names of operands as they are stored.
fn operands(w: &mut Writer<'_, '_>, node: Node<'_, '_>, first: usize) -> Try<Vec<String>> {
    (first..node.operator.inputs.len()).map(|place| w.stored(node.input(place)?, Layout::File)).collect()
}

/// Fails unless tensors of this graph and of graph `index` have the same types and shapes.
fn same_ends(w: &Writer<'_, '_>, index: usize, own: &[usize], outputs: bool) -> Try<()> {
    let net = w.program.graphs.get(index).ok_or_else(|| format!("graph {index} is not in the file"))?;
    let theirs = if outputs { &net.outputs } else { &net.inputs };
    let same = |(&own, &their): (&usize, &usize)| {
        let (own, their) = (w.tensor(own), &net.tensors[their]);
        own.kind == their.kind && own.shape == their.shape
    };
    if own.len() != theirs.len() || !own.iter().zip(theirs).all(same) {
        return Err(format!("the ends of graph {index} are of other types or shapes than its own"));
    }
    Ok(())
}

/// `IF`: one of two graphs, as a flag says.
pub fn branches(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let flag = node.input(0)?;
    if w.tensor(flag).kind != ElementType::Bool || w.tensor(flag).len() != 1 {
        return Err("its condition is not one flag".into());
    }
    let given: Vec<usize> = (1..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    let names = operands(w, node, 1)?;
    let none = w.dims(&[])?;
    let condition = w.stored(flag, Layout::File)?;
    let condition = w.extra(flag, NodeBuilder::new("Reshape", [&condition, &none]));
    let mut step = NodeBuilder::new("If", [&condition]);
    for (id, branch) in ["then_branch", "else_branch"].into_iter().enumerate() {
        let index = graph(node, id)?;
        same_ends(w, index, &given, false)?;
        same_ends(w, index, &node.operator.outputs, true)?;
        let (mut body, outputs) = w.apart(index, &names, |inner, outputs| {
            // Outputs need names that the graph itself makes.
            Ok(outputs.iter().map(|name| inner.copied(name)).collect::<Vec<String>>())
        })?;
        body.output = outputs.into_iter().map(build::untyped_port).collect();
        step = step.graph(branch, body);
    }
    w.several(&node.operator.outputs, Layout::File, step)
}

/// `WHILE`: a graph over and over, as long as another one says.
pub fn repeat(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (test, body) = (graph(node, 0)?, graph(node, 1)?);
    let given: Vec<usize> = (0..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    same_ends(w, test, &given, false)?;
    same_ends(w, body, &given, false)?;
    same_ends(w, body, &given, true)?;
    same_ends(w, body, &node.operator.outputs, true)?;
    let names = operands(w, node, 0)?;
    let go_on = condition(w, test, &names)?;
    let kinds = given.iter().map(|&index| onnx_type(w.tensor(index).kind)).collect::<Try<Vec<_>>>()?;
    let shapes: Vec<Vec<usize>> = given.iter().map(|&index| w.tensor(index).shape.clone()).collect();
    let turn = w.unique("turn".into());
    let before = w.unique("go_on_before".into());
    let held: Vec<String> = (0..given.len()).map(|place| w.unique(format!("held_{place}"))).collect();
    let (mut inner, outputs) = w.apart(body, &held, |inner, outputs| {
        let go_on = condition(inner, test, &outputs)?;
        Ok([&go_on].into_iter().chain(&outputs).map(|name| inner.copied(name)).collect::<Vec<String>>())
    })?;
    let ports = |names: &[String]| -> Vec<_> {
        let parts = names.iter().zip(&kinds).zip(&shapes);
        parts.map(|((name, &kind), shape)| build::port_of_shape(name, kind, shape)).collect()
    };
    inner.input = vec![
        build::port_of_shape(turn, onnx_type(ElementType::I64)?, &[]),
        build::port_of_shape(before, onnx_type(ElementType::Bool)?, &[]),
    ];
    inner.input.extend(ports(&held));
    inner.output = vec![build::port_of_shape(&outputs[0], onnx_type(ElementType::Bool)?, &[])];
    inner.output.extend(ports(&outputs[1..]));
    let inputs = [String::new(), go_on].into_iter().chain(names);
    w.several(&node.operator.outputs, Layout::File, NodeBuilder::new("Loop", inputs).graph("body", inner))
}

/// Result of graph `index` for these values: one flag.
fn condition(w: &mut Writer<'_, '_>, index: usize, names: &[String]) -> Try<String> {
    let net = w.program.graphs.get(index).ok_or_else(|| format!("graph {index} is not in the file"))?;
    let flag = |&output: &usize| net.tensors[output].kind == ElementType::Bool && net.tensors[output].len() == 1;
    if net.outputs.len() != 1 || !net.outputs.iter().all(flag) {
        return Err(format!("graph {index} does not give one flag"));
    }
    let outputs = w.inlined(index, names)?;
    let none = w.dims(&[])?;
    let name = w.unique("go_on".into());
    w.node(NodeBuilder::new("Reshape", [&outputs[0], &none]), name.clone());
    Ok(name)
}

/// A graph in place of an operator that stands for it; field `id` of the options names it.
pub fn call(w: &mut Writer<'_, '_>, node: Node<'_, '_>, id: usize) -> Try<()> {
    let index = graph(node, id)?;
    let given: Vec<usize> = (0..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    same_ends(w, index, &given, false)?;
    same_ends(w, index, &node.operator.outputs, true)?;
    let names = operands(w, node, 0)?;
    let outputs = w.inlined(index, &names)?;
    for (&y, name) in node.operator.outputs.iter().zip(outputs) {
        w.row(y, Layout::File, vec![NodeBuilder::new("Identity", [&name])])?;
    }
    Ok(())
}

/// Name of the variable behind a handle.
fn key(options: Option<Table<'_>>) -> Try<String> {
    let read = |options: Table<'_>| {
        Ok::<_, super::super::reader::Broken>(format!("variable {}/{}", options.text(0)?, options.text(1)?))
    };
    options.map_or(Ok("variable /".into()), read).map_err(|broken| format!("its options: {broken}"))
}

/// `VAR_HANDLE`.
pub fn handle(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let key = key(node.operator.options)?;
    w.states.handles.insert(node.output()?, key);
    Ok(())
}

fn variable(w: &Writer<'_, '_>, node: Node<'_, '_>) -> Try<String> {
    let handle = node.input(0)?;
    let key = w.states.handles.get(&handle);
    key.cloned().ok_or_else(|| format!("its operand {:?} is no handle of a variable", w.tensor(handle).name))
}

/// `READ_VARIABLE`.
pub fn read(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (key, y) = (variable(w, node)?, node.output()?);
    let (kind, shape) = (w.tensor(y).kind, w.tensor(y).shape.clone());
    let name = w.kept(&key, kind, &shape)?;
    w.alias(y, Layout::File, name)
}

/// `ASSIGN_VARIABLE`.
pub fn assign(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (key, x) = (variable(w, node)?, node.input(1)?);
    let (kind, shape) = (w.tensor(x).kind, w.tensor(x).shape.clone());
    let name = w.stored(x, Layout::File)?;
    w.keep(&key, kind, &shape, name)
}

/// `CALL_ONCE`: a graph that gives variables what they hold before the first run.
pub fn call_once(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let index = graph(node, 0)?;
    let program = w.program;
    let net = program.graphs.get(index).filter(|_| index > 0);
    let net = net.ok_or_else(|| format!("graph {index}, which it names, is not in the file"))?;
    let find = |tensor: usize| net.operators.iter().find(|o| o.outputs.contains(&tensor));
    for &operator in program.live.get(index).into_iter().flatten() {
        let Operator { name, inputs, .. } = &net.operators[operator];
        match (name.as_str(), &inputs[..]) {
            ("VAR_HANDLE", _) => {}
            ("ASSIGN_VARIABLE", &[Some(handle), Some(value)]) => {
                let handle = find(handle).filter(|o| o.name == "VAR_HANDLE");
                let key = key(handle.ok_or("it gives a value to no variable")?.options)?;
                let value = &net.tensors[value];
                let bytes = value.data.as_deref().ok_or("what it gives a variable is no constant")?;
                w.spend(bytes.len())?;
                w.states.initial.insert(key, (value.kind, value.shape.clone(), bytes.to_vec()));
            }
            _ => return Err(format!("its graph holds {name}: only constants are given to variables")),
        }
    }
    Ok(())
}
