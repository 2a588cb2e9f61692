//! The report of `inspect` on a model: its operators, the arithmetic of each and the reason, memory and work.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use tract_onnx::prelude::DatumType;

use super::compile::{Analysis, TensorFact};
use super::graph::NodeInfo;
use super::npy::type_name;
use super::{LoadedModel, ModelError, PlanKey};
use crate::frame::Quant;
use leptond_engine::int8::find::Verdict;
use leptond_engine::onnx::operators;

/// A model explained.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the bundle or file.
    pub name: String,
    /// Version from the manifest.
    pub version: String,
    /// Task from the manifest.
    pub task: String,
    /// ONNX operator set.
    pub opset: i64,
    /// The program that wrote the file.
    pub producer: String,
    /// Arithmetic that runs.
    pub engine: &'static str,
    /// Instruction set of the integer engine, where it runs.
    pub kernels: Option<&'static str>,
    /// Inputs in graph order.
    pub inputs: Vec<PortReport>,
    /// Outputs in graph order.
    pub outputs: Vec<PortReport>,
    /// State kept between runs.
    pub state: StateReport,
    /// Operators by type, most frequent first.
    pub operators: Vec<OperatorReport>,
    /// Every node in file order.
    pub nodes: Vec<NodeReport>,
    /// Bytes of all weights in the file.
    pub weights_bytes: usize,
    /// Bytes of all intermediate tensors together.
    pub activation_sum_bytes: usize,
    /// Most bytes of intermediate tensors alive at once, in file order.
    pub activation_peak_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

/// An input or output.
#[derive(Debug, Serialize)]
pub struct PortReport {
    /// Its name.
    pub name: String,
    /// Element type.
    pub dtype: String,
    /// Shape in the file, `null` where open.
    pub shape: Vec<Option<usize>>,
    /// Quantisation where the graph says it.
    pub quant: Option<Quant>,
}

/// State that a model keeps between its runs.
#[derive(Debug, Serialize)]
pub struct StateReport {
    /// Number of tensors.
    pub tensors: usize,
    /// Their size.
    pub bytes: usize,
}

/// One type of operator.
#[derive(Debug, Serialize)]
pub struct OperatorReport {
    /// ONNX operator type.
    pub operator: String,
    /// Number of threads.
    pub count: usize,
    /// Number of those that run in integers.
    pub integer: usize,
    /// Number of those that run in floats.
    pub float: usize,
    /// Number of those that are computed once, at load.
    pub folded: usize,
    /// Their multiply-accumulates.
    pub macs: u64,
}

/// Arithmetic of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// On integers.
    Integer,
    /// On floats.
    Float,
    /// Once, at load.
    Folded,
}

/// One node.
#[derive(Debug, Serialize)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// ONNX operator type.
    pub operator: String,
    /// Shape of its first output, where it is known.
    pub shape: Option<Vec<usize>>,
    /// Arithmetic.
    pub runs: Arithmetic,
    /// Reason.
    pub why: String,
    /// Its multiply-accumulates.
    pub macs: u64,
}

