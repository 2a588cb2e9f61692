//! One node on the tensors at hand: evaluated at once where they are few bytes and new, else compiled for their shapes and remembered.

use leptond_engine::operators;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::around::Surroundings;
use crate::model::optimise;

/// Inputs up to this many bytes together are computed without being compiled.
const AT_ONCE_BYTES: usize = 1 << 18;
/// Most elements of an input whose values a compiled node depends on: shapes, axes, limits.
const PARAMETER_ELEMENTS: usize = 64;
/// Most compiled forms of a node that are kept; the oldest goes.
const KEPT: usize = 4;
/// Runs in a row with the same shapes and parameters after which a node is worth compiling whatever its size.
const STEADY: usize = 4;

/// The compiled forms of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Single {
    compiled: Vec<Compiled>,
    /// All inputs but the first are compiled in.
    constants: bool,
    /// It is evaluated on constants, since it can be computed in no other way.
    values_only: bool,
    /// Knowledge of its inputs in the last run, and the number of runs before it with the same.
    last: TVec<Operand>,
    repeats: usize,
}

#[derive(Clone, Debug)]
struct Compiled {
    key: TVec<Operand>,
    plan: Arc<TypedRunnableModel>,
}

/// Knowledge of an input when a node is compiled.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Missing,
    Shaped(DatumType, TVec<usize>),
    Constant(Arc<Tensor>),
}

impl Single {
    /// The node's outputs for these inputs, in the order of those that are not left out, `None` between them filled up.
    pub fn run(
        &mut self,
        around: &Surroundings,
        node: &NodeProto,
        inputs: &[Option<Arc<Tensor>>],
    ) -> TractResult<TVec<Arc<Tensor>>> {
        if let Some(kernel) = operators::kernel(node, operators::version(&around.model, node)) {
            let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_deref).collect();
            return Ok(kernel?.run(&inputs)?.into_iter().map(Arc::new).collect());
        }
        let mut key: TVec<Operand> = inputs.iter().enumerate().map(|(slot, t)| operand(slot, t.as_ref())).collect();
        let bytes: usize = inputs.iter().flatten().map(|t| t.len() * t.datum_type().size_of()).sum();
        let steady = self.is_steady(&key);
        if (self.values_only || bytes <= AT_ONCE_BYTES && !steady)
            && let Some(made) = at_once(around, node, inputs)?
        {
            return placed(node, made);
        }
        if self.constants {
            fix(&mut key, inputs);
        }
        if !self.compiled.iter().any(|c| c.key == key) {
            let compiled = compile(around, node, &key).or_else(|_| {
                // Some operators ask for constants where the specification allows any tensor.
                fix(&mut key, inputs);
                self.constants = true;
                compile(around, node, &key)
            });
            match compiled {
                Ok(plan) => {
                    self.compiled.truncate(KEPT - 1);
                    self.compiled.insert(0, Compiled { key: key.clone(), plan });
                }
                Err(error) => match at_once(around, node, inputs) {
                    Ok(Some(made)) => {
                        self.values_only = true;
                        return placed(node, made);
                    }
                    _ => return Err(error),
                },
            }
        }
        let compiled = self.compiled.iter().find(|c| c.key == key).context("it was not compiled")?;
        let given = inputs.iter().zip(&key).filter(|(_, operand)| matches!(operand, Operand::Shaped(..)));
        let given = given.filter_map(|(input, _)| input.clone()).map(IntoTValue::into_tvalue).collect();
        placed(node, compiled.plan.run(given)?.into_iter().map(IntoArcTensor::into_arc_tensor).collect())
    }

    /// Test for inputs that have been alike for some runs.
    fn is_steady(&mut self, key: &TVec<Operand>) -> bool {
        if self.last == *key {
            self.repeats = self.repeats.saturating_add(1);
        } else {
            (self.last, self.repeats) = (key.clone(), 0);
        }
        self.repeats >= STEADY
    }
}

