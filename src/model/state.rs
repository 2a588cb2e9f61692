//! State of a model between its runs: inputs that take what an output gave in the run before (streaming wake words, recurrent layers).
//!
//! The file's metadata names the pairs (see [`leptond_engine::onnx::state`]). They are no inputs and outputs to anybody outside: a
//! [`Runner`](super::Runner) feeds them back by itself.

use std::path::Path;
use std::sync::Arc;

use leptond_engine::onnx::state;
use tract_onnx::pb;
use tract_onnx::prelude::*;

use super::ModelError;

/// One tensor that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Name of the input.
    pub name: String,
    /// Element type.
    pub dtype: DatumType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Value before the first run.
    pub initial: Arc<Tensor>,
}

impl Kept {
    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size_of()
    }
}

/// An end of the graph as the file declares it: name, element type, and shape as far as it is known.
pub(super) type End = (String, DatumType, Vec<Option<usize>>);

/// Puts what is kept behind the other inputs and outputs of the graph, in one order.
///
/// # Errors
/// [`ModelError::Shape`] for a pair that the graph does not have.
pub(super) fn arrange(model: &mut pb::ModelProto, path: &Path) -> Result<(), ModelError> {
    let pairs = state::read(model);
    let Some(graph) = model.graph.as_mut().filter(|_| !pairs.is_empty()) else { return Ok(()) };
    for pair in &pairs {
        let ends = [(&pair.input, &mut graph.input), (&pair.output, &mut graph.output)];
        for (name, ports) in ends {
            let place = ports.iter().position(|port| port.name == *name);
            let place = place.ok_or_else(|| ModelError::Shape {
                path: path.into(),
                tensor: name.clone(),
                reason: "the file's metadata says that it is kept between runs, and the graph does not have it".into(),
            })?;
            let port = ports.remove(place);
            ports.push(port);
        }
    }
    Ok(())
}

/// Number of tensors that a file keeps between runs.
pub(super) fn count(model: &pb::ModelProto) -> usize {
    state::read(model).len()
}

/// The kept pairs: the last inputs and outputs of a graph, where [`arrange`] put them.
///
/// # Errors
/// [`ModelError::Shape`] for a pair whose types or shapes differ or are open.
pub(super) fn of_ends(
    model: &pb::ModelProto,
    inputs: Vec<End>,
    outputs: Vec<End>,
    path: &Path,
) -> Result<Vec<Kept>, ModelError> {
    let pairs = state::read(model);
    let wrong = |name: &str, reason: &str| ModelError::Shape {
        path: path.into(),
        tensor: name.into(),
        reason: format!("it is kept between runs: {reason}"),
    };
    let mut kept = Vec::with_capacity(pairs.len());
    for (pair, (input, output)) in pairs.iter().zip(inputs.into_iter().zip(outputs)) {
        let (name, dtype, dims) = input;
        let same = name == pair.input && output == (pair.output.clone(), dtype, dims.clone());
        let shape: Option<Vec<usize>> = dims.into_iter().collect();
        let Some(shape) = shape.filter(|_| same) else {
            return Err(wrong(&pair.input, "its type and shape must be known, and the same as its output's"));
        };
        let initial = match &pair.initial {
            Some(constant_name) => constant(model, constant_name, path)?,
            None => Tensor::zero_dt(dtype, &shape).map_err(|e| wrong(&pair.input, &format!("{e:#}")))?,
        };
        if initial.datum_type() != dtype || initial.shape() != shape {
            return Err(wrong(&pair.input, "what it holds before the first run is of another type or shape"));
        }
        kept.push(Kept { name, dtype, shape, initial: Arc::new(initial) });
    }
    if kept.len() != pairs.len() {
        return Err(wrong("", "the graph has fewer inputs or outputs than that"));
    }
    Ok(kept)
}

fn constant(model: &pb::ModelProto, name: &str, path: &Path) -> Result<Tensor, ModelError> {
    let wrong = |reason: &str| ModelError::Shape { path: path.into(), tensor: name.into(), reason: reason.into() };
    let found = model.graph.iter().flat_map(|g| &g.initializer).find(|tensor| tensor.name == name);
    let found = found.ok_or_else(|| wrong("what is kept between runs begins with it, and it is not in the file"))?;
    leptond_engine::onnx::tensor::read(found).ok_or_else(|| wrong("it cannot be read"))
}
