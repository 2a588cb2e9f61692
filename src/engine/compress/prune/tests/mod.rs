//! Pruned nets against whole ones.
//!
//! A pruned net must give what the whole net gives once the weights that take the removed channels are zero, in every layer that reads them.

mod dependencies;
mod fitted;
mod random;
mod refusals;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;

use super::labels::Label;
use super::*;
use crate::compress::gram::spread;
use crate::compress::testing::Tract;
use crate::compress::unroll::Unrolled;
use crate::onnx::build::{self, NodeBuilder, port_of_shape, untyped_port};

/// Numbers from −0.5 to 0.5 by a seed.
pub(super) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// A net on the way.
pub(super) struct Net {
    pub graph: GraphProto,
    seed: u64,
    pub shape: Vec<usize>,
}

impl Net {
    /// With an input `x` of a shape.
    pub fn new(shape: &[usize]) -> Self {
        let input = vec![port_of_shape("x", DataType::Float, shape)];
        Net { graph: GraphProto { input, ..Default::default() }, seed: 1, shape: shape.to_vec() }
    }

    /// A constant of random floats.
    pub fn floats(&mut self, shape: &[usize]) -> String {
        self.seed += 1;
        let name = format!("constant{}", self.seed);
        let values = numbers(shape.iter().product(), self.seed);
        let tensor = Tensor::from_shape(shape, &values).unwrap();
        self.graph.initializer.push(tensor::write(&name, &tensor).unwrap());
        name
    }

    /// A constant list of integers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.seed += 1;
        let name = format!("list{}", self.seed);
        self.graph.initializer.push(tensor::write(&name, &tensor1(values)).unwrap());
        name
    }

    /// Appends a node whose only output has its name.
    pub fn add(&mut self, name: &str, node: NodeBuilder) -> String {
        self.node(node.named(name, [name]))
    }

    /// Appends a node, and gives its first output.
    pub fn node(&mut self, node: NodeProto) -> String {
        let output = node.output[0].clone();
        self.graph.node.push(node);
        output
    }

    /// A convolution with bias, padded to the same size.
    pub fn conv(&mut self, name: &str, from: &str, shape: [usize; 4], groups: usize) -> String {
        let (weights, bias) = (self.floats(&shape), self.floats(&shape[..1]));
        let pad = (shape[2] / 2) as i64;
        let node = NodeBuilder::new("Conv", [from, &weights, &bias]).ints("pads", &[pad; 4]).size("group", groups);
        self.add(name, node)
    }

    /// A node of one input and nothing else.
    pub fn unary(&mut self, name: &str, operator: &str, from: &str) -> String {
        self.add(name, NodeBuilder::new(operator, [from]))
    }

    /// The model that gives these tensors.
    pub fn model(mut self, outputs: &[&str]) -> ModelProto {
        self.graph.output = outputs.iter().map(|name| untyped_port(*name)).collect();
        build::model(self.graph, 13)
    }
}

/// Random samples of a shape.
pub(super) fn samples(shape: &[usize], count: usize) -> Vec<Vec<Tensor>> {
    let of = |index| vec![Tensor::from_shape(shape, &numbers(shape.iter().product(), 1000 + index)).unwrap()];
    (0..count as u64).map(of).collect()
}

/// Settings without a fit.
pub(super) fn plain(step: usize) -> Settings {
    Settings { fit: false, step, ..Settings::default() }
}