impl LoadedModel {
    /// Explains the model as planned for `key`.
    ///
    /// # Errors
    /// As [`LoadedModel::compile`].
    pub fn report(&self, key: PlanKey) -> Result<Report, ModelError> {
        let Analysis { nodes: kept, facts, verdicts } = self.analysis(&self.shapes(key)?)?;
        let constant = folded(&kept, &facts);
        let readers = readers(&kept);
        let nodes: Vec<NodeReport> = kept
            .iter()
            .map(|node| {
                let (runs, why) = match verdicts.get(&node.name) {
                    Some(Verdict::Integer { .. }) => (Arithmetic::Integer, "in a partition, on integers".into()),
                    Some(Verdict::Planned { .. }) => (Arithmetic::Float, "in a partition, on floats".into()),
                    Some(Verdict::Folded) => (Arithmetic::Folded, FOLDED.into()),
                    Some(Verdict::Float { why }) => (Arithmetic::Float, why.clone()),
                    None => {
                        let (runs, why) = arithmetic(node, &facts, &constant, &readers, &kept);
                        (runs, why.to_owned())
                    }
                };
                NodeReport {
                    name: node.name.clone(),
                    operator: node.operator.clone(),
                    shape: node.outputs.first().and_then(|o| facts.get(o)?.shape.clone()),
                    runs,
                    why,
                    macs: if runs == Arithmetic::Folded { 0 } else { macs(node, &facts) },
                }
            })
            .collect();
        let (activation_sum_bytes, activation_peak_bytes) = self.activations(&kept, &facts, &constant);
        let ports = |ports: &[super::graph::Port]| {
            ports
                .iter()
                .map(|p| PortReport {
                    name: p.name.clone(),
                    dtype: type_name(p.dtype),
                    shape: p.dims.clone(),
                    quant: p.quant,
                })
                .collect()
        };
        Ok(Report {
            name: self.name().into(),
            version: self.manifest.version.clone(),
            task: format!("{:?}", self.manifest.task).to_lowercase(),
            opset: self.info.opset,
            producer: self.info.producer.clone(),
            engine: self.engine(),
            kernels: self.kernels(),
            inputs: ports(&self.info.inputs),
            outputs: ports(&self.info.outputs),
            state: StateReport {
                tensors: self.info.kept.len(),
                bytes: self.info.kept.iter().map(super::state::Kept::bytes).sum(),
            },
            operators: operators(&nodes),
            macs: nodes.iter().map(|n| n.macs).sum(),
            nodes,
            weights_bytes: self.info.weights_bytes,
            activation_sum_bytes,
            activation_peak_bytes,
        })
    }

    /// Sum and peak of the tensors that nodes make, each alive from its node to its last reader.
    fn activations(
        &self,
        nodes: &[NodeInfo],
        facts: &HashMap<String, TensorFact>,
        constant: &HashSet<String>,
    ) -> (usize, usize) {
        let mut last_use: HashMap<&str, usize> = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for input in &node.inputs {
                last_use.insert(input, index);
            }
        }
        for output in &self.info.outputs {
            last_use.insert(&output.name, nodes.len());
        }
        let size =
            |name: &String| if constant.contains(name) { 0 } else { facts.get(name).map_or(0, TensorFact::bytes) };
        let inputs = self.info.inputs.iter().map(|p| size(&p.name)).sum::<usize>();
        let (mut alive, mut peak, mut sum) = (inputs, inputs, 0);
        for (index, node) in nodes.iter().enumerate() {
            let made: usize = node.outputs.iter().map(size).sum();
            sum += made;
            alive += made;
            peak = peak.max(alive);
            let mut freed = HashSet::new();
            for input in node.inputs.iter().filter(|i| last_use.get(i.as_str()) == Some(&index)) {
                if freed.insert(input) {
                    alive = alive.saturating_sub(size(input));
                }
            }
        }
        (sum, peak)
    }
}

const FOLDED: &str = "depends on no input: computed once at load";

/// Names of tensors that depend on no input of the graph.
fn folded(nodes: &[NodeInfo], facts: &HashMap<String, TensorFact>) -> HashSet<String> {
    let mut constant: HashSet<String> =
        facts.iter().filter(|(_, f)| f.constant).map(|(name, _)| name.clone()).collect();
    // Files may list nodes in any order, so until nothing changes; each round settles at least one node.
    loop {
        let before = constant.len();
        for node in nodes {
            if node.inputs.iter().all(|i| i.is_empty() || constant.contains(i)) {
                constant.extend(node.outputs.iter().cloned());
            }
        }
        if constant.len() == before {
            return constant;
        }
    }
}

fn readers(nodes: &[NodeInfo]) -> HashMap<&str, Vec<usize>> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for input in &node.inputs {
            readers.entry(input).or_default().push(index);
        }
    }
    readers
}

