//! `OneHot`, and `Pad` that goes round.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{advance, around, axis, doubles, ints, optional, required, scalar, strides, zeros};
use crate::onnx::node;

/// `OneHot`: an index beyond the depth, or before its negative, is at no place.
pub(super) fn one_hot(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(OneHot { axis: node::int(node, "axis", -1)? }))
}

#[derive(Debug)]
struct OneHot {
    axis: i64,
}

impl OneHot {
    /// The output's shape, and where the new axis is.
    fn shape(&self, indices: &[usize], depth: &Tensor) -> TractResult<(Vec<usize>, usize)> {
        let depth = scalar(depth)?;
        let depth = usize::try_from(depth).ok().with_context(|| format!("its depth is {depth}"))?;
        let axis = axis(self.axis, indices.len() + 1)?;
        let mut shape = indices.to_vec();
        shape.insert(axis, depth);
        Ok((shape, axis))
    }
}

impl Kernel for OneHot {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (indices, depth, values) = (required(inputs, 0)?, required(inputs, 1)?, required(inputs, 2)?);
        let Some(depth) = &depth.value else { return Ok(None) };
        Ok(Some(vec![(values.dtype, self.shape(&indices.shape, depth)?.0)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (indices, depth, values) = (*required(inputs, 0)?, *required(inputs, 1)?, *required(inputs, 2)?);
        let (shape, axis) = self.shape(indices.shape(), depth)?;
        ensure!(values.len() == 2, "its values have shape {:?}, expected are two", values.shape());
        let mut made = zeros(values.datum_type(), &shape)?;
        let (_, depth, inner) = around(&shape, axis);
        let size = values.datum_type().size_of();
        let (off, on) = values.as_bytes().split_at(size);
        let bytes = made.as_bytes_mut();
        bytes.chunks_exact_mut(size).for_each(|element| element.copy_from_slice(off));
        for (place, index) in doubles(indices)?.into_iter().enumerate() {
            let index = if index < 0.0 { index + depth as f64 } else { index };
            if (0.0..depth as f64).contains(&index) {
                let at = (place / inner * depth + index as usize) * inner + place % inner;
                bytes[at * size..][..size].copy_from_slice(on);
            }
        }
        Ok(vec![made])
    }
}

/// `Pad` with the other end of a tensor around it (mode `wrap`).
pub(super) fn wrap(_: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Wrap))
}

#[derive(Debug)]
struct Wrap;

/// Elements before and behind, for each axis.
fn pads(rank: usize, pads: &[i64], axes: Option<Vec<i64>>) -> TractResult<Vec<(usize, usize)>> {
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    ensure!(pads.len() == 2 * axes.len(), "it has {} pads for {} axes", pads.len(), axes.len());
    let mut by_axis = vec![(0, 0); rank];
    for (index, &along) in axes.iter().enumerate() {
        let pair = (usize::try_from(pads[index]), usize::try_from(pads[index + axes.len()]));
        let (Ok(before), Ok(behind)) = pair else {
            bail!("one of its pads {pads:?} is below 0, which wrap has no meaning for")
        };
        by_axis[axis(along, rank)?] = (before, behind);
    }
    Ok(by_axis)
}

fn padded(shape: &[usize], pads: &[(usize, usize)]) -> TractResult<Vec<usize>> {
    let empty = shape.iter().zip(pads).any(|(dim, (before, behind))| *dim == 0 && before + behind > 0);
    ensure!(!empty, "its input of shape {shape:?} has nothing to pad with");
    Ok(shape.iter().zip(pads).map(|(dim, (before, behind))| dim + before + behind).collect())
}

impl Kernel for Wrap {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, given) = (required(inputs, 0)?, required(inputs, 1)?);
        let Some(given) = &given.value else { return Ok(None) };
        let axes = match optional(inputs, 3) {
            Some(Known { value: None, .. }) => return Ok(None),
            Some(Known { value: Some(axes), .. }) => Some(ints(axes)?),
            None => None,
        };
        Ok(Some(vec![(x.dtype, padded(&x.shape, &pads(x.shape.len(), &ints(given)?, axes)?)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, given) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let axes = optional(inputs, 3).map(|axes| ints(axes)).transpose()?;
        let pads = pads(x.rank(), &ints(given)?, axes)?;
        let shape = padded(x.shape(), &pads)?;
        let mut made = zeros(x.datum_type(), &shape)?;
        if made.len() == 0 {
            return Ok(vec![made]);
        }
        let (size, strides, from) = (x.datum_type().size_of(), strides(x.shape()), x.as_bytes());
        // The first element is the one that stands `before` in front of the start, going round.
        let start: Vec<usize> =
            x.shape().iter().zip(&pads).map(|(dim, (before, _))| (dim - before % dim) % dim).collect();
        let mut index = vec![0; shape.len()];
        for element in made.as_bytes_mut().chunks_exact_mut(size) {
            let along = |a: usize| (start[a] + index[a]) % x.shape()[a] * strides[a];
            let at: usize = (0..index.len()).map(along).sum();
            element.copy_from_slice(&from[at * size..][..size]);
            advance(&mut index, &shape);
        }
        Ok(vec![made])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::NodeBuilder;

    #[test]
    fn an_index_that_is_none_of_the_depth_is_at_no_place() {
        let node = NodeBuilder::new("OneHot", ["i", "d", "v"]).int("axis", 0).named("n", ["y"]);
        let (depth, values) = (tensor0(3i64), tensor1(&[5i32, 9]));
        let indices = tensor1(&[0i64, 2, -1, 3, -4]);
        let made = one_hot(&node, 11).unwrap().run(&[Some(&indices), Some(&depth), Some(&values)]).unwrap();
        assert_eq!(made[0], tensor2(&[[9i32, 5, 5, 5, 5], [5, 5, 5, 5, 5], [5, 9, 9, 5, 5]]));
    }

    #[test]
    fn padding_goes_round_more_than_once() {
        let node = NodeBuilder::new("Pad", ["x", "p"]).named("n", ["y"]);
        let x = tensor2(&[[1i64, 2, 3]]);
        let run = |pads: &[i64]| wrap(&node, 25).unwrap().run(&[Some(&x), Some(&tensor1(pads))]);
        assert_eq!(
            run(&[0, 4, 1, 2]).unwrap()[0],
            tensor2(&[[3i64, 1, 2, 3, 1, 2, 3, 1, 2], [3, 1, 2, 3, 1, 2, 3, 1, 2]])
        );
        assert!(run(&[0, -1, 0, 0]).unwrap_err().to_string().contains("below 0"));
    }
}
