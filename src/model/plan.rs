//! One compiled plan behind [`Model`]: inputs and outputs in place, nothing allocated on our side per run.

use tract_onnx::prelude::*;

use super::graph::{Port, dtype_of};
use super::npy::type_name;
use super::readings::Readings;
use super::runner::Runner;
use super::state::Kept;
use super::{LoadedModel, Model, ModelError, PlanKey};
use crate::frame::{DType, Elements, ElementsMut, Quant, TensorSpec, TensorView, TensorViewMut};

/// A runner with its input and output tensors.
pub struct Plan {
    runner: Runner,
    /// Runs per [`Model::run`]; above 1 the items go through one after the other.
    turns: usize,
    input_specs: Vec<TensorSpec>,
    output_specs: Vec<TensorSpec>,
    /// What `input_mut` writes. Shared with tract during a run; unique again after it, so that it is written in place.
    inputs: Vec<Arc<Tensor>>,
    /// With several turns: the tensors of one turn.
    items: Vec<Arc<Tensor>>,
    outputs: Vec<Arc<Tensor>>,
}

impl LoadedModel {
    /// Compiles a plan for the daemon's pipeline.
    ///
    /// A model whose file fixes the batch at `b` runs `batch / b` times in turn inside one [`Model::run`]; so does one
    /// that claims an open batch but cannot be compiled for more than one item.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when batch or size do not fit, [`ModelError::Unsupported`] or [`ModelError::Compile`].
    pub fn plan(&self, key: PlanKey) -> Result<Box<dyn Model>, ModelError> {
        if self.is_readings() {
            return Ok(Box::new(Readings));
        }
        Ok(Box::new(self.compile_plan(key)?))
    }

    /// [`LoadedModel::plan`] as the type that it is.
    ///
    /// # Errors
    /// The same.
    pub fn compile_plan(&self, key: PlanKey) -> Result<Plan, ModelError> {
        let shapes = self.shapes(key)?;
        let batch = key.batch.unwrap_or(1);
        let fixed = self.info.inputs.iter().zip(&shapes).any(|(port, shape)| {
            shape.first().is_some_and(|&s| key.batch.is_some_and(|b| b != s) && port.dims.first() == Some(&Some(s)))
        });
        if fixed {
            return Plan::in_turn(self, self.compile(&shapes)?, batch);
        }
        match self.compile(&shapes).and_then(|runner| Plan::whole(self, runner)) {
            Ok(plan) if batch <= 1 || plan.leads_with(batch) => Ok(plan),
            Ok(_) => self.item_by_item(key, batch),
            Err(error) if batch > 1 => self.item_by_item(key, batch).map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    fn item_by_item(&self, key: PlanKey, batch: usize) -> Result<Plan, ModelError> {
        let shapes = self.shapes(PlanKey { batch: Some(1), ..key })?;
        Plan::in_turn(self, self.compile(&shapes)?, batch)
    }
}

impl Plan {
    /// A plan whose graph takes the whole batch at once.
    pub(super) fn whole(model: &LoadedModel, runner: Runner) -> Result<Plan, ModelError> {
        Self::new(model, runner, 1)
    }

    /// A plan that runs a graph of a fixed batch several times to make `batch` items.
    pub(super) fn in_turn(model: &LoadedModel, runner: Runner, batch: usize) -> Result<Plan, ModelError> {
        let fixed = runner.inputs().first().and_then(|(_, shape)| shape.first().copied()).unwrap_or(1).max(1);
        let name = model.info().inputs.first().map(|p| p.name.as_str()).unwrap_or_default();
        if batch == 0 || !batch.is_multiple_of(fixed) {
            let reason = format!("the file fixes the batch at {fixed}, {batch} is asked for: no multiple of it");
            return Err(model.shape_error(name, reason));
        }
        for (index, port) in model.info().inputs.iter().enumerate() {
            if runner.inputs()[index].1.first() != Some(&fixed) {
                let reason = format!("its first dimension is not the batch of {fixed}: it cannot run item by item");
                return Err(model.shape_error(&port.name, reason));
            }
        }
        for (index, port) in model.info().outputs.iter().enumerate() {
            let shape = runner.output(index).and_then(|(_, shape)| shape);
            if shape.is_none_or(|s| s.first() != Some(&fixed)) {
                let reason = format!("its first dimension is not the batch of {fixed}: it cannot run item by item");
                return Err(model.shape_error(&port.name, reason));
            }
        }
        Self::new(model, runner, batch / fixed)
    }

    fn new(model: &LoadedModel, runner: Runner, turns: usize) -> Result<Plan, ModelError> {
        let wider = |shape: &[usize]| {
            let mut shape = shape.to_vec();
            if let Some(first) = shape.first_mut() {
                *first *= turns;
            }
            shape
        };
        let spec = |port: &Port, datum: DatumType, shape: Vec<usize>, quant: Option<Quant>| {
            let dtype = dtype_of(datum).ok_or_else(|| {
                let reason = format!("pipelines take f32, i8, u8, i32 and i64 tensors, this is {}", type_name(datum));
                model.shape_error(&port.name, reason)
            })?;
            Ok(TensorSpec { name: port.name.clone(), dtype, shape, quant })
        };
        let mut input_specs = Vec::new();
        for (port, (datum, shape)) in model.info().inputs.iter().zip(runner.inputs()) {
            input_specs.push(spec(port, *datum, wider(shape), port.quant)?);
        }
        let output = &model.manifest.output;
        let mut output_specs = Vec::new();
        for (index, port) in model.info().outputs.iter().enumerate() {
            let Some((datum, Some(shape))) = runner.output(index) else {
                return Err(model.shape_error(&port.name, "its shape depends on the data".into()));
            };
            let mut quant = port.quant;
            if datum.is_integer() && (output.scale.is_some() || output.zero_point.is_some()) {
                quant = Some(Quant {
                    scale: output.scale.or(quant.map(|q| q.scale)).unwrap_or(1.0),
                    zero_point: output.zero_point.or(quant.map(|q| q.zero_point)).unwrap_or(0),
                });
            }
            output_specs.push(spec(port, datum, wider(&shape), quant)?);
        }
        let zeros = |shape: &[usize], datum: DatumType| {
            Tensor::zero_dt(datum, shape)
                .map_err(|e| ModelError::Compile { path: model.path.clone(), reason: format!("{e:#}") })
        };
        let mut inputs = Vec::new();
        let mut items = Vec::new();
        for (spec, (datum, shape)) in input_specs.iter().zip(runner.inputs()) {
            inputs.push(Arc::new(zeros(&spec.shape, *datum)?));
            if turns > 1 {
                items.push(Arc::new(zeros(shape, *datum)?));
            }
        }
        let mut outputs = Vec::new();
        for (index, spec) in output_specs.iter().enumerate() {
            let datum = runner.output(index).map_or(DatumType::F32, |(datum, _)| datum);
            outputs.push(Arc::new(zeros(&spec.shape, datum)?));
        }
        Ok(Plan { runner, turns, input_specs, output_specs, inputs, items, outputs })
    }

    /// Whether every output has `batch` as its first dimension.
    pub(super) fn leads_with(&self, batch: usize) -> bool {
        self.output_specs.iter().all(|s| s.shape.first() == Some(&batch))
    }

    /// The compiled graph.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    fn run_in_turn(&mut self) -> Result<(), ModelError> {
        for turn in 0..self.turns {
            for (item, whole) in self.items.iter_mut().zip(&self.inputs) {
                let item = Arc::make_mut(item).as_bytes_mut();
                let len = item.len();
                item.copy_from_slice(&whole.as_bytes()[turn * len..][..len]);
            }
            let outputs = self.runner.run(self.items.iter().map(|t| t.clone().into_tvalue()).collect())?;
            for ((whole, item), spec) in self.outputs.iter_mut().zip(outputs).zip(&self.output_specs) {
                let from = item.as_bytes();
                let to = Arc::make_mut(whole).as_bytes_mut();
                if to.len() != from.len() * self.turns {
                    return Err(unexpected(spec, item.shape()));
                }
                to[turn * from.len()..][..from.len()].copy_from_slice(from);
            }
        }
        Ok(())
    }
}

impl Model for Plan {
    fn inputs(&self) -> &[TensorSpec] {
        &self.input_specs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.output_specs
    }

