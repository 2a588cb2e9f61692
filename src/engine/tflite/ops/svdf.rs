//! Layers of filters over features and over time, of which the latter ones are kept between runs.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::node::Node;
use super::rnn::rounded;
use super::{dense, elementwise};
use crate::onnx::build::NodeBuilder;

/// `SVDF`: input `[items, features]`, filters over features `[F, features]`, filters over time `[F, steps]`, a bias of as many units
/// as there are groups of `rank` filters, and what was seen of each filter, `[items, F · steps]`, which is kept.
pub fn svdf(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: rank, activation.
    let (x, feature, time, held, y) = (node.input(0)?, node.input(1)?, node.input(2)?, node.input(4)?, node.output()?);
    elementwise::real(w, &[x], y)?;
    let rank = node.option(1, |o| o.i32(0, 1))?;
    let rank = usize::try_from(rank).ok().filter(|r| *r > 0).ok_or_else(|| format!("a rank of {rank}"))?;
    let sizes = (&w.tensor(x).shape[..], &w.tensor(feature).shape[..], &w.tensor(time).shape[..]);
    let (&[items, features], &[filters, deep], &[other, steps]) = sizes else {
        return Err(format!("shapes {:?}, {:?} and {:?} are no matrices", sizes.0, sizes.1, sizes.2));
    };
    let units = filters / rank;
    let kept = w.tensor(held);
    let fits = deep == features && other == filters && filters % rank == 0 && w.tensor(y).shape == [items, units];
    if !fits || !kept.variable || kept.len() != items * filters * steps {
        return Err(format!("filters {:?} and {:?} do not lead to {:?}", sizes.1, sizes.2, w.tensor(y).shape));
    }
    let activation = node.activation(1)?;
    let (kind, shape, key) = (kept.kind, kept.shape.clone(), format!("tensor {held}"));
    let dims = w.dims(&[items, filters, steps])?;
    let column = w.dims(&[items, filters, 1])?;
    let groups = w.dims(&[items, units, rank * steps])?;
    let (one, end, last) = (w.longs(&[1])?, w.longs(&[steps as i64])?, w.longs(&[2])?);
    // The oldest column makes room for the newest.
    let name = w.real(x, Layout::File)?;
    let weights = w.real(feature, Layout::File)?;
    let newest = w.extra(y, NodeBuilder::new("Gemm", [&name, &weights]).size("transB", 1));
    let newest = w.extra(y, NodeBuilder::new("Reshape", [&newest, &column]));
    let (newest, _) = rounded(w, held, newest)?;
    let seen = w.kept(&key, kind, &shape)?;
    let seen = w.extra(y, NodeBuilder::new("Reshape", [&seen, &dims]));
    let seen = match steps {
        1 => newest,
        _ => {
            let rest = w.extra(y, NodeBuilder::new("Slice", [&seen, &one, &end, &last]));
            w.extra(y, NodeBuilder::new("Concat", [&rest, &newest]).size("axis", 2))
        }
    };
    super::rnn::store(w, held, &seen)?;
    let seen = w.dequantised(held, seen, None)?;
    let over_time = w.real(time, Layout::File)?;
    let products = w.extra(y, NodeBuilder::new("Mul", [&seen, &over_time]));
    let products = w.extra(y, NodeBuilder::new("Reshape", [&products, &groups]));
    let mut steps = vec![NodeBuilder::new("ReduceSum", [&products, &last]).int("keepdims", 0)];
    if let Some(bias) = node.optional(3) {
        if w.tensor(bias).shape != [units] {
            return Err(format!("its bias of shape {:?} is not one value for each of {units}", w.tensor(bias).shape));
        }
        // In units of what is seen and of the filters over time.
        let bias = dense::bias_of(w, bias, held, time)?;
        steps.push(NodeBuilder::new("Add", [&bias]));
    }
    // Of integers, the runtime applies none beyond their range.
    if !w.tensor(y).kind.is_quantised() {
        steps.extend(w.activation(activation, y)?);
    }
    w.compute(y, Layout::File, steps)
}
