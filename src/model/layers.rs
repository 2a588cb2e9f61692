//! The layers of a quantised model beside themselves in floats: intermediate tensors as outputs of two graphs.

use std::collections::HashMap;

use leptond_engine::onnx::{GraphView, build, node};
use prost::Message as _;
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::DatumType;

use super::{LoadedModel, ModelError, PlanKey};

/// A quantised model made to show its layers, in integers and in floats.
pub struct Layers {
    /// The model as it is; its layers are outputs, as integers with their quantisation.
    pub integer: LoadedModel,
    /// The model with the roundings of activations taken out: weights and ranges are those of the integers, all else is floats. The ranges
    /// stay since the end of one often is the activation function, as in a convolution with ReLU.
    pub float: LoadedModel,
    /// In the order in which they are computed.
    pub layers: Vec<Layer>,
}

/// A place where a value is rounded to integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name of the tensor that is rounded.
    pub tensor: String,
    /// Name of the node that computes it; empty for an input of the model.
    pub node: String,
    /// Its ONNX operator; `input` for an input of the model.
    pub operator: String,
    /// Index of its output of [`Layers::integer`].
    pub integer: usize,
    /// Index of its output of [`Layers::float`].
    pub float: usize,
}

impl LoadedModel {
    /// Makes the layers of the model outputs. `None` where no activation of it is rounded to integers: it is in floats.
    ///
    /// # Errors
    /// [`ModelError::Compile`] for a model that keeps a state, else as [`LoadedModel::load`].
    pub fn layers(&self) -> Result<Option<Layers>, ModelError> {
        if !self.info().kept.is_empty() {
            let reason = "it keeps a state between its runs: layers of such a model are not compared".into();
            return Err(ModelError::Compile { path: self.path.clone(), reason });
        }
        let Some(graph) = &self.proto.graph else { return Ok(None) };
        let view = GraphView::new(graph);
        let found: Vec<Rounding> = view.order().into_iter().filter_map(|index| Rounding::of(&view, index)).collect();
        if found.is_empty() {
            return Ok(None);
        }
        let facts = self.analysis(&self.shapes(PlanKey { batch: Some(1), size: None })?)?.facts;
        let mut integer = (*self.proto).clone();
        let mut float = (*self.proto).clone();
        let (Some(to_show), Some(to_round)) = (&mut integer.graph, &mut float.graph) else { return Ok(None) };
        without_roundings(to_round, &view, &found);
        let mut layers = Vec::with_capacity(found.len());
        for rounding in &found {
            let Rounding { from, to, kind, .. } = rounding;
            let dims: Option<Vec<build::Dim>> = facts
                .get(to)
                .and_then(|fact| fact.shape.as_ref())
                .map(|shape| shape.iter().map(|size| build::Dim::Size(*size)).collect());
            let producer = view.producer(from).map(|index| view.node(index));
            let (node, operator) = producer.map_or(("", "input"), |node| (node.name.as_str(), node.op_type.as_str()));
            layers.push(Layer {
                tensor: from.clone(),
                node: node.into(),
                operator: operator.into(),
                integer: show(to_show, to.clone(), *kind, dims.as_deref()),
                float: show(to_round, rounding.exact(), DataType::Float, dims.as_deref()),
            });
        }
        let load = |proto: &pb::ModelProto| {
            let mut model = LoadedModel::from_onnx(&self.path.to_string_lossy(), &proto.encode_to_vec())?;
            model.manifest = self.manifest.clone();
            model.variant = self.variant.clone();
            // Shapes that were given for what the file leaves open.
            model.info.give(&self.manifest.input.shapes, &self.path)?;
            Ok::<_, ModelError>(model)
        };
        let (integer, mut float) = (load(&integer)?, load(&float)?);
        float.integer = false;
        Ok(Some(Layers { integer, float, layers }))
    }
}

/// An activation that is rounded.
struct Rounding {
    /// Tensor before.
    from: String,
    /// Tensor of integers.
    to: String,
    /// Type of the integers.
    kind: DataType,
    /// Reals that the integers reach from and to; `None` where each channel has a range of its own.
    range: Option<[f32; 2]>,
}

