//! Operators under guard: each one says what it is about to cost before tract lets it compute anything.
//!
//! tract evaluates an operator as soon as its inputs are constant, while it infers shapes, and looks at the size of the result
//! afterwards. So every operator that the parser makes, at every depth of sub-graphs, is wrapped here. The wrapper lets it infer the
//! shapes of its outputs, which computes nothing, holds them and the operands that decide them against the [`budget`], and only then
//! lets it be evaluated. That needs no knowledge of the operator, and holds for those that tract learns tomorrow.

use std::collections::HashMap;
use std::sync::OnceLock;

use leptond_engine::operators;
use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::tract_core::optim::CONST_FOLD_MEM_BUDGET;
use tract_onnx::tract_hir::tract_core::tract_data::TooEarly;

use super::budget::MAX_TENSOR_BYTES;
use super::operands::Operands;
use super::{budget, equal, quant};

/// Refusal of an operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("node {node:?} (operator {operator}): {reason}")]
pub(super) struct Refused {
    /// Name of its node.
    pub node: String,
    /// ONNX operator type.
    pub operator: String,
    /// Reason.
    pub reason: String,
}

type Builder = fn(&ParsingContext, &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Registers every operator in its wrapper.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.0.extend(originals().keys().map(|name| (name.clone(), build as Builder)));
}

/// The operators as they are, tract's and ours, by ONNX operator type.
fn originals() -> &'static HashMap<String, Builder> {
    static ORIGINALS: OnceLock<HashMap<String, Builder>> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let mut onnx = tract_onnx::onnx();
        quant::register(&mut onnx);
        equal::register(&mut onnx);
        operators::register(&mut onnx);
        onnx.op_register.0
    })
}

fn build(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let Some(original) = originals().get(&node.op_type) else { bail!("there is no operator {}", node.op_type) };
    budget::check_time()?;
    let (op, closures) = original(ctx, node)?;
    if op.as_op().is::<Const>() {
        return Ok((op, closures));
    }
    let bounded = Bounded { inner: op, name: node.name.clone(), operands: Operands::of(node) };
    Ok((Box::new(bounded), closures))
}

/// An operator under guard.
#[derive(Clone, Debug)]
struct Bounded {
    inner: Box<dyn InferenceOp>,
    /// Name of its node in the file.
    name: String,
    operands: Operands,
}

impl PartialEq for Bounded {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Bounded {}

impl Bounded {
    fn refused(&self, reason: impl ToString) -> TractError {
        let (node, operator) = (self.name.clone(), self.operands.operator().to_owned());
        Refused { node, operator, reason: reason.to_string() }.into()
    }

    /// Bytes of all outputs, as far as their shapes are known; refuses what cannot be.
    fn output_bytes(&self, outputs: &[InferenceFact]) -> TractResult<Option<f64>> {
        let mut sum = Some(0.0);
        for fact in outputs {
            let bytes = self.bytes(fact)?;
            sum = sum.zip(bytes).map(|(a, b)| a + b);
        }
        Ok(sum)
    }

    fn bytes(&self, fact: &InferenceFact) -> TractResult<Option<f64>> {
        let size = fact.datum_type().map_or(8, |d| d.size_of()) as f64;
        let mut dims: Vec<Option<i64>> = Vec::new();
        for dim in fact.shape.dims().map(|d| d.concretize()) {
            let known = dim.as_ref().and_then(|d| d.to_i64().ok());
            // What depends on data is a symbol; what depends on none and is no number came of shapes that do not fit.
            if let (Some(dim), None) = (&dim, known)
                && dim.symbols().is_empty()
            {
                return Err(self.refused(format!("its operands do not fit: a dimension of its output would be {dim}")));
            }
            dims.push(known);
        }
        if let Some(dim) = dims.iter().flatten().find(|&&d| d < 0) {
            return Err(self.refused(format!("a dimension of its output is {dim}")));
        }
        let known = dims.iter().flatten().fold(size, |bytes, &d| bytes * d as f64);
        let whole = !fact.shape.is_open() && dims.iter().all(Option::is_some);
        if whole && known > MAX_TENSOR_BYTES as f64 {
            let dims: Vec<i64> = dims.into_iter().flatten().collect();
            let most = MAX_TENSOR_BYTES >> 20;
            return Err(self.refused(format!("its output of shape {dims:?} asks for more than {most} MiB")));
        }
        Ok(whole.then_some(known))
    }

