//! A walk through the graph with the values of some samples in hand, twice: as the float model has them and as the quantised one does so
//! far. At each layer its roundings and its bias are put right for the input that it will really get.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::Tensor;

use super::super::run::{CompressError, Plan, floats_of, shapes_of};
use super::layer::Layer;
use super::place::{Placement, Role};
use super::prepare::Prepared;
use super::range::Affine;
use super::round;
use super::settings::Effort;
use crate::onnx::{GraphView, build, captured_names, node, tensor};

/// Samples that the walk sees at most: the values between two layers of all of them are in memory.
const WALKED: usize = 64;

/// Bytes of the values between two layers that the walk may hold.
const WALKED_BYTES: usize = 384 << 20;

/// Names of the weights and the bias of a layer by itself, which no exporter gives.
const ROUNDED: [&str; 2] = ["leptond.rounded.weights", "leptond.rounded.bias"];

/// Values of a tensor in each sample.
#[derive(Clone, Default)]
struct Values {
    float: Vec<Tensor>,
    quantized: Vec<Tensor>,
}

/// Walks through the graph and puts `layers` right. Gives the power of each layer's output over its error, in decibels.
///
/// # Errors
/// Those of running.
pub(super) fn walk(
    prepared: &Prepared<'_>,
    view: &GraphView<'_>,
    placement: &Placement,
    ranges: &HashMap<String, Affine>,
    layers: &mut HashMap<usize, Layer>,
    effort: Effort,
) -> Result<HashMap<usize, f64>, CompressError> {
    let mut walk = Walk { prepared, view, placement, ranges, alive: HashMap::new(), waiting: HashMap::new() };
    let order = walk.steps();
    walk.start(&order)?;
    let mut ratios = HashMap::new();
    for (done, &index) in order.iter().enumerate() {
        prepared.executor.progress("layers", done, order.len());
        walk.step(index, layers.get_mut(&index), effort, &mut ratios)?;
    }
    Ok(ratios)
}

struct Walk<'w, 'p> {
    prepared: &'w Prepared<'p>,
    view: &'w GraphView<'w>,
    placement: &'w Placement,
    ranges: &'w HashMap<String, Affine>,
    /// Tensors that somebody is still to read.
    alive: HashMap<String, Values>,
    /// Nodes that are still to read a tensor.
    waiting: HashMap<String, usize>,
}

impl Walk<'_, '_> {
    /// Nodes up to the last layer, without those that no layer needs.
    fn steps(&self) -> Vec<usize> {
        let order = self.view.order();
        let mut needed: HashSet<usize> = HashSet::new();
        let mut read: HashSet<String> = HashSet::new();
        for &index in order.iter().rev() {
            let layer = self.placement.roles[index] == Role::Layer;
            if layer || node::outputs(self.view.node(index)).any(|name| read.contains(name)) {
                needed.insert(index);
                read.extend(self.inputs(index));
            }
        }
        order.into_iter().filter(|index| needed.contains(index)).collect()
    }

    /// The samples as values of the graph's inputs: as many as there is room for between layers.
    fn start(&mut self, order: &[usize]) -> Result<(), CompressError> {
        for &index in order {
            for name in self.inputs(index) {
                *self.waiting.entry(name).or_default() += 1;
            }
        }
        let largest = order.iter().flat_map(|&index| node::outputs(self.view.node(index)));
        let largest = largest.map(|name| self.prepared.elements(name) * size_of::<f32>()).max().unwrap_or(0);
        // Two forms of the values on both sides of a node, and of those that wait for a sum.
        let room = WALKED_BYTES / (largest * 6).max(1);
        let count = self.prepared.samples.len().min(WALKED).min(room.max(2));
        let spread = (0..count).map(|step| step * self.prepared.samples.len() / count);
        for index in spread {
            let sample = self.prepared.samples.get(index)?;
            for (port, tensor) in self.view.graph().input.iter().zip(sample) {
                self.alive.entry(port.name.clone()).or_default().float.push(tensor);
            }
        }
        let names: Vec<String> = self.alive.keys().cloned().collect();
        for name in names {
            self.round(&name)?;
        }
        Ok(())
    }

    /// Names of the tensors that a node computes on, constants left out.
    fn inputs(&self, index: usize) -> Vec<String> {
        let node = self.view.node(index);
        let mut names: Vec<String> = node::inputs(node).map(str::to_owned).collect();
        names.extend(captures(node));
        let mut known = HashSet::new();
        names.retain(|name| self.view.initializer(name).is_none() && known.insert(name.clone()));
        names
    }