/// Zeros in the weights that take removed channels.
fn zeroed(pruner: &Pruner<'_>, removed: &HashSet<Label>) -> ModelProto {
    let mut model = pruner.model.clone();
    let view = GraphView::new(pruner.model.graph.as_ref().unwrap());
    let graph = model.graph.as_mut().unwrap();
    for layer in pruner.trace.layers.iter().filter(|layer| !layer.depthwise) {
        let Some(own) = &layer.input else { continue };
        let node = view.node(layer.node);
        let weights = view.constant(&node.input[1]).unwrap();
        let unrolled = Unrolled::new(node, weights.shape(), &pruner.shapes[&node.input[0]]).unwrap();
        let mut values = tensor::floats(&weights).unwrap();
        let taps = unrolled.taps();
        for group in 0..unrolled.groups {
            let mut matrix = unrolled.matrix(&values, group);
            for column in 0..unrolled.width {
                let head = pruner.trace.labels.head(own[(group * unrolled.width + column) / taps]);
                if removed.contains(&head) {
                    matrix.column_mut(column).fill(0.0);
                }
            }
            unrolled.store(&matrix, group, &mut values);
        }
        let name = format!("zeroed{}", layer.node);
        let written = tensor::write(&name, &Tensor::from_shape(weights.shape(), &values).unwrap()).unwrap();
        graph.initializer.push(written);
        graph.node[layer.node].input[1] = name;
    }
    model
}

/// Outputs of a model over samples, one behind the other.
pub(super) fn outputs(model: &ModelProto, samples: &[Vec<Tensor>]) -> Vec<f32> {
    let mut plan = Tract.compile(model, &shapes_of(&samples[0])).unwrap();
    let run = |sample: &Vec<Tensor>| plan.run(sample).unwrap();
    samples.iter().flat_map(run).flat_map(|tensor| tensor::floats(&tensor).unwrap()).collect()
}

/// Prunes to a share of the multiplications that can go and compares; gives what became of each layer as `name: inputs → outputs`.
pub(super) fn pruned_is_zeroed(model: &ModelProto, shape: &[usize], share: f64, step: usize) -> Vec<String> {
    let samples = samples(shape, 3);
    let indices = [0, 1, 2];
    let pruner = Pruner::new(model, &Tract, &samples, &indices, plain(step)).unwrap_or_else(|e| panic!("{e}"));
    let candidates = pruner.candidates();
    let (all, least) = (candidates.macs(), candidates.least());
    if all == least {
        return vec![];
    }
    let bound = all - ((all - least) as f64 * share) as u64;
    // Anything may be asked for: scores by chance reach every family.
    let choice = candidates.choose(&|label| f64::from(numbers(1, u64::from(label))[0] + 0.5), bound, false);
    assert!(!choice.removed.is_empty() && choice.after <= bound, "{} of {all}, not {bound}", choice.after);
    let pruned = pruner.made(&choice).unwrap_or_else(|e| panic!("{e}"));
    let whole = outputs(&zeroed(&pruner, &choice.removed), &samples);
    let part = outputs(&pruned.model, &samples);
    let scale = whole.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert_eq!(whole.len(), part.len());
    assert!(scale > 0.0);
    for (a, b) in whole.iter().zip(&part) {
        assert!((a - b).abs() <= 1e-5 * scale.max(1.0), "{a} and {b}");
    }
    assert!(outputs(&pruner.model, &samples).iter().zip(&part).any(|(a, b)| (a - b).abs() > 1e-6), "nothing changed");
    assert_eq!(pruned.macs.1, counted(&pruned.model, &samples[0]), "multiplications of the pruned model");
    let line = |layer: &LayerChange| format!("{}: {} → {}", layer.name, layer.inputs.1, layer.outputs.1);
    pruned.layers.iter().map(line).collect()
}

/// Multiplications of a model's layers, counted anew from its own shapes.
fn counted(model: &ModelProto, sample: &[Tensor]) -> u64 {
    let facts = Tract.facts(model, &shapes_of(sample)).unwrap();
    let graph = model.graph.as_ref().unwrap();
    let view = GraphView::new(graph);
    let macs = |node: &NodeProto| {
        let weights = view.constant(node.input.get(1)?)?;
        let shape = facts[&node.input[0]].shape.clone().unwrap();
        Some(Unrolled::new(node, weights.shape(), &shape).ok()?.macs())
    };
    graph.node.iter().filter_map(macs).sum()
}

#[test]
fn samples_differ_and_repeat() {
    assert_ne!(samples(&[4], 2)[0], samples(&[4], 2)[1]);
    assert_eq!(samples(&[4], 2)[1], samples(&[4], 2)[1]);
    assert_eq!(spread(4, 2, 0), [0, 2]);
}
