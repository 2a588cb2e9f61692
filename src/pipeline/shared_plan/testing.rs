//! A model to share: sums two numbers per item, and says how many items each of its runs had room for.

use std::sync::{Arc, Mutex};

use crate::frame::{DType, Elements, ElementsMut, TensorSpec, TensorView, TensorViewMut};
use crate::model::{Model, ModelError};

use super::buffer::Buffer;

/// Items of each run, in order.
pub(in crate::pipeline) type Runs = Arc<Mutex<Vec<usize>>>;

/// Called before each run with the items' sums.
pub(in crate::pipeline) type Before = fn(&[f32]) -> Result<(), ModelError>;

pub(in crate::pipeline) struct Sums {
    specs: [TensorSpec; 2],
    input: Buffer,
    output: Buffer,
    runs: Runs,
    before: Before,
}

pub(in crate::pipeline) fn sums(items: usize, runs: &Runs, before: Before) -> Box<dyn Model> {
    let spec = |shape: Vec<usize>| TensorSpec { name: "x".into(), dtype: DType::F32, shape, quant: None };
    let specs = [spec(vec![items, 2]), spec(vec![items, 1])];
    let (input, output) = (Buffer::of(&specs[0]), Buffer::of(&specs[1]));
    Box::new(Sums { specs, input, output, runs: runs.clone(), before })
}

pub(in crate::pipeline) fn fine(_: &[f32]) -> Result<(), ModelError> {
    Ok(())
}

impl Model for Sums {
    fn inputs(&self) -> &[TensorSpec] {
        &self.specs[..1]
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.specs[1..]
    }

    fn input_mut(&mut self, _: usize) -> TensorViewMut<'_> {
        self.input.view_mut(&self.specs[0])
    }

    fn run(&mut self) -> Result<(), ModelError> {
        let (Buffer::F32(input), Buffer::F32(output)) = (&self.input, &mut self.output) else { panic!("floats") };
        for (out, pair) in output.iter_mut().zip(input.chunks(2)) {
            *out = pair[0] + pair[1];
        }
        self.runs.lock().unwrap().push(self.specs[0].shape[0]);
        (self.before)(output)
    }

    fn output(&self, _: usize) -> TensorView<'_> {
        self.output.view(&self.specs[1])
    }

    fn input(&self, _: usize) -> TensorView<'_> {
        self.input.view(&self.specs[0])
    }
}

/// Writes `pairs` and gives what `run` makes of them.
pub(in crate::pipeline) fn sum_of(
    model: &mut dyn Model,
    pairs: &[f32],
    run: impl FnOnce(&mut dyn Model) -> Result<(), ModelError>,
) -> Result<Vec<f32>, String> {
    let ElementsMut::F32(input) = model.input_mut(0).data else { panic!("floats") };
    input.copy_from_slice(pairs);
    run(model).map_err(|e| e.to_string())?;
    let Elements::F32(output) = model.output(0).data else { panic!("floats") };
    Ok(output.to_vec())
}
