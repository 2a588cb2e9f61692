//! Lowering of everything that is not a convolution or a matrix product.

use std::sync::Arc;

use super::super::graph::{Clamp, Node, Pool, Quant, Tap};
use super::super::kernels::run::ONE;
use super::super::kernels::step::{Means, Pixels, Windows, Work};
use super::super::kernels::{AddParams, FACTOR_BITS, Loops};
use super::error::PlanError;
use super::hints::CHANNELS_LAST;
use super::lower::{Lowering, place, requant};
use super::view::View;

impl Lowering<'_> {
    pub(super) fn add(&mut self, node: &Node, subtract: bool, clamp: Clamp) -> Result<(), PlanError> {
        let (views, loops) = self.operands(node)?;
        let [a, b, out] = [node.inputs[0], node.inputs[1], node.output].map(|id| self.quant(id));
        let params = add_params(a, b, out, subtract, clamp);
        let work = Work::Add { params, places: views.each_ref().map(place), loops };
        self.push(0, views[2].len(), work);
        Ok(())
    }

    pub(super) fn mul(&mut self, node: &Node, clamp: Clamp) -> Result<(), PlanError> {
        let (views, loops) = self.operands(node)?;
        let [a, b, out] = [node.inputs[0], node.inputs[1], node.output].map(|id| self.quant(id));
        let scale = f64::from(a.scale) * f64::from(b.scale) / f64::from(out.scale);
        let work = Work::Mul {
            zeros: [a.zero_point, b.zero_point],
            scale: (scale as f32).min(f32::MAX),
            requant: requant(out, clamp.low, clamp.high),
            places: views.each_ref().map(place),
            loops,
        };
        self.push(0, views[2].len(), work);
        Ok(())
    }

    /// Both operands and the result of an elementwise operator, and the loops over them; operands that are broadcast stand still
    /// along the axes that they lack.
    pub(super) fn operands(&mut self, node: &Node) -> Result<([View; 3], Loops<3>), PlanError> {
        let shape = self.shape(node.output);
        let mut views = Vec::with_capacity(3);
        for &input in &node.inputs {
            let view = self.view(input)?;
            let lead = shape.len().checked_sub(view.shape.len());
            let lead = lead.ok_or_else(|| self.error("an operand has more axes than the result"))?;
            let mut wide = View { shape: vec![1; lead], strides: vec![0; lead], ..view.clone() };
            wide.shape.extend(&view.shape);
            wide.strides.extend(&view.strides);
            for (axis, &len) in shape.iter().enumerate() {
                if wide.shape[axis] == 1 && len != 1 {
                    wide.strides[axis] = 0;
                } else if wide.shape[axis] != len {
                    return Err(self.error(format!("shape {:?} does not broadcast to {shape:?}", view.shape)));
                }
            }
            views.push(wide);
        }
        let [a, b] = <[View; 2]>::try_from(views).map_err(|_| self.error("it needs two operands"))?;
        // The result lies as the operand that has all of its elements; as the first one where both have.
        let full = if a.strides.iter().zip(shape).any(|(s, d)| *s == 0 && *d != 1) { &b } else { &a };
        let order = full.order();
        let out = self.allocate(self.target(node), &order);
        let loops = Loops::new(shape, [&a.strides, &b.strides, &out.strides]);
        Ok(([a, b, out], loops))
    }

    pub(super) fn lookup(&mut self, node: &Node, table: &Arc<[i8; 256]>) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        self.copy(&x, &out, Some(table.clone()));
        Ok(())
    }

    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Result<(), PlanError> {
        let first = self.view(node.inputs[0])?;
        let order = if first.shape.len() == 4 { CHANNELS_LAST.to_vec() } else { first.order() };
        let out = self.allocate(node.output, &order);
        let mut start = 0;
        for &input in &node.inputs {
            let x = self.view(input)?;
            let slice = out.sliced(axis, start, 1, x.shape[axis]);
            start += x.shape[axis];
            if (x.buffer, x.offset, &x.strides) == (slice.buffer, slice.offset, &slice.strides) {
                continue;
            }
            let (from, to) = (self.quant(input), self.quant(node.output));
            let table = (from != to).then(|| Arc::new(requantised(from, to)));
            self.copy(&x, &slice, table);
        }
        Ok(())
    }

    pub(super) fn pool(&mut self, node: &Node, pool: &Pool, max: bool) -> Result<(), PlanError> {
        let [n, channels, height, width] = self.image(node.inputs[0])?;
        let [_, _, rows, cols] = self.image(node.output)?;
        let x = self.channels_last(node.inputs[0], [0; 4])?;
        let y = self.image_out(node);
        let (Some(rows), Some(cols)) = (windows(pool, 0, height, rows), windows(pool, 1, width, cols)) else {
            return Err(self.error("a window lies in the padding alone"));
        };
        let (input, output) = (pixels(&x), pixels(&y));
        let bytes = y.len();
        if max {
            let work = Work::MaxPool { rows, cols, channels, input, output, images: n };
            self.push(0, bytes, work);
            return Ok(());
        }
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        let work = Work::AveragePool {
            rows,
            cols,
            channels,
            input,
            output,
            images: n,
            means: Means {
                from: (from.scale, from.zero_point),
                to: (to.scale, to.zero_point),
                divisor: pool.count_pads.then_some(pool.kernel[0] * pool.kernel[1]),
            },
        };
        self.push(0, bytes, work);
        Ok(())
    }

    pub(super) fn resize(&mut self, node: &Node, rows: &[Tap], cols: &[Tap]) -> Result<(), PlanError> {
        let [n, channels, ..] = self.image(node.inputs[0])?;
        let x = self.channels_last(node.inputs[0], [0; 4])?;
        let y = self.image_out(node);
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        let taps = |taps: &[Tap]| -> Vec<(usize, usize, i32)> {
            taps.iter().map(|t| (t.first, t.second, (t.share * ONE as f32).round_ties_even() as i32)).collect()
        };
        let nearest = rows.iter().chain(cols).all(|t| t.share == 0.0);
        let work = Work::Resize {
            rows: taps(rows),
            cols: taps(cols),
            channels,
            input: pixels(&x),
            output: pixels(&y),
            images: n,
            x_zero: from.zero_point,
            ratio: (f64::from(from.scale) / f64::from(to.scale)) as f32,
            requant: requant(to, -128, 127),
            copy: nearest && from == to,
        };
        self.push(0, y.len(), work);
        Ok(())
    }

    pub(super) fn gather(&mut self, node: &Node, axis: usize, indices: &[usize]) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        if let Some((rows, cols, steps)) = regular(indices) {
            // A rectangle of evenly spaced elements, as of a slice or of a channel shuffle: a copy between views.
            let from = |view: &View, steps: [usize; 2], offset: usize| {
                let mut wide = view.clone();
                wide.offset += offset * view.strides[axis];
                wide.shape[axis] = cols;
                wide.strides[axis] *= steps[1];
                wide.shape.push(rows);
                wide.strides.push(steps[0] * view.strides[axis]);
                wide
            };
            self.copy(&from(&x, steps, indices[0]), &from(&out, [cols, 1], 0), None);
            return Ok(());
        }
        let offsets = indices.iter().map(|i| i * x.strides[axis]).collect();
        let loops = without(axis, &x, &out);
        let work = Work::Gather { offsets, step: out.strides[axis], places: [place(&x), place(&out)], loops };
        self.push(0, out.len(), work);
        Ok(())
    }

    pub(super) fn softmax(&mut self, node: &Node, axis: usize) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        // In f64, so that the table is the same wherever the mathematics library is not.
        let table = std::array::from_fn(|d| (-(d as f64) * f64::from(from.scale)).exp() as f32);
        let work = Work::Softmax {
            table: Arc::new(table),
            inverse: (1.0 / f64::from(to.scale)) as f32,
            requant: requant(to, -128, 127),
            len: x.shape[axis],
            steps: [x.strides[axis], out.strides[axis]],
            places: [place(&x), place(&out)],
            loops: without(axis, &x, &out),
        };
        self.push(0, out.len(), work);
        Ok(())
    }

    /// A result with the channels innermost.
    fn image_out(&mut self, node: &Node) -> View {
        self.allocate(node.output, &CHANNELS_LAST)
    }
}

