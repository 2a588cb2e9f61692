//! A body compiled as one graph, where every shape in it follows from those of its inputs: what a loop does hundreds of times in an
//! inference is not to be looked at node by node.

use std::collections::HashSet;

use leptond_engine::onnx::{build, tensor};
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::tract_hir::internal::*;

use super::body::{Body, plain};
use super::loops::Tensors;
use crate::model::budget;
use crate::model::optimise;

/// Most forms of a body that are compiled: with more, its shapes change from run to run.
const FORMS: usize = 4;

/// Type and shape of each input, then of each captured tensor.
type Key = Vec<(DatumType, TVec<usize>)>;

/// The compiled forms of a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole {
    /// `None` for what cannot be compiled.
    forms: Vec<(Key, Option<Arc<TypedRunnableModel>>)>,
}

impl Whole {
    /// The body's outputs for tensors by name; `None` where it has to be computed node by node.
    pub fn run(&mut self, body: &Body, tensors: &Tensors) -> TractResult<Option<TVec<Arc<Tensor>>>> {
        if !body.inner.is_empty() || body.order.len() < 2 {
            return Ok(None);
        }
        let inputs: Option<Vec<&Arc<Tensor>>> = names(body).map(|name| tensors.get(name)).collect();
        let Some(inputs) = inputs else { return Ok(None) };
        let key: Key = inputs.iter().map(|t| (t.datum_type(), t.shape().into())).collect();
        let known = self.forms.iter().position(|(form, _)| *form == key);
        let index = match known {
            Some(index) => index,
            None if self.forms.len() == FORMS => return Ok(None),
            None => {
                // What stands in the way is said by the node that it concerns, when that is computed.
                let plan = budget::within(body.around.file_bytes, || compile(body, &key)).ok();
                self.forms.push((key, plan));
                self.forms.len() - 1
            }
        };
        let Some(plan) = &self.forms[index].1 else { return Ok(None) };
        let given = inputs.into_iter().cloned().map(IntoTValue::into_tvalue).collect();
        let Ok(made) = plan.run(given) else { return Ok(None) };
        made.into_iter().map(|made| plain(made.into_arc_tensor())).collect::<TractResult<_>>().map(Some)
    }
}

/// Names of what a body is given.
fn names(body: &Body) -> impl Iterator<Item = &String> {
    body.graph.input.iter().map(|input| &input.name).chain(&body.captured)
}

fn compile(body: &Body, key: &Key) -> TractResult<Arc<TypedRunnableModel>> {
    let node: Vec<_> = body.order.iter().map(|&index| body.graph.node[index].clone()).collect();
    let read: HashSet<&String> =
        node.iter().flat_map(|node| &node.input).chain(body.graph.output.iter().map(|output| &output.name)).collect();
    let constants: Vec<_> = body.constants.iter().filter(|(name, _)| read.contains(name)).collect();
    // Constants are inputs for the parser, which knows them by their names.
    let shaped = names(body).zip(key.iter().map(|(dtype, shape)| (*dtype, &shape[..])));
    let whole = constants.iter().map(|(name, constant)| (*name, (constant.datum_type(), constant.shape())));
    let input = shaped.chain(whole).map(|(name, (dtype, shape))| {
        let kind = tensor::data_type(dtype).with_context(|| format!("{name:?} is of {dtype:?}"))?;
        Ok(build::port_of_shape(name, kind, shape))
    });
    let input = input.collect::<TractResult<_>>()?;
    let output = body.graph.output.iter().map(|output| build::untyped_port(&output.name)).collect();
    let graph = GraphProto { node, input, output, ..Default::default() };
    let model = ModelProto { graph: Some(graph), ..(*body.around.model).clone() };
    let mut model = body.around.onnx.0.parse(&model, None)?.model;
    let sources = model.inputs.clone();
    ensure!(sources.len() == key.len() + constants.len(), "an input is missing");
    for (slot, (dtype, shape)) in key.iter().enumerate() {
        model.set_input_fact(slot, InferenceFact::dt_shape(*dtype, shape))?;
    }
    for ((name, constant), source) in constants.into_iter().zip(&sources[key.len()..]) {
        let known = model.add_const(format!("constant {name}"), constant.clone())?;
        for reader in model.nodes[source.node].outputs[source.slot].successors.clone() {
            model.add_edge(known, reader)?;
        }
        model.outputs.iter_mut().filter(|output| *output == source).for_each(|output| *output = known);
    }
    model.set_input_outlets(&sources[..key.len()])?;
    model.analyse(false)?;
    let model = optimise::optimised(model)?;
    let settled = |fact: &TypedFact| fact.shape.as_concrete().is_some();
    ensure!(model.nodes.iter().flat_map(|n| &n.outputs).all(|o| settled(&o.fact)), "its shapes depend on data");
    model.into_runnable()
}