/// Integers that are short and not the first input are parameters: shapes, axes, limits.
fn operand(slot: usize, input: Option<&Arc<Tensor>>) -> Operand {
    match input {
        None => Operand::Missing,
        Some(tensor) => {
            let parameter = tensor.datum_type().is_integer() && tensor.len() <= PARAMETER_ELEMENTS && slot > 0;
            match parameter {
                true => Operand::Constant(tensor.clone()),
                false => Operand::Shaped(tensor.datum_type(), tensor.shape().into()),
            }
        }
    }
}

/// Takes all inputs but the first for constants.
fn fix(key: &mut [Operand], inputs: &[Option<Arc<Tensor>>]) {
    for (operand, input) in key.iter_mut().zip(inputs).skip(1) {
        if let Some(input) = input {
            *operand = Operand::Constant(input.clone());
        }
    }
}

/// Outputs at the places of their names.
fn placed(node: &NodeProto, made: TVec<Arc<Tensor>>) -> TractResult<TVec<Arc<Tensor>>> {
    let mut made = made.into_iter();
    let nothing = Arc::new(Tensor::default());
    let outputs = node.output.iter().map(|name| if name.is_empty() { Some(nothing.clone()) } else { made.next() });
    outputs.collect::<Option<_>>().context("it made too few outputs")
}

/// The operator of a node, and an empty model that owns the symbols which it makes.
fn parsed(around: &Surroundings, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, InferenceModel)> {
    let onnx = &around.onnx.0;
    let build = onnx.op_register.0.get(&node.op_type);
    let build = build.with_context(|| format!("there is no operator {} here", node.op_type))?;
    let domain = |o: &&tract_onnx::pb::OperatorSetIdProto| o.domain.is_empty() || o.domain == "ai.onnx";
    let ctx = ParsingContext {
        onnx_operator_set_version: around.model.opset_import.iter().find(domain).map_or(0, |o| o.version),
        framework: onnx,
        model: &around.model,
        parent_graphs: vec![],
        model_dir: None,
        template: InferenceModel::default(),
    };
    let (op, closures) = build(&ctx, node)?;
    ensure!(closures.is_empty(), "its graphs read tensors around them");
    Ok((op, ctx.template))
}

/// The outputs as shape inference finds them with every input a constant; `None` where it does not compute them.
pub(super) fn at_once(
    around: &Surroundings,
    node: &NodeProto,
    inputs: &[Option<Arc<Tensor>>],
) -> TractResult<Option<TVec<Arc<Tensor>>>> {
    let (mut op, _symbols) = parsed(around, node)?;
    let facts = inputs.iter().flatten().map(|t| t.clone().try_into()).collect::<TractResult<TVec<InferenceFact>>>()?;
    let outputs: TVec<InferenceFact> = tvec![InferenceFact::default(); op.nboutputs()?];
    let (_, outputs, _) = op.infer(facts.iter().collect(), outputs.iter().collect(), tvec!())?;
    Ok(outputs.iter().map(|fact| fact.value.concretize()).collect())
}

fn compile(around: &Surroundings, node: &NodeProto, key: &[Operand]) -> TractResult<Arc<TypedRunnableModel>> {
    let (op, mut model) = parsed(around, node)?;
    let mut outlets: TVec<OutletId> = tvec!();
    for (slot, operand) in key.iter().enumerate() {
        match operand {
            Operand::Missing => {}
            Operand::Shaped(dtype, shape) => {
                outlets.push(model.add_source(format!("input_{slot}"), InferenceFact::dt_shape(*dtype, shape))?);
            }
            Operand::Constant(tensor) => outlets.push(model.add_const(format!("input_{slot}"), tensor.clone())?),
        }
    }
    let count = op.nboutputs()?;
    let id = model.add_node(node.name.clone(), op, tvec![InferenceFact::default(); count])?;
    for (slot, &outlet) in outlets.iter().enumerate() {
        model.add_edge(outlet, InletId::new(id, slot))?;
    }
    model.select_output_outlets(&(0..count).map(|slot| OutletId::new(id, slot)).collect::<Vec<_>>())?;
    model.analyse(false)?;
    optimise::optimised(model)?.into_runnable()
}
