//! Inputs, outputs and attributes of one node.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use super::OnnxError;

/// Largest element of a window attribute (kernel, stride, dilation, padding) that is accepted.
const MAX_WINDOW: i64 = 1 << 16;

/// Input `index`, unless it is left out.
pub fn input(node: &NodeProto, index: usize) -> Option<&str> {
    node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
}

/// Input `index`, which the operator requires.
///
/// # Errors
/// [`OnnxError::MissingInput`].
pub fn required_input(node: &NodeProto, index: usize) -> Result<&str, OnnxError> {
    input(node, index).ok_or(OnnxError::MissingInput { index })
}

/// Inputs that are not left out.
pub fn inputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// Outputs that are not left out.
pub fn outputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.output.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// The only output.
///
/// # Errors
/// [`OnnxError::Outputs`] when there is none, or more than one.
pub fn only_output(node: &NodeProto) -> Result<&str, OnnxError> {
    match &node.output[..] {
        [first, rest @ ..] if !first.is_empty() && rest.iter().all(String::is_empty) => Ok(first),
        _ => Err(OnnxError::Outputs),
    }
}

/// Attribute `name` of any type.
pub fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Attribute `name` of the given type. Files of the first IR version leave the type out.
fn typed<'n>(node: &'n NodeProto, name: &str, kind: AttributeType) -> Result<Option<&'n AttributeProto>, OnnxError> {
    let Some(found) = attribute(node, name) else { return Ok(None) };
    if found.r#type != kind as i32 && found.r#type != AttributeType::Undefined as i32 {
        return Err(OnnxError::AttributeType { name: name.to_owned() });
    }
    Ok(Some(found))
}

/// Integer attribute.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn int(node: &NodeProto, name: &str, default: i64) -> Result<i64, OnnxError> {
    Ok(typed(node, name, AttributeType::Int)?.map_or(default, |a| a.i))
}

/// Integer attribute that is a flag: any number but 0 sets it.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn flag(node: &NodeProto, name: &str) -> Result<bool, OnnxError> {
    Ok(int(node, name, 0)? != 0)
}

/// Float attribute.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn float(node: &NodeProto, name: &str, default: f32) -> Result<f32, OnnxError> {
    Ok(typed(node, name, AttributeType::Float)?.map_or(default, |a| a.f))
}

/// Attribute that is a list of floats.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn floats<'n>(node: &'n NodeProto, name: &str) -> Result<Option<&'n [f32]>, OnnxError> {
    Ok(typed(node, name, AttributeType::Floats)?.map(|a| &a.floats[..]))
}

/// Attribute that is a list of integers.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn ints<'n>(node: &'n NodeProto, name: &str) -> Result<Option<&'n [i64]>, OnnxError> {
    Ok(typed(node, name, AttributeType::Ints)?.map(|a| &a.ints[..]))
}

/// String attribute.
///
/// # Errors
/// [`OnnxError::AttributeType`], [`OnnxError::NotText`].
pub fn text<'n>(node: &'n NodeProto, name: &str, default: &'n str) -> Result<&'n str, OnnxError> {
    let Some(found) = typed(node, name, AttributeType::String)? else { return Ok(default) };
    std::str::from_utf8(&found.s).map_err(|_| OnnxError::NotText { name: name.to_owned() })
}

/// Tensor attribute.
///
/// # Errors
/// [`OnnxError::AttributeType`].
pub fn tensor<'n>(node: &'n NodeProto, name: &str) -> Result<Option<&'n TensorProto>, OnnxError> {
    Ok(typed(node, name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
}

/// Attribute with one number from `least` on for each of `count` axes of a window.
///
/// # Errors
/// [`OnnxError::AttributeType`], [`OnnxError::Values`].
pub fn window(node: &NodeProto, name: &str, count: usize, least: i64, default: usize) -> Result<Vec<usize>, OnnxError> {
    let Some(values) = ints(node, name)? else { return Ok(vec![default; count]) };
    if values.len() != count || values.iter().any(|v| !(least..=MAX_WINDOW).contains(v)) {
        return Err(OnnxError::Values { name: name.to_owned(), values: values.to_vec() });
    }
    Ok(values.iter().map(|&v| v as usize).collect())
}

/// An axis below `rank`; negative ones count from the end.
///
/// # Errors
/// [`OnnxError::Axis`].
pub fn axis(axis: i64, rank: usize) -> Result<usize, OnnxError> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_start).ok().filter(|a| *a < rank).ok_or(OnnxError::Axis { axis, rank })
}

