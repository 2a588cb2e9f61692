//! Random graphs against an evaluation that knows nothing of layouts, borders, slices, packing or threads.

mod definition;
mod hybrid;

use std::sync::Arc;

use super::super::graph::*;
use super::super::kernels;
use super::super::kernels::executor::Executor;
use super::super::kernels::run::{Input, Output};
use super::PartitionPlan;
use definition::{evaluate, round};

/// A small generator of numbers; the seed names the case.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn byte(&mut self) -> i8 {
        self.below(256) as u8 as i8
    }

    fn bytes(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.byte()).collect()
    }

    /// Zero points of the weights of so many channels, or none.
    fn zeros(&mut self, n: usize) -> Vec<i8> {
        if self.below(2) == 0 { self.bytes(n) } else { Vec::new() }
    }

    fn quant(&mut self) -> Quant {
        Quant { scale: 0.02 + self.below(100) as f32 * 0.001, zero_point: self.below(256) as i32 - 128 }
    }
}

/// A graph that grows by random nodes.
struct Growing<'a> {
    graph: Graph,
    dice: &'a mut Dice,
}

impl Growing<'_> {
    fn tensor(&mut self, shape: Vec<usize>, quant: Quant) -> TensorId {
        self.graph.tensors.push(Tensor {
            name: format!("t{}", self.graph.tensors.len()),
            shape,
            element: Element::Byte,
            quant,
            constant: None,
        });
        self.graph.tensors.len() - 1
    }

    fn push(&mut self, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>, quant: Quant) -> TensorId {
        let output = self.tensor(shape, quant);
        self.graph.nodes.push(Node { name: format!("n{}", self.graph.nodes.len()), op, inputs, output });
        output
    }

    fn clamp(&mut self) -> Clamp {
        match self.dice.below(3) {
            0 => Clamp { low: -20, high: 90 },
            _ => Clamp::NONE,
        }
    }

    /// A node on a picture.
    fn step(&mut self, x: TensorId) -> TensorId {
        let Tensor { shape, quant, .. } = self.graph.tensors[x].clone();
        let [n, c, h, w] = <[usize; 4]>::try_from(shape.clone()).unwrap();
        let next = self.dice.quant();
        match self.dice.below(20) {
            18 => {
                let values =
                    |dice: &mut Dice| Some(Arc::new((0..w).map(|_| dice.below(200) as f32 * 0.02 - 1.0).collect()));
                let (scale, bias) = (values(self.dice), values(self.dice));
                self.push(Op::LayerNorm(Norm { epsilon: 1e-5, centre: true, scale, bias }), vec![x], shape, next)
            }
            17 if h * w <= 40 => {
                // Attention: every pixel against every other, in heads where the channels divide.
                let heads = if c % 2 == 0 { 2 } else { 1 };
                let split = vec![n, heads, c / heads, h * w];
                let q = self.push(Op::Reshape, vec![x], split.clone(), quant);
                let perm = vec![0, 1, 3, 2];
                let turned = vec![n, heads, h * w, c / heads];
                let t = self.push(Op::Transpose { perm }, vec![q], turned, quant);
                let scores = vec![n, heads, h * w, h * w];
                let product = Op::BatchMatMul { factor: 0.125, clamp: self.clamp() };
                let s = self.push(product, vec![t, q], scores.clone(), next);
                let product = Op::BatchMatMul { factor: 1.0, clamp: Clamp::NONE };
                let y = match self.dice.below(3) {
                    0 => self.push(product, vec![q, s], split, next),
                    1 => {
                        let whole = Quant { scale: 1.0 / 256.0, zero_point: -128 };
                        let shares = self.push(Op::Softmax { axis: 3 }, vec![s], scores.clone(), whole);
                        let perm = vec![0, 1, 3, 2];
                        let shares = self.push(Op::Transpose { perm }, vec![shares], scores, whole);
                        self.push(product, vec![q, shares], split, next)
                    }
                    _ => {
                        let table = Arc::new(std::array::from_fn(|_| self.dice.byte()));
                        let s = self.push(Op::Lookup(table), vec![s], scores, next);
                        self.push(product, vec![q, s], split, next)
                    }
                };
                self.push(Op::Reshape, vec![y], shape, next)
            }
            14 | 15 => {
                let table = std::array::from_fn(|_| self.dice.byte());
                self.push(Op::Lookup(Arc::new(table)), vec![x], shape, next)
            }
            16 => {
                let kernel = [1 + self.dice.below(4), 1 + self.dice.below(3)];
                let dilations = [1 + self.dice.below(2), 1];
                let strides = [1 + self.dice.below(3), 1 + self.dice.below(2)];
                let pads = [self.dice.below(2), self.dice.below(2), 0, 0];
                let out = |a: usize, dim: usize| ((dim - 1) * strides[a] + (kernel[a] - 1) * dilations[a] + 1, pads[a]);
                let [(rows, top), (cols, left)] = [out(0, h), out(1, w)];
                if rows <= top || cols <= left || h * w > 200 {
                    return x;
                }
                let (groups, outs) = if self.dice.below(2) == 0 { (c, c) } else { (1, 1 + self.dice.below(20)) };
                let conv = Conv {
                    weights: self.dice.bytes(outs * c / groups * kernel[0] * kernel[1]).into(),
                    kernel,
                    weight_zeros: self.dice.zeros(outs),
                    weight_scales: (0..outs).map(|_| 0.001 + self.dice.below(50) as f32 * 1e-4).collect(),
                    bias: (0..outs).map(|_| self.dice.below(4000) as i32 - 2000).collect(),
                    strides,
                    dilations,
                    pads,
                    groups,
                    clamp: self.clamp(),
                };
                self.push(Op::ConvTranspose(conv), vec![x], vec![n, outs, rows - top, cols - left], next)
            }
            0..=3 => {
                let kernel = [1 + self.dice.below(3), 1 + self.dice.below(3)];
                let dilations = [1 + self.dice.below(2), 1];
                let strides = [1 + self.dice.below(2), 1 + self.dice.below(2)];
                let pads = std::array::from_fn(|_| self.dice.below(3));
                let reach = |a: usize| (kernel[a] - 1) * dilations[a] + 1;
                if h + pads[0] + pads[2] < reach(0) || w + pads[1] + pads[3] < reach(1) {
                    return x;
                }
                let rows = (h + pads[0] + pads[2] - reach(0)) / strides[0] + 1;
                let cols = (w + pads[1] + pads[3] - reach(1)) / strides[1] + 1;
                let (groups, outs) = match self.dice.below(3) {
                    0 => (c, c),
                    1 if c % 2 == 0 => (2, 6),
                    _ => (1, 1 + self.dice.below(20)),
                };
                let conv = Conv {
                    weights: self.dice.bytes(outs * c / groups * kernel[0] * kernel[1]).into(),
                    weight_zeros: self.dice.zeros(outs),
                    kernel,
                    weight_scales: (0..outs).map(|_| 0.001 + self.dice.below(50) as f32 * 1e-4).collect(),
                    bias: (0..outs).map(|_| self.dice.below(4000) as i32 - 2000).collect(),
                    strides,
                    dilations,
                    pads,
                    groups,
                    clamp: self.clamp(),
                };
                self.push(Op::Conv(conv), vec![x], vec![n, outs, rows, cols], next)
            }
            4 => {
                let (first, second) = (self.step(x), self.step(x));
                let (a, b) = (self.graph.tensors[first].clone(), self.graph.tensors[second].clone());
                if a.shape[0] != b.shape[0] || a.shape[2..] != b.shape[2..] || first == second {
                    return first;
                }
                let shape = vec![a.shape[0], a.shape[1] + b.shape[1], a.shape[2], a.shape[3]];
                // As exporters do it: one quantisation for all parts. Those that other nodes rely on stay as they are.
                self.push(Op::Concat { axis: 1 }, vec![first, second], shape, a.quant)
            }
            5 => {
                let clamp = self.clamp();
                let y = self.push(
                    Op::Lookup(Arc::new(std::array::from_fn(|i| (i as i8) / 2))),
                    vec![x],
                    shape.clone(),
                    next,
                );
                self.push(Op::Add { subtract: self.dice.0.is_multiple_of(3), clamp }, vec![x, y], shape, next)
            }
            6 => {
                let all = Pool { kernel: [h, w], strides: [1, 1], dilations: [1, 1], pads: [0; 4], count_pads: false };
                let gate = self.push(Op::AveragePool(all), vec![x], vec![n, c, 1, 1], quant);
                self.push(Op::Mul { clamp: Clamp::NONE }, vec![x, gate], shape, next)
            }
            7 | 8 => {
                let max = self.dice.below(2) == 0;
                let pool = Pool {
                    kernel: [2, 2],
                    strides: [1 + self.dice.below(2), 2],
                    dilations: [1, 1],
                    pads: [self.dice.below(2), 0, 1, self.dice.below(2)],
                    count_pads: self.dice.below(2) == 0,
                };
                if w + pool.pads[3] < 2 {
                    return x;
                }
                let rows = (h + pool.pads[0] + 1 - 2) / pool.strides[0] + 1;
                let cols = (w + pool.pads[3] - 2) / 2 + 1;
                let (op, quant) = if max { (Op::MaxPool(pool), quant) } else { (Op::AveragePool(pool), next) };
                self.push(op, vec![x], vec![n, c, rows, cols], quant)
            }
            9 => {
                let tap =
                    |i: usize, len: usize, share: f32| Tap { first: i / 2, second: (i / 2 + 1).min(len - 1), share };
                let linear = self.dice.below(2) == 0;
                let share = if linear { 0.25 } else { 0.0 };
                let rows = (0..h * 2).map(|i| tap(i, h, share)).collect();
                let cols = (0..w * 2).map(|i| tap(i, w, share)).collect();
                let quant = if linear { next } else { quant };
                self.push(Op::Resize { rows, cols }, vec![x], vec![n, c, h * 2, w * 2], quant)
            }
            10 => {
                let (before, after) = (vec![0, 0, 1, self.dice.below(2)], vec![0, 0, self.dice.below(2), 1]);
                let shape = (0..4).map(|a| shape[a] + before[a] + after[a]).collect();
                let value = if self.dice.below(2) == 0 { quant.zero_point as i8 } else { 7 };
                self.push(Op::Pad { before, after, value }, vec![x], shape, quant)
            }
            11 if c % 2 == 0 => {
                // A channel shuffle, and one half of it.
                let split = self.push(Op::Reshape, vec![x], vec![n, 2, c / 2, h, w], quant);
                let perm = vec![0, 2, 1, 3, 4];
                let mixed = self.push(Op::Transpose { perm }, vec![split], vec![n, c / 2, 2, h, w], quant);
                let whole = self.push(Op::Reshape, vec![mixed], shape, quant);
                let half = Op::Slice { axis: 1, start: self.dice.below(2) * c / 2, step: 1 };
                self.push(half, vec![whole], vec![n, c / 2, h, w], quant)
            }
            12 => {
                let indices: Vec<usize> = (0..1 + self.dice.below(9)).map(|_| self.dice.below(c)).collect();
                let shape = vec![n, indices.len(), h, w];
                self.push(Op::Gather { axis: 1, indices }, vec![x], shape, quant)
            }
            _ => {
                let axis = 1 + self.dice.below(3);
                self.push(Op::Softmax { axis }, vec![x], shape, Quant { scale: 1.0 / 256.0, zero_point: -128 })
            }
        }
    }

    /// A classifier's end: rows of features, a matrix product.
    fn head(&mut self, x: TensorId) -> TensorId {
        let Tensor { shape, quant, .. } = self.graph.tensors[x].clone();
        let (n, k) = (shape[0], shape[1..].iter().product::<usize>());
        let rows = self.push(Op::Reshape, vec![x], vec![n, k], quant);
        let outs = 1 + self.dice.below(40);
        let matmul = MatMul {
            weights: self.dice.bytes(outs * k).into(),
            weight_zeros: self.dice.zeros(outs),
            weight_scales: vec![0.002; outs],
            bias: (0..outs).map(|_| self.dice.below(4000) as i32 - 2000).collect(),
            clamp: self.clamp(),
        };
        let next = self.dice.quant();
        self.push(Op::MatMul(matmul), vec![rows], vec![n, outs], next)
    }
}

