//! Weight of each set of channels: in plain weights, or in what its readers make of it.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto};

use super::labels::{FIXED, Label};
use super::trace::{Layer, Trace};
use crate::compress::run::{CompressError, Executor, Samples, floats_of, observe};
use crate::compress::unroll::Unrolled;
use crate::onnx::{GraphView, tensor};

/// Scores by head of a set; sets that nothing reads have none.
pub type Scores = HashMap<Label, f64>;

/// A layer's weights, unrolled for the shape of its input.
///
/// # Errors
/// [`CompressError::Node`].
pub fn weights_of(
    view: &GraphView<'_>,
    layer: &Layer,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<(Unrolled, Vec<f32>), CompressError> {
    let node = view.node(layer.node);
    let failed =
        |reason: String| CompressError::Node { node: node.name.clone(), operator: node.op_type.clone(), reason };
    let weights = view.constant(&node.input[1]).ok_or_else(|| failed("its weights are no constant".into()))?;
    let shape = shapes.get(&node.input[0]).ok_or_else(|| failed("the shape of its input is not known".into()))?;
    let unrolled = Unrolled::new(node, weights.shape(), shape).map_err(|error| failed(error.to_string()))?;
    Ok((unrolled, tensor::floats(&weights).map_err(|error| failed(error.to_string()))?))
}

/// Mean over the layers of a set of the squared weights that make its channels, each as a multiple of its layer's mean.
///
/// # Errors
/// [`CompressError::Node`] for weights that cannot be read.
pub fn magnitude(
    graph: &GraphProto,
    trace: &Trace,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<Scores, CompressError> {
    let view = GraphView::new(graph);
    let mut sums: HashMap<Label, (f64, usize)> = HashMap::new();
    for layer in &trace.layers {
        let (unrolled, weights) = weights_of(&view, layer, shapes)?;
        let taps = unrolled.outputs * unrolled.groups / layer.output.len().max(1);
        let mut norms = Vec::with_capacity(layer.output.len());
        for group in 0..unrolled.groups {
            let rows = unrolled.matrix(&weights, group);
            let squares: Vec<f64> = rows.rows().into_iter().map(|row| row.dot(&row)).collect();
            norms.extend(squares.chunks(taps.max(1)).map(|taps| taps.iter().sum::<f64>()));
        }
        let mean = norms.iter().sum::<f64>() / norms.len().max(1) as f64;
        for (label, norm) in trace.labels.heads(&layer.output).into_iter().zip(norms) {
            let sum = sums.entry(label).or_default();
            *sum = (sum.0 + norm / mean.max(f64::MIN_POSITIVE), sum.1 + 1);
        }
    }
    sums.remove(&FIXED);
    Ok(sums.into_iter().map(|(label, (sum, count))| (label, (sum / count as f64).sqrt())).collect())
}

/// Share of the energy of the layers that read a set that comes through it: mean square of its values over samples times squares of the weights that
/// take it, summed over these layers.
///
/// # Errors
/// Those of [`observe`], and [`CompressError::Node`] for weights that cannot be read.
pub fn activation(
    model: &ModelProto,
    trace: &Trace,
    shapes: &HashMap<String, Vec<usize>>,
    executor: &dyn Executor,
    samples: &dyn Samples,
    indices: &[usize],
) -> Result<Scores, CompressError> {
    let graph = crate::compress::run::graph_of(model)?;
    let view = GraphView::new(graph);
    let readers: Vec<&Layer> = trace.layers.iter().filter(|layer| layer.input.is_some() && !layer.depthwise).collect();
    let mut names: Vec<String> = readers.iter().map(|layer| view.node(layer.node).input[0].clone()).collect();
    names.sort();
    names.dedup();
    let axis_of: HashMap<&str, (usize, usize)> = readers
        .iter()
        .map(|layer| (view.node(layer.node).input[0].as_str(), (layer.input_axis, layer.inputs)))
        .collect();
    let mut squares: Vec<Vec<f64>> = names.iter().map(|name| vec![0.0; axis_of[name.as_str()].1]).collect();
    let mut done = 0;
    observe(executor, model, samples, indices, &names, &mut |_, values| {
        for ((name, value), squares) in names.iter().zip(&values).zip(&mut squares) {
            let (axis, size) = axis_of[name.as_str()];
            let inner: usize = value.shape()[axis + 1..].iter().product();
            let count = (value.len() / size.max(1)).max(1) as f64;
            for (at, run) in floats_of(name, value)?.chunks(inner.max(1)).enumerate() {
                squares[at % size] += run.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / count;
            }
        }
        done += 1;
        executor.progress("looking at channels", done, indices.len());
        Ok(())
    })?;
    let mut scores = Scores::new();
    for layer in readers {
        let (unrolled, weights) = weights_of(&view, layer, shapes)?;
        let name = &view.node(layer.node).input[0];
        let found =
            names.binary_search(name).map_err(|_| CompressError::Run(format!("tensor {name:?} was not read")))?;
        let mut energy = vec![0.0; layer.inputs];
        let taps = unrolled.taps();
        for group in 0..unrolled.groups {
            let matrix = unrolled.matrix(&weights, group);
            for (column, values) in matrix.columns().into_iter().enumerate() {
                energy[(group * unrolled.width + column) / taps] += values.dot(&values);
            }
        }
        energy.iter_mut().zip(&squares[found]).for_each(|(energy, square)| *energy *= square);
        let all = energy.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        for (label, energy) in trace.labels.heads(layer.input.as_deref().unwrap_or_default()).into_iter().zip(energy) {
            *scores.entry(label).or_default() += energy / all;
        }
    }
    scores.remove(&FIXED);
    Ok(scores)
}
