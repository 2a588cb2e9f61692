//! Checks of attributes and parameter operands of an operator, as far as it is known before anything is computed.
//!
//! Shapes, scales, axes, paddings and the like decide how much memory and time an operator takes, and tract believes many of them.
//! They are attributes, constants, or computed from constants; the last is why they are looked at while shapes are inferred,
//! where every value that follows from the file is known.

mod check;
mod window;

use leptond_engine::onnx::operators;
use tract_onnx::pb::{NodeProto, attribute_proto::AttributeType};
use tract_onnx::tract_hir::internal::*;

/// Longest operand that is looked at as a list of numbers, in elements; such operands have one for each dimension, or a few.
const MAX_VALUES: usize = 4096;

/// Operations that working with one dimension as a symbolic expression takes.
const SYMBOLIC_OPERATIONS: f64 = 50.0;

/// An operator's attributes and where its operands are.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    operator: String,
    ints: Vec<(String, Vec<i64>)>,
    texts: Vec<(String, String)>,
    /// For every operand of ONNX, which input of the operator it is; `None` where it is left out.
    slots: Vec<Option<usize>>,
    outputs: usize,
}

/// The operands at one moment of shape inference.
struct View<'a> {
    operands: &'a Operands,
    facts: &'a [InferenceFact],
}

impl Operands {
    /// The operands of a node.
    pub(super) fn of(node: &NodeProto) -> Self {
        let mut ints = Vec::new();
        let mut texts = Vec::new();
        for attribute in &node.attribute {
            match AttributeType::try_from(attribute.r#type) {
                Ok(AttributeType::Ints) => ints.push((attribute.name.clone(), attribute.ints.clone())),
                Ok(AttributeType::Int) => ints.push((attribute.name.clone(), vec![attribute.i])),
                Ok(AttributeType::String) => {
                    texts.push((attribute.name.clone(), String::from_utf8_lossy(&attribute.s).into_owned()));
                }
                _ => {}
            }
        }
        let mut given = 0..;
        let slots = node.input.iter().map(|name| if name.is_empty() { None } else { given.next() }).collect();
        let outputs = node.output.iter().filter(|name| !name.is_empty()).count();
        Operands { operator: node.op_type.clone(), ints, texts, slots, outputs }
    }

    /// ONNX operator type.
    pub(super) fn operator(&self) -> &str {
        &self.operator
    }

    /// Holds what is known of the operands against what the operator is defined for.
    ///
    /// # Errors
    /// The mismatch, with the values found and those allowed.
    pub(super) fn check(&self, facts: &[InferenceFact]) -> Result<(), String> {
        View { operands: self, facts }.check()
    }

    /// Bytes of a result whose shape follows from the values of constant inputs only; `None` for operators without such.
    pub(super) fn size_by_values(&self, inputs: &[Arc<Tensor>]) -> Option<f64> {
        let bytes = |t: &Arc<Tensor>| (t.volume() * t.datum_type().size_of()) as f64;
        match self.operator.as_str() {
            "Range" => {
                let value = |i: usize| numbers(inputs.get(i)?)?.first().copied();
                let count = range_length(value(0)?, value(1)?, value(2)?);
                Some(count * inputs.first().map_or(8, |t| t.datum_type().size_of()) as f64)
            }
            // The indices of every element, one for each dimension.
            "NonZero" => inputs.first().map(|t| (t.volume() * t.rank().max(1) * 8) as f64),
            _ => Some(4.0 * inputs.iter().map(bytes).sum::<f64>()),
        }
    }

    /// A bound on the operations of one evaluation, with `made` bytes of outputs.
    pub(super) fn operations(&self, inputs: &[InferenceFact], outputs: &[InferenceFact], made: f64) -> f64 {
        let volume = |fact: &InferenceFact| {
            fact.shape.dims().map(|d| d.concretize().and_then(|d| d.to_i64().ok()).unwrap_or(1) as f64).product::<f64>()
        };
        let symbolic = inputs.iter().chain(outputs).any(|f| f.datum_type() == Some(TDim::datum_type()));
        let each = if symbolic { SYMBOLIC_OPERATIONS } else { 1.0 };
        let read: f64 = inputs.iter().map(volume).sum();
        let largest = inputs.iter().map(volume).fold(1.0, f64::max);
        let written = outputs.iter().map(volume).sum::<f64>().max(made / 8.0);
        let view = View { operands: self, facts: inputs };
        let per_output = match self.operator.as_str() {
            "MatMul" | "MatMulInteger" | "Gemm" | "QLinearMatMul" => {
                view.dims(0).map_or(largest, |dims| dims.into_iter().flatten().max().unwrap_or(1) as f64)
            }
            "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" => {
                let weights = view.dims(operators::weights_input(&self.operator)).unwrap_or_default();
                weights.iter().skip(1).flatten().map(|&d| d as f64).product()
            }
            "MaxPool" | "AveragePool" | "LpPool" => {
                view.ints("kernel_shape").unwrap_or_default().iter().map(|&k| k as f64).product()
            }
            "Einsum"
            | "Attention"
            | "MultiHeadAttention"
            | "GroupQueryAttention"
            | "LSTM"
            | "GRU"
            | "RNN"
            | "Scan"
            | "Loop"
            | "DFT"
            | "STFT"
            | "NonMaxSuppression"
            | "Det" => largest,
            _ => 1.0,
        };
        each * (read + written * per_output.max(1.0))
    }
}

/// Number of elements of a `Range`.
fn range_length(start: f64, limit: f64, delta: f64) -> f64 {
    ((limit - start) / delta).ceil().max(0.0)
}

/// A short constant as numbers; `None` where it is long, symbolic or text.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    if tensor.volume() > MAX_VALUES || tensor.datum_type() == String::datum_type() {
        return None;
    }
    let cast = tensor.cast_to::<f64>().or_else(|_| {
        let whole = tensor.cast_to::<i64>()?.into_owned();
        whole.cast_to::<f64>().map(|c| std::borrow::Cow::Owned(c.into_owned()))
    });
    Some(cast.ok()?.try_as_plain_ram().ok()?.as_slice::<f64>().ok()?.to_vec())
}

impl View<'_> {
    fn fact(&self, slot: usize) -> Option<&InferenceFact> {
        self.facts.get((*self.operands.slots.get(slot)?)?)
    }

    /// Known dimensions of an operand of known rank.
    fn dims(&self, slot: usize) -> Option<Vec<Option<i64>>> {
        let shape = &self.fact(slot)?.shape;
        let dim = |d: &DimFact| d.concretize().and_then(|d| d.to_i64().ok());
        (!shape.is_open()).then(|| shape.dims().map(dim).collect())
    }

    fn rank(&self, slot: usize) -> Option<usize> {
        self.dims(slot).map(|dims| dims.len())
    }

    /// The values of a short constant operand.
    fn values(&self, slot: usize) -> Option<Vec<f64>> {
        numbers(&*self.fact(slot)?.value.concretize()?)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.operands.ints.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.ints(name)?.first().copied()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.operands.texts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Numbers that newer versions of an operator take as an operand and older ones as an attribute.
    fn either(&self, slot: usize, attribute: &str) -> Option<Vec<f64>> {
        self.values(slot).or_else(|| self.ints(attribute).map(|v| v.iter().map(|&i| i as f64).collect()))
    }
}

#[cfg(test)]
mod tests;