fn random_graph(dice: &mut Dice) -> Graph {
    let mut growing = Growing { graph: Graph::default(), dice };
    let (n, c) = (1 + growing.dice.below(2), 1 + growing.dice.below(20));
    let (h, w) = (1 + growing.dice.below(9), 1 + growing.dice.below(9));
    let quant = growing.dice.quant();
    // Half of the inputs come channels last, as Keras has them.
    let mut x = if growing.dice.below(2) == 0 {
        let input = growing.tensor(vec![n, h, w, c], quant);
        growing.push(Op::Transpose { perm: vec![0, 3, 1, 2] }, vec![input], vec![n, c, h, w], quant)
    } else {
        growing.tensor(vec![n, c, h, w], quant)
    };
    for _ in 0..1 + growing.dice.below(6) {
        x = growing.step(x);
    }
    if growing.dice.below(2) == 0 {
        x = growing.head(x);
    }
    let mut graph = growing.graph;
    let formats = [Format::F32, Format::I8, Format::U8];
    let port = |tensor: TensorId, format| Port { tensor, name: format!("t{tensor}"), format };
    graph.inputs = vec![port(0, formats[dice.below(3)])];
    graph.outputs = vec![port(x, formats[dice.below(3)])];
    if !graph.nodes.is_empty() {
        let middle = graph.nodes[dice.below(graph.nodes.len())].output;
        graph.outputs.push(port(middle, Format::I8));
    }
    graph
}