    /// Gives a tensor its quantised values: rounded, where it is rounded and nothing has done it.
    fn round(&mut self, name: &str) -> Result<(), CompressError> {
        let Some(values) = self.alive.get_mut(name) else { return Ok(()) };
        if values.quantized.is_empty() {
            values.quantized.clone_from(&values.float);
        }
        if !self.placement.rounded.iter().any(|rounded| rounded == name) {
            return Ok(());
        }
        let affine = self.ranges[self.placement.range_of(name)];
        for tensor in &mut values.quantized {
            let rounded: Vec<f32> = floats_of(name, tensor)?.iter().map(|&value| affine.rounded(value)).collect();
            *tensor = tensor_of(tensor.shape(), &rounded)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        index: usize,
        layer: Option<&mut Layer>,
        effort: Effort,
        ratios: &mut HashMap<usize, f64>,
    ) -> Result<(), CompressError> {
        let node = self.view.node(index);
        let inputs = self.inputs(index);
        let outputs: Vec<String> = node::outputs(node).map(str::to_owned).collect();
        let mut made = vec![Values::default(); outputs.len()];
        let count = inputs.first().and_then(|name| self.alive.get(name)).map_or(0, |values| values.float.len());
        let missing =
            |name: &str| CompressError::Run(format!("tensor {name:?} has no value before node {:?}", node.name));
        let take =
            |values: &HashMap<String, Values>, sample: usize, float: bool| -> Result<Vec<Tensor>, CompressError> {
                let one = |name: &String| {
                    let values = values.get(name).ok_or_else(|| missing(name))?;
                    let from = if float { &values.float } else { &values.quantized };
                    from.get(sample).cloned().ok_or_else(|| missing(name))
                };
                inputs.iter().map(one).collect()
            };
        if count > 0 {
            let shapes = shapes_of(&take(&self.alive, 0, true)?);
            let mut plan = self.compile(node, None, &inputs, &outputs, &shapes)?;
            for sample in 0..count {
                for (values, output) in made.iter_mut().zip(plan.run(&take(&self.alive, sample, true)?)?) {
                    values.float.push(output);
                }
            }
            if let Some(layer) = layer {
                let given: Vec<&Tensor> =
                    self.alive.get(&inputs[0]).map_or(Vec::new(), |v| v.quantized.iter().collect());
                if effort == Effort::High {
                    round::learn(node, layer, &given)?;
                }
                plan = self.compile(node, Some(layer), &inputs, &outputs, &shapes)?;
                let mut sums = Sums::new(self.channel_axis(node, &made[0]), layer.weights.rows.len());
                for sample in 0..count {
                    for output in plan.run(&take(&self.alive, sample, false)?)? {
                        sums.add(floats_of(&outputs[0], &made[0].float[sample])?, &output, &outputs[0])?;
                        made[0].quantized.push(output);
                    }
                }
                let shift = sums.means();
                layer.shift_bias(node, &shift);
                for tensor in &mut made[0].quantized {
                    *tensor = sums.shifted(tensor, &outputs[0], if layer.bias.is_some() { &shift } else { &[] })?;
                }
                ratios.insert(index, ratio(&made[0], &outputs[0])?);
            } else {
                for sample in 0..count {
                    for (values, output) in made.iter_mut().zip(plan.run(&take(&self.alive, sample, false)?)?) {
                        values.quantized.push(output);
                    }
                }
            }
        }
        for (name, values) in outputs.into_iter().zip(made) {
            self.alive.insert(name.clone(), values);
            self.round(&name)?;
            if !self.waiting.contains_key(&name) {
                self.alive.remove(&name);
            }
        }
        for name in inputs {
            let left = self.waiting.get_mut(&name);
            if left.is_some_and(|left| {
                *left -= 1;
                *left == 0
            }) {
                self.alive.remove(&name);
            }
        }
        Ok(())
    }

    /// One node as a model; with the rounded weights of `layer`, where it is given.
    fn compile(
        &self,
        node: &NodeProto,
        layer: Option<&Layer>,
        inputs: &[String],
        outputs: &[String],
        shapes: &[(tract_onnx::prelude::DatumType, Vec<usize>)],
    ) -> Result<Box<dyn Plan>, CompressError> {
        let mut node = node.clone();
        let mut constants = Vec::new();
        if let Some(layer) = layer {
            let tensor = tensor_of(&layer.weights.shape, &layer.rounded())?;
            constants.extend(tensor::write(ROUNDED[0], &tensor));
            node.input[1] = ROUNDED[0].into();
            if let Some(bias) = &layer.bias {
                constants.extend(tensor::write(ROUNDED[1], &tensor_of(&[bias.len()], bias)?));
                node.input.truncate(2);
                node.input.push(ROUNDED[1].into());
            }
        }
        let names: HashSet<String> = node::inputs(&node).map(str::to_owned).chain(captures(&node)).collect();
        constants.extend(names.iter().filter_map(|name| self.view.initializer(name).cloned()));
        let port = |(name, (dtype, shape)): (&String, &(tract_onnx::prelude::DatumType, Vec<usize>))| {
            let kind =
                tensor::data_type(*dtype).ok_or_else(|| CompressError::Run(format!("tensor {name:?} is {dtype:?}")))?;
            Ok(build::port_of_shape(name, kind, shape))
        };
        let graph = GraphProto {
            name: node.name.clone(),
            node: vec![node],
            initializer: constants,
            input: inputs.iter().zip(shapes).map(port).collect::<Result<_, CompressError>>()?,
            output: outputs.iter().map(build::untyped_port).collect(),
            ..Default::default()
        };
        let model = ModelProto { graph: Some(graph), ..self.prepared.headed() };
        self.prepared.executor.compile(&model, shapes)
    }

    /// Axis of a layer's output that runs over the outputs of its weights.
    fn channel_axis(&self, node: &NodeProto, values: &Values) -> [usize; 2] {
        let shape = values.float.first().map_or(&[][..], |tensor| tensor.shape());
        let axis =
            if matches!(node.op_type.as_str(), "Conv" | "ConvTranspose") { 1 } else { shape.len().saturating_sub(1) };
        [shape.get(axis).copied().unwrap_or(1), shape.iter().skip(axis + 1).product()]
    }
}

/// Names that the graphs inside of a node read from around it.
fn captures(node: &NodeProto) -> HashSet<String> {
    let mut names = HashSet::new();
    captured_names(node, &mut |name| _ = names.insert(name.to_owned()));
    names.remove("");
    names
}

fn tensor_of(shape: &[usize], values: &[f32]) -> Result<Tensor, CompressError> {
    Tensor::from_shape(shape, values).map_err(|error| CompressError::Run(format!("{error:#}")))
}

/// Sums of differences by channel.
struct Sums {
    channels: usize,
    inner: usize,
    sums: Vec<f64>,
    count: f64,
}

impl Sums {
    fn new([channels, inner]: [usize; 2], rows: usize) -> Self {
        let inner = inner.max(1);
        Sums { channels, inner, sums: vec![0.0; if channels == rows { channels } else { 0 }], count: 0.0 }
    }

