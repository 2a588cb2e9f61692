//! `Upsample`, and `Resize` of operator set 10, which knows one way only: the upper left elements stand on each other.
//!
//! Between two elements the nearest is the one before where a tensor becomes larger, and the one behind where it becomes smaller, as
//! onnxruntime has it.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{around, check_size, doubles, floats, of_doubles, required};
use crate::onnx::node;

#[derive(Debug)]
struct Upsample {
    linear: bool,
}

pub(super) fn upsample(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    match node::text(node, "mode", "nearest")? {
        "nearest" => Ok(Arc::new(Upsample { linear: false })),
        "linear" | "bilinear" | "trilinear" => Ok(Arc::new(Upsample { linear: true })),
        other => bail!("its mode is {other:?}, allowed are nearest and linear"),
    }
}

impl Upsample {
    fn shape(&self, x: &[usize], scales: &[f32], dtype: DatumType) -> TractResult<Vec<usize>> {
        let good = scales.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        ensure!(good && scales.len() == x.len(), "its scales {scales:?} do not fit shape {x:?}");
        let shape: Vec<usize> = x.iter().zip(scales).map(|(&dim, scale)| (dim as f32 * scale) as usize).collect();
        check_size(dtype, &shape)?;
        Ok(shape)
    }

    /// For each of `count` elements of an axis: those of the input that it lies between, and the share of the second.
    fn taps(&self, dim: usize, count: usize, scale: f32) -> Vec<(usize, usize, f64)> {
        let last = dim.saturating_sub(1);
        let tap = |index: usize| {
            let place = index as f32 / scale;
            if !self.linear {
                let nearest = if scale < 1.0 { place.ceil() } else { place.floor() };
                return ((nearest as usize).min(last), 0, 0.0);
            }
            let first = (place as usize).min(last);
            let share = if first == last { 0.0 } else { place - first as f32 };
            (first, (first + 1).min(last), f64::from(share))
        };
        (0..count).map(tap).collect()
    }
}

impl Kernel for Upsample {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, scales) = (required(inputs, 0)?, required(inputs, 1)?);
        let Some(scales) = &scales.value else { return Ok(None) };
        Ok(Some(vec![(x.dtype, self.shape(&x.shape, &floats(scales)?, x.dtype)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, scales) = (*required(inputs, 0)?, floats(required(inputs, 1)?)?);
        let (dtype, wanted) = (x.datum_type(), self.shape(x.shape(), &scales, x.datum_type())?);
        let mut made = x.clone();
        // One axis after the other, the last one first: what is made large comes late.
        for axis in (0..wanted.len()).rev().filter(|&axis| scales[axis] != 1.0) {
            let mut shape: TVec<usize> = made.shape().into();
            let (outer, dim, inner) = around(&shape, axis);
            shape[axis] = wanted[axis];
            let taps = self.taps(dim, wanted[axis], scales[axis]);
            made = if self.linear {
                let from = doubles(&made)?;
                let mut to = Vec::with_capacity(outer * taps.len() * inner);
                for lane in 0..outer {
                    for &(first, second, share) in &taps {
                        let [a, b] = [first, second].map(|at| &from[(lane * dim + at) * inner..][..inner]);
                        to.extend(a.iter().zip(b).map(|(a, b)| a + (b - a) * share));
                    }
                }
                of_doubles(dtype, &shape, &to)?
            } else {
                let row = inner * dtype.size_of();
                let mut next = Tensor::zero_dt(dtype, &shape)?;
                let mut rows = next.as_bytes_mut().chunks_exact_mut(row.max(1));
                for lane in 0..outer {
                    for (first, ..) in &taps {
                        if let Some(to) = rows.next() {
                            to.copy_from_slice(&made.as_bytes()[(lane * dim + first) * row..][..row]);
                        }
                    }
                }
                next
            };
        }
        Ok(vec![made])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::NodeBuilder;

    fn run(mode: &str, x: &Tensor, scales: &[f32]) -> Tensor {
        let node = NodeBuilder::new("Upsample", ["x", "s"]).text("mode", mode).named("n", ["y"]);
        upsample(&node, 9).unwrap().run(&[Some(x), Some(&tensor1(scales))]).unwrap().remove(0)
    }

    #[test]
    fn the_nearest_is_the_one_before_or_behind() {
        let x = tensor2(&[[1i32, 2], [3, 4]]);
        assert_eq!(run("nearest", &x, &[1.0, 3.0]), tensor2(&[[1i32, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]]));
        // Places 0, 1.43 and 2.86 of 0 to 4.
        assert_eq!(run("nearest", &tensor1(&[0i32, 1, 2, 3, 4]), &[0.7]), tensor1(&[0i32, 2, 3]));
    }

    #[test]
    fn mixtures_end_at_the_last_element() {
        let x = tensor2(&[[0.0f32, 4.0], [8.0, 12.0]]);
        let wanted = [[0.0f32, 2.0, 4.0, 4.0], [4.0, 6.0, 8.0, 8.0], [8.0, 10.0, 12.0, 12.0], [8.0, 10.0, 12.0, 12.0]];
        assert_eq!(run("linear", &x, &[2.0, 2.0]), tensor2(&wanted));
    }
}