/// Output bytes of every port, read back as they are inside.
fn run(graph: &Graph, plan: &PartitionPlan, input: &[i8], threads: usize) -> Vec<Vec<i8>> {
    let mut executor = Executor::sharing_all(&plan.program, threads);
    let quant = graph.tensors[0].quant;
    let floats: Vec<f32> = input.iter().map(|&b| (i32::from(b) - quant.zero_point) as f32 * quant.scale).collect();
    let unsigned: Vec<u8> = input.iter().map(|&b| b as u8 ^ 0x80).collect();
    let inputs = [match plan.inputs[0].0 {
        Format::F32 => Input::F32(&floats),
        Format::I8 => Input::I8(input),
        Format::U8 => Input::U8(&unsigned),
    }];
    let len = |i: usize| plan.outputs[i].1.iter().product::<usize>();
    let count = plan.outputs.len();
    let mut real: Vec<Vec<f32>> = (0..count).map(|i| vec![0.0; len(i)]).collect();
    let mut signed: Vec<Vec<i8>> = (0..count).map(|i| vec![0; len(i)]).collect();
    let mut bytes: Vec<Vec<u8>> = (0..count).map(|i| vec![0; len(i)]).collect();
    for _ in 0..2 {
        // Twice: the second inference must not see anything of the first.
        let mut outputs: Vec<Output> = Vec::new();
        for (((format, _), f), (i, u)) in plan.outputs.iter().zip(&mut real).zip(signed.iter_mut().zip(&mut bytes)) {
            outputs.push(match format {
                Format::F32 => Output::F32(f),
                Format::I8 => Output::I8(i),
                Format::U8 => Output::U8(u),
            });
        }
        executor.run(&inputs, &mut outputs, &mut |_| {}).unwrap();
    }
    (0..count)
        .map(|i| match plan.outputs[i].0 {
            Format::I8 => signed[i].clone(),
            Format::U8 => bytes[i].iter().map(|&b| (b ^ 0x80) as i8).collect(),
            Format::F32 => {
                let quant = graph.tensors[graph.outputs[i].tensor].quant;
                real[i].iter().map(|&r| round(f64::from(r), quant, Clamp::NONE)).collect()
            }
        })
        .collect()
}

