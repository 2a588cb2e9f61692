//! From a model and tract's analysis of it to a model whose quantised parts run in integers.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::model::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::{Fact as _, InferenceFact, InferenceModel, OutletId, TractResult};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use super::find::{self, Fact, Found};
use super::kernels;
use super::op::{self, Profile};
use super::plan::{PartitionPlan, PlanError};
use crate::onnx;

/// Types, shapes and constants in a model whose shapes are inferred, by tensor name.
pub fn facts(model: &InferenceModel) -> HashMap<String, Fact> {
    let mut facts = HashMap::new();
    for node in &model.nodes {
        for (slot, output) in node.outputs.iter().enumerate() {
            let (Some(dtype), Some(shape)) = (output.fact.datum_type(), concrete_shape(&output.fact)) else { continue };
            let label = model.outlet_label(OutletId::new(node.id, slot)).unwrap_or(&node.name);
            facts.insert(label.to_owned(), Fact { dtype, shape, value: output.fact.value.concretize() });
        }
    }
    facts
}

/// Shape of a tensor, if every dimension is known.
pub fn concrete_shape(fact: &InferenceFact) -> Option<Vec<usize>> {
    fact.shape.concretize()?.iter().map(|d| d.to_usize().ok()).collect()
}

/// Looks for partitions in a decomposed model. `analysed` is the same model with all shapes inferred.
pub fn search(model: &ModelProto, analysed: &InferenceModel) -> Found {
    let empty = GraphProto::default();
    find::find(model.graph.as_ref().unwrap_or(&empty), onnx::opset(model), &facts(analysed))
}

/// A model with its partitions in integers.
#[derive(Debug)]
pub struct Rewritten {
    /// The model, its input shapes to be set again; `None` where there is nothing to compute in integers.
    pub model: Option<InferenceModel>,
    /// One plan for each partition.
    pub plans: Vec<Arc<PartitionPlan>>,
    /// One profile for each partition, in the order of `plans`.
    pub profiles: Vec<Arc<Profile>>,
    /// Partitions that stay in floats because they cannot be planned.
    pub refused: Vec<PlanError>,
}

/// Puts the quantised parts of a decomposed model in integers, to run on the best kernels of this processor in up to `threads`
/// threads.
///
/// `analysed` is the same model with all shapes inferred; it is dropped before plans are made, so that weights are not held
/// twice. `onnx` parses the result: [`op::register`] must have been applied to it.
///
/// # Errors
/// tract's, when it cannot parse the result.
pub fn rewrite(model: &ModelProto, analysed: InferenceModel, onnx: &Onnx, threads: usize) -> TractResult<Rewritten> {
    let Found { mut partitions, .. } = search(model, &analysed);
    drop(analysed);
    let (mut plans, mut refused) = (Vec::new(), Vec::new());
    partitions.retain_mut(|partition| match PartitionPlan::new(&partition.graph, kernels::best()) {
        Ok(plan) => {
            plans.push(Arc::new(plan));
            // The plan has packed the weights; they need not be held twice.
            (partition.graph.nodes, partition.graph.tensors) = (Vec::new(), Vec::new());
            true
        }
        Err(error) => {
            refused.push(error);
            false
        }
    });
    let (Some(graph), false) = (&model.graph, partitions.is_empty()) else {
        return Ok(Rewritten { model: None, plans, profiles: Vec::new(), refused });
    };
    let spliced = ModelProto {
        graph: Some(find::spliced(graph, &partitions)),
        opset_import: model.opset_import.clone(),
        ir_version: model.ir_version,
        ..Default::default()
    };
    let mut parsed = onnx.parse(&spliced, None)?.model;
    let profiles = op::fill(&mut parsed, &plans, threads)?;
    Ok(Rewritten { model: Some(parsed), plans, profiles, refused })
}
