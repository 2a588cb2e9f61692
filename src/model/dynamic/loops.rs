//! `Loop`: a body for each step, by the ONNX specification.

use std::collections::HashMap;

use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::{ValueInfoProto, type_proto};
use tract_onnx::tract_hir::internal::*;

use super::body::Body;
use crate::model::budget::MAX_TENSOR_BYTES;

/// Most nodes that one inference runs, those of loops counted once a step.
const MAX_STEPS: usize = 1 << 22;

/// Nodes that were run.
#[derive(Debug, Default)]
pub(super) struct Steps(usize);

impl Steps {
    /// Counts one more.
    pub fn next(&mut self) -> TractResult<()> {
        self.add(1)
    }

    /// Counts so many more.
    pub fn add(&mut self, count: usize) -> TractResult<()> {
        self.0 = self.0.saturating_add(count);
        ensure!(self.0 <= MAX_STEPS, "one inference runs more than {MAX_STEPS} nodes");
        Ok(())
    }
}

/// The only element of a condition.
pub(super) fn truth(tensor: &Tensor) -> TractResult<bool> {
    ensure!(tensor.len() == 1, "its condition has shape {:?}, expected is one element", tensor.shape());
    let cast = tensor.cast_to::<bool>()?;
    Ok(cast.try_as_plain_ram()?.as_slice::<bool>()?[0])
}

/// Tensors by name.
pub(super) type Tensors = HashMap<String, Arc<Tensor>>;

/// Runs a body once on tensors by name; gives its outputs in order.
pub(super) type Once<'r> = &'r mut dyn FnMut(Tensors, &mut Steps) -> TractResult<TVec<Arc<Tensor>>>;

/// Runs a `Loop` on its inputs: most steps, condition, carried values. `once` runs its body.
pub(super) fn run(
    once: Once<'_>,
    body: &Body,
    inputs: &[Option<Arc<Tensor>>],
    captured: &Tensors,
    steps: &mut Steps,
) -> TractResult<TVec<Arc<Tensor>>> {
    let most = match inputs.first().cloned().flatten() {
        Some(count) => {
            let count = count.cast_to::<i64>()?;
            count.try_as_plain_ram()?.as_slice::<i64>()?.first().copied().context("its number of steps is empty")?
        }
        None => i64::MAX,
    };
    let mut go_on = inputs.get(1).cloned().flatten().map_or(Ok(true), |condition| truth(&condition))?;
    let carried = inputs.iter().skip(2).cloned().collect::<Option<TVec<_>>>();
    let mut carried = carried.context("one of its carried values is missing")?;
    let (graph, count) = (&body.graph, carried.len());
    ensure!(graph.input.len() == count + 2, "its body has {} inputs for {count} carried values", graph.input.len());
    ensure!(graph.output.len() > count, "its body has {} outputs for {count} carried values", graph.output.len());
    let mut scans: Vec<Vec<Arc<Tensor>>> = vec![Vec::new(); graph.output.len() - 1 - count];
    let mut bytes = 0;
    let mut step = 0;
    while go_on && step < most {
        let given = [Arc::new(tensor0(step)), Arc::new(tensor0(true))].into_iter().chain(carried.iter().cloned());
        let names = graph.input.iter().map(|i| i.name.clone());
        let given = captured.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).chain(names.zip(given));
        let mut made = once(given.collect(), steps)?.into_iter();
        go_on = truth(&*made.next().context("its body makes no condition")?)?;
        carried = made.by_ref().take(count).collect();
        for (scan, tensor) in scans.iter_mut().zip(made) {
            bytes += tensor.len() * tensor.datum_type().size_of();
            ensure!(bytes <= MAX_TENSOR_BYTES, "its outputs ask for more than {} MiB", MAX_TENSOR_BYTES >> 20);
            scan.push(tensor);
        }
        step += 1;
    }
    let ports = graph.output.iter().skip(1 + count);
    let stacked = scans.iter().zip(ports).map(|(scan, port)| stack(scan, port));
    carried.into_iter().map(Ok).chain(stacked).collect()
}

/// The values of all steps along a new first axis.
fn stack(steps: &[Arc<Tensor>], port: &ValueInfoProto) -> TractResult<Arc<Tensor>> {
    if steps.is_empty() {
        let Some(type_proto::Value::TensorType(tensor)) = port.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            bail!("its output {:?} has no type", port.name)
        };
        let dtype = leptond_engine::onnx::tensor::datum_type(tensor.elem_type).context("its output has no type")?;
        let dims = tensor.shape.iter().flat_map(|s| &s.dim).map(|d| match d.value {
            Some(DimValue::DimValue(size)) => usize::try_from(size).unwrap_or(0),
            _ => 0,
        });
        let shape: Vec<usize> = std::iter::once(0).chain(dims).collect();
        return Ok(Arc::new(Tensor::zero_dt(dtype, &shape)?));
    }
    let mut rows = Vec::with_capacity(steps.len());
    for step in steps {
        ensure!(step.shape() == steps[0].shape(), "its steps make values of different shapes");
        let mut row = (**step).clone();
        row.insert_axis(0)?;
        rows.push(row);
    }
    Ok(Arc::new(Tensor::stack_tensors(0, &rows)?))
}
