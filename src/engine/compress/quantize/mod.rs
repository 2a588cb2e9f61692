//! Float models to models in bytes, after training: ranges of activations from samples, integer weights, and the layers' biases and
//! roundings put right by what the samples show.

mod check;
mod equalize;
mod layer;
mod noise;
pub mod observe;
pub mod place;
pub mod range;
mod round;
mod target;
#[cfg(test)]
mod tests;
mod walk;
mod weights;
mod write;

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Tensor;

use super::gram::spread;
use super::run::{CompressError, Executor, Samples, TensorFact, floats_of, graph_of, shapes_of};
use super::{fold, opset};
use crate::onnx::{GraphView, build, node, tensor};
use check::{check_weights, refuse_quantized, separate};
use layer::{Layer, layer};
pub use noise::noise;
use observe::Histogram;
use place::{Placement, Role, place};
use range::{Affine, Method, Readers};
pub use target::Sensitivity;

/// Samples that the walk through the graph sees at most: the values between two layers of all of them are in memory.
const WALKED: usize = 64;

/// Samples on which two quantisations are compared at most.
const COMPARED: usize = 64;

/// Bytes of the values between two layers that the walk may hold.
const WALKED_BYTES: usize = 384 << 20;

/// Share of the work of all layers up to which a layer whose result goes to floats gives floats itself.
const LAST_IN_FLOATS: f64 = 0.03;

/// Form of activations in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activations {
    /// 0 to 255.
    #[default]
    U8,
    /// −128 to 127.
    S8,
}

/// Pains that are taken over the layers' weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Effort {
    /// Nearest roundings, biases as they are.
    Low,
    /// Biases put right.
    #[default]
    Normal,
    /// Roundings learnt against the layers' float outputs, too.
    High,
}

/// Settings of a quantisation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How ranges of activations are chosen.
    pub method: Method,
    /// Form of activations.
    pub activations: Activations,
    /// One scale for each output of a layer; else one for the whole layer.
    pub per_channel: bool,
    /// Names of nodes that stay in floats.
    pub keep_float: HashSet<String>,
    /// Pains that are taken.
    pub effort: Effort,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            method: Method::default(),
            activations: Activations::default(),
            per_channel: true,
            keep_float: HashSet::new(),
            effort: Effort::default(),
        }
    }
}

/// What became of one layer.
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
    /// Normalisations that went into layers.
    pub folded: usize,
    /// Channels were brought to like ranges.
    pub equalized: bool,
}

/// A float model made plain and looked over once: the ground on which quantisations differ only by their [`Settings`].
pub struct Prepared<'e> {
    executor: &'e dyn Executor,
    samples: &'e dyn Samples,
    model: ModelProto,
    facts: HashMap<String, TensorFact>,
    folded: usize,
    /// What was seen of the plain model's tensors.
    seen: RefCell<HashMap<String, Histogram>>,
    /// The model with channels of like ranges, once it was made; `None` where that changes nothing.
    equalized: OnceCell<Option<ModelProto>>,
}

