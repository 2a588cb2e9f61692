//! The part of a graph that depends on data as one operator of tract.

use std::collections::HashMap;

use leptond_engine::onnx::tensor::datum_type;
use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use tract_onnx::tract_hir::internal::*;

use super::around::{Parser, Surroundings};
use super::body::Body;
use super::run::Interpreter;
use super::split::{BODY, DYNAMIC_OPERATOR, FILE_BYTES};

/// Lets tract's parser accept what [`super::split`] puts in.
pub(in crate::model) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(DYNAMIC_OPERATOR, |ctx: &ParsingContext, node: &NodeProto| {
        let graph: &GraphProto = node.get_attr(BODY)?;
        let file_bytes: i64 = node.get_attr(FILE_BYTES)?;
        let outputs = graph.output.iter().map(|info| output(ctx, info)).collect::<TractResult<TVec<_>>>()?;
        let around = Surroundings {
            onnx: Arc::new(Parser(ctx.framework.clone())),
            model: Arc::new(ModelProto { opset_import: ctx.model.opset_import.clone(), ..Default::default() }),
            file_bytes: usize::try_from(file_bytes)?,
        };
        let body = Arc::new(Body::new(graph.clone(), &HashMap::new(), &around)?);
        Ok((Box::new(DynamicPart { body, outputs }) as _, vec![]))
    });
    // Nothing is known of what it makes before it runs; it is always inside of such a part.
    onnx.op_register
        .insert("Loop", |_: &ParsingContext, _: &NodeProto| bail!("a Loop inside of a graph that is compiled"));
}

/// Type and shape of an output as the graph declares them; a dimension that is left open becomes a symbol of its own.
fn output(ctx: &ParsingContext, info: &ValueInfoProto) -> TractResult<TypedFact> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        bail!("output {:?} is not a tensor", info.name)
    };
    let dtype = datum_type(tensor.elem_type).with_context(|| format!("output {:?} has no type", info.name))?;
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match dim.value {
        Some(DimValue::DimValue(size)) if size > 0 => size.to_dim(),
        _ => ctx.template.symbols.new_with_prefix("d").to_dim(),
    });
    Ok(dtype.fact(dims.collect::<TVec<TDim>>()))
}

/// The part, in a graph whose shapes are being inferred and in a compiled one.
#[derive(Clone, Debug)]
struct DynamicPart {
    body: Arc<Body>,
    outputs: TVec<TypedFact>,
}

impl PartialEq for DynamicPart {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for DynamicPart {}

impl Op for DynamicPart {
    fn name(&self) -> StaticName {
        DYNAMIC_OPERATOR.into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for DynamicPart {
    not_out_of_plan!();

    fn state(&self, _ctx: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(DynamicState { part: self.clone(), interpreter: Interpreter::new(&self.body) })))
    }
}

impl InferenceOp for DynamicPart {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        _outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let owned = |facts: TVec<&InferenceFact>| facts.into_iter().cloned().collect();
        Ok((owned(inputs), self.outputs.iter().map(InferenceFact::from).collect(), owned(observed)))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs.len())
    }

    as_op!();
    to_typed!();
}

impl TypedOp for DynamicPart {
    as_op!();

    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.outputs.clone())
    }
}

/// Plans compiled for the shapes of earlier runs.
#[derive(Clone, Debug)]
struct DynamicState {
    part: DynamicPart,
    interpreter: Interpreter,
}

impl OpState for DynamicState {
    fn eval(&mut self, _ctx: &EvalContext, _op: &dyn Op, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let names = self.part.body.graph.input.iter().map(|i| i.name.clone());
        let inputs = names.zip(inputs.into_iter().map(IntoArcTensor::into_arc_tensor)).collect();
        let made = self.interpreter.run(inputs)?;
        for ((tensor, fact), info) in made.iter().zip(&self.part.outputs).zip(&self.part.body.graph.output) {
            let fits = tensor.datum_type() == fact.datum_type
                && tensor.rank() == fact.rank()
                && fact.shape.iter().zip(tensor.shape()).all(|(d, &size)| d.to_usize().map_or(true, |d| d == size));
            let found = (tensor.datum_type(), tensor.shape());
            ensure!(fits, "output {:?} is {found:?} where the file declares {fact:?}", info.name);
        }
        Ok(made.into_iter().map(IntoTValue::into_tvalue).collect())
    }

    fn reset_lanes(&mut self, _lanes: &[LaneId]) -> TractResult<()> {
        // Only compiled nodes outlive an inference.
        Ok(())
    }
}