/// The input positions of the `count` windows of a pool along an axis (0 for rows) of `size` elements, those in the padding left out; `None` where one
/// has no others.
pub(super) fn windows(pool: &Pool, axis: usize, size: usize, count: usize) -> Option<Windows> {
    let (kernel, stride, dilation) = (pool.kernel[axis], pool.strides[axis], pool.dilations[axis]);
    let spans: Option<Vec<(usize, usize)>> = (0..count)
        .map(|i| {
            let inside = (0..kernel).filter_map(|k| (i * stride + k * dilation).checked_sub(pool.pads[axis]));
            let inside: Vec<usize> = inside.filter(|&p| p < size).collect();
            inside.first().map(|&first| (first, inside.len()))
        })
        .collect();
    Some(Windows { spans: spans?, dilation })
}

pub(super) fn pixels(view: &View) -> Pixels {
    Pixels { place: place(view), steps: [view.strides[0], view.strides[2], view.strides[3]] }
}

/// Indices as `first + row · steps[0] + col · steps[1]`, row-major: rows, columns, steps. None if they are anything else.
fn regular(indices: &[usize]) -> Option<(usize, usize, [usize; 2])> {
    let &[first, ..] = indices else { return None };
    let across = indices.get(1).map_or(Some(0), |second| second.checked_sub(first))?;
    let cols = (1..indices.len()).find(|&i| indices[i] != first + i * across).unwrap_or(indices.len());
    let down = indices.get(cols).map_or(Some(0), |next| next.checked_sub(first))?;
    let even = indices.len().is_multiple_of(cols)
        && indices.iter().enumerate().all(|(i, &index)| index == first + i / cols * down + i % cols * across);
    even.then_some((indices.len() / cols, cols, [down, across]))
}

