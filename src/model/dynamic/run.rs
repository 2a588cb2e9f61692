//! A body computed on the tensors at hand.

use std::collections::HashMap;

use leptond_engine::onnx::node;
use tract_onnx::tract_hir::internal::*;

use super::body::{Body, plain};
use super::loops::{self, Steps, Tensors};
use super::single::Single;
use super::whole::Whole;
use crate::model::bounded::Refused;
use crate::model::budget;

/// Runs a body, and remembers what was compiled for its nodes.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    body: Arc<Body>,
    whole: Whole,
    /// By node index.
    singles: HashMap<usize, Single>,
    /// For graphs in attributes, by node index and attribute name.
    inner: HashMap<(usize, &'static str), Interpreter>,
}

impl Interpreter {
    pub fn new(body: &Arc<Body>) -> Self {
        Interpreter { body: body.clone(), whole: Whole::default(), singles: HashMap::new(), inner: HashMap::new() }
    }

    /// Runs once on a tensor for each input and captured name; gives the outputs in order.
    pub fn run(&mut self, inputs: Tensors) -> TractResult<TVec<Arc<Tensor>>> {
        self.run_counted(inputs, &mut Steps::default())
    }

    pub(super) fn run_counted(&mut self, inputs: Tensors, steps: &mut Steps) -> TractResult<TVec<Arc<Tensor>>> {
        let mut tensors = Tensors::with_capacity(inputs.len() + self.body.graph.node.len());
        for (name, tensor) in inputs {
            tensors.insert(name, plain(tensor)?);
        }
        let body = self.body.clone();
        if let Some(made) = self.whole.run(&body, &tensors)? {
            steps.add(body.order.len())?;
            return Ok(made);
        }
        for &index in &body.order {
            steps.next()?;
            self.node(&body, index, &mut tensors, steps).map_err(|error| named(&body, index, error))?;
            for name in &body.last_read[index] {
                tensors.remove(name);
            }
        }
        let output = |name: &String| tensors.get(name).or_else(|| body.constants.get(name)).cloned();
        let outputs = body.graph.output.iter().map(|o| output(&o.name));
        outputs.collect::<Option<_>>().context("an output was not computed")
    }

    fn node(&mut self, body: &Body, index: usize, tensors: &mut Tensors, steps: &mut Steps) -> TractResult<()> {
        let node = &body.graph.node[index];
        let tensor = |tensors: &Tensors, name: &str| tensors.get(name).or_else(|| body.constants.get(name)).cloned();
        let mut inputs: TVec<Option<Arc<Tensor>>> = tvec!();
        for name in &node.input {
            let found = tensor(tensors, name);
            ensure!(name.is_empty() || found.is_some(), "its input {name:?} was not computed");
            inputs.push(found);
        }
        let captured = |inner: &Body| -> TractResult<Tensors> {
            let captured = inner.captured.iter();
            let captured = captured.map(|name| Some((name.clone(), tensor(tensors, name)?)));
            captured.collect::<Option<_>>().context("a tensor that a graph inside of it reads was not computed")
        };
        let made = match node.op_type.as_str() {
            "If" => {
                let condition = inputs.first().cloned().flatten().context("it has no condition")?;
                let branch = if loops::truth(&condition)? { "then_branch" } else { "else_branch" };
                let inner = body.inner(index, branch)?;
                let captured = captured(inner)?;
                self.inner(inner, index, branch).run_counted(captured, steps)?
            }
            "Loop" => {
                let inner = body.inner(index, "body")?;
                let captured = captured(inner)?;
                let interpreter = self.inner(inner, index, "body");
                loops::run(&mut |given, steps| interpreter.run_counted(given, steps), inner, &inputs, &captured, steps)?
            }
            _ => {
                let single = self.singles.entry(index).or_default();
                let file_bytes = body.around.file_bytes;
                budget::within(file_bytes, || single.run(&body.around, node, &inputs))?
            }
        };
        for (name, tensor) in node.output.iter().zip(made).filter(|(name, _)| !name.is_empty()) {
            tensors.insert(name.clone(), plain(tensor)?);
        }
        ensure!(node::outputs(node).all(|name| tensors.contains_key(name)), "it did not make all of its outputs");
        Ok(())
    }

    fn inner(&mut self, body: &Arc<Body>, index: usize, name: &'static str) -> &mut Interpreter {
        self.inner.entry((index, name)).or_insert_with(|| Interpreter::new(body))
    }
}

/// The error with the node that it is about.
fn named(body: &Body, index: usize, error: TractError) -> TractError {
    if error.chain().any(|cause| cause.is::<Refused>()) {
        return error;
    }
    let node = &body.graph.node[index];
    let name = if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() };
    Refused { node: name, operator: node.op_type.clone(), reason: format!("{error:#}") }.into()
}
