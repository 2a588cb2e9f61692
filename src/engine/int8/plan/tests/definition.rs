//! Every operator element by element, as it is defined.

use super::super::super::graph::*;
use super::super::super::kernels::Requant;

/// Every combination of indices below `shape`, row-major.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |all, &len| {
        all.into_iter().flat_map(|prefix| (0..len).map(move |i| [prefix.clone(), vec![i]].concat())).collect()
    })
}

/// Place of an element of a tensor that lies row-major.
pub fn flat(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (len, i)| at * len + i)
}

/// Index into an operand that is broadcast to `index`.
fn broadcast(shape: &[usize], index: &[usize]) -> usize {
    let index = &index[index.len() - shape.len()..];
    shape.iter().zip(index).fold(0, |at, (&len, &i)| at * len + if len == 1 { 0 } else { i })
}

pub fn round(real: f64, quant: Quant, clamp: Clamp) -> i8 {
    let byte = (real / f64::from(quant.scale)).round_ties_even() + f64::from(quant.zero_point);
    byte.clamp(f64::from(clamp.low), f64::from(clamp.high)) as i8
}

/// One node by its definition.
pub fn evaluate(graph: &Graph, node: &Node, values: &[Vec<i8>]) -> Vec<i8> {
    let out = &graph.tensors[node.output];
    let tensor = |i: usize| &graph.tensors[node.inputs[i]];
    let x = tensor(0);
    let real = |i: usize, at: usize| {
        let quant = tensor(i).quant;
        f64::from(i32::from(values[node.inputs[i]][at]) - quant.zero_point) * f64::from(quant.scale)
    };
    let each = |f: &dyn Fn(&[usize]) -> i8| -> Vec<i8> { indices(&out.shape).iter().map(|i| f(i)).collect() };
    let byte = |index: &[usize]| values[node.inputs[0]][flat(&x.shape, index)];
    let zero = |zeros: &[i8], channel: usize| zeros.get(channel).map_or(0, |&z| i32::from(z));
    match &node.op {
        Op::Conv(c) => each(&|i| {
            let (inside, outside) = (x.shape[1] / c.groups, out.shape[1] / c.groups);
            let mut acc = c.bias[i[1]];
            for ch in 0..inside {
                for ky in 0..c.kernel[0] {
                    for kx in 0..c.kernel[1] {
                        let y = (i[2] * c.strides[0] + ky * c.dilations[0]).checked_sub(c.pads[0]);
                        let xx = (i[3] * c.strides[1] + kx * c.dilations[1]).checked_sub(c.pads[1]);
                        let (Some(y), Some(xx)) = (y, xx) else { continue };
                        if y >= x.shape[2] || xx >= x.shape[3] {
                            continue;
                        }
                        let value = i32::from(byte(&[i[0], i[1] / outside * inside + ch, y, xx])) - x.quant.zero_point;
                        let w = c.weights[((i[1] * inside + ch) * c.kernel[0] + ky) * c.kernel[1] + kx];
                        let w = i32::from(w) - zero(&c.weight_zeros, i[1]);
                        acc += value * w;
                    }
                }
            }
            dense(acc, x.quant, c.weight_scales[i[1]], out.quant, c.clamp)
        }),
        Op::ConvTranspose(c) => each(&|i| {
            let (inside, outside) = (x.shape[1] / c.groups, out.shape[1] / c.groups);
            let mut acc = c.bias[i[1]];
            for (ky, kx) in (0..c.kernel[0]).flat_map(|ky| (0..c.kernel[1]).map(move |kx| (ky, kx))) {
                let from = |axis: usize, tap: usize| {
                    let at = (i[2 + axis] + c.pads[axis]).checked_sub(tap * c.dilations[axis])?;
                    let at = at.is_multiple_of(c.strides[axis]).then_some(at / c.strides[axis])?;
                    (at < x.shape[2 + axis]).then_some(at)
                };
                let (Some(y), Some(xx)) = (from(0, ky), from(1, kx)) else { continue };
                for ch in 0..inside {
                    let value = i32::from(byte(&[i[0], i[1] / outside * inside + ch, y, xx])) - x.quant.zero_point;
                    let w = c.weights[((i[1] * inside + ch) * c.kernel[0] + ky) * c.kernel[1] + kx];
                    acc += value * (i32::from(w) - zero(&c.weight_zeros, i[1]));
                }
            }
            dense(acc, x.quant, c.weight_scales[i[1]], out.quant, c.clamp)
        }),
        Op::MatMul(m) => each(&|i| {
            let (k, n) = (*x.shape.last().unwrap(), *i.last().unwrap());
            let row = flat(&out.shape[..i.len() - 1], &i[..i.len() - 1]) * k;
            let value = |j: usize| i32::from(values[node.inputs[0]][row + j]) - x.quant.zero_point;
            let acc = m.bias[n]
                + (0..k).map(|j| value(j) * (i32::from(m.weights[n * k + j]) - zero(&m.weight_zeros, n))).sum::<i32>();
            dense(acc, x.quant, m.weight_scales[n], out.quant, m.clamp)
        }),
        Op::BatchMatMul { factor, clamp } => each(&|i| {
            let (lead, &[m, n]) = i.split_at(i.len() - 2) else { unreachable!() };
            let (terms, b) = (*x.shape.last().unwrap(), tensor(1));
            let zeros = [x.quant.zero_point, b.quant.zero_point];
            let term = |k: usize| {
                let at = |shape: &[usize], last: [usize; 2]| broadcast(shape, &[lead, &last[..]].concat());
                let first = i32::from(values[node.inputs[0]][at(&x.shape, [m, k])]) - zeros[0];
                first * (i32::from(values[node.inputs[1]][at(&b.shape, [k, n])]) - zeros[1])
            };
            let scale = x.quant.scale * b.quant.scale / out.quant.scale * factor;
            let requant = Requant { zero_point: out.quant.zero_point, low: clamp.low, high: clamp.high };
            requant.apply((0..terms).map(term).sum(), scale)
        }),
        Op::Add { subtract, clamp } => each(&|i| {
            let (a, b) = (real(0, broadcast(&x.shape, i)), real(1, broadcast(&tensor(1).shape, i)));
            round(if *subtract { a - b } else { a + b }, out.quant, *clamp)
        }),
        Op::Mul { clamp } => each(&|i| {
            round(real(0, broadcast(&x.shape, i)) * real(1, broadcast(&tensor(1).shape, i)), out.quant, *clamp)
        }),
        Op::Lookup(table) => each(&|i| table[usize::from(byte(i) as u8)]),
        Op::MaxPool(p) => each(&|i| window(p, x, i).into_iter().map(|at| values[node.inputs[0]][at]).max().unwrap()),
        Op::AveragePool(p) => each(&|i| {
            let inside = window(p, x, i);
            let count = if p.count_pads { p.kernel[0] * p.kernel[1] } else { inside.len() };
            // In f32 and in order, as the float operator: means fall halfway between two bytes all the time.
            let value =
                |&at: &usize| (i32::from(values[node.inputs[0]][at]) - x.quant.zero_point) as f32 * x.quant.scale;
            let mean = inside.iter().map(value).fold(0f32, |sum, v| sum + v) / count as f32;
            let byte = (mean / out.quant.scale).round_ties_even() + out.quant.zero_point as f32;
            byte.clamp(-128.0, 127.0) as i8
        }),
        Op::Concat { axis } => each(&|i| {
            let (mut at, mut which) = (i[*axis], 0);
            while at >= tensor(which).shape[*axis] {
                at -= tensor(which).shape[*axis];
                which += 1;
            }
            let mut index = i.to_vec();
            index[*axis] = at;
            round(real(which, flat(&tensor(which).shape, &index)), out.quant, Clamp::NONE)
        }),
        Op::Resize { rows, cols } => each(&|i| {
            let (r, c) = (rows[i[2]], cols[i[3]]);
            let mut sum = 0.0;
            for (y, wy) in [(r.first, 1.0 - r.share), (r.second, r.share)] {
                for (xx, wx) in [(c.first, 1.0 - c.share), (c.second, c.share)] {
                    sum += real(0, flat(&x.shape, &[i[0], i[1], y, xx])) * f64::from(wy) * f64::from(wx);
                }
            }
            round(sum, out.quant, Clamp::NONE)
        }),
        Op::Pad { before, value, .. } => each(&|i| {
            let index: Option<Vec<usize>> = i.iter().zip(before).map(|(i, b)| i.checked_sub(*b)).collect();
            let inside = index.filter(|index| index.iter().zip(&x.shape).all(|(i, len)| i < len));
            inside.map_or(*value, |index| byte(&index))
        }),
        Op::Reshape => values[node.inputs[0]].clone(),
        Op::Transpose { perm } => each(&|i| {
            let mut index = vec![0; i.len()];
            perm.iter().zip(i).for_each(|(&axis, &at)| index[axis] = at);
            byte(&index)
        }),
        Op::Slice { axis, start, step } => each(&|i| {
            let mut index = i.to_vec();
            index[*axis] = start + i[*axis] * step;
            byte(&index)
        }),
        Op::Gather { axis, indices } => each(&|i| {
            let mut index = i.to_vec();
            index[*axis] = indices[i[*axis]];
            byte(&index)
        }),
        Op::LayerNorm(norm) => each(&|i| {
            let (last, len) = (i.len() - 1, *x.shape.last().unwrap());
            let at = |k: usize| real(0, flat(&x.shape, &[&i[..last], &[k]].concat()));
            let mean = (0..len).map(at).sum::<f64>() / len as f64;
            let variance = (0..len).map(|k| (at(k) - mean).powi(2)).sum::<f64>() / len as f64;
            let share = (at(i[last]) - mean) / (variance + f64::from(norm.epsilon)).sqrt();
            let (scale, bias) = (norm.scale.as_ref().unwrap()[i[last]], norm.bias.as_ref().unwrap()[i[last]]);
            round(share * f64::from(scale) + f64::from(bias), out.quant, Clamp::NONE)
        }),
        Op::Softmax { axis } => each(&|i| {
            let exp = |at: usize| {
                let mut index = i.to_vec();
                index[*axis] = at;
                real(0, flat(&x.shape, &index)).exp()
            };
            let sum: f64 = (0..x.shape[*axis]).map(exp).sum();
            round(exp(i[*axis]) / sum, out.quant, Clamp::NONE)
        }),
        Op::Float(op) => panic!("{} is not of bytes", op.name()),
    }
}

fn dense(acc: i32, x: Quant, weight_scale: f32, out: Quant, clamp: Clamp) -> i8 {
    let scale = x.scale * weight_scale / out.scale;
    Requant { zero_point: out.zero_point, low: clamp.low, high: clamp.high }.apply(acc, scale)
}

fn window(p: &Pool, x: &Tensor, i: &[usize]) -> Vec<usize> {
    let mut inside = Vec::new();
    for ky in 0..p.kernel[0] {
        for kx in 0..p.kernel[1] {
            let y = (i[2] * p.strides[0] + ky * p.dilations[0]).checked_sub(p.pads[0]);
            let xx = (i[3] * p.strides[1] + kx * p.dilations[1]).checked_sub(p.pads[1]);
            if let (Some(y), Some(xx)) = (y, xx)
                && y < x.shape[2]
                && xx < x.shape[3]
            {
                inside.push(flat(&x.shape, &[i[0], i[1], y, xx]));
            }
        }
    }
    inside
}
