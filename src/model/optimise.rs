//! tract's way from an analysed graph to one that runs, watched: each step of its optimiser is asked whether there is time left,
//! and what it would fold is held against the [`budget`] before it does.

use std::collections::HashSet;

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_hir::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};

use super::bounded::Refused;
use super::budget;
use super::budget::MAX_TENSOR_BYTES;

/// The graph with its constants folded and its operators in tract's own form.
pub(super) fn decluttered(model: InferenceModel) -> TractResult<TypedModel> {
    // Shapes are inferred twice more on the way.
    budget::next_pass();
    let mut model = model.into_typed()?;
    run(Optimizer::declutter(), &mut model)?;
    Ok(model)
}

/// [`decluttered`] and made ready for this processor.
pub(super) fn optimised(model: InferenceModel) -> TractResult<TypedModel> {
    let mut model = decluttered(model)?;
    run(Optimizer::codegen(), &mut model)?;
    Ok(model)
}

fn run(mut optimizer: Optimizer, model: &mut TypedModel) -> TractResult<()> {
    let passes = std::mem::take(&mut optimizer.passes);
    optimizer.passes = passes.into_iter().flat_map(|pass| [Box::new(Look) as _, Box::new(Timed(pass)) as _]).collect();
    optimizer.session().optimize(model)
}

/// A pass that ends when time is up.
#[derive(Clone, Debug)]
struct Timed(Box<dyn TypedPass>);

impl TypedPass for Timed {
    fn reset(&mut self) -> TractResult<()> {
        self.0.reset()
    }

    fn next(&mut self, session: &mut OptimizerSession, model: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        budget::check_time()?;
        self.0.next(session, model)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        budget::check_time()?;
        self.0.run_direct(model)
    }
}

/// A pass that changes nothing and refuses a graph whose tensors or foldable parts are too large.
#[derive(Clone, Debug)]
struct Look;

impl TypedPass for Look {
    fn reset(&mut self) -> TractResult<()> {
        Ok(())
    }

    fn next(&mut self, _: &mut OptimizerSession, model: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        budget::check_time()?;
        check(model)?;
        Ok(None)
    }
}

fn volume(fact: &TypedFact) -> f64 {
    // A dimension that is not known counts once: what depends on data is bounded where it is computed.
    fact.shape.iter().map(|d| d.to_i64().map_or(1.0, |d| d.max(0) as f64)).product()
}

/// Checks every tensor of a graph, and the cost of what the optimiser may fold: everything that depends on constants only.
fn check(model: &TypedModel) -> TractResult<()> {
    let refused = |node: &TypedNode, reason: String| -> TractError {
        Refused { node: node.name.clone(), operator: node.op.name().into_owned(), reason }.into()
    };
    let mut constant: HashSet<usize> = HashSet::new();
    let mut operations = 0.0;
    for id in model.eval_order()? {
        let node = model.node(id);
        let (mut bytes, mut written) = (0.0, 0.0);
        for output in &node.outputs {
            let size = volume(&output.fact);
            bytes += size * output.fact.datum_type.size_of() as f64;
            written += size;
        }
        if bytes > MAX_TENSOR_BYTES as f64 {
            let mib = bytes / f64::from(1 << 20);
            return Err(refused(
                node,
                format!("its outputs ask for {mib:.0} MiB, allowed are {} MiB", MAX_TENSOR_BYTES >> 20),
            ));
        }
        if node.outputs.iter().all(|o| o.fact.konst.is_some()) {
            constant.insert(id);
            continue;
        }
        let is_source = node.op_is::<TypedSource>() || node.op_is::<Dummy>();
        if is_source || node.inputs.is_empty() || !node.inputs.iter().all(|i| constant.contains(&i.node)) {
            continue;
        }
        constant.insert(id);
        let inputs = model.node_input_facts(id)?;
        let read: f64 = inputs.iter().map(|fact| volume(fact)).sum();
        let computed = node.op.cost(&inputs).unwrap_or_default();
        let computed: f64 = computed
            .iter()
            .filter(|(kind, _)| kind.is_compute())
            .map(|(_, n)| n.to_i64().map_or(0.0, |n| n as f64))
            .sum();
        operations += read + written + computed;
        budget::check_evaluation(bytes, operations).map_err(|e| refused(node, e.to_string()))?;
    }
    Ok(())
}
