//! From a file to a graph that plans are compiled from: parsed once, compiled per batch and resolution.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use prost::Message;
use prost::bytes::Bytes;
use tract_onnx::pb;
use tract_onnx::prelude::*;

use super::bundle::{Form, Variant};
use super::explain::refusal;
use super::graph::{self, GraphInfo, Port, show};
use super::manifest::{InputKind, Manifest};
use super::parser::onnx;
use super::{Bundle, Engine, ModelError, PlanKey, budget, dynamic, ends, exporter, guard, state};
use crate::frame::{Label, Layout};
use leptond_engine::int8::{decompose, kernels};
use leptond_engine::operators;

/// A parsed model. Compile plans from it; drop it when no further plan will be needed, they do not depend on it.
pub struct LoadedModel {
    pub(super) path: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) labels: Vec<Label>,
    pub(super) anchors: Option<String>,
    pub(super) variant: Variant,
    pub(super) info: GraphInfo,
    pub(super) parsed: Parsed,
    /// The file's graph: partitions and decided branches are made from it for every set of shapes.
    pub(super) proto: Box<pb::ModelProto>,
    /// Size of the file: what it may cost to compile grows with it.
    pub(super) file_bytes: usize,
    /// Set where partitions are wanted: quantised parts in integers, the rest in floats.
    pub(super) integer: bool,
    pub(super) threads: usize,
    /// Whether any part of it does, once that has been tried.
    pub(super) has_partitions: OnceLock<bool>,
}

/// A graph as far as it can be parsed before the input shapes are known.
pub(super) enum Parsed {
    /// Taken by the first plan, so that its weights are not held beside that plan's; others parse the graph again.
    Ready(Mutex<Option<Box<InferenceModel>>>),
    /// It has branches that the shapes decide.
    Branching,
    /// There is none: readings go to their task as they are.
    Readings,
}

impl LoadedModel {
    /// Parses variant `variant` (0 = the main file) of a bundle.
    ///
    /// `engine` says which arithmetic is wanted ([`Engine::Auto`] is integers where the model is quantised; a
    /// [race](super::autotune::race) may say otherwise) and `threads` how many threads one inference may use: the integer engine
    /// uses them, tract's floats always run on one. [`LoadedModel::engine`] and [`LoadedModel::threads`] tell what runs.
    ///
    /// # Errors
    /// Everything but [`ModelError::Run`].
    pub fn load(bundle: &Bundle, variant: usize, engine: Engine, threads: usize) -> Result<Self, ModelError> {
        if bundle.is_readings() {
            return Ok(LoadedModel::readings(bundle));
        }
        let form = bundle.model(variant)?;
        let path = bundle.onnx_path(variant);
        let variant = bundle.variants().into_iter().nth(variant).unwrap_or_else(|| Variant::of(bundle.manifest()));
        let anchors = match &bundle.manifest().output.anchors {
            Some(file) => Some(String::from_utf8_lossy(&bundle.read(file)?).into_owned()),
            None => None,
        };
        let file_bytes = match &form {
            Form::File(bytes) => bytes.len(),
            Form::Converted(model) => model.encoded_len(),
        };
        let (mut info, parsed, proto) = parse(form, file_bytes, &path)?;
        info.give(&bundle.manifest().input.shapes, &path)?;
        let labels = match bundle.is_bare() {
            true => exporter::said(&info.metadata).labels.into_iter().map(Label::from).collect(),
            false => bundle.labels().to_vec(),
        };
        let model = LoadedModel {
            path,
            manifest: bundle.manifest().clone(),
            labels,
            anchors,
            variant,
            info,
            parsed,
            proto,
            file_bytes,
            integer: engine != Engine::F32,
            threads: threads.max(1),
            has_partitions: OnceLock::new(),
        };
        if !bundle.is_bare() {
            model.spec(PlanKey::default())?;
        }
        Ok(model)
    }

    /// Parses ONNX bytes that belong to no bundle; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`LoadedModel::load`].
    pub fn from_onnx(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let path = PathBuf::from(name);
        let (info, parsed, proto) = parse(Form::File(bytes.into()), bytes.len(), &path)?;
        let manifest = Manifest::bare(name, name);
        let variant = Variant::of(&manifest);
        Ok(LoadedModel {
            path,
            manifest,
            labels: Vec::new(),
            anchors: None,
            variant,
            info,
            parsed,
            proto,
            file_bytes: bytes.len(),
            integer: true,
            threads: 1,
            has_partitions: OnceLock::new(),
        })
    }

