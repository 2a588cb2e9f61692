//! From a parsed model to a graph that runs: integer partitions put in where they fit, the rest left to tract.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{Factoid, bail};

use super::explain::explained;
use super::graph::{self, GraphInfo, NodeInfo};
use super::load::{LoadedModel, Parsed};
use super::parser::onnx;
use super::runner::Runner;
use super::{ModelError, branches, budget, guard, optimise};
use leptond_engine::int8::find::Verdict;
use leptond_engine::int8::op::Profile;
use leptond_engine::int8::{self, Rewritten, concrete_shape, kernels};

/// Analysis of a model for one set of input shapes.
pub(super) struct Analysis {
    /// The nodes that are left once branches are decided.
    pub nodes: Vec<NodeInfo>,
    /// Type and shape of every tensor.
    pub facts: HashMap<String, TensorFact>,
    /// Verdicts of the integer engine on [`Analysis::nodes`], by node name; empty where it is off.
    pub verdicts: HashMap<String, Verdict>,
}

/// Element type and shape of a tensor of the graph.
#[derive(Clone, Debug)]
pub(super) struct TensorFact {
    pub dtype: Option<DatumType>,
    pub shape: Option<Vec<usize>>,
    pub constant: bool,
}

impl TensorFact {
    /// Bytes of an activation; 0 for constants and unknown shapes.
    pub fn bytes(&self) -> usize {
        match (&self.shape, self.dtype) {
            (Some(shape), Some(dtype)) if !self.constant => shape.iter().product::<usize>() * dtype.size_of(),
            _ => 0,
        }
    }
}

impl LoadedModel {
    /// Compiles for the given input shapes, one per input in graph order.
    ///
    /// # Errors
    /// [`ModelError::Shape`], [`ModelError::Unsupported`] or [`ModelError::Compile`].
    pub fn compile(&self, shapes: &[Vec<usize>]) -> Result<Runner, ModelError> {
        for (port, shape) in self.info.inputs.iter().zip(shapes) {
            self.check_shape(port, shape)?;
        }
        let mut info = self.info.clone();
        let work = || -> TractResult<(Arc<TypedRunnableModel>, Vec<Arc<Profile>>)> {
            let facts = self.input_facts(shapes);
            let (model, profiles) = match self.with_partitions(&facts, &mut info)? {
                Some(found) => found,
                None => (self.analysed(&facts, &mut info)?, Vec::new()),
            };
            Ok((optimise::optimised(model)?.into_runnable()?, profiles))
        };
        let compiled = guard::guarded_deep(|| budget::within(self.file_bytes, work));
        let (compiled, profiles) = explained(compiled, &info, &self.path)?;
        Runner::new(self.name(), info, compiled, profiles)
    }

    /// The model with its partitions in integers; `None` if it has none.
    fn with_partitions(
        &self,
        facts: &[InferenceFact],
        info: &mut GraphInfo,
    ) -> TractResult<Option<(InferenceModel, Vec<Arc<Profile>>)>> {
        let Some(proto) = &self.proto else { return Ok(None) };
        if !self.integer {
            return Ok(None);
        }
        let proto = self.decided(proto, facts);
        let analysed = self.analysed(facts, info)?;
        let Rewritten { model, plans, profiles, refused } = int8::rewrite(&proto, analysed, &onnx(), self.threads)?;
        for error in refused {
            tracing::warn!(model = self.name(), %error, "a partition cannot be planned: tract runs it");
        }
        self.has_partitions.get_or_init(|| model.is_some());
        let Some(mut model) = model else { return Ok(None) };
        tracing::debug!(
            model = self.name(),
            kernels = kernels::best().name(),
            float_kernels = kernels::float::best().name(),
            threads = self.threads,
            partitions = plans.len(),
            steps = plans.iter().map(|p| p.program.steps.len()).sum::<usize>(),
            arena_bytes = plans.iter().map(|p| p.program.arena_len).sum::<usize>(),
            "runs in partitions"
        );
        set_inputs(&mut model, facts)?;
        Ok(Some((model, profiles)))
    }

