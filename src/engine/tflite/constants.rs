//! Names of the constants that are written, and their element types and order of elements.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;

use super::schema::ElementType;

/// A result, or the part of an operator that has no form here.
pub type Try<T> = Result<T, String>;

/// Names of constants by their contents.
#[derive(Default)]
pub struct Constants {
    /// Names of small ones by type, shape and bytes.
    pub small: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// Names of those of the file by tensor, shape and order of axes.
    pub large: HashMap<(usize, Vec<usize>, Vec<usize>), String>,
}

/// The element type in ONNX.
pub fn onnx_type(kind: ElementType) -> Try<DataType> {
    Ok(match kind {
        ElementType::F32 => DataType::Float,
        ElementType::I8 => DataType::Int8,
        ElementType::U8 => DataType::Uint8,
        ElementType::I32 => DataType::Int32,
        ElementType::I64 => DataType::Int64,
        ElementType::F64 => DataType::Double,
        ElementType::I16 => DataType::Int16,
        ElementType::U16 => DataType::Uint16,
        ElementType::U32 => DataType::Uint32,
        ElementType::U64 => DataType::Uint64,
        ElementType::Bool => DataType::Bool,
        other => return Err(format!("it is of type {}, which has no form here", other.name())),
    })
}

/// Elements of `width` bytes of a tensor of shape `shape`, with axes in another order.
pub fn permuted(values: &[u8], shape: &[usize], order: &[usize], width: usize) -> Vec<u8> {
    if order.iter().copied().eq(0..shape.len()) {
        return values.to_vec();
    }
    match width {
        1 => permuted_cells::<1>(values, shape, order),
        2 => permuted_cells::<2>(values, shape, order),
        4 => permuted_cells::<4>(values, shape, order),
        8 => permuted_cells::<8>(values, shape, order),
        _ => permuted_bytes(values, shape, order, width),
    }
}

/// [`permuted`] for elements of any width: their bytes are one more axis, which stays the innermost.
fn permuted_bytes(values: &[u8], shape: &[usize], order: &[usize], width: usize) -> Vec<u8> {
    let (shape, order) = ([shape, &[width]].concat(), [order, &[shape.len()]].concat());
    permuted_cells::<1>(values, &shape, &order)
}

/// [`permuted`] for elements of `W` bytes.
fn permuted_cells<const W: usize>(values: &[u8], shape: &[usize], order: &[usize]) -> Vec<u8> {
    let (cells, _) = values.as_chunks::<W>();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    // Axes of the result whose steps follow one another are one axis.
    let mut axes: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    for (len, stride) in order.iter().map(|&axis| (shape[axis], strides[axis])).filter(|&(len, _)| len != 1) {
        match axes.last_mut() {
            Some((before, step)) if *step == len * stride => (*before, *step) = (*before * len, stride),
            _ => axes.push((len, stride)),
        }
    }
    let mut out = Vec::with_capacity(values.len());
    let (len, stride) = axes.pop().unwrap_or((cells.len().min(1), 1));
    let mut at = vec![0usize; axes.len()];
    let mut start = 0;
    while out.len() < cells.len() {
        if stride == 1 {
            out.extend_from_slice(&cells[start..start + len]);
        } else {
            out.extend(cells[start..].iter().step_by(stride).take(len));
        }
        for (index, &(len, stride)) in at.iter_mut().zip(&axes).rev() {
            *index += 1;
            start += stride;
            if *index < len {
                break;
            }
            (*index, start) = (0, start - len * stride);
        }
    }
    out.into_flattened()
}

#[cfg(test)]
mod tests {
    use super::permuted;

    /// Element by element, by its index.
    fn by_index(values: &[u8], shape: &[usize], order: &[usize], width: usize) -> Vec<u8> {
        let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let count: usize = shape.iter().product();
        let cell = |index: usize| {
            let mut rest = index;
            let mut from = 0;
            for &axis in order.iter().rev() {
                from += rest % shape[axis] * stride(axis);
                rest /= shape[axis];
            }
            &values[from * width..][..width]
        };
        (0..count).flat_map(cell).copied().collect()
    }

    #[test]
    fn every_order_of_axes_moves_elements_where_they_belong() {
        let shapes: [&[usize]; 5] = [&[], &[7], &[3, 4, 2, 5], &[2, 1, 3, 1], &[4, 0, 3]];
        for shape in shapes {
            for width in [1, 2, 3, 4, 8, 16] {
                let len = shape.iter().product::<usize>() * width;
                let values: Vec<u8> = (0..len).map(|i| (i * 37 + i / 256) as u8).collect();
                let mut orders = vec![Vec::new()];
                for axis in 0..shape.len() {
                    let with = |order: &Vec<usize>, at: usize| [&order[..at], &[axis], &order[at..]].concat();
                    orders = orders.iter().flat_map(|order| (0..=axis).map(move |at| with(order, at))).collect();
                }
                for order in orders {
                    let found = permuted(&values, shape, &order, width);
                    assert_eq!(found, by_index(&values, shape, &order, width), "{shape:?} in order {order:?}, {width}");
                }
            }
        }
    }
}