    /// In place of a model: plans that compute nothing.
    fn readings(bundle: &Bundle) -> Self {
        LoadedModel {
            path: bundle.path().into(),
            manifest: bundle.manifest().clone(),
            labels: Vec::new(),
            anchors: None,
            variant: Variant::of(bundle.manifest()),
            info: GraphInfo::default(),
            parsed: Parsed::Readings,
            proto: Box::default(),
            file_bytes: 0,
            integer: false,
            threads: 1,
            has_partitions: OnceLock::new(),
        }
    }

    /// True where there is no model.
    pub(super) fn is_readings(&self) -> bool {
        matches!(self.parsed, Parsed::Readings)
    }

    /// What the file says about its graph.
    pub fn info(&self) -> &GraphInfo {
        &self.info
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The arithmetic that runs: `int8` where the quantised parts of the model run in integers, `f32-qdq` where they compute in floats
    /// between roundings to integers, `f32` for a model that is not quantised.
    pub fn engine(&self) -> &'static str {
        match (is_quantised(&self.info), self.is_planned()) {
            _ if self.is_readings() => "none",
            (true, true) => "int8",
            (true, false) => "f32-qdq",
            (false, _) => "f32",
        }
    }

    /// True unless it is known that the engine runs no part of it.
    fn is_planned(&self) -> bool {
        self.integer && *self.has_partitions.get().unwrap_or(&true)
    }

