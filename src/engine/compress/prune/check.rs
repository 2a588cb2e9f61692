//! A pruned model held against the whole one with the same channels multiplied by zero: what they give must be the same.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Tensor;

use super::labels::Label;
use super::trace::{Trace, kept};
use crate::compress::run::{CompressError, Executor, Samples, floats_of, graph_of, shapes_of};
use crate::onnx::{GraphView, build, tensor};

/// Largest difference that is taken for rounding, as a share of the largest value of the output.
const TOLERANCE: f32 = 1e-3;

/// The model with the removed channels multiplied by zero in front of every layer that reads them.
///
/// # Errors
/// [`CompressError::Model`] without a graph.
pub fn masked(
    model: &ModelProto,
    trace: &Trace,
    shapes: &HashMap<String, Vec<usize>>,
    removed: &HashSet<Label>,
) -> Result<ModelProto, CompressError> {
    let mut masked = model.clone();
    let view = GraphView::new(graph_of(model)?);
    let Some(graph) = &mut masked.graph else { return Ok(masked) };
    for layer in &trace.layers {
        let Some(own) = &layer.input else { continue };
        let stay = kept(&trace.labels, own, &|head| removed.contains(&head));
        if stay.len() == own.len() {
            continue;
        }
        let old = &view.node(layer.node).input[0];
        let Some(shape) = shapes.get(old) else { continue };
        let mut mask = vec![0.0f32; own.len()];
        stay.into_iter().for_each(|index| mask[index] = 1.0);
        let mut dims = vec![1; shape.len()];
        dims[layer.input_axis] = own.len();
        let name = format!("{old}.mask{}", layer.node);
        let (constant, output) = (format!("{name}.values"), format!("{name}.product"));
        let value = Tensor::from_shape(&dims, &mask).ok().and_then(|mask| tensor::write(&constant, &mask));
        graph.initializer.extend(value);
        let product = build::NodeBuilder::new("Mul", [old.clone(), constant]).named(name, [output.clone()]);
        graph.node[layer.node].input[0] = output;
        graph.node.push(product);
    }
    let order = GraphView::new(graph).order();
    graph.node = order.into_iter().map(|index| graph.node[index].clone()).collect();
    Ok(masked)
}

/// Runs both over a few samples.
///
/// # Errors
/// [`CompressError::Model`] where they differ; those of running.
pub fn check(
    masked: &ModelProto,
    pruned: &ModelProto,
    executor: &dyn Executor,
    samples: &dyn Samples,
    indices: &[usize],
) -> Result<(), CompressError> {
    let Some(&first) = indices.first() else { return Ok(()) };
    let shapes = shapes_of(&samples.get(first)?);
    let (mut whole, mut part) = (executor.compile(masked, &shapes)?, executor.compile(pruned, &shapes)?);
    for &index in indices {
        let sample = samples.get(index)?;
        let (whole, part) = (whole.run(&sample)?, part.run(&sample)?);
        for (port, (a, b)) in graph_of(pruned)?.output.iter().zip(whole.iter().zip(&part)) {
            let same = match (floats_of(&port.name, a), floats_of(&port.name, b)) {
                (Ok(x), Ok(y)) => a.shape() == b.shape() && close(x, y),
                _ => a == b,
            };
            if !same {
                let output = &port.name;
                return Err(CompressError::Model(format!(
                    "output {output:?} of the pruned model is not that of the whole one without the same channels: a dependency in this graph is not understood; nothing was written"
                )));
            }
        }
    }
    Ok(())
}

fn close(a: &[f32], b: &[f32]) -> bool {
    let scale = a.iter().fold(0.0f32, |most, value| most.max(value.abs())).max(f32::MIN_POSITIVE);
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE * scale || a == b || (a.is_nan() && b.is_nan()))
}
