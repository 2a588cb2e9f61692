//! From a parsed model to a graph that runs: integer partitions put in where they fit, the rest left to tract.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::Factoid;

use super::budget::Exhausted;
use super::dynamic::split;
use super::explain::{self, explained};
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
        let facts = self.input_facts(shapes);
        let work = || {
            let mut dynamic = HashSet::new();
            loop {
                match self.compiled(&facts, &mut info, &dynamic) {
                    Ok(compiled) => return Ok(compiled),
                    // A node that tract fails on is computed by itself, where that can be.
                    Err(error) => match explain::blamed(&error, &info).filter(|node| !dynamic.contains(node)) {
                        Some(node) if dynamic.len() < MAX_DYNAMIC => _ = dynamic.insert(node),
                        _ => return Err(error),
                    },
                }
            }
        };
        let compiled = guard::guarded_deep(|| budget::within(self.file_bytes, work));
        let (compiled, profiles) = explained(compiled, &info, &self.path)?;
        Runner::new(self.name(), info, compiled, profiles)
    }

    fn compiled(
        &self,
        facts: &[InferenceFact],
        info: &mut GraphInfo,
        dynamic: &HashSet<String>,
    ) -> TractResult<Compiled> {
        let KnownGraph { proto, model } = self.known(facts, info, dynamic)?;
        let (model, profiles) = match self.integer {
            true => match self.with_partitions(facts, &proto, model)? {
                Some(found) => found,
                None => (self.known(facts, info, dynamic)?.model, Vec::new()),
            },
            false => (model, Vec::new()),
        };
        Ok((optimise::optimised(model)?.into_runnable()?, profiles))
    }

    /// The model with its partitions planned; `None` if it has none.
    fn with_partitions(
        &self,
        facts: &[InferenceFact],
        proto: &pb::ModelProto,
        analysed: InferenceModel,
    ) -> TractResult<Option<(InferenceModel, Vec<Arc<Profile>>)>> {
        let Rewritten { model, plans, profiles, refused } = int8::rewrite(proto, analysed, &onnx(), self.threads)?;
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
            let KnownGraph { proto, model } = self.known(&inputs, &mut info, &HashSet::new())?;
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
            if !self.integer {
                return Ok((facts, HashMap::new()));
            }
            let verdicts = int8::search(&proto, &model).verdicts;
            let names = proto.graph.iter().flat_map(|g| &g.node).map(|n| n.name.clone());
            Ok((facts, names.zip(verdicts).collect()))
        };
        let found = guard::guarded_deep(|| budget::within(self.file_bytes, work));
        let (facts, verdicts) = explained(found, &info, &self.path)?;
        Ok(Analysis { nodes: info.nodes, facts, verdicts })
    }

    fn input_facts(&self, shapes: &[Vec<usize>]) -> Vec<InferenceFact> {
        let given = self.info.inputs.iter().zip(shapes).map(|(p, shape)| InferenceFact::dt_shape(p.dtype, shape));
        given.chain(self.info.kept.iter().map(|k| InferenceFact::dt_shape(k.dtype, &k.shape))).collect()
    }

    /// The graph with all shapes inferred: as it is, else with its branches decided, else with what depends on data in one operator.
    /// `info` follows when branches are decided; `dynamic` names nodes that tract failed on.
    fn known(
        &self,
        facts: &[InferenceFact],
        info: &mut GraphInfo,
        dynamic: &HashSet<String>,
    ) -> TractResult<KnownGraph<'_>> {
        let analysed = |mut model: InferenceModel| set_inputs(&mut model, facts).map(|()| model);
        if let (Parsed::Ready(model), true) = (&self.parsed, dynamic.is_empty()) {
            let first = model.lock().unwrap_or_else(PoisonError::into_inner).take();
            let model = match first {
                Some(model) => *model,
                None => onnx().parse(&self.proto, None)?.model,
            };
            match analysed(model) {
                Ok(model) if split::is_whole(&model)? => {
                    return Ok(KnownGraph { proto: Cow::Borrowed(&self.proto), model });
                }
                Err(error) if error.chain().any(|cause| cause.is::<Exhausted>()) => return Err(error),
                _ => {}
            }
        }
        let mut proto = (*self.proto).clone();
        let onnx = onnx();
        if matches!(self.parsed, Parsed::Branching) {
            branches::fold(&mut proto, facts, &onnx);
            *info = graph::describe(&proto, &self.path)?;
        }
        let analyse = |proto: &pb::ModelProto| analysed(onnx.parse(proto, None)?.model);
        let split = split::split(&proto, dynamic, self.file_bytes, &analyse)?;
        Ok(KnownGraph { proto: Cow::Owned(split.proto), model: split.model })
    }
}

/// A graph that can be compiled.
struct KnownGraph<'m> {
    /// As ONNX has it, for the search for partitions.
    proto: Cow<'m, pb::ModelProto>,
    model: InferenceModel,
}

type Compiled = (Arc<TypedRunnableModel>, Vec<Arc<Profile>>);

/// Most nodes of a graph that are computed by themselves since tract fails on them.
const MAX_DYNAMIC: usize = 8;

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