    fn add(&mut self, expected: &[f32], found: &Tensor, name: &str) -> Result<(), CompressError> {
        if self.sums.is_empty() {
            return Ok(());
        }
        for (index, (a, b)) in expected.iter().zip(floats_of(name, found)?).enumerate() {
            self.sums[index / self.inner % self.channels] += f64::from(a - b);
        }
        self.count += (expected.len() / self.channels) as f64;
        Ok(())
    }

    /// Mean difference of each channel; nothing where channels are no rows.
    fn means(&self) -> Vec<f32> {
        self.sums.iter().map(|sum| (sum / self.count.max(1.0)) as f32).collect()
    }

    fn shifted(&self, tensor: &Tensor, name: &str, shift: &[f32]) -> Result<Tensor, CompressError> {
        if shift.is_empty() {
            return Ok(tensor.clone());
        }
        let values = floats_of(name, tensor)?.iter().enumerate();
        let shifted: Vec<f32> =
            values.map(|(index, value)| value + shift[index / self.inner % self.channels]).collect();
        tensor_of(tensor.shape(), &shifted)
    }
}

/// Power over error, in decibels.
fn ratio(values: &Values, name: &str) -> Result<f64, CompressError> {
    let (mut power, mut error) = (0.0f64, 0.0f64);
    for (a, b) in values.float.iter().zip(&values.quantized) {
        for (a, b) in floats_of(name, a)?.iter().zip(floats_of(name, b)?) {
            power += f64::from(*a).powi(2);
            error += f64::from(a - b).powi(2);
        }
    }
    Ok(10.0 * (power.max(f64::MIN_POSITIVE) / error.max(f64::MIN_POSITIVE)).log10())
}

impl Layer {
    /// Adds what its outputs lack on average to the bias. A matrix product has none.
    fn shift_bias(&mut self, node: &NodeProto, shift: &[f32]) {
        if node.op_type == "MatMul" || shift.len() != self.weights.rows.len() {
            return;
        }
        let bias = self.bias.get_or_insert_with(|| vec![0.0; shift.len()]);
        if bias.len() != shift.len() {
            return;
        }
        bias.iter_mut().zip(shift).for_each(|(bias, shift)| *bias += shift);
        self.make_room_for_bias();
    }
}
