//! Models run by tract alone, for the tests of this room.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use super::run::{CompressError, Executor, Plan, TensorFact};

/// tract by itself.
pub(super) struct Tract;

struct Compiled(Arc<TypedRunnableModel>);

fn failed(error: TractError) -> CompressError {
    CompressError::Run(format!("{error:#}"))
}

fn analysed(model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> TractResult<InferenceModel> {
    let mut parsed = tract_onnx::onnx().parse(model, None)?.model;
    for (index, (dtype, shape)) in inputs.iter().enumerate() {
        parsed.set_input_fact(index, InferenceFact::dt_shape(*dtype, shape))?;
    }
    parsed.analyse(false)?;
    Ok(parsed)
}

impl Executor for Tract {
    fn compile(&self, model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> Result<Box<dyn Plan>, CompressError> {
        let plan = analysed(model, inputs).and_then(|m| m.into_optimized()).and_then(|m| m.into_runnable());
        Ok(Box::new(Compiled(plan.map_err(failed)?)))
    }

    fn facts(
        &self,
        model: &ModelProto,
        inputs: &[(DatumType, Vec<usize>)],
    ) -> Result<HashMap<String, TensorFact>, CompressError> {
        let model = analysed(model, inputs).map_err(failed)?;
        let mut facts = HashMap::new();
        for node in &model.nodes {
            for (slot, output) in node.outputs.iter().enumerate() {
                let label = model.outlet_label(OutletId::new(node.id, slot)).unwrap_or(&node.name);
                let shape = output.fact.shape.concretize().and_then(|s| s.iter().map(|d| d.to_usize().ok()).collect());
                facts.insert(label.to_owned(), TensorFact { dtype: output.fact.datum_type(), shape });
            }
        }
        Ok(facts)
    }
}

impl Plan for Compiled {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, CompressError> {
        let inputs = inputs.iter().map(|tensor| tensor.clone().into_tvalue()).collect();
        Ok(self.0.run(inputs).map_err(failed)?.into_iter().map(TValue::into_tensor).collect())
    }
}
