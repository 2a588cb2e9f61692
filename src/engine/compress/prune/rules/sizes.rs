//! Shapes that the graph computes itself: which of their elements follow a removal.

use tract_onnx::pb::NodeProto;

use super::super::trace::{Size, Tracer};
use super::shapes;
use crate::onnx::node;

/// `Shape` of a tensor with channels that may go.
pub fn of_shape(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let shape = tracer.shape(input)?;
    let rank = shape.len() as i64;
    let bound = |value: i64| (if value < 0 { value + rank } else { value }).clamp(0, rank) as usize;
    let (start, end) = (bound(node::int(found, "start", 0)?), bound(node::int(found, "end", rank)?));
    let axes = tracer.axes(input, shape.len());
    let sizes = shape.iter().zip(axes).map(|(&size, own)| own.map_or(Size::Known(size as i64), Size::Axis));
    let sizes: Vec<Size> = sizes.collect::<Vec<_>>().into_iter().take(end).skip(start).collect();
    tracer.sizes.insert(output.to_owned(), sizes);
    Ok(())
}

/// A node that reads such a list.
pub fn apply(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let list = |at: usize| {
        let name = node::required_input(found, at)?;
        let constant = || Some(tracer.integers(name)?.into_iter().map(Size::Known).collect());
        tracer.sizes.get(name).cloned().or_else(constant).ok_or_else(|| "it computes with shapes".to_owned())
    };
    let numbers = |at: usize| -> Result<Vec<i64>, String> {
        let name = node::required_input(found, at)?;
        tracer.integers(name).ok_or_else(|| "it computes with shapes".to_owned())
    };
    let told = |at: usize| node::input(found, at).is_some_and(|name| tracer.sizes.contains_key(name));
    let sizes = match found.op_type.as_str() {
        "Reshape" if told(1) && !told(0) => return shapes::reshape(tracer, index, found),
        "Expand" if told(1) && !told(0) => return shapes::expand(tracer, index, found),
        "Resize" if told(3) && !told(0) => return shapes::resize(tracer, index, found),
        "Gather" if told(0) => {
            let list: Vec<Size> = list(0)?;
            let pick = |at: i64| list.get(node::axis(at, list.len()).ok()?).cloned();
            numbers(1)?.into_iter().map(pick).collect::<Option<Vec<_>>>().ok_or("its indices do not fit")?
        }
        "Slice" if told(0) && found.input.len() >= 3 => {
            let list: Vec<Size> = list(0)?;
            let count = list.len() as i64;
            let (&[start], &[end]) = (&numbers(1)?[..], &numbers(2)?[..]) else {
                return Err("it is not followed".into());
            };
            if node::input(found, 4).is_some() && numbers(4)? != [1] {
                return Err("it is not followed".into());
            }
            let bound = |value: i64| (if value < 0 { value + count } else { value }).clamp(0, count) as usize;
            list.into_iter().take(bound(end)).skip(bound(start)).collect()
        }
        "Concat" => {
            let mut all = Vec::new();
            for at in 0..found.input.len() {
                all.extend(list(at)?);
            }
            all
        }
        "Unsqueeze" | "Squeeze" | "Cast" | "Identity" if told(0) => list(0)?,
        _ => return Err("it computes with shapes".into()),
    };
    tracer.sizes.insert(node::only_output(found)?.to_owned(), sizes);
    Ok(())
}
