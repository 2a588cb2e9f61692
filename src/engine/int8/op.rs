//! A partition as one operator of tract.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::PartitionPlan;
use super::find::{PARTITION_INDEX, PARTITION_OPERATOR};
use super::graph::Format;
use super::kernels::executor::Executor;
use super::kernels::run::{Input, Output};

/// Lets tract's parser accept what [`super::find::spliced`] puts in; [`fill`] must follow.
pub fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(PARTITION_OPERATOR, |_: &ParsingContext, node: &NodeProto| {
        let index: i64 = node.get_attr(PARTITION_INDEX)?;
        let partition = InferredPartition { index: usize::try_from(index)?, outputs: node.output.len(), op: None };
        Ok((expand(partition), vec![]))
    });
}

/// Puts the plans, by index, behind the partitions of a parsed model. Returns the operators, to be asked for profiles.
///
/// # Errors
/// The model has a partition without a plan.
pub fn fill(
    model: &mut InferenceModel,
    plans: &[Arc<PartitionPlan>],
    threads: usize,
) -> TractResult<Vec<Arc<Profile>>> {
    let ops: Vec<PartitionOp> = plans
        .iter()
        .map(|plan| PartitionOp { plan: plan.clone(), threads, profile: Arc::new(Profile::new(plan)) })
        .collect();
    for node in &mut model.nodes {
        let expansion = node.op_as::<Box<dyn Expansion>>().map(|e| -> &dyn Any { &**e });
        let Some(&InferredPartition { index, .. }) = expansion.and_then(|e| e.downcast_ref()) else { continue };
        let op = ops.get(index).with_context(|| format!("partition {index} has no plan"))?;
        node.op = expand(InferredPartition { index, outputs: op.plan.outputs.len(), op: Some(op.clone()) });
    }
    Ok(ops.into_iter().map(|op| op.profile).collect())
}

/// Nanoseconds spent in every step of a partition, while it is switched on.
#[derive(Debug)]
pub struct Profile {
    on: AtomicBool,
    nanos: Mutex<Vec<u64>>,
    plan: Arc<PartitionPlan>,
}

impl Profile {
    fn new(plan: &Arc<PartitionPlan>) -> Self {
        let steps = plan.program.steps.len();
        Profile { on: AtomicBool::new(false), nanos: Mutex::new(vec![0; steps]), plan: plan.clone() }
    }

    /// From now on steps are timed.
    pub fn switch_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// The plan that is profiled.
    pub fn plan(&self) -> &PartitionPlan {
        &self.plan
    }

    /// Nanoseconds of every step, all inferences together.
    pub fn nanos(&self) -> Vec<u64> {
        self.nanos.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A partition in a model whose shapes are being inferred.
#[derive(Debug, Clone)]
struct InferredPartition {
    index: usize,
    outputs: usize,
    op: Option<PartitionOp>,
}

fn datum_type(format: Format) -> DatumType {
    match format {
        Format::F32 => DatumType::F32,
        Format::I8 => DatumType::I8,
        Format::U8 => DatumType::U8,
    }
}

impl Expansion for InferredPartition {
    fn name(&self) -> StaticName {
        PARTITION_OPERATOR.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs)
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let Some(op) = &self.op else { return Ok(()) };
        check_input_arity(inputs, op.plan.inputs.len())?;
        check_output_arity(outputs, op.plan.outputs.len())?;
        for (proxy, (format, shape)) in inputs.iter().zip(&op.plan.inputs).chain(outputs.iter().zip(&op.plan.outputs)) {
            s.equals(&proxy.datum_type, datum_type(*format))?;
            let dims: TVec<TDim> = shape.iter().map(|d| d.to_dim()).collect();
            s.equals(&proxy.shape, ShapeFactoid::from(dims))?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let op = self.op.clone().context("a partition without a plan")?;
        model.wire_node(prefix, op, inputs)
    }
}

/// A partition that runs.
#[derive(Debug, Clone)]
struct PartitionOp {
    plan: Arc<PartitionPlan>,
    threads: usize,
    profile: Arc<Profile>,
}

impl PartialEq for PartitionOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for PartitionOp {}

impl Op for PartitionOp {
    fn name(&self) -> StaticName {
        PARTITION_OPERATOR.into()
    }

    op_as_typed_op!();
}

impl EvalOp for PartitionOp {
    not_out_of_plan!();

    fn state(&self, _ctx: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(PartitionState::new(self))))
    }
}

impl TypedOp for PartitionOp {
    as_op!();

    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.plan.outputs.iter().map(|(format, shape)| datum_type(*format).fact(shape)).collect())
    }
}

/// The memory and threads of a partition.
#[derive(Debug)]
struct PartitionState {
    op: PartitionOp,
    executor: Executor,
}

impl PartitionState {
    fn new(op: &PartitionOp) -> Self {
        PartitionState { op: op.clone(), executor: Executor::new(&op.plan.program, op.threads) }
    }
}

impl Clone for PartitionState {
    fn clone(&self) -> Self {
        PartitionState::new(&self.op)
    }
}

impl OpState for PartitionState {
    fn eval(&mut self, _ctx: &EvalContext, _op: &dyn Op, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let plan = &self.op.plan;
        let mut values: TVec<Input> = tvec!();
        for (value, (format, shape)) in inputs.iter().zip(&plan.inputs) {
            ensure!(value.shape() == shape.as_slice(), "shape {:?} where {shape:?} was planned", value.shape());
            let plain = value.try_as_plain_ram()?;
            values.push(match format {
                Format::F32 => Input::F32(plain.as_slice()?),
                Format::I8 => Input::I8(plain.as_slice()?),
                Format::U8 => Input::U8(plain.as_slice()?),
            });
        }
        let mut tensors: TVec<Tensor> = tvec!();
        for (format, shape) in &plan.outputs {
            tensors.push(Tensor::zero_dt(datum_type(*format), shape)?);
        }
        let mut plains: TVec<_> = tensors.iter_mut().map(|t| t.try_as_plain_ram_mut()).collect::<TractResult<_>>()?;
        let mut outputs: TVec<Output> = tvec!();
        for (plain, (format, _)) in plains.iter_mut().zip(&plan.outputs) {
            outputs.push(match format {
                Format::F32 => Output::F32(plain.as_slice_mut()?),
                Format::I8 => Output::I8(plain.as_slice_mut()?),
                Format::U8 => Output::U8(plain.as_slice_mut()?),
            });
        }
        let profile = &self.op.profile;
        if profile.on.load(Ordering::Relaxed) {
            let mut nanos = profile.nanos.lock().unwrap_or_else(PoisonError::into_inner);
            let mut last = Instant::now();
            let mut note = |step: usize| {
                let now = Instant::now();
                nanos[step] += now.duration_since(last).as_nanos() as u64;
                last = now;
            };
            self.executor.run(&values, &mut outputs, &mut note)?;
        } else {
            self.executor.run(&values, &mut outputs, &mut |_| {})?;
        }
        drop(outputs);
        drop(plains);
        Ok(tensors.into_iter().map(IntoTValue::into_tvalue).collect())
    }

    fn reset_lanes(&mut self, _lanes: &[LaneId]) -> TractResult<()> {
        // Nothing outlives an inference: every byte that a step reads was written in the same one, or never changes.
        Ok(())
    }
}