impl<'e> Prepared<'e> {
    /// Makes `model` plain: operator set 13 or newer, constants as initializers, normalisations folded, weights that several layers
    /// share apart.
    ///
    /// # Errors
    /// [`CompressError::Model`] for a model that is quantised already or has nothing to quantise, [`CompressError::Node`] for weights that are no
    /// numbers, [`CompressError::Sample`] without samples.
    pub fn new(
        mut model: ModelProto,
        samples: &'e dyn Samples,
        executor: &'e dyn Executor,
    ) -> Result<Prepared<'e>, CompressError> {
        if samples.is_empty() {
            return Err(CompressError::Sample("there is no calibration sample".into()));
        }
        check_weights(&model)?;
        let folded = fold::plain(&mut model);
        refuse_quantized(&model)?;
        separate(&mut model);
        let facts = executor.facts(&model, &shapes_of(&samples.get(0)?))?;
        opset::raise(&mut model, &facts)?;
        model.graph.iter_mut().for_each(|graph| fold::biases(graph, &facts));
        Ok(Prepared { executor, samples, model, facts, folded, seen: RefCell::default(), equalized: OnceCell::new() })
    }

    /// The plain float model.
    pub fn model(&self) -> &ModelProto {
        &self.model
    }

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
    fn of_model(&self, model: &ModelProto, settings: &Settings) -> Result<Quantized, CompressError> {
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
        Ok(Quantized { model: written, layers, folded: self.folded, equalized: false })
    }

    /// Names of the layers that would compute on bytes.
    fn layers(&self, keep_float: &HashSet<String>) -> Result<Vec<String>, CompressError> {
        let view = GraphView::new(graph_of(&self.model)?);
        let placement = place(&view, &self.facts, keep_float);
        Ok(placement.layers().map(|index| view.node(index).name.clone()).collect())
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

    /// Ranges of the rounded tensors, by the tensor that each range is of.
    fn ranges(
        &self,
        model: &ModelProto,
        view: &GraphView<'_>,
        placement: &Placement,
        method: Method,
    ) -> Result<HashMap<String, Affine>, CompressError> {
        let mut names: Vec<String> = Vec::new();
        for name in &placement.rounded {
            let of = placement.range_of(name);
            if !names.iter().any(|known| known == of) {
                names.push(of.to_owned());
            }
        }
        let bytes = |name: &str| self.elements(name) * size_of::<f32>();
        let all: Vec<usize> = (0..self.samples.len()).collect();
        // What was seen of the plain model holds for every choice of layers.
        let plain = std::ptr::eq(model, &self.model);
        let known = |name: &String| plain && self.seen.borrow().contains_key(name);
        let new: Vec<String> = names.iter().filter(|name| !known(name)).cloned().collect();
        let histograms = observe::histograms(self.executor, model, self.samples, &all, &new, &bytes)?;
        let mut seen: HashMap<String, Histogram> = new.into_iter().zip(histograms).collect();
        if plain {
            self.seen.borrow_mut().extend(seen);
            seen = self.seen.borrow().clone();
        }
        let mut ranges = HashMap::new();
        for name in names {
            let seen = &seen[&name];
            let readers = self.readers(view, placement, &name, seen)?;
            ranges.insert(name, range::choose(method, seen, &readers));
        }
        Ok(ranges)
    }

    fn elements(&self, name: &str) -> usize {
        self.facts.get(name).and_then(|fact| fact.shape.as_ref()).map_or(0, |shape| shape.iter().product())
    }

    /// What reads a tensor: functions of it, sampled at the bars of its histogram, and others.
    fn readers(
        &self,
        view: &GraphView<'_>,
        placement: &Placement,
        name: &str,
        seen: &Histogram,
    ) -> Result<Readers, CompressError> {
        let functions = placement.functions_of(name);
        if functions.is_empty() {
            return Ok(Readers { directly: true, functions: Vec::new() });
        }
        let inside = |output: &str| placement.roots.get(output).is_some_and(|root| root == name);
        let readers = view.consumers(name).iter();
        let directly = readers.into_iter().any(|&reader| !view.node(reader).output.first().is_some_and(|o| inside(o)));
        let middles: Vec<f32> = (0..observe::BARS).map(|bar| seen.middle(bar)).collect();
        let input = Tensor::from_shape(&[observe::BARS], &middles).map_err(|e| CompressError::Run(format!("{e:#}")))?;
        let region: Vec<_> = (view.order().into_iter())
            .filter(|&index| view.node(index).output.first().is_some_and(|output| inside(output)))
            .map(|index| view.node(index).clone())
            .collect();
        let constants = region.iter().flat_map(|node| &node.input).filter_map(|name| view.initializer(name).cloned());
        let graph = tract_onnx::pb::GraphProto {
            initializer: unique(constants),
            node: region,
            input: vec![build::port_of_shape(name, float(), &[observe::BARS])],
            output: functions.iter().map(build::untyped_port).collect(),
            ..Default::default()
        };
        let model = ModelProto { graph: Some(graph), ..headed(&self.model) };
        let outputs = self.executor.compile(&model, &shapes_of(std::slice::from_ref(&input)))?.run(&[input])?;
        let sampled = outputs.iter().zip(&functions).map(|(tensor, name)| Ok(floats_of(name, tensor)?.to_vec()));
        Ok(Readers { directly, functions: sampled.collect::<Result<_, CompressError>>()? })
    }
}

fn float() -> tract_onnx::pb::tensor_proto::DataType {
    tract_onnx::pb::tensor_proto::DataType::Float
}

/// The same model without its graph.
fn headed(model: &ModelProto) -> ModelProto {
    ModelProto { opset_import: model.opset_import.clone(), ir_version: model.ir_version, ..Default::default() }
}

fn unique(tensors: impl Iterator<Item = tract_onnx::pb::TensorProto>) -> Vec<tract_onnx::pb::TensorProto> {
    let mut known = HashSet::new();
    tensors.filter(|tensor| known.insert(tensor.name.clone())).collect()
}

fn reason(view: &GraphView<'_>, placement: &Placement, index: usize) -> String {
    let node = view.node(index);
    let known = placement.floats.get(&node.name).cloned();
    known.unwrap_or_else(|| {
        "its input is no tensor of floats of a known shape, or it only reads a distribution out".into()
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