impl Rounding {
    fn of(view: &GraphView, index: usize) -> Option<Rounding> {
        let rounding = view.node(index);
        let (from, to) = (node::input(rounding, 0)?, rounding.output.first().filter(|to| !to.is_empty())?);
        if rounding.op_type != "QuantizeLinear" || view.constant(from).is_some() {
            return None;
        }
        let zero = node::input(rounding, 2);
        let dtype = zero.and_then(|zero| view.constant(zero)).map_or(DatumType::U8, |zero| zero.datum_type());
        let (kind, ends) = match dtype.unquantized() {
            DatumType::I8 => (DataType::Int8, [-128.0, 127.0]),
            DatumType::I16 => (DataType::Int16, [-32768.0, 32767.0]),
            DatumType::U16 => (DataType::Uint16, [0.0, 65535.0]),
            _ => (DataType::Uint8, [0.0, 255.0]),
        };
        let scale = node::input(rounding, 1).and_then(|scale| view.scalar(scale));
        let zero = zero.map_or(Some(0.0), |zero| view.scalar(zero));
        let range = scale.zip(zero).map(|(scale, zero)| ends.map(|end: f64| (scale * (end - zero)) as f32));
        Some(Rounding { from: from.into(), to: to.clone(), kind, range })
    }

    /// Name of the tensor that is within the range, and not rounded.
    fn exact(&self) -> String {
        format!("{}/exact", self.to)
    }
}

/// Lets everything that reads a rounded value read it as it was before, within its range, but for outputs of the graph.
fn without_roundings(graph: &mut pb::GraphProto, view: &GraphView, found: &[Rounding]) {
    let rounded: HashMap<&str, &Rounding> = found.iter().map(|one| (one.to.as_str(), one)).collect();
    let mut exact: HashMap<&str, String> = HashMap::new();
    for back in &view.graph().node {
        let (Some(from), Some(to)) = (node::input(back, 0), back.output.first()) else { continue };
        if let (Some(one), "DequantizeLinear", false) = (rounded.get(from), back.op_type.as_str(), view.is_kept(to)) {
            exact.insert(to, one.exact());
        }
    }
    let mut nodes = Vec::with_capacity(graph.node.len() + 2 * found.len());
    for mut one in std::mem::take(&mut graph.node) {
        for input in &mut one.input {
            if let Some(name) = exact.get(input.as_str()) {
                input.clone_from(name);
            }
        }
        let rounding = one.output.first().and_then(|to| rounded.get(to.as_str())).copied();
        let before = one.input.first().cloned();
        nodes.push(one);
        if let (Some(rounding), Some(before)) = (rounding, before) {
            let name = rounding.exact();
            let Some([low, high]) = rounding.range else {
                nodes.push(build::NodeBuilder::new("Identity", [before]).named(name.clone(), [name]));
                continue;
            };
            let ends = [format!("{name}/low"), format!("{name}/high")];
            let raised = format!("{name}/raised");
            let [low_name, high_name] = &ends;
            graph.initializer.extend([build::floats(low_name, &[low]), build::floats(high_name, &[high])]);
            let most = build::NodeBuilder::new("Max", [&before, low_name]);
            nodes.push(most.named(raised.clone(), [raised.clone()]));
            nodes.push(build::NodeBuilder::new("Min", [&raised, high_name]).named(name.clone(), [name]));
        }
    }
    graph.node = nodes;
}

/// Makes a tensor an output of the graph, where it is none; gives its index.
fn show(graph: &mut pb::GraphProto, name: String, kind: DataType, dims: Option<&[build::Dim]>) -> usize {
    if let Some(index) = graph.output.iter().position(|output| output.name == name) {
        return index;
    }
    graph.output.push(match dims {
        Some(dims) => build::port(name, kind, dims),
        None => build::untyped_port(name),
    });
    graph.output.len() - 1
}