#[test]
fn random_graphs_compute_what_their_nodes_say() {
    let mut kinds = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..200 {
        let mut dice = Dice(seed * 7919 + 1);
        let graph = random_graph(&mut dice);
        let input = dice.bytes(graph.tensors[0].shape.iter().product());
        let mut first: Option<Vec<Vec<i8>>> = None;
        for set in kernels::available() {
            let plan = PartitionPlan::new(&graph, set).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            for threads in [1, 3] {
                let got = run(&graph, &plan, &input, threads);
                match &first {
                    None => first = Some(got),
                    Some(first) => assert_eq!(&got, first, "seed {seed}, {} with {threads} threads", set.name()),
                }
            }
        }
        // The same graph with every tensor handed out: the same bytes, though every buffer now lives to the end.
        let mut open = graph.clone();
        let all = graph.nodes.iter().map(|n| n.output);
        open.outputs = all.map(|t| Port { tensor: t, name: format!("t{t}"), format: Format::I8 }).collect();
        let plan = PartitionPlan::new(&open, &kernels::reference::Reference).unwrap();
        let mut values: Vec<Vec<i8>> = vec![Vec::new(); graph.tensors.len()];
        values[0] = input.clone();
        for (port, bytes) in open.outputs.iter().zip(run(&open, &plan, &input, 1)) {
            values[port.tensor] = bytes;
        }
        for (port, got) in graph.outputs.iter().zip(first.unwrap()) {
            assert_eq!(got, values[port.tensor], "seed {seed}, tensor {}", port.name);
        }
        // Node by node, each from the operands that the engine itself had.
        for node in &graph.nodes {
            *kinds.entry(node.op.name()).or_default() += 1;
            // Sums, products and means are rounded in other places than in the definition: a tie may fall to the other side.
            let inexact = matches!(
                node.op,
                Op::Add { .. }
                    | Op::Mul { .. }
                    | Op::Concat { .. }
                    | Op::Resize { .. }
                    | Op::Softmax { .. }
                    | Op::LayerNorm(_)
            );
            let want = evaluate(&graph, node, &values);
            let off = values[node.output].iter().zip(&want).map(|(g, w)| (i32::from(*g) - i32::from(*w)).abs());
            let (most, wrong) = (off.clone().max().unwrap_or(0), off.filter(|&d| d > 0).count());
            let (step, share) = if inexact { (1, want.len().div_ceil(8)) } else { (0, 0) };
            assert!(
                most <= step && wrong <= share,
                "seed {seed}, {node:?}: {wrong} of {} differ by {most}",
                want.len()
            );
        }
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}