/// The loops over all axes but one.
pub(super) fn without(axis: usize, x: &View, out: &View) -> Loops<2> {
    let drop = |values: &[usize]| -> Vec<usize> {
        values.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &v)| v).collect()
    };
    Loops::new(&drop(&out.shape), [&drop(&x.strides), &drop(&out.strides)])
}

/// Table from the bytes of one quantisation to those of another.
fn requantised(from: Quant, to: Quant) -> [i8; 256] {
    std::array::from_fn(|index| {
        let real = (i32::from(index as u8 as i8) - from.zero_point) as f32 * from.scale;
        let byte = (real / to.scale).round_ties_even() as f64 + f64::from(to.zero_point);
        byte.clamp(-128.0, 127.0) as i8
    })
}

/// Most bits after the point: zero point and sum stay below 2^31.
const MAX_SHIFT: i32 = 22;

fn add_params(a: Quant, b: Quant, out: Quant, subtract: bool, clamp: Clamp) -> AddParams {
    let (ra, rb) = (f64::from(a.scale) / f64::from(out.scale), f64::from(b.scale) / f64::from(out.scale));
    let shift = (FACTOR_BITS as i32 - 1 - ra.max(rb).log2().floor() as i32).clamp(0, MAX_SHIFT);
    let one = f64::from(1u32 << shift);
    let most = f64::from((1i32 << FACTOR_BITS) - 1);
    // A factor beyond that means a step of the operand is larger than the whole range of the result: it saturates anyway.
    let factor = |ratio: f64| (ratio * one).round().min(most) as i32;
    let (fa, fb) = (factor(ra), if subtract { -factor(rb) } else { factor(rb) });
    let half = if shift > 0 { 1i32 << (shift - 1) } else { 0 };
    AddParams {
        a_factor: fa,
        b_factor: fb,
        offset: (out.zero_point << shift) - a.zero_point * fa - b.zero_point * fb + half,
        shift: shift as u32,
        low: clamp.low,
        high: clamp.high,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_indices_are_told_from_others() {
        assert_eq!(regular(&[3, 4, 5]), Some((1, 3, [0, 1])));
        assert_eq!(regular(&[1, 3, 5, 7]), Some((1, 4, [0, 2])));
        assert_eq!(regular(&[0, 3, 1, 4, 2, 5]), Some((3, 2, [1, 3])));
        assert_eq!(regular(&[7]), Some((1, 1, [0, 0])));
        assert_eq!(regular(&[2, 2, 2]), Some((1, 3, [0, 0])));
        for other in [&[][..], &[2, 1], &[0, 1, 5], &[0, 1, 5, 7], &[0, 2, 1, 3, 2]] {
            assert_eq!(regular(other), None, "{other:?}");
        }
    }

    #[test]
    fn sums_are_rounded_and_saturated() {
        let quant = |scale, zero_point| Quant { scale, zero_point };
        for (a, b, out) in [
            (quant(0.1, -5), quant(0.07, 30), quant(0.12, 3)),
            (quant(1.0, 0), quant(1.0, 0), quant(1.0, 0)),
            (quant(1e-4, 127), quant(3.0, -128), quant(2.0, -128)),
            (quant(100.0, 1), quant(1e-3, 2), quant(1e-3, 3)),
        ] {
            for subtract in [false, true] {
                let params = add_params(a, b, out, subtract, Clamp::NONE);
                for x in (-128..=127).step_by(5) {
                    for y in (-128..=127).step_by(7) {
                        let sum = x * params.a_factor + y * params.b_factor + params.offset;
                        let got = (sum >> params.shift).clamp(-128, 127);
                        let real = |v: i32, q: Quant| f64::from(v - q.zero_point) * f64::from(q.scale);
                        let sign = if subtract { -1.0 } else { 1.0 };
                        let sum = (real(x, a) + sign * real(y, b)) / f64::from(out.scale);
                        let want = (sum + f64::from(out.zero_point)).clamp(-128.0, 127.0);
                        assert!((f64::from(got) - want).abs() < 0.501, "{a:?} {b:?} {out:?} {x} {y}: {got} {want}");
                    }
                }
            }
        }
    }
}
