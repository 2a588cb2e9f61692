//! A compiled graph that runs on bare tensors of any type.

use tract_onnx::prelude::*;

use super::graph::GraphInfo;
use super::{ModelError, explain, guard};
use leptond_engine::int8::op::Profile;

/// A compiled graph with its running state; inputs and outputs are tract's tensors.
pub struct Runner {
    name: String,
    info: GraphInfo,
    plan: Arc<TypedRunnableModel>,
    state: TypedSimpleState,
    inputs: Vec<(DatumType, Vec<usize>)>,
    /// State after the last run, in the order of the file.
    kept: TVec<TValue>,
    profiles: Vec<Arc<Profile>>,
}

impl Runner {
    pub(super) fn new(
        name: &str,
        info: GraphInfo,
        plan: Arc<TypedRunnableModel>,
        profiles: Vec<Arc<Profile>>,
    ) -> Result<Self, ModelError> {
        let failed = |reason: String| ModelError::Run { model: name.into(), reason };
        let state = guard::guarded(|| plan.spawn()).and_then(|r| r.map_err(|e| format!("{e:#}"))).map_err(failed)?;
        let mut inputs = Vec::new();
        for index in 0..info.inputs.len() {
            let fact = plan.model().input_fact(index).map_err(|e| failed(format!("{e:#}")))?;
            let shape = fact.shape.as_concrete().ok_or_else(|| failed(format!("input {index} has an open shape")))?;
            inputs.push((fact.datum_type, shape.to_vec()));
        }
        for (index, kept) in info.kept.iter().enumerate() {
            let fact = plan.model().output_fact(info.outputs.len() + index).map_err(|e| failed(format!("{e:#}")))?;
            if fact.datum_type != kept.dtype || fact.shape.as_concrete() != Some(&kept.shape[..]) {
                let found = format!("{:?} {:?}", fact.datum_type, fact.shape);
                return Err(failed(format!("what is kept as {:?} comes out as {found}", kept.name)));
            }
        }
        let mut runner = Runner { name: name.into(), info, plan, state, inputs, kept: tvec![], profiles };
        runner.reset_state();
        Ok(runner)
    }

    /// Makes the next run the first one of a new stream.
    pub fn reset_state(&mut self) {
        self.kept = self.info.kept.iter().map(|kept| kept.initial.clone().into_tvalue()).collect();
    }

    /// What the file says about the graph.
    pub fn info(&self) -> &GraphInfo {
        &self.info
    }

    /// Element type and shape of each input.
    pub fn inputs(&self) -> &[(DatumType, Vec<usize>)] {
        &self.inputs
    }

    /// Element type and shape of output `index`; the shape is `None` where it depends on the data.
    pub fn output(&self, index: usize) -> Option<(DatumType, Option<Vec<usize>>)> {
        let fact = self.plan.model().output_fact(index).ok()?;
        let dtype = if fact.datum_type == TDim::datum_type() { DatumType::I64 } else { fact.datum_type };
        Some((dtype, fact.shape.as_concrete().map(<[usize]>::to_vec)))
    }

    /// The integer partitions' profiles.
    pub fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
    }

    /// The compiled graph.
    pub fn graph(&self) -> &TypedModel {
        self.plan.model()
    }

    /// Runs once.
    ///
    /// # Errors
    /// [`ModelError::Run`]; the runner stays usable.
    pub fn run(&mut self, mut inputs: TVec<TValue>) -> Result<TVec<TValue>, ModelError> {
        let failed = |reason: String| ModelError::Run { model: self.name.clone(), reason };
        // tract does not check shapes in release builds, and its kernels trust them.
        if inputs.len() != self.inputs.len() {
            return Err(failed(format!("{} inputs expected, {} found", self.inputs.len(), inputs.len())));
        }
        for ((value, (dtype, shape)), port) in inputs.iter().zip(&self.inputs).zip(&self.info.inputs) {
            if value.datum_type() != *dtype || value.shape() != shape.as_slice() {
                return Err(failed(format!(
                    "tensor {:?}: expected {dtype:?} {shape:?}, found {:?} {:?}",
                    port.name,
                    value.datum_type(),
                    value.shape()
                )));
            }
        }
        inputs.extend(self.kept.iter().cloned());
        let state = &mut self.state;
        let outcome = guard::guarded(|| state.run(inputs)).and_then(|r| r.map_err(|e| format!("{e:#}")));
        let error = match outcome {
            Ok(outputs) => match outputs.into_iter().map(plain).collect::<TractResult<TVec<_>>>() {
                Ok(mut outputs) => {
                    self.kept = outputs.drain(self.info.outputs.len().min(outputs.len())..).collect();
                    return Ok(outputs);
                }
                Err(error) => format!("{error:#}"),
            },
            Err(error) => error,
        };
        // Whatever the failed run left behind must not leak into the next one.
        if let Ok(Ok(state)) = guard::guarded(|| self.plan.spawn()) {
            self.state = state;
        }
        let reason = match explain::explain(&error, &self.info, std::path::Path::new(&self.name)) {
            ModelError::Unsupported { node, operator, reason, .. } => {
                format!("node {node:?} (operator {operator}): {reason}")
            }
            _ => error,
        };
        Err(ModelError::Run { model: self.name.clone(), reason })
    }
}

/// Shapes that tract computes symbolically come out as plain integers.
fn plain(value: TValue) -> TractResult<TValue> {
    if value.datum_type() == TDim::datum_type() {
        return Ok(value.cast_to::<i64>()?.into_owned().into_tvalue());
    }
    Ok(value)
}