    /// The instruction set that the engine of ours uses for it.
    pub fn kernels(&self) -> Option<&'static str> {
        let name = || if is_quantised(&self.info) { kernels::best().name() } else { kernels::float::best().name() };
        self.is_planned().then(name)
    }

    /// Threads that one inference uses.
    pub fn threads(&self) -> usize {
        if self.is_planned() { self.threads } else { 1 }
    }

    /// Plans that are compiled from now on may use this many threads.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Takes a length for every dimension that the file leaves open and that nothing else says; tells in words which.
    pub fn assume_shapes(&mut self) -> Vec<String> {
        self.info.assume()
    }

    /// Concrete input shapes for a plan's key.
    ///
    /// # Errors
    /// [`ModelError::Shape`] naming the tensor when the graph has another size, or leaves open what nothing fixes.
    pub fn shapes(&self, key: PlanKey) -> Result<Vec<Vec<usize>>, ModelError> {
        let mut shapes = Vec::with_capacity(self.info.inputs.len());
        for (index, port) in self.info.inputs.iter().enumerate() {
            let mut shape = Vec::with_capacity(port.dims.len());
            let wanted = if index == 0 { self.wanted(port, key) } else { Vec::new() };
            for (axis, dim) in port.dims.iter().enumerate() {
                let want = wanted.get(axis).copied().flatten();
                let batch = if axis == 0 { Some(key.batch.unwrap_or(1)) } else { None };
                let size = match (dim, want) {
                    (Some(have), Some(want)) if *have != want => {
                        let reason = format!("dimension {axis} is {have} in the file, {want} is asked for");
                        return Err(self.shape_error(&port.name, reason));
                    }
                    (Some(have), _) => Some(*have),
                    (None, want) => want.or(batch),
                };
                shape.push(size.ok_or_else(|| {
                    let reason = format!("dimension {axis} is open in the file and nothing says how large it is (--shape, or shapes in the manifest)");
                    self.shape_error(&port.name, reason)
                })?);
            }
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// What manifest and key ask of the first input's dimensions.
    fn wanted(&self, port: &Port, key: PlanKey) -> Vec<Option<usize>> {
        let mut wanted = vec![None; port.dims.len()];
        match self.kind(port) {
            InputKind::Image => {
                let (Some(size), Some(layout)) = (key.size.or(self.variant.size), self.layout(port)) else {
                    return wanted;
                };
                let first = if layout == Layout::Nhwc { 1 } else { 2 };
                for (axis, pixels) in size.into_iter().enumerate() {
                    wanted[first + axis] = Some(pixels);
                }
                let channels = if layout == Layout::Nhwc { 3 } else { 1 };
                if port.dims[channels].is_none() {
                    let grey = self.manifest.input.colour == Some(crate::frame::Colour::Grey);
                    wanted[channels] = Some(if grey { 1 } else { 3 });
                }
            }
            InputKind::Window => {
                let (Some(rows), channels) = (self.manifest.input.rows, self.manifest.input.channels.len()) else {
                    return wanted;
                };
                match wanted.len() {
                    2 => wanted[1] = Some(rows * channels),
                    3 => (wanted[1], wanted[2]) = (Some(rows), Some(channels)),
                    _ => {}
                }
            }
        }
        wanted
    }

    /// Picture or window: what the manifest says, else pictures where the first input has the shape of one.
    pub(super) fn kind(&self, port: &Port) -> InputKind {
        let picture = self.layout(port).is_some();
        self.manifest.input.kind.unwrap_or(if picture { InputKind::Image } else { InputKind::Window })
    }

    /// Axis order of a picture input; `None` if it cannot be one.
    pub(super) fn layout(&self, port: &Port) -> Option<Layout> {
        let channels = |dim: Option<usize>| matches!(dim, Some(1 | 3));
        match port.dims[..] {
            [_, _, _, _] if self.manifest.input.layout.is_some() => self.manifest.input.layout,
            [_, _, _, last] if channels(last) => Some(Layout::Nhwc),
            [_, second, _, _] if channels(second) || second.is_none() => Some(Layout::Nchw),
            _ => None,
        }
    }

    pub(super) fn check_shape(&self, port: &Port, shape: &[usize]) -> Result<(), ModelError> {
        let fits =
            port.dims.len() == shape.len() && port.dims.iter().zip(shape).all(|(d, s)| d.is_none_or(|d| d == *s));
        if !fits {
            return Err(self.shape_error(&port.name, format!("expected shape {}, found {shape:?}", show(&port.dims))));
        }
        let bytes = shape.iter().try_fold(port.dtype.size_of(), |acc, d| acc.checked_mul(*d));
        if bytes.is_none_or(|b| b > graph::MAX_TENSOR_BYTES) {
            let limit = graph::MAX_TENSOR_BYTES >> 20;
            return Err(self.shape_error(&port.name, format!("shape {shape:?} is above {limit} MiB")));
        }
        Ok(())
    }

    pub(super) fn shape_error(&self, tensor: &str, reason: String) -> ModelError {
        ModelError::Shape { path: self.path.clone(), tensor: tensor.into(), reason }
    }
}

fn is_quantised(info: &GraphInfo) -> bool {
    info.nodes.iter().any(|n| n.operator == "QuantizeLinear" || n.operator == "DequantizeLinear")
}

/// Domain of onnxruntime's operators on tensors whose channels lie in blocks as wide as a processor's registers.
const BLOCKED_CHANNELS: &str = "com.microsoft.nchwc";

type Parts = (GraphInfo, Parsed, Box<pb::ModelProto>);

fn parse(form: Form, file_bytes: usize, path: &Path) -> Result<Parts, ModelError> {
    let failed = |reason: String| ModelError::Compile { path: path.into(), reason };
    let work = || -> Result<Parts, ModelError> {
        let (mut proto, open) = match form {
            Form::File(bytes) => graph::decode(Bytes::from(bytes.into_owned()), path)?,
            Form::Converted(model) => graph::accepted(*model, path)?,
        };
        state::arrange(&mut proto, path)?;
        operators::rewrite(&mut proto).map_err(failed)?;
        if let Some(graph) = &mut proto.graph {
            decompose(graph);
        }
        let onnx = onnx();
        let mut nodes = proto.graph.iter().flat_map(|graph| &graph.node);
        // Some of these have the names of ONNX's own.
        let blocked = |node: &pb::NodeProto| node.domain == BLOCKED_CHANNELS;
        if let Some(node) = nodes.find(|node| blocked(node) || !onnx.op_register.0.contains_key(&node.op_type)) {
            let reason = match blocked(node) {
                true => {
                    "onnxruntime optimised this file for the computer that it ran on: save it at \
                         ORT_ENABLE_EXTENDED or lower, or take the file that it was made of"
                }
                false => "there is no such operator here",
            };
            return Err(ModelError::Unsupported {
                path: path.into(),
                node: node.name.clone(),
                operator: node.op_type.clone(),
                reason: reason.into(),
            });
        }
        ends::complete(&mut proto, &onnx);
        let mut info = graph::describe(&proto, path)?;
        for input in &mut info.inputs {
            input.open = open.get(&input.name).filter(|o| o.len() == input.dims.len()).unwrap_or(&input.open).clone();
        }
        if dynamic::split::needed(&proto) {
            return Ok((info, Parsed::Branching, Box::new(proto)));
        }
        let parsed = onnx.parse(&proto, None).map_err(|e| refusal(&e, &info, path))?;
        if let Some(name) = parsed.unresolved_inputs.first() {
            return Err(failed(format!("tensor {name:?} is defined nowhere")));
        }
        Ok((info, Parsed::Ready(Mutex::new(Some(Box::new(parsed.model)))), Box::new(proto)))
    };
    guard::guarded_deep(|| budget::within(file_bytes, work)).map_err(failed)?
}
