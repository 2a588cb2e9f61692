//! Running products and determinants.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{advance, around, axis, doubles, ints, of_doubles, required, scalar};
use crate::onnx::node;

/// `CumProd` (opset 26): products of the elements up to each one along an axis.
pub(super) fn cum_prod(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(CumProd { exclusive: node::flag(node, "exclusive")?, reverse: node::flag(node, "reverse")? }))
}

#[derive(Debug)]
struct CumProd {
    exclusive: bool,
    reverse: bool,
}

impl Kernel for CumProd {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        Ok(Some(vec![(x.dtype, x.shape.clone())]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let axis = axis(scalar(required(inputs, 1)?)?, x.rank())?;
        let (outer, len, inner) = around(x.shape(), axis);
        let whole = x.datum_type().is_integer();
        let (reals, integers) = if whole { (vec![], ints(x)?) } else { (doubles(x)?, vec![]) };
        let (mut products, mut whole_products) = (vec![1.0; reals.len()], vec![1i64; integers.len()]);
        for lane in 0..outer * inner {
            let at = |step: usize| {
                let step = if self.reverse { len - 1 - step } else { step };
                (lane / inner * len + step) * inner + lane % inner
            };
            let (mut product, mut whole_product) = (1.0, 1i64);
            for step in 0..len {
                let index = at(step);
                let before = (product, whole_product);
                if whole {
                    whole_product = whole_product.wrapping_mul(integers[index]);
                    whole_products[index] = if self.exclusive { before.1 } else { whole_product };
                } else {
                    product *= reals[index];
                    products[index] = if self.exclusive { before.0 } else { product };
                }
            }
        }
        let result = match whole {
            true => Tensor::from_shape(x.shape(), &whole_products)?.cast_to_dt(x.datum_type())?.into_owned(),
            false => of_doubles(x.datum_type(), x.shape(), &products)?,
        };
        Ok(vec![result])
    }
}

/// `Det`: determinants of square matrices.
pub(super) fn det(_: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Det))
}

#[derive(Debug)]
struct Det;

impl Kernel for Det {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        let [outer @ .., rows, columns] = &x.shape[..] else { return Err(unfit(&x.shape)) };
        if rows == columns { Ok(Some(vec![(x.dtype, outer.to_vec())])) } else { Err(unfit(&x.shape)) }
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let [outer @ .., n, _] = x.shape() else { return Err(unfit(x.shape())) };
        let mut values = doubles(x)?;
        let determinants: Vec<f64> = match *n {
            0 => vec![1.0; outer.iter().product()],
            n => values.chunks_mut(n * n).map(|matrix| determinant(matrix, n)).collect(),
        };
        Ok(vec![of_doubles(x.datum_type(), outer, &determinants)?])
    }
}

fn unfit(shape: &[usize]) -> TractError {
    format_err!("its input of shape {shape:?} is no square matrix")
}

/// By elimination with row pivots.
fn determinant(matrix: &mut [f64], n: usize) -> f64 {
    let mut product = 1.0;
    for column in 0..n {
        let size = |row: &usize| matrix[row * n + column].abs();
        let pivot = (column..n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(column);
        if matrix[pivot * n + column] == 0.0 {
            return 0.0;
        }
        if pivot != column {
            (0..n).for_each(|k| matrix.swap(pivot * n + k, column * n + k));
            product = -product;
        }
        product *= matrix[column * n + column];
        for row in column + 1..n {
            let factor = matrix[row * n + column] / matrix[column * n + column];
            (column..n).for_each(|k| matrix[row * n + k] -= factor * matrix[column * n + k]);
        }
    }
    product
}

/// `BitShift`: a shift by as many bits as there are, or more, leaves nothing but the sign.
pub(super) fn bit_shift(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    match node::text(node, "direction", "")? {
        "LEFT" => Ok(Arc::new(BitShift { right: false })),
        "RIGHT" => Ok(Arc::new(BitShift { right: true })),
        other => bail!("its direction is {other:?}, allowed are LEFT and RIGHT"),
    }
}

#[derive(Debug)]
struct BitShift {
    right: bool,
}

impl BitShift {
    fn shifted(&self, x: i64, by: i64, bits: i64, signed: bool) -> i64 {
        if !(0..bits).contains(&by) {
            return if self.right && signed && x < 0 { -1 } else { 0 };
        }
        let unused = 64 - bits;
        match (self.right, signed) {
            (true, true) => x >> by,
            (true, false) => (x as u64 >> by) as i64,
            (false, true) => x << by << unused >> unused,
            (false, false) => ((x as u64) << by << unused >> unused) as i64,
        }
    }
}

impl Kernel for BitShift {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, by) = (required(inputs, 0)?, required(inputs, 1)?);
        Ok(Some(vec![(x.dtype, broadcast(&x.shape, &by.shape)?)]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (x, by) = (*required(inputs, 0)?, *required(inputs, 1)?);
        let dtype = x.datum_type();
        ensure!(dtype.is_integer(), "its input is {dtype:?}, expected are integers");
        let shape = broadcast(x.shape(), by.shape())?;
        let (values, shifts) = (ints(x)?, ints(by)?);
        let (bits, signed) = (dtype.size_of() as i64 * 8, dtype.is_signed());
        let mut made = Vec::new();
        let mut index = vec![0; shape.len()];
        if !shape.contains(&0) {
            loop {
                let (a, b) = (place(&index, x.shape()), place(&index, by.shape()));
                made.push(self.shifted(values[a], shifts[b], bits, signed));
                if !advance(&mut index, &shape) {
                    break;
                }
            }
        }
        Ok(vec![Tensor::from_shape(&shape, &made)?.cast_to_dt(dtype)?.into_owned()])
    }
}

/// Shape of two operands broadcast (NumPy's rules).
fn broadcast(a: &[usize], b: &[usize]) -> TractResult<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let dims = (0..rank).map(|axis| match (dim(a, axis), dim(b, axis)) {
        (1, other) | (other, 1) => Ok(other),
        (same, other) if same == other => Ok(same),
        _ => bail!("shapes {a:?} and {b:?} do not broadcast"),
    });
    dims.collect()
}

/// Place of an element of a broadcast operand.
fn place(index: &[usize], shape: &[usize]) -> usize {
    let index = &index[index.len() - shape.len()..];
    index.iter().zip(shape).fold(0, |place, (&at, &dim)| place * dim + if dim == 1 { 0 } else { at })
}