    fn input_mut(&mut self, index: usize) -> TensorViewMut<'_> {
        let spec = &self.input_specs[index];
        // Copies only if the graph hands its input through as an output and that output is still held.
        let tensor = Arc::make_mut(&mut self.inputs[index]);
        TensorViewMut { spec, data: elements_mut(tensor, spec.dtype) }
    }

    fn run(&mut self) -> Result<(), ModelError> {
        if self.turns > 1 {
            return self.run_in_turn();
        }
        let outputs = self.runner.run(self.inputs.iter().map(|t| t.clone().into_tvalue()).collect())?;
        for (output, spec) in outputs.iter().zip(&self.output_specs) {
            if output.shape() != spec.shape {
                return Err(unexpected(spec, output.shape()));
            }
        }
        self.outputs.clear();
        self.outputs.extend(outputs.into_iter().map(IntoArcTensor::into_arc_tensor));
        Ok(())
    }

    fn output(&self, index: usize) -> TensorView<'_> {
        let spec = &self.output_specs[index];
        TensorView { spec, data: elements(&self.outputs[index], spec.dtype) }
    }

    fn state_bytes(&self) -> usize {
        self.runner.info().kept.iter().map(Kept::bytes).sum()
    }

    fn reset_state(&mut self) {
        self.runner.reset_state();
    }

    fn input(&self, index: usize) -> TensorView<'_> {
        let spec = &self.input_specs[index];
        TensorView { spec, data: elements(&self.inputs[index], spec.dtype) }
    }
}

fn unexpected(spec: &TensorSpec, found: &[usize]) -> ModelError {
    let reason = format!("the output has shape {found:?}, which does not make {:?}", spec.shape);
    ModelError::Run { model: spec.name.clone(), reason }
}

fn slice<T: Datum>(tensor: &Tensor) -> &[T] {
    tensor.as_plain_ram().and_then(|p| p.as_slice::<T>().ok()).unwrap_or_default()
}

fn elements(tensor: &Tensor, dtype: DType) -> Elements<'_> {
    match dtype {
        DType::F32 => Elements::F32(slice(tensor)),
        DType::I8 => Elements::I8(slice(tensor)),
        DType::U8 => Elements::U8(slice(tensor)),
        DType::I32 => Elements::I32(slice(tensor)),
        DType::I64 => Elements::I64(slice(tensor)),
    }
}

fn slice_mut<T: Datum>(tensor: &mut Tensor) -> &mut [T] {
    tensor.to_plain_array_view_mut::<T>().ok().and_then(|view| view.into_slice()).unwrap_or_default()
}

fn elements_mut(tensor: &mut Tensor, dtype: DType) -> ElementsMut<'_> {
    match dtype {
        DType::F32 => ElementsMut::F32(slice_mut(tensor)),
        DType::I8 => ElementsMut::I8(slice_mut(tensor)),
        DType::U8 => ElementsMut::U8(slice_mut(tensor)),
        DType::I32 => ElementsMut::I32(slice_mut(tensor)),
        DType::I64 => ElementsMut::I64(slice_mut(tensor)),
    }
}
