//! Products of floats that are quantised as they come, against their definition.

use super::super::super::kernels;
use super::super::super::kernels::executor::Executor;
use super::super::super::kernels::run::{Input, Output};
use super::super::PartitionPlan;
use super::Dice;
use super::definition::{flat, indices};
use crate::int8::graph::*;

/// Bytes, scale and zero point as `DynamicQuantizeLinear` defines them.
fn quantised(x: &[f32]) -> (Vec<i32>, f32, i32) {
    let (least, most) = x.iter().fold((0f32, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
    let scale = if least == most { 1.0 } else { (most - least) / 255.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    let bytes = x.iter().map(|v| ((v / scale).round_ties_even() + zero).clamp(0.0, 255.0) as i32);
    (bytes.collect(), scale, zero as i32)
}

/// A graph of one product between an input and an output.
fn graph(hybrid: Hybrid, shapes: [Vec<usize>; 2]) -> Graph {
    graph_of(FloatOp::Hybrid(Box::new(hybrid)), shapes)
}

/// A graph of one operator between an input and an output.
fn graph_of(op: FloatOp, shapes: [Vec<usize>; 2]) -> Graph {
    let tensors = shapes.map(|shape| Tensor {
        name: String::new(),
        shape,
        element: Element::Float,
        quant: Quant::UNIT,
        constant: None,
    });
    let port = |tensor: usize| Port { tensor, name: format!("t{tensor}"), format: Format::F32 };
    let op = Op::Float(op);
    Graph {
        tensors: tensors.into(),
        nodes: vec![Node { name: "product".into(), op, inputs: vec![0], output: 1 }],
        inputs: vec![port(0)],
        outputs: vec![port(1)],
    }
}

/// Plans and runs on every set, with several threads; results may differ by `near`.
fn check(graph: &Graph, x: &[f32], expected: &[f32], near: f32) {
    for set in kernels::available() {
        let plan = PartitionPlan::new(graph, set).expect("it can be planned");
        for threads in [1, 3] {
            let mut executor = Executor::sharing_all(&plan.program, threads);
            // Twice: what an inference leaves behind must not matter to the next.
            for _ in 0..2 {
                let mut out = vec![f32::NAN; expected.len()];
                executor.run(&[Input::F32(x)], &mut [Output::F32(&mut out)], &mut |_| {}).expect("it runs");
                let off = out.iter().zip(expected).position(|(&y, &want)| y.is_nan() || (y - want).abs() > near);
                assert_eq!(off.map(|at| (at, out[at], expected[at])), None, "{} with {threads} threads", set.name());
            }
        }
    }
}

fn floats(dice: &mut Dice, len: usize) -> Vec<f32> {
    let shift = dice.below(300) as f32 - 150.0;
    (0..len).map(|_| (dice.below(1000) as f32 / 5.0 - 100.0 + shift) / 16.0).collect()
}

#[test]
fn convolutions() {
    let dice = &mut Dice(5);
    for round in 0..90 {
        let ranges = if round < 60 { Ranges::Whole } else { Ranges::Items };
        let images = if round < 60 { 1 } else { 1 + dice.below(3) };
        let (c, h, w) = (1 + dice.below(40), 3 + dice.below(7), 3 + dice.below(7));
        let (groups, m) = match round % 3 {
            0 => (c, c),
            1 => (1, 1 + dice.below(70)),
            _ => (c, 2 * c),
        };
        let (kernel, pads) = ([1 + dice.below(3), 1 + dice.below(3)], std::array::from_fn(|_| dice.below(3)));
        let stride = 1 + dice.below(2);
        let out: [usize; 2] = std::array::from_fn(|a| ([h, w][a] + pads[a] + pads[a + 2] - kernel[a]) / stride + 1);
        let inside = c / groups;
        let conv = Conv {
            weights: dice.bytes(m * inside * kernel[0] * kernel[1]).into(),
            weight_zeros: dice.zeros(m),
            kernel,
            weight_scales: (0..m).map(|_| 0.001 + dice.below(50) as f32 * 1e-4).collect(),
            bias: Vec::new(),
            strides: [stride; 2],
            dilations: [1, 1],
            pads,
            groups,
            clamp: Clamp::NONE,
        };
        let bias: Vec<f32> = (0..m).map(|_| dice.below(100) as f32 / 50.0 - 1.0).collect();
        let (low, high) = if round % 2 == 0 { (0.0, 6.0) } else { (f32::NEG_INFINITY, f32::INFINITY) };
        let shapes = [vec![images, c, h, w], vec![images, m, out[0], out[1]]];
        let pictures: Vec<Vec<f32>> = (0..images).map(|_| floats(dice, c * h * w)).collect();
        let quantised: Vec<_> = pictures.iter().map(|x| quantised(x)).collect();
        let value = |i: &[usize]| {
            let (bytes, scale, zero) = &quantised[i[0]];
            let mut acc = 0;
            for (ch, ky, kx) in indices(&[inside, kernel[0], kernel[1]]).iter().map(|k| (k[0], k[1], k[2])) {
                let (y, xx) = (i[2] * stride + ky, i[3] * stride + kx);
                let inside_picture = y >= pads[0] && xx >= pads[1] && y - pads[0] < h && xx - pads[1] < w;
                if !inside_picture {
                    continue;
                }
                let at = [0, i[1] / (m / groups) * inside + ch, y - pads[0], xx - pads[1]];
                let weight = conv.weights[((i[1] * inside + ch) * kernel[0] + ky) * kernel[1] + kx];
                let weight_zero = conv.weight_zeros.get(i[1]).map_or(0, |&z| i32::from(z));
                acc += (bytes[flat(&shapes[0], &at)] - zero) * (i32::from(weight) - weight_zero);
            }
            (acc as f32 * (*scale * conv.weight_scales[i[1]]) + bias[i[1]]).clamp(low, high)
        };
        let expected: Vec<f32> = indices(&shapes[1]).iter().map(|i| value(i)).collect();
        let hybrid = Hybrid { product: Product::Conv(conv.clone()), ranges, bias: bias.clone(), low, high };
        check(&graph(hybrid, shapes.clone()), &pictures.concat(), &expected, 0.0);
    }
}

#[test]
fn matrix_products() {
    let dice = &mut Dice(6);
    for round in 0..80 {
        let ranges = if round % 2 == 0 { Ranges::Whole } else { Ranges::Items };
        let (rows, k, n) = (1 + dice.below(20), 1 + dice.below(150), 1 + dice.below(90));
        let matmul = MatMul {
            weights: dice.bytes(n * k).into(),
            weight_zeros: dice.zeros(n),
            weight_scales: (0..n).map(|_| 0.001 + dice.below(50) as f32 * 1e-4).collect(),
            bias: Vec::new(),
            clamp: Clamp::NONE,
        };
        let bias: Vec<f32> = (0..n).map(|_| dice.below(100) as f32 / 50.0 - 1.0).collect();
        let x = match ranges {
            Ranges::Whole => floats(dice, rows * k),
            Ranges::Items => (0..rows).flat_map(|_| floats(dice, k)).collect(),
        };
        let parts: Vec<_> = match ranges {
            Ranges::Whole => vec![quantised(&x); rows],
            Ranges::Items => x.chunks(k).map(quantised).collect(),
        };
        let value = |row: usize, column: usize| {
            let (bytes, scale, zero) = &parts[row];
            let start = if ranges == Ranges::Whole { row * k } else { 0 };
            let weight_zero = matmul.weight_zeros.get(column).map_or(0, |&z| i32::from(z));
            let products =
                (0..k).map(|i| (bytes[start + i] - zero) * (i32::from(matmul.weights[column * k + i]) - weight_zero));
            products.sum::<i32>() as f32 * (*scale * matmul.weight_scales[column]) + bias[column]
        };
        let expected: Vec<f32> = indices(&[rows, n]).iter().map(|i| value(i[0], i[1])).collect();
        let hybrid = Hybrid {
            product: Product::MatMul(matmul.clone()),
            ranges,
            bias: bias.clone(),
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        };
        // Zero points of rows are taken off in floats.
        let near = if ranges == Ranges::Whole { 0.0 } else { 1e-2 };
        let shapes =
            if rows % 2 == 0 { [vec![2, rows / 2, k], vec![2, rows / 2, n]] } else { [vec![rows, k], vec![rows, n]] };
        check(&graph(hybrid, shapes), &x, &expected, near);
    }
}

#[test]
fn hidden_states_of_all_sequences_are_quantised_in_every_step() {
    let dice = &mut Dice(8);
    for round in 0..12 {
        let (steps, batch, units) = (1 + dice.below(5), 1 + dice.below(6), 1 + dice.below(40));
        let (width, reverse) = (4 * units, round % 2 == 1);
        let matmul = MatMul {
            weights: dice.bytes(width * units).into(),
            weight_zeros: dice.zeros(width),
            weight_scales: (0..width).map(|_| 0.001 + dice.below(50) as f32 * 1e-4).collect(),
            bias: Vec::new(),
            clamp: Clamp::NONE,
        };
        let bias: Vec<f32> = (0..width).map(|_| dice.below(100) as f32 / 50.0 - 1.0).collect();
        let x: Vec<f32> = (0..steps * batch * width).map(|_| dice.below(200) as f32 / 50.0 - 2.0).collect();
        let mut expected = vec![0f32; (steps + 1) * batch * units];
        let (mut hidden, mut cell) = (vec![0f32; batch * units], vec![0f32; batch * units]);
        for step in 0..steps {
            let step = if reverse { steps - 1 - step } else { step };
            let (bytes, scale, zero) = quantised(&hidden);
            for (item, unit) in (0..batch).flat_map(|item| (0..units).map(move |unit| (item, unit))) {
                let gate = |gate: usize| {
                    let row = gate * units + unit;
                    let weight_zero = matmul.weight_zeros.get(row).map_or(0, |&z| i32::from(z));
                    let term = |k: usize| {
                        (bytes[item * units + k] - zero) * (i32::from(matmul.weights[row * units + k]) - weight_zero)
                    };
                    let sum: i32 = (0..units).map(term).sum();
                    let own = x[(step * batch + item) * width + row];
                    f64::from(sum as f32 * (scale * matmul.weight_scales[row]) + bias[row] + own)
                };
                let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
                let at = item * units + unit;
                let new = sigmoid(gate(2)) * f64::from(cell[at]) + sigmoid(gate(0)) * gate(3).tanh();
                cell[at] = new as f32;
                expected[(step * batch + item) * units + unit] = (sigmoid(gate(1)) * new.tanh()) as f32;
            }
            hidden.copy_from_slice(&expected[step * batch * units..(step + 1) * batch * units]);
        }
        expected[steps * batch * units..].copy_from_slice(&cell);
        let layer = Recurrent {
            cell: Cell::Lstm { peepholes: None },
            weights: RecurrentWeights::Bytes(matmul),
            bias,
            clip: f32::INFINITY,
            reverse,
        };
        let shapes = [vec![steps, batch, width], vec![steps + 1, batch, units]];
        // A value that lies between two bytes may fall to either side.
        check(&graph_of(FloatOp::Recurrent(layer), shapes), &x, &expected, 0.02);
    }
}
