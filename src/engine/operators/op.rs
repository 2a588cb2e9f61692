//! A kernel as an operator of tract.

use std::borrow::Cow;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};

/// The operator of a node.
pub(super) fn wrap(kernel: Arc<dyn Kernel>, node: &NodeProto) -> Box<dyn InferenceOp> {
    let mut given = 0..;
    let slots = node.input.iter().map(|name| if name.is_empty() { None } else { given.next() }).collect();
    let outputs = (0..node.output.len()).filter(|&index| !node.output[index].is_empty()).collect();
    Box::new(KernelOp { kernel, name: node.op_type.clone(), slots, outputs })
}

/// A kernel with the inputs and outputs that its node has.
#[derive(Clone, Debug)]
struct KernelOp {
    kernel: Arc<dyn Kernel>,
    /// ONNX operator type.
    name: String,
    /// For every input of ONNX, which input of the operator it is; `None` where it is left out.
    slots: Vec<Option<usize>>,
    /// Indices of the outputs that the node has.
    outputs: Vec<usize>,
}

impl PartialEq for KernelOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.kernel, &other.kernel) && self.slots == other.slots && self.outputs == other.outputs
    }
}

impl Eq for KernelOp {}

impl KernelOp {
    /// Types and shapes of the node's outputs, if they follow from what is known.
    fn inferred(&self, known: &[Option<Known>]) -> TractResult<Outputs> {
        let by_slot: Vec<Option<Known>> = self.slots.iter().map(|slot| known.get((*slot)?)?.clone()).collect();
        let complete = self.slots.iter().zip(&by_slot).all(|(slot, known)| slot.is_none() || known.is_some());
        if !complete {
            return Ok(None);
        }
        let Some(all) = self.kernel.outputs(&by_slot)? else { return Ok(None) };
        let chosen = self.outputs.iter().map(|&index| all.get(index).cloned());
        Ok(Some(chosen.collect::<Option<_>>().context("it has more outputs than its operator")?))
    }

    fn compute(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let plain: Vec<Cow<Tensor>> = inputs.iter().map(|value| integers(value)).collect::<TractResult<_>>()?;
        let by_slot: Vec<Option<&Tensor>> = self.slots.iter().map(|slot| Some(&**plain.get((*slot)?)?)).collect();
        let mut made: Vec<Option<Tensor>> = self.kernel.run(&by_slot)?.into_iter().map(Some).collect();
        let mut take = |index: &usize| made.get_mut(*index).and_then(Option::take).map(IntoTValue::into_tvalue);
        self.outputs.iter().map(&mut take).collect::<Option<_>>().context("it has more outputs than its operator")
    }
}

/// Shapes that tract computes symbolically as plain integers.
fn integers(tensor: &Tensor) -> TractResult<Cow<'_, Tensor>> {
    if tensor.datum_type() == TDim::datum_type() { tensor.cast_to::<i64>() } else { Ok(Cow::Borrowed(tensor)) }
}

fn plain_type(dtype: DatumType) -> DatumType {
    if dtype == TDim::datum_type() { DatumType::I64 } else { dtype }
}

fn known(dtype: DatumType, shape: Option<TVec<usize>>, value: Option<Arc<Tensor>>) -> Option<Known> {
    let value = value.and_then(|value| integers(&value).ok().map(|value| Arc::new(value.into_owned())));
    Some(Known { dtype: plain_type(dtype), shape: shape?.to_vec(), value })
}

impl Op for KernelOp {
    fn name(&self) -> StaticName {
        self.name.clone().into()
    }

    op_as_typed_op!();
}

impl EvalOp for KernelOp {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.compute(&inputs)
    }
}

impl InferenceOp for KernelOp {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let owned = |facts: &[&InferenceFact]| facts.iter().map(|fact| (*fact).clone()).collect::<TVec<_>>();
        let known: Vec<Option<Known>> = inputs
            .iter()
            .map(|fact| {
                let shape = fact.shape.concretize()?.iter().map(|d| d.to_usize().ok()).collect();
                known(fact.datum_type()?, shape, fact.value.concretize())
            })
            .collect();
        let mut found = owned(&outputs);
        if let Some(inferred) = self.inferred(&known)? {
            for (fact, (dtype, shape)) in found.iter_mut().zip(inferred) {
                *fact = fact.unify(&InferenceFact::dt_shape(dtype, &shape))?;
            }
        }
        Ok((owned(&inputs), found, owned(&observed)))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs.len())
    }

    as_op!();
    to_typed!();
}

impl TypedOp for KernelOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let known: Vec<Option<Known>> = inputs
            .iter()
            .map(|fact| known(fact.datum_type, fact.shape.as_concrete().map(Into::into), fact.konst.clone()))
            .collect();
        let inferred = self.inferred(&known)?.context("its outputs' shapes follow from data")?;
        Ok(inferred.into_iter().map(|(dtype, shape)| dtype.fact(&shape)).collect())
    }
}
