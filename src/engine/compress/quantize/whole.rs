//! A whole model quantised.

use std::collections::HashMap;

use tract_onnx::pb::ModelProto;

use super::super::gram::spread;
use super::super::run::{CompressError, graph_of};
use super::layer::{Layer, layer};
use super::noise::noise;
use super::place::{Placement, Role, place};
use super::prepare::Prepared;
use super::settings::{Effort, Settings};
use super::{equalize, walk, write};
use crate::onnx::{GraphView, node, tensor};

/// Samples on which two quantisations are compared at most.
const COMPARED: usize = 64;

/// Share of the work of all layers up to which a layer whose result goes to floats gives floats itself.
const LAST_IN_FLOATS: f64 = 0.03;

/// The result for one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// Name of the node.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// Multiplications of one inference.
    pub macs: f64,
    /// Power of the layer's output over that of its error, in decibels, errors of the layers before it included; `None` in floats.
    pub snr_db: Option<f64>,
    /// Why it stays in floats.
    pub float: Option<String>,
}

/// A quantised model and how it was made.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The model in QDQ form.
    pub model: ModelProto,
    /// Its layers in the order of the graph.
    pub layers: Vec<LayerReport>,
    /// Channels were brought to like ranges.
    pub equalized: bool,
}

impl Prepared<'_> {
    /// Quantises; with channels brought to like ranges first, where that leaves less error.
    ///
    /// # Errors
    /// Those of running; [`CompressError::Model`] where nothing can be quantised.
    pub fn quantize(&self, settings: &Settings) -> Result<Quantized, CompressError> {
        let plain = self.of_model(&self.model, settings)?;
        if settings.effort == Effort::Low {
            return Ok(plain);
        }
        let indices = spread(self.samples.len(), COMPARED, 0);
        if self.equalized.get().is_none() {
            let made = equalize::equalized(&self.model, &self.facts, self.executor, self.samples, &indices)?;
            let _unset = self.equalized.set(made);
        }
        let Some(Some(model)) = self.equalized.get() else { return Ok(plain) };
        let other = Quantized { equalized: true, ..self.of_model(model, settings)? };
        let noise =
            |quantized: &Quantized| noise(self.executor, [&self.model, &quantized.model], self.samples, &indices);
        Ok(if noise(&other)? < noise(&plain)? { other } else { plain })
    }

    /// Quantises one of the forms of the model.
    pub(super) fn of_model(&self, model: &ModelProto, settings: &Settings) -> Result<Quantized, CompressError> {
        let graph = graph_of(model)?;
        let view = GraphView::new(graph);
        let mut placement = place(&view, &self.facts, &settings.keep_float);
        let work = self.work(&view);
        self.round_large_ends(&view, &mut placement, &work);
        if placement.layers().next().is_none() {
            return Err(CompressError::Model(nothing(&view, &placement)));
        }
        let ranges = self.ranges(model, &view, &placement, settings.method)?;
        let mut layers: HashMap<usize, Layer> = HashMap::new();
        for index in placement.layers() {
            let node = view.node(index);
            let input = ranges[placement.range_of(&node.input[0])];
            layers.insert(index, layer(&view, index, input.scale, settings)?);
        }
        let mut ratios = HashMap::new();
        if settings.effort != Effort::Low {
            ratios = walk::walk(self, &view, &placement, &ranges, &mut layers, settings.effort)?;
        }
        let written = write::write(model, &placement, &ranges, &layers, settings.activations);
        let report = |(index, macs): &(usize, f64)| LayerReport {
            name: view.node(*index).name.clone(),
            operator: view.node(*index).op_type.clone(),
            macs: *macs,
            snr_db: ratios.get(index).copied(),
            float: (placement.roles[*index] != Role::Layer).then(|| reason(&view, &placement, *index)),
        };
        let layers = work.iter().map(report).collect();
        Ok(Quantized { model: written, layers, equalized: false })
    }

    /// Multiplications of each product with constant weights, by node, in the order of the graph.
    fn work(&self, view: &GraphView<'_>) -> Vec<(usize, f64)> {
        let count = |index: usize| {
            let node = view.node(index);
            let weights = view.initializer(node::input(node, 1)?)?;
            let transposed = node.op_type == "ConvTranspose";
            let spread = if transposed { node::input(node, 0)? } else { node.output.first()? };
            let shape = self.facts.get(spread)?.shape.as_ref()?;
            let elements = tensor::elements(weights)? as f64;
            // Every weight is used once for each place; along the axis of channels, it belongs to one of them.
            let places = match node.op_type.as_str() {
                "Conv" | "ConvTranspose" => shape.iter().skip(2).product::<usize>() * shape.first()?,
                "Gemm" | "MatMul" => shape.iter().rev().skip(1).product::<usize>(),
                _ => return None,
            };
            Some((index, elements * places as f64))
        };
        view.order().into_iter().filter_map(count).collect()
    }

    /// Has results of large layers rounded that only floats read: in floats they would cost more than they gain.
    fn round_large_ends(&self, view: &GraphView<'_>, placement: &mut Placement, work: &[(usize, f64)]) {
        let all: f64 = work.iter().map(|(_, macs)| macs).sum();
        for &(index, macs) in work.iter().filter(|(index, _)| placement.roles[*index] == Role::Layer) {
            let mut end = view.node(index).output[0].as_str();
            // The bound that it takes over is its own.
            if let [reader] = view.consumers(end) {
                let node = view.node(*reader);
                if matches!(node.op_type.as_str(), "Relu" | "Clip") && !view.is_kept(end) {
                    end = node.output[0].as_str();
                }
            }
            if macs > all * LAST_IN_FLOATS && !placement.rounded.iter().any(|name| name == end) {
                let taken_over = view.consumers(end).iter().any(|&reader| placement.roles[reader] != Role::Other);
                if !taken_over && self.facts.get(end).is_some_and(|fact| fact.shape.is_some()) {
                    placement.rounded.push(end.to_owned());
                }
            }
        }
    }
}

fn reason(view: &GraphView<'_>, placement: &Placement, index: usize) -> String {
    let node = view.node(index);
    let known = placement.floats.get(&node.name).cloned();
    known.unwrap_or_else(|| {
        "its input is not of floats of a known shape, its weights or bias are of another form, or it only reads a distribution out".into()
    })
}

fn nothing(view: &GraphView<'_>, placement: &Placement) -> String {
    if let Some((node, why)) = placement.floats.iter().next() {
        return format!("every layer stays in floats (node {node:?}: {why})");
    }
    let mut operators: Vec<&str> = view.graph().node.iter().map(|node| node.op_type.as_str()).collect();
    operators.sort_unstable();
    operators.dedup();
    operators.truncate(12);
    format!(
        "it has no layer that could be quantised: no Conv, ConvTranspose, Gemm or MatMul with constant weights ({})",
        operators.join(", ")
    )
}