fn arithmetic(
    node: &NodeInfo,
    facts: &HashMap<String, TensorFact>,
    constant: &HashSet<String>,
    readers: &HashMap<&str, Vec<usize>>,
    nodes: &[NodeInfo],
) -> (Arithmetic, &'static str) {
    if !node.outputs.is_empty() && node.outputs.iter().all(|o| constant.contains(o)) {
        return (Arithmetic::Folded, FOLDED);
    }
    match node.operator.as_str() {
        "QuantizeLinear" => return (Arithmetic::Float, "rounds floats to integers"),
        "DequantizeLinear" => return (Arithmetic::Float, "turns integers to floats"),
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" => {
            return (Arithmetic::Integer, "an integer operator of ONNX");
        }
        _ => {}
    }
    let output = node.outputs.first().and_then(|o| facts.get(o));
    let integer = output.and_then(|f| f.dtype).is_some_and(|d| d.is_integer() || d == DatumType::Bool);
    if integer {
        return (Arithmetic::Integer, "its output is integers");
    }
    let made_by = |name: &String| nodes.iter().find(|n| n.outputs.contains(name)).map(|n| n.operator.as_str());
    let from_integers = node.inputs.iter().any(|i| made_by(i) == Some("DequantizeLinear"));
    let to_integers = node.outputs.iter().any(|o| {
        let readers = readers.get(o.as_str()).map_or(&[][..], Vec::as_slice);
        readers.iter().any(|&r| nodes[r].operator == "QuantizeLinear")
    });
    match (from_integers, to_integers) {
        (true, true) => (Arithmetic::Float, "float between DequantizeLinear and QuantizeLinear"),
        (true, false) => (Arithmetic::Float, "float after DequantizeLinear"),
        (false, true) => (Arithmetic::Float, "float before QuantizeLinear"),
        (false, false) => (Arithmetic::Float, "the file has it in floats"),
    }
}

/// Multiply-accumulates of one node, from shapes alone; 0 for what has none or is not counted.
fn macs(node: &NodeInfo, facts: &HashMap<String, TensorFact>) -> u64 {
    let shape = |name: Option<&String>| name.and_then(|n| facts.get(n)).and_then(|f| f.shape.as_deref());
    let count = |shape: &[usize]| shape.iter().map(|&d| d as u64).product::<u64>();
    let Some(output) = shape(node.outputs.first()) else { return 0 };
    match node.operator.as_str() {
        "Conv" | "ConvInteger" | "QLinearConv" => {
            let weights = shape(node.inputs.get(operators::weights_input(&node.operator)));
            // [out channels, in channels / group, kernel…]: one output value takes all but the first.
            weights.map_or(0, |w| count(output) * count(w.get(1..).unwrap_or_default()))
        }
        "ConvTranspose" => {
            let (input, weights) = (shape(node.inputs.first()), shape(node.inputs.get(1)));
            input.zip(weights).map_or(0, |(i, w)| count(i) * count(w.get(1..).unwrap_or_default()))
        }
        // The length of the common axis: what is left of the left operand once its share of the output is gone.
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let common = shape(node.inputs.first()).and_then(|a| a.last().copied());
            common.map_or(0, |k| count(output) * k as u64)
        }
        "Gemm" => {
            let (a, b) = (shape(node.inputs.first()), shape(node.inputs.get(1)));
            let columns = output.last().copied().unwrap_or(1).max(1) as u64;
            let common = a.zip(b).map(|(_, b)| count(b) / columns);
            common.map_or(0, |k| count(output) * k)
        }
        "LSTM" | "GRU" | "RNN" => {
            let steps = shape(node.inputs.first()).map_or(0, |x| x.iter().take(2).product::<usize>() as u64);
            let weights = [1, 2].iter().filter_map(|&i| shape(node.inputs.get(i))).map(count).sum::<u64>();
            steps * weights
        }
        _ => 0,
    }
}

fn operators(nodes: &[NodeReport]) -> Vec<OperatorReport> {
    let mut by_type: BTreeMap<&str, OperatorReport> = BTreeMap::new();
    for node in nodes {
        let entry = by_type.entry(&node.operator).or_insert_with(|| OperatorReport {
            operator: node.operator.clone(),
            count: 0,
            integer: 0,
            float: 0,
            folded: 0,
            macs: 0,
        });
        entry.count += 1;
        entry.macs += node.macs;
        match node.runs {
            Arithmetic::Integer => entry.integer += 1,
            Arithmetic::Float => entry.float += 1,
            Arithmetic::Folded => entry.folded += 1,
        }
    }
    let mut all: Vec<OperatorReport> = by_type.into_values().collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.operator.cmp(&b.operator)));
    all
}
