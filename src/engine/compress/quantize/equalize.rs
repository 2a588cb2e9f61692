//! Channels between two layers brought to like ranges: what one layer multiplies a channel by, the next divides it by again, so that the
//! model stays what it is and small channels get as many of the bytes' steps as large ones.
//!
//! Source: Nagel and others, "Data-Free Quantization Through Weight Equalization and Bias Correction"; for dense layers the geometric mean
//! of what activations and weights ask for, as in `SmoothQuant`. Through a bound (`ReLU6`) only channels that stay below it are widened.

use std::collections::HashMap;

use tract_onnx::pb::{ModelProto, NodeProto};

use super::super::run::{CompressError, Executor, Samples, TensorFact, floats_of, graph_of, observe};
use crate::onnx::{GraphView, node, tensor};

/// Share of a bound that a widened channel may reach.
const BELOW: f32 = 0.98;

/// Greatest factor of a channel.
const MOST: f32 = 64.0;

/// Factors below this are not worth a change.
const LEAST: f32 = 1.5;

/// Two layers with nothing between them but what treats every channel alike.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    first: usize,
    second: usize,
    /// The tensor that the second reads.
    between: String,
    /// Each channel has weights of its own in the second.
    depthwise: bool,
}

/// Brings channels to like ranges wherever two layers follow each other; `None` where that would change next to nothing.
///
/// # Errors
/// Those of running.
pub(super) fn equalized(
    model: &ModelProto,
    facts: &HashMap<String, TensorFact>,
    executor: &dyn Executor,
    samples: &dyn Samples,
    indices: &[usize],
) -> Result<Option<ModelProto>, CompressError> {
    let view = GraphView::new(graph_of(model)?);
    let pairs: Vec<Pair> = view.order().into_iter().filter_map(|index| pair(&view, facts, index)).collect();
    let names: Vec<String> = pairs.iter().map(|pair| pair.between.clone()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let mut greatest: Vec<Vec<f32>> = vec![Vec::new(); names.len()];
    observe(executor, model, samples, indices, &names, &mut |_, outputs| {
        for ((tensor, name), greatest) in outputs.iter().zip(&names).zip(&mut greatest) {
            let channels = tensor.shape().get(1).copied().unwrap_or(0);
            let inner: usize = tensor.shape().iter().skip(2).product();
            greatest.resize(channels, 0.0);
            for (index, value) in floats_of(name, tensor)?.iter().enumerate() {
                let at = &mut greatest[index / inner.max(1) % channels];
                *at = at.max(value.abs());
            }
        }
        Ok(())
    })?;
    let mut changed = model.clone();
    let mut worth = false;
    for (pair, greatest) in pairs.iter().zip(greatest) {
        let Some(graph) = &mut changed.graph else { return Ok(None) };
        let view = GraphView::new(graph);
        let Some((factors, tensors)) = widened(&view, pair, &greatest) else { continue };
        worth |= factors.iter().any(|&factor| factor >= LEAST);
        for tensor in tensors {
            let place = graph.initializer.iter_mut().find(|old| old.name == tensor.name);
            place.into_iter().for_each(|old| *old = tensor.clone());
        }
    }
    Ok(worth.then_some(changed))
}

fn pair(view: &GraphView<'_>, facts: &HashMap<String, TensorFact>, first: usize) -> Option<Pair> {
    let node = view.node(first);
    if node.op_type != "Conv" || view.initializer(node::input(node, 1)?).is_none() {
        return None;
    }
    let mut between = node.output.first()?.as_str();
    loop {
        let [reader] = *view.consumers(between) else { return None };
        if view.is_kept(between) {
            return None;
        }
        let next = view.node(reader);
        match next.op_type.as_str() {
            "Conv" => {
                let weights = view.initializer(node::input(next, 1)?)?;
                let channels = *facts.get(between)?.shape.as_ref()?.get(1)?;
                let group = usize::try_from(node::int(next, "group", 1).ok()?).ok()?;
                let depthwise = group == channels && weights.dims.get(1) == Some(&1);
                let fits = node::input(next, 0) == Some(between) && (depthwise || group == 1);
                return fits.then(|| Pair { first, second: reader, between: between.to_owned(), depthwise });
            }
            "Relu" | "LeakyRelu" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => {}
            // Below the bound it does nothing, and the other bound has to be zero.
            "Clip" if view.scalar(node::input(next, 1)?) == Some(0.0) => {}
            _ => return None,
        }
        between = next.output.first()?.as_str();
    }
}

/// Factors of the channels between two layers, and the tensors with them in: weights and bias of the first, weights of the second.
fn widened(
    view: &GraphView<'_>,
    pair: &Pair,
    greatest: &[f32],
) -> Option<(Vec<f32>, Vec<tract_onnx::pb::TensorProto>)> {
    let (first, second) = (view.node(pair.first), view.node(pair.second));
    let read = |node: &NodeProto, index: usize| {
        let name = node::input(node, index)?;
        let values = view.constant(name)?;
        Some((name.to_owned(), values.shape().to_vec(), tensor::floats(&values).ok()?))
    };
    let (first_name, first_shape, mut first_weights) = read(first, 1)?;
    let (second_name, second_shape, mut second_weights) = read(second, 1)?;
    let channels = greatest.len();
    let top = greatest.iter().copied().fold(0.0, f32::max);
    if first_shape.first() != Some(&channels) || top <= 0.0 {
        return None;
    }
    // Of a dense layer `[outputs, channels, …]`, of a depthwise one `[channels, 1, …]`.
    let (axis, inner) = if pair.depthwise { (0, 1) } else { (1, 2) };
    let inner: usize = second_shape.iter().skip(inner).product();
    if second_shape.get(axis) != Some(&channels) {
        return None;
    }
    let mut columns = vec![0.0f32; channels];
    for (index, weight) in second_weights.iter().enumerate() {
        let at = &mut columns[index / inner % channels];
        *at = at.max(weight.abs());
    }
    let widest = columns.iter().copied().fold(0.0, f32::max);
    let factors: Vec<f32> = (greatest.iter().zip(&columns))
        .map(|(&channel, &column)| {
            if channel <= top / 1e6 || channel >= top * BELOW || column <= 0.0 {
                return 1.0;
            }
            let room = top * BELOW / channel;
            let wanted = if pair.depthwise { room } else { (top / channel * column / widest).sqrt() };
            wanted.clamp(1.0, room.min(MOST))
        })
        .collect();
    let own: usize = first_shape.iter().skip(1).product();
    first_weights.iter_mut().enumerate().for_each(|(index, weight)| *weight *= factors[index / own]);
    second_weights.iter_mut().enumerate().for_each(|(index, weight)| *weight /= factors[index / inner % channels]);
    let write = |name: &str, shape: &[usize], values: &[f32]| {
        tensor::write(name, &tract_onnx::prelude::Tensor::from_shape(shape, values).ok()?)
    };
    let mut tensors =
        vec![write(&first_name, &first_shape, &first_weights)?, write(&second_name, &second_shape, &second_weights)?];
    if node::input(first, 2).is_some() {
        let (name, shape, mut bias) = read(first, 2)?;
        if bias.len() != channels {
            return None;
        }
        bias.iter_mut().zip(&factors).for_each(|(bias, factor)| *bias *= factor);
        tensors.push(write(&name, &shape, &bias)?);
    }
    Some((factors, tensors))
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::GraphProto;
    use tract_onnx::prelude::{DatumType, Tensor};

    use super::*;
    use crate::onnx::build::{self, NodeBuilder};

    fn weights(name: &str, shape: &[usize], values: &[f32]) -> tract_onnx::pb::TensorProto {
        tensor::write(name, &Tensor::from_shape(shape, values).unwrap()).unwrap()
    }

    #[test]
    fn what_one_layer_widens_the_next_takes_back() {
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Conv", ["x", "a", "b"]).named("first", ["c"]),
                NodeBuilder::new("Clip", ["c", "low", "high"]).named("clip", ["d"]),
                NodeBuilder::new("Conv", ["d", "e"]).int("group", 3).named("second", ["y"]),
            ],
            initializer: vec![
                weights("a", &[3, 1, 1, 1], &[6.0, 0.1, 1.0]),
                weights("b", &[3], &[0.0, 0.2, 0.0]),
                weights("low", &[], &[0.0]),
                weights("high", &[], &[6.0]),
                weights("e", &[3, 1, 1, 1], &[1.0, 1.0, 2.0]),
            ],
            output: vec![build::untyped_port("y")],
            ..Default::default()
        };
        let fact = TensorFact { dtype: Some(DatumType::F32), shape: Some(vec![1, 3, 4, 4]) };
        let view = GraphView::new(&graph);
        let pair = pair(&view, &HashMap::from([("d".to_owned(), fact)]), 0).unwrap();
        assert_eq!(pair, Pair { first: 0, second: 2, between: "d".into(), depthwise: true });
        let (factors, tensors) = widened(&view, &pair, &[6.0, 0.3, 1.0]).unwrap();
        // The channel that reaches the bound stays; the others come just below it.
        assert_eq!(factors[0], 1.0);
        assert!(
            (factors[1] - 6.0 * BELOW / 0.3).abs() < 1e-4 && (factors[2] - 6.0 * BELOW).abs() < 1e-4,
            "{factors:?}"
        );
        let read = |index: usize| tensor::floats(&tensor::read(&tensors[index]).unwrap()).unwrap();
        for channel in 0..3 {
            let (before, after) =
                ([6.0f32, 0.1, 1.0][channel] * [1.0, 1.0, 2.0][channel], read(0)[channel] * read(1)[channel]);
            assert!((before - after).abs() < 1e-6, "{channel}");
        }
        assert!((read(2)[1] - 0.2 * factors[1]).abs() < 1e-6);
    }
}