    /// Asks the budget for an evaluation on constants.
    fn admit(&self, inputs: &[Arc<Tensor>], outputs: &[InferenceFact]) -> TractResult<()> {
        let facts: Vec<InferenceFact> =
            inputs.iter().map(|t| InferenceFact::dt_shape(t.datum_type(), t.shape())).collect();
        let made = match self.output_bytes(outputs)? {
            Some(bytes) => bytes,
            None => self.operands.size_by_values(inputs).unwrap_or(0.0),
        };
        budget::spend(made, self.operands.operations(&facts, outputs, made)).map_err(|e| self.refused(e))
    }
}

fn bytes_of(tensor: &Tensor) -> u64 {
    (tensor.volume() * tensor.datum_type().size_of()) as u64
}

impl Op for Bounded {
    fn name(&self) -> StaticName {
        self.inner.name()
    }

    fn validation(&self) -> Validation {
        self.inner.validation()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.inner.info()
    }

    fn mints_runtime_symbols(&self) -> bool {
        self.inner.mints_runtime_symbols()
    }

    fn as_typed(&self) -> Option<&dyn TypedOp> {
        self.inner.as_typed()
    }
}

impl EvalOp for Bounded {
    /// Evaluation in a graph that tract has not translated yet: the branches of an `If` on constants.
    fn eval(&self, ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        budget::check_time().map_err(|e| self.refused(e))?;
        let values: Vec<Arc<Tensor>> = inputs.iter().map(|v| v.clone().into_arc_tensor()).collect();
        let facts = values.iter().map(InferenceFact::try_from).collect::<TractResult<TVec<_>>>()?;
        let outputs = vec![InferenceFact::default(); self.inner.nboutputs()?];
        let inferred = self.inner.clone().infer_facts(facts.iter().collect(), outputs.iter().collect(), tvec!())?;
        self.operands.check(&inferred.0).map_err(|reason| self.refused(reason))?;
        self.admit(&values, &inferred.1)?;
        self.inner.eval(ctx, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.inner.eval_out_of_plan(inputs)
    }

    fn state(&self, ctx: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        self.inner.state(ctx)
    }
}

impl InferenceOp for Bounded {
    /// [`InferenceOp::infer`] of tract with the question before the evaluation instead of after it.
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let (inputs, outputs, observed) = self.infer_facts(inputs, outputs, observed)?;
        let values = inputs.iter().map(|fact| fact.value.concretize().filter(|t| t.is_plain_ram()));
        let Some(values) = values.collect::<Option<Vec<_>>>().filter(|values| !values.is_empty()) else {
            return Ok((inputs, outputs, observed));
        };
        // Also what tract would not evaluate now may be evaluated by its optimiser.
        self.admit(&values, &outputs)?;
        if values.iter().any(|t| bytes_of(t) > CONST_FOLD_MEM_BUDGET) {
            return Ok((inputs, outputs, observed));
        }
        let most = values.iter().map(|t| bytes_of(t)).sum::<u64>().max(CONST_FOLD_MEM_BUDGET);
        let values = values.into_iter().map(IntoTValue::into_tvalue).collect();
        match self.inner.eval_out_of_plan(values) {
            Ok(Some(results)) if results.iter().map(|t| bytes_of(t)).sum::<u64>() <= most => {
                let kept = results.iter().map(|t| bytes_of(t) as f64).sum();
                budget::keep(kept).map_err(|e| self.refused(e))?;
                let results = results.into_iter().map(|t| t.into_arc_tensor().try_into());
                Ok((inputs, results.collect::<TractResult<_>>()?, observed))
            }
            Ok(_) => Ok((inputs, outputs, observed)),
            Err(error) if error.root_cause().is::<TooEarly>() => Ok((inputs, outputs, observed)),
            Err(error) if error.chain().any(|cause| cause.is::<Refused>()) => Err(error),
            Err(error) => Err(self.refused(format!("it cannot be computed on its constant inputs: {error:#}"))),
        }
    }

    fn observe_outlets(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Vec<OutletId>> {
        self.inner.observe_outlets(model, node)
    }

    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        budget::check_time().map_err(|e| self.refused(e))?;
        let given: TVec<InferenceFact> = inputs.iter().map(|fact| (*fact).clone()).collect();
        self.operands.check(&given).map_err(|reason| self.refused(reason))?;
        let found = self.inner.infer_facts(inputs, outputs, observed)?;
        self.operands.check(&found.0).map_err(|reason| self.refused(reason))?;
        self.output_bytes(&found.1)?;
        Ok(found)
    }

    fn incorporate(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Option<InferenceModelPatch>> {
        self.inner.incorporate(model, node)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.inner.nboutputs()
    }

    fn as_op(&self) -> &dyn Op {
        self
    }

    fn as_op_mut(&mut self) -> &mut dyn Op {
        self
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        budget::check_time().map_err(|e| self.refused(e))?;
        self.inner.to_typed(source, node, target, mapping)
    }
}