/// Order of axes of a `Transpose`: reversed where the file does not say.
///
/// # Errors
/// [`OnnxError::AttributeType`], [`OnnxError::Permutation`].
pub fn permutation(node: &NodeProto, rank: usize) -> Result<Vec<usize>, OnnxError> {
    let Some(order) = ints(node, "perm")? else { return Ok((0..rank).rev().collect()) };
    let axes: Vec<usize> = order.iter().filter_map(|&axis| usize::try_from(axis).ok()).collect();
    if is_permutation(&axes, rank) { Ok(axes) } else { Err(OnnxError::Permutation { order: order.to_vec() }) }
}

/// Test for every axis below `rank` once.
pub fn is_permutation(order: &[usize], rank: usize) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..rank)
}

/// Graphs in the attributes of a node: branches and loop bodies.
pub fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs))
}

/// Graphs in the attributes of a node, to be changed.
pub fn subgraphs_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs))
}

#[cfg(test)]
mod tests {
    use super::super::build::NodeBuilder;
    use super::*;

    #[test]
    fn attributes_have_types_and_defaults() {
        let node = NodeBuilder::new("Test", [""; 0]).int("i", -3).ints("is", &[1, 2]).float("f", 0.5).text("s", "edge");
        let mut node = node.named("n", ["y"]);
        assert_eq!((int(&node, "i", 1), int(&node, "other", 1)), (Ok(-3), Ok(1)));
        assert_eq!(ints(&node, "is"), Ok(Some(&[1, 2][..])));
        assert_eq!((float(&node, "f", 0.0), text(&node, "s", "")), (Ok(0.5), Ok("edge")));
        assert_eq!(int(&node, "s", 0), Err(OnnxError::AttributeType { name: "s".into() }));
        assert_eq!(ints(&node, "i"), Err(OnnxError::AttributeType { name: "i".into() }));
        node.attribute[0].r#type = AttributeType::Undefined as i32;
        assert_eq!(int(&node, "i", 1), Ok(-3), "the first IR version writes no types");
        node.attribute[3].s = vec![0xff];
        assert_eq!(text(&node, "s", ""), Err(OnnxError::NotText { name: "s".into() }));
    }

    #[test]
    fn axes_count_from_both_ends_and_permutations_name_each_once() {
        assert_eq!((axis(-1, 4), axis(3, 4)), (Ok(3), Ok(3)));
        for bad in [4, -5, i64::MIN, i64::MAX] {
            assert_eq!(axis(bad, 4), Err(OnnxError::Axis { axis: bad, rank: 4 }));
        }
        let of =
            |perm: &[i64], rank| permutation(&NodeBuilder::new("T", ["x"]).ints("perm", perm).named("t", ["y"]), rank);
        assert_eq!(of(&[0, 2, 1], 3), Ok(vec![0, 2, 1]));
        for bad in [&[0, 0, 1][..], &[0, 1], &[0, 1, -1], &[0, 1, 3]] {
            assert_eq!(of(bad, 3), Err(OnnxError::Permutation { order: bad.to_vec() }));
        }
        let plain = NodeBuilder::new("Transpose", ["x"]).named("t", ["y"]);
        assert_eq!(permutation(&plain, 3), Ok(vec![2, 1, 0]), "reversed unless told");
    }

    #[test]
    fn inputs_that_are_left_out_count_but_are_not_there() {
        let node = NodeBuilder::new("Resize", ["x", "", "scales"]).named("r", ["y"]);
        assert_eq!((input(&node, 1), input(&node, 2), input(&node, 3)), (None, Some("scales"), None));
        assert_eq!(required_input(&node, 1), Err(OnnxError::MissingInput { index: 1 }));
        assert_eq!(inputs(&node).collect::<Vec<_>>(), ["x", "scales"]);
        assert_eq!(only_output(&NodeBuilder::new("Split", ["x"]).named("s", ["a", "b"])), Err(OnnxError::Outputs));
        assert_eq!(only_output(&NodeBuilder::new("Dropout", ["x"]).named("s", ["a", ""])), Ok("a"));
    }
}