    /// Facts about every node and tensor for these input shapes.
    pub(super) fn analysis(&self, shapes: &[Vec<usize>]) -> Result<Analysis, ModelError> {
        let mut info = self.info.clone();
        let work = || -> TractResult<(HashMap<String, TensorFact>, HashMap<String, Verdict>)> {
            let inputs = self.input_facts(shapes);
            let model = self.analysed(&inputs, &mut info)?;
            let mut facts = HashMap::new();
            for node in &model.nodes {
                for (slot, output) in node.outputs.iter().enumerate() {
                    let fact = TensorFact {
                        dtype: output.fact.datum_type(),
                        shape: concrete_shape(&output.fact),
                        constant: output.fact.value.concretize().is_some(),
                    };
                    let label = model.outlet_label(OutletId::new(node.id, slot)).unwrap_or(&node.name);
                    facts.insert(label.to_owned(), fact);
                }
            }
            let Some(proto) = self.proto.as_ref().filter(|_| self.integer) else { return Ok((facts, HashMap::new())) };
            let proto = self.decided(proto, &inputs);
            let verdicts = int8::search(&proto, &model).verdicts;
            let names = proto.graph.iter().flat_map(|g| &g.node).map(|n| n.name.clone());
            Ok((facts, names.zip(verdicts).collect()))
        };
        let found = guard::guarded_deep(|| budget::within(self.file_bytes, work));
        let (facts, verdicts) = explained(found, &info, &self.path)?;
        Ok(Analysis { nodes: info.nodes, facts, verdicts })
    }

    /// The file's graph, its branches decided.
    fn decided<'p>(&self, proto: &'p pb::ModelProto, facts: &[InferenceFact]) -> Cow<'p, pb::ModelProto> {
        if matches!(self.parsed, Parsed::Ready(_)) {
            return Cow::Borrowed(proto);
        }
        let mut proto = proto.clone();
        branches::fold(&mut proto, facts, &onnx());
        Cow::Owned(proto)
    }

    fn input_facts(&self, shapes: &[Vec<usize>]) -> Vec<InferenceFact> {
        self.info.inputs.iter().zip(shapes).map(|(p, shape)| InferenceFact::dt_shape(p.dtype, shape)).collect()
    }

    /// The graph in floats with all shapes inferred; `info` follows when branches are decided.
    fn analysed(&self, facts: &[InferenceFact], info: &mut GraphInfo) -> TractResult<InferenceModel> {
        let mut model = match (&self.parsed, &self.proto) {
            (Parsed::Ready(model), _) => (**model).clone(),
            (Parsed::Branching, Some(proto)) => {
                let proto = self.decided(proto, facts);
                *info = graph::describe(&proto, &self.path)?;
                onnx().parse(&proto, None)?.model
            }
            (Parsed::Branching, None) => bail!("the file's graph is gone"),
        };
        set_inputs(&mut model, facts)?;
        Ok(model)
    }
}

fn set_inputs(model: &mut InferenceModel, facts: &[InferenceFact]) -> TractResult<()> {
    for (index, fact) in facts.iter().enumerate() {
        model.set_input_fact(index, fact.clone())?;
    }
    budget::next_pass();
    model.analyse(false)?;
    check_sizes(model)
}

/// Refuses activations that would not fit in memory, before anything is computed on them: each lives from its node to its last
/// reader, inputs and outputs lie beside them in the plan.
fn check_sizes(model: &InferenceModel) -> TractResult<()> {
    let bytes = |outlet: &OutletId| -> f64 {
        let fact = &model.node(outlet.node).outputs[outlet.slot].fact;
        if fact.value.concretize().is_some() {
            return 0.0;
        }
        let dims = fact.shape.dims().map(|d| d.concretize().and_then(|d| d.to_i64().ok()).map_or(1.0, |d| d as f64));
        dims.product::<f64>() * fact.datum_type().map_or(8, |d| d.size_of()) as f64
    };
    let order = model.eval_order()?;
    let mut last_use: HashMap<OutletId, usize> = HashMap::new();
    for &id in &order {
        last_use.extend(model.node(id).inputs.iter().map(|&outlet| (outlet, id)));
    }
    let ends = model.inputs.iter().chain(&model.outputs).map(bytes).sum::<f64>();
    let (mut alive, mut peak) = (0.0, 0.0f64);
    for &id in &order {
        let node = model.node(id);
        alive += (0..node.outputs.len()).map(|slot| bytes(&OutletId::new(id, slot))).sum::<f64>();
        peak = peak.max(alive);
        let done: HashSet<&OutletId> = node.inputs.iter().filter(|outlet| last_use.get(outlet) == Some(&id)).collect();
        alive -= done.into_iter().map(bytes).sum::<f64>();
    }
    Ok(budget::check_activations(peak + ends)?)
}
