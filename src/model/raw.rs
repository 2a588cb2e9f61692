//! Bare tensors through any model: the shapes come with the data, several samples go through a fixed batch in turn.

use tract_onnx::prelude::*;

use super::graph::{Port, show};
use super::npy::type_name;
use super::{LoadedModel, ModelError, Runner};

impl LoadedModel {
    /// Runs the model on `inputs` (in graph order) and returns its outputs.
    ///
    /// Where the file fixes the first dimension at `b` and the data has `n × b`, the samples go through one after the
    /// other and the outputs are joined along their first dimension (scalars become a list). A model with an open first
    /// dimension takes all samples at once if it can be compiled for them, else one by one. `progress` is told how many
    /// turns are done of how many.
    ///
    /// # Errors
    /// [`ModelError::Shape`] naming the tensor, with what was expected and found; then as compiling and running.
    pub fn run_raw(
        &self,
        inputs: Vec<Tensor>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Vec<Tensor>, ModelError> {
        if inputs.len() != self.info.inputs.len() {
            let names: Vec<String> = self.info.inputs.iter().map(|p| format!("{:?}", p.name)).collect();
            let reason = format!("the model has {} inputs, {} were given", names.len(), inputs.len());
            return Err(self.shape_error(&names.join(", "), reason));
        }
        let mut turns = 1;
        for (port, tensor) in self.info.inputs.iter().zip(&inputs) {
            let n = self.turns(port, tensor)?;
            if n > 1 && turns > 1 && n != turns {
                let reason = format!("it holds {n} samples, another input {turns}");
                return Err(self.shape_error(&port.name, reason));
            }
            turns = turns.max(n);
        }
        if turns == 1 {
            let shapes: Vec<Vec<usize>> = inputs.iter().map(|t| t.shape().to_vec()).collect();
            let samples = self.open_samples(&inputs);
            match (self.compile(&shapes), samples) {
                (Ok(runner), _) => return self.in_turns(runner, inputs, &[], 1, &mut progress),
                (Err(error), None) => return Err(error),
                (Err(error), Some(n)) => {
                    let split: Vec<bool> = inputs.iter().map(|t| t.shape().first() == Some(&n)).collect();
                    let runner = self.compile(&item_shapes(&inputs, &split, n)).map_err(|_| error)?;
                    return self.in_turns(runner, inputs, &split, n, &mut progress);
                }
            }
        }
        let split: Vec<bool> = self
            .info
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(port, t)| port.dims.first() != Some(&t.shape().first().copied()))
            .collect();
        let runner = self.compile(&item_shapes(&inputs, &split, turns))?;
        self.in_turns(runner, inputs, &split, turns, &mut progress)
    }

    /// How many runs one input asks for.
    fn turns(&self, port: &Port, tensor: &Tensor) -> Result<usize, ModelError> {
        let expected = format!("expected {} {}", type_name(port.dtype), show(&port.dims));
        let found = format!("found {} {:?}", type_name(tensor.datum_type()), tensor.shape());
        let wrong = |hint: &str| self.shape_error(&port.name, format!("{expected}, {found}{hint}"));
        if tensor.datum_type() != port.dtype {
            return Err(wrong(""));
        }
        if tensor.rank() != port.dims.len() {
            return Err(wrong(": the number of dimensions differs"));
        }
        let fixed_and_empty = port.dims.iter().zip(tensor.shape()).any(|(dim, size)| dim.is_some() && *size == 0);
        if fixed_and_empty {
            return Err(wrong(": it is empty"));
        }
        let mut turns = 1;
        for (axis, (dim, size)) in port.dims.iter().zip(tensor.shape()).enumerate() {
            match dim {
                Some(dim) if axis == 0 && size.is_multiple_of(*dim) => turns = size / dim,
                Some(dim) if dim != size => return Err(wrong("")),
                _ => {}
            }
        }
        Ok(turns)
    }

    /// The number of samples, if every input leaves its first dimension open and they agree on more than one.
    fn open_samples(&self, inputs: &[Tensor]) -> Option<usize> {
        let n = *inputs.first()?.shape().first()?;
        let open = self.info.inputs.iter().zip(inputs);
        let mut open = open.filter(|(port, _)| port.dims.first() == Some(&None));
        let agree = open.clone().next().is_some() && open.all(|(_, t)| t.shape().first() == Some(&n));
        (n > 1 && agree).then_some(n)
    }

    fn in_turns(
        &self,
        mut runner: Runner,
        inputs: Vec<Tensor>,
        split: &[bool],
        turns: usize,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<Vec<Tensor>, ModelError> {
        let failed = |error: TractError| ModelError::Run { model: self.name().into(), reason: format!("{error:#}") };
        let whole: Vec<Arc<Tensor>> = inputs.into_iter().map(Arc::new).collect();
        let mut results: Vec<Vec<Tensor>> = vec![Vec::with_capacity(turns); self.info.outputs.len()];
        for turn in 0..turns {
            let mut feed: TVec<TValue> = tvec![];
            for (index, tensor) in whole.iter().enumerate() {
                if split.get(index).copied().unwrap_or(false) {
                    let rows = tensor.shape()[0] / turns;
                    feed.push(tensor.slice(0, turn * rows, (turn + 1) * rows).map_err(failed)?.into_tvalue());
                } else {
                    feed.push(tensor.clone().into_tvalue());
                }
            }
            for (result, value) in results.iter_mut().zip(runner.run(feed)?) {
                let mut tensor = value.into_tensor();
                if turns > 1 && tensor.rank() == 0 {
                    tensor.insert_axis(0).map_err(failed)?;
                }
                result.push(tensor);
            }
            progress(turn + 1, turns);
        }
        results
            .into_iter()
            .map(|mut parts| match parts.len() {
                1 => Ok(parts.swap_remove(0)),
                _ => Tensor::stack_tensors(0, &parts).map_err(failed),
            })
            .collect()
    }
}

/// Shapes of one turn: the inputs that are split lose all but their share of the first dimension.
fn item_shapes(inputs: &[Tensor], split: &[bool], turns: usize) -> Vec<Vec<usize>> {
    inputs
        .iter()
        .zip(split)
        .map(|(tensor, split)| {
            let mut shape = tensor.shape().to_vec();
            if *split && let Some(first) = shape.first_mut() {
                *first /= turns;
            }
            shape
        })
        .collect()
}
