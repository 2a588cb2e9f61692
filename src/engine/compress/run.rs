//! Runs of models: by an executor, over samples, with any tensor of the graph to be read.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::{DatumType, Tensor};

use crate::onnx::build;

/// Reason why a model cannot be made smaller.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The model does not load or run.
    #[error("{0}")]
    Run(String),
    /// A sample cannot be had, or does not fit the model.
    #[error("{0}")]
    Sample(String),
    /// The model is of a kind that this is not for.
    #[error("{0}")]
    Model(String),
    /// An operator stands in the way.
    #[error("node {node:?} ({operator}): {reason}")]
    Node {
        /// Name of the node, or of its first output.
        node: String,
        /// Its operator.
        operator: String,
        /// The reason.
        reason: String,
    },
}

/// Element type and shape of a tensor, as they follow from the inputs'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFact {
    /// Element type; `None` where it is not known.
    pub dtype: Option<DatumType>,
    /// Shape; `None` where it depends on data.
    pub shape: Option<Vec<usize>>,
}

/// A compiled model.
pub trait Plan {
    /// Runs once over one tensor per input; gives one tensor per output.
    ///
    /// # Errors
    /// [`CompressError::Run`].
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, CompressError>;
}

/// Compiles models.
pub trait Executor {
    /// Compiles a model for inputs of these types and shapes, in the order of the graph.
    ///
    /// # Errors
    /// [`CompressError::Run`].
    fn compile(&self, model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> Result<Box<dyn Plan>, CompressError>;

    /// Facts about every tensor of the graph, by name.
    ///
    /// # Errors
    /// [`CompressError::Run`].
    fn facts(
        &self,
        model: &ModelProto,
        inputs: &[(DatumType, Vec<usize>)],
    ) -> Result<HashMap<String, TensorFact>, CompressError>;

    /// Told how far a stage of the work is: its name in words, steps done and steps in all.
    fn progress(&self, _stage: &'static str, _done: usize, _all: usize) {}
}

/// Inputs like those that the model will run on.
pub trait Samples {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Sample `index`: one tensor per input of the graph.
    ///
    /// # Errors
    /// [`CompressError::Sample`].
    fn get(&self, index: usize) -> Result<Vec<Tensor>, CompressError>;

    /// Test for none at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Samples for Vec<Vec<Tensor>> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, CompressError> {
        Ok(self[index].clone())
    }
}

/// The graph of a model.
///
/// # Errors
/// [`CompressError::Model`] where there is none.
pub fn graph_of(model: &ModelProto) -> Result<&GraphProto, CompressError> {
    model.graph.as_ref().ok_or_else(|| CompressError::Model("the model has no graph".into()))
}

/// The same model with other outputs: tensors of its graph by name.
pub fn with_outputs(model: &ModelProto, names: &[String]) -> ModelProto {
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        graph.output = names.iter().map(build::untyped_port).collect();
    }
    model
}

/// Types and shapes of the inputs of a sample.
pub fn shapes_of(sample: &[Tensor]) -> Vec<(DatumType, Vec<usize>)> {
    sample.iter().map(|tensor| (tensor.datum_type(), tensor.shape().to_vec())).collect()
}

/// Runs `model` over samples `indices` with `names` for outputs, and hands each sample's values to `each`.
///
/// # Errors
/// Those of samples, compiling, running and `each`.
pub fn observe(
    executor: &dyn Executor,
    model: &ModelProto,
    samples: &dyn Samples,
    indices: &[usize],
    names: &[String],
    each: &mut dyn FnMut(usize, Vec<Tensor>) -> Result<(), CompressError>,
) -> Result<(), CompressError> {
    let Some(&first) = indices.first() else { return Ok(()) };
    let shapes = shapes_of(&samples.get(first)?);
    // An input is no output: it is taken from the sample itself.
    let inputs: Vec<&str> = graph_of(model)?.input.iter().map(|port| port.name.as_str()).collect();
    let input = |name: &String| inputs.iter().position(|input| input == name);
    let made: Vec<String> = names.iter().filter(|name| input(name).is_none()).cloned().collect();
    let mut plan = match made.is_empty() {
        true => None,
        false => Some(executor.compile(&with_outputs(model, &made), &shapes)?),
    };
    for &index in indices {
        let sample = samples.get(index)?;
        let mut outputs = match &mut plan {
            Some(plan) => plan.run(&sample)?.into_iter(),
            None => Vec::new().into_iter(),
        };
        let value = |name: &String| match input(name) {
            Some(at) => sample.get(at).cloned(),
            None => outputs.next(),
        };
        let values: Option<Vec<Tensor>> = names.iter().map(value).collect();
        let values = values.ok_or_else(|| CompressError::Run("the model gives fewer outputs than it has".into()))?;
        each(index, values)?;
    }
    Ok(())
}

/// The values of a tensor of floats.
///
/// # Errors
/// [`CompressError::Run`] for other types.
pub fn floats_of<'t>(name: &str, tensor: &'t Tensor) -> Result<&'t [f32], CompressError> {
    tensor
        .try_as_plain_ram()
        .and_then(|ram| ram.as_slice::<f32>())
        .map_err(|error| CompressError::Run(format!("tensor {name:?}: {error:#}")))
}
