//! The ONNX graph under construction, and what every tensor of the file is called in it.
//!
//! A tensor may be there in up to four forms: as the file stores it (bytes, where it is quantised) or as reals, and each
//! with its axes as in the file or channels first. A form is made when it is first asked for.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use tract_onnx::pb;

pub use super::constants::Try;
use super::constants::{Constants, onnx_type};
use super::error::TfliteError;
use super::graph::{FileGraph, Quant, Tensor};
use super::layout::{Layout, spreads};
use super::schema::{Activation, ElementType};
use super::state::States;
use crate::onnx::build::{self, Dim, NodeBuilder};
use crate::operators::DOMAIN;

/// Version of ONNX's operators.
const OPSET: i64 = 17;

/// Names of a tensor's forms, by layout.
#[derive(Clone, Default)]
struct Forms {
    stored: [Option<String>; 2],
    real: [Option<String>; 2],
}

/// A file's graphs, with what of them must be computed.
pub struct Program<'a> {
    /// The first one is the model.
    pub graphs: Vec<FileGraph<'a>>,
    /// For each graph the operators that its outputs depend on, in order.
    pub live: Vec<Vec<usize>>,
}

/// A graph under construction.
pub struct Writer<'n, 'a> {
    pub(super) program: &'n Program<'a>,
    /// The graph that is written.
    pub(super) net: &'n FileGraph<'a>,
    /// Number of graphs around this one.
    pub(super) depth: usize,
    /// True if the first dimension is left open.
    pub(super) open: bool,
    forms: Vec<Forms>,
    /// Shapes that differ from what the file says, by tensor.
    shapes: HashMap<usize, Vec<Dim>>,
    pub(super) graph: pb::GraphProto,
    pub(super) taken: HashSet<String>,
    is_output: Vec<bool>,
    /// Names of inputs and of what nodes make.
    defined: HashSet<String>,
    pub(super) constants: Constants,
    /// Bytes of constants and names that may still be written: operators may share them as often as they like.
    pub(super) allowance: usize,
    pub(super) states: States,
}

impl<'n, 'a> Writer<'n, 'a> {
    /// An empty graph with the inputs of the model in `program`, which came from a file of `file_bytes`.
    pub fn new(program: &'n Program<'a>, open: bool, file_bytes: usize) -> Result<Self, TfliteError> {
        let Some(net) = program.graphs.first() else {
            return Err(TfliteError::Broken { reason: "it holds no graph".into() });
        };
        // What was expanded is written once, twice as wide where it was of half precision.
        let expanded = program.graphs.iter().flat_map(|g| &g.tensors).map(|tensor| match &tensor.data {
            Some(Cow::Owned(values)) => values.len().saturating_mul(4),
            _ => 0,
        });
        let expanded = expanded.fold(0, usize::saturating_add);
        let allowance = file_bytes.saturating_mul(16).saturating_add(1 << 20).saturating_add(expanded);
        let mut writer = Writer::bare(program, net, open, allowance);
        writer.graph.name = "tflite".into();
        // Outputs keep their names before anything else may take them.
        for &index in net.inputs.iter().chain(&net.outputs) {
            writer.taken.insert(net.tensors[index].name.clone());
        }
        net.outputs.iter().for_each(|&o| writer.is_output[o] = true);
        for &index in &net.inputs {
            let own = net.tensors[index].name.clone();
            let name = if own.is_empty() || writer.defined.contains(&own) { writer.fresh(index, "input") } else { own };
            writer.defined.insert(name.clone());
            let port = writer.port(index, &name)?;
            writer.graph.input.push(port);
            writer.forms[index].stored[0] = Some(name);
        }
        Ok(writer)
    }

    /// A graph without inputs and outputs, to be filled from `net`.
    pub(super) fn bare(program: &'n Program<'a>, net: &'n FileGraph<'a>, open: bool, allowance: usize) -> Self {
        Writer {
            program,
            net,
            depth: 0,
            open,
            forms: vec![Forms::default(); net.tensors.len()],
            shapes: HashMap::new(),
            graph: pb::GraphProto::default(),
            taken: HashSet::new(),
            is_output: vec![false; net.tensors.len()],
            defined: HashSet::new(),
            constants: Constants::default(),
            allowance,
            states: States::default(),
        }
    }

    /// Names the outputs and gives the model.
    pub fn finish(mut self) -> Result<pb::ModelProto, TfliteError> {
        let mut named: HashSet<String> = self.graph.input.iter().map(|i| i.name.clone()).collect();
        for &index in &self.net.outputs {
            let tensor = &self.net.tensors[index];
            let wrong = |reason: String| TfliteError::Tensor { tensor: tensor.name.clone(), reason };
            let stored = self.stored(index, Layout::File).map_err(wrong)?;
            let wanted = tensor.name.clone();
            let name = if !wanted.is_empty() && named.insert(wanted.clone()) {
                wanted
            } else {
                let name = self.fresh(index, "output");
                named.insert(name.clone());
                name
            };
            if stored != name {
                self.node(NodeBuilder::new("Identity", [&stored]), name.clone());
            }
            let port = self.port(index, &name)?;
            self.graph.output.push(port);
        }
        let metadata = self.finish_states();
        let foreign = self.graph.node.iter().any(|node| node.domain == DOMAIN);
        let mut model = pb::ModelProto {
            producer_name: "leptond from TensorFlow Lite".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            metadata_props: metadata,
            ..build::model(self.graph, OPSET)
        };
        if foreign {
            let own = pb::OperatorSetIdProto { domain: DOMAIN.into(), version: 1 };
            model.opset_import.push(own);
        }
        Ok(model)
    }

    fn port(&self, index: usize, name: &str) -> Result<pb::ValueInfoProto, TfliteError> {
        let tensor = self.tensor(index);
        let wrong = |reason: String| TfliteError::Tensor { tensor: tensor.name.clone(), reason };
        let kind = onnx_type(tensor.kind).map_err(wrong)?;
        let dim =
            |(axis, &dim): (usize, &usize)| if self.open && axis == 0 { Dim::Open("batch") } else { Dim::Size(dim) };
        if let Some(dims) = self.shapes.get(&index) {
            return Ok(build::port(name, kind, dims));
        }
        Ok(build::port(name, kind, &tensor.shape.iter().enumerate().map(dim).collect::<Vec<_>>()))
    }

    /// Says that result `index` has another shape than the file tells, for which only the model's ends are fit.
    pub fn reshape(&mut self, index: usize, shape: Vec<usize>) {
        if self.tensor(index).shape != shape {
            self.shapes.insert(index, shape.into_iter().map(Dim::Size).collect());
        }
    }

    /// Says that only a run tells the first dimension of result `index`.
    pub fn loosen(&mut self, index: usize) {
        let rest = self.tensor(index).shape.iter().skip(1).map(|&dim| Dim::Size(dim));
        let dims = [Dim::Open("found")].into_iter().chain(rest).collect();
        self.shapes.insert(index, dims);
    }

    /// True if no operator reads a result.
    pub fn is_unread(&self, index: usize) -> bool {
        !self.net.operators.iter().any(|o| o.inputs.contains(&Some(index)))
    }

    /// A tensor of the file.
    pub fn tensor(&self, index: usize) -> &'n Tensor<'a> {
        &self.net.tensors[index]
    }

    /// True if the batch is left open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// True if a tensor is a constant or computed already.
    pub fn is_known(&self, index: usize) -> bool {
        self.tensor(index).data.is_some() || self.forms[index].stored.iter().any(Option::is_some)
    }

    /// The layout in which a tensor lies, where it lies in one only and it matters.
    pub fn lies(&self, index: usize) -> Option<Layout> {
        let [file, first] = &self.forms[index].stored;
        match (file, first, spreads(&self.tensor(index).shape)) {
            (Some(_), None, true) => Some(Layout::File),
            (None, Some(_), _) => Some(Layout::ChannelsFirst),
            _ => None,
        }
    }

    /// The layout in which an operator of these operands computes with the fewest transpositions.
    pub fn common_layout(&self, operands: &[usize], result: usize) -> Layout {
        let moving: Vec<usize> = operands.iter().copied().filter(|&i| self.tensor(i).data.is_none()).collect();
        let pictures = moving.iter().chain([&result]).all(|&i| self.tensor(i).shape.len() == 4);
        let first = moving.iter().any(|&i| self.lies(i) == Some(Layout::ChannelsFirst));
        if pictures && first { Layout::ChannelsFirst } else { Layout::File }
    }

    /// A name that nothing has yet, made from a tensor's.
    pub(super) fn fresh(&mut self, index: usize, ending: &str) -> String {
        // Converters join the names of everything that went into a fused operator; the first is that of its result.
        let own = self.net.tensors[index].name.split(';').next().unwrap_or_default();
        let own = if own.is_empty() { format!("tensor_{index}") } else { own.to_owned() };
        let base = if ending.is_empty() { own } else { format!("{own}_{ending}") };
        self.unique(base)
    }

    pub(super) fn unique(&mut self, base: String) -> String {
        let mut name = base.clone();
        let mut count = self.taken.len();
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{count}");
            count += 1;
        }
        name
    }

    /// Adds a node with the output `output`.
    pub(super) fn node(&mut self, step: NodeBuilder, output: String) {
        self.nodes(step, vec![output]);
    }

    /// Adds a node with several outputs.
    pub(super) fn nodes(&mut self, node: NodeBuilder, outputs: Vec<String>) {
        let names = node.inputs().iter().chain(&outputs);
        self.allowance = self.allowance.saturating_sub(names.map(String::len).sum());
        self.defined.extend(outputs.iter().cloned());
        let name = outputs.first().cloned().unwrap_or_default();
        self.graph.node.push(node.named(name, outputs));
    }

    /// Name of the stored form of a result: its own where an output of the model needs it.
    fn result(&mut self, index: usize, layout: Layout) -> Try<String> {
        if self.is_known(index) {
            return Err(format!("tensor {:?} is computed twice", self.tensor(index).name));
        }
        let name = self.tensor(index).name.clone();
        let own = layout == Layout::File && !name.is_empty() && self.is_output[index];
        Ok(match layout {
            Layout::File if own && !self.defined.contains(&name) => name,
            Layout::File => self.fresh(index, ""),
            Layout::ChannelsFirst => self.fresh(index, "nchw"),
        })
    }

    /// Adds nodes in a row that compute tensor `index` as reals; bytes are rounded behind them.
    pub fn compute(&mut self, index: usize, layout: Layout, mut steps: Vec<NodeBuilder>) -> Try<()> {
        if self.tensor(index).kind.is_quantised() {
            let (scale, zero_point) = self.parameters(index)?;
            steps.push(NodeBuilder::new("QuantizeLinear", [&scale, &zero_point]));
        }
        self.row(index, layout, steps)
    }

    /// Adds nodes in a row that give tensor `index` as it is stored.
    pub fn row(&mut self, index: usize, layout: Layout, steps: Vec<NodeBuilder>) -> Try<()> {
        let result = self.result(index, layout)?;
        let last = steps.len().checked_sub(1).ok_or("it does nothing")?;
        let mut before: Option<String> = None;
        for (place, mut step) in steps.into_iter().enumerate() {
            if let Some(before) = before.take() {
                step.prepend_input(before);
            }
            let ending = step.operator().to_lowercase();
            let output = if place == last { result.clone() } else { self.fresh(index, &ending) };
            before = Some(output.clone());
            self.node(step, output);
        }
        self.forms[index].stored[layout as usize] = Some(result);
        Ok(())
    }

    /// Names in the file's order of axes what the graphs around this one compute of tensor `index`.
    pub(super) fn given(&mut self, index: usize, name: String) {
        self.forms[index].stored[Layout::File as usize] = Some(name);
    }

    /// Adds a node that gives another form of tensor `index`, for one consumer; returns its name.
    pub fn extra(&mut self, index: usize, step: NodeBuilder) -> String {
        let name = self.fresh(index, &step.operator().to_lowercase());
        self.node(step, name.clone());
        name
    }

    /// Adds a node with several results, as they are stored.
    pub fn several(&mut self, results: &[usize], layout: Layout, step: NodeBuilder) -> Try<()> {
        let mut names = Vec::with_capacity(results.len());
        for &index in results {
            let name = self.result(index, layout)?;
            self.forms[index].stored[layout as usize] = Some(name.clone());
            names.push(name);
        }
        self.nodes(step, names);
        Ok(())
    }

    /// Adds a node whose first and third outputs are results as they are stored, between them one that nothing reads.
    pub fn between(&mut self, step: NodeBuilder, [first, last]: [usize; 2], unread: String) -> Try<()> {
        let (front, back) = (self.result(first, Layout::File)?, self.result(last, Layout::File)?);
        self.forms[first].stored[Layout::File as usize] = Some(front.clone());
        self.forms[last].stored[Layout::File as usize] = Some(back.clone());
        self.nodes(step, vec![front, unread, back]);
        Ok(())
    }

    /// The same as `name` under a name that a node of this graph makes.
    pub fn copied(&mut self, name: &str) -> String {
        let copy = self.unique(format!("{name}_copy"));
        self.node(NodeBuilder::new("Identity", [name]), copy.clone());
        copy
    }

    /// Tensor `index` in `layout` is what `name` is already.
    pub fn alias(&mut self, index: usize, layout: Layout, name: String) -> Try<()> {
        if self.is_known(index) {
            return Err(format!("tensor {:?} is computed twice", self.tensor(index).name));
        }
        self.forms[index].stored[layout as usize] = Some(name);
        Ok(())
    }

    /// A tensor as the file stores it.
    pub fn stored(&mut self, index: usize, layout: Layout) -> Try<String> {
        if let Some(name) = &self.forms[index].stored[layout as usize] {
            return Ok(name.clone());
        }
        let tensor = self.tensor(index);
        let rank = tensor.shape.len();
        if layout == Layout::ChannelsFirst && rank != 4 {
            return Err(format!("tensor {:?} of shape {:?} is no picture", tensor.name, tensor.shape));
        }
        let name = if tensor.data.is_some() {
            let order: Vec<usize> = match layout {
                Layout::File => (0..rank).collect(),
                Layout::ChannelsFirst => Layout::TO_CHANNELS_FIRST.to_vec(),
            };
            self.constant(index, &tensor.shape, &order)?
        } else {
            let from = self.forms[index].stored[layout.other() as usize].clone();
            let from = from.ok_or_else(|| format!("tensor {:?} is computed nowhere before it", tensor.name))?;
            let name = self.fresh(index, if layout == Layout::File { "nhwc" } else { "nchw" });
            let step = if spreads(&tensor.shape) {
                let order = if layout == Layout::File { Layout::TO_FILE } else { Layout::TO_CHANNELS_FIRST };
                NodeBuilder::new("Transpose", [&from]).sizes("perm", &order)
            } else {
                let dims = self.dims(&layout.shape(&tensor.shape))?;
                NodeBuilder::new("Reshape", [&from, &dims])
            };
            self.node(step, name.clone());
            name
        };
        self.forms[index].stored[layout as usize] = Some(name.clone());
        Ok(name)
    }

    /// A tensor as reals.
    pub fn real(&mut self, index: usize, layout: Layout) -> Try<String> {
        if let Some(name) = &self.forms[index].real[layout as usize] {
            return Ok(name.clone());
        }
        let stored = self.stored(index, layout)?;
        let order = if layout == Layout::File { None } else { Some(&Layout::TO_CHANNELS_FIRST[..]) };
        let name = self.dequantised(index, stored, order)?;
        self.forms[index].real[layout as usize] = Some(name.clone());
        Ok(name)
    }

    /// Elements of a tensor in the file's order, in whatever shape they lie, as they are stored.
    pub fn in_order(&mut self, index: usize) -> Try<String> {
        match (&self.forms[index].stored, spreads(&self.tensor(index).shape)) {
            ([None, Some(name)], false) => Ok(name.clone()),
            _ => self.stored(index, Layout::File),
        }
    }

    /// Reals of a form of tensor `index` with axes in `order` (the file's if `None`).
    pub fn dequantised(&mut self, index: usize, stored: String, order: Option<&[usize]>) -> Try<String> {
        let tensor = self.tensor(index);
        let Some(quant) = tensor.quant.as_ref().filter(|_| tensor.kind.is_quantised()) else {
            return match tensor.kind {
                ElementType::F16 if tensor.data.is_none() => {
                    Err(format!("tensor {:?} is of type FLOAT16 and no constant", tensor.name))
                }
                kind if kind.is_quantised() => Err(format!("tensor {:?} has no scale", tensor.name)),
                ElementType::Resource | ElementType::Other(_) => {
                    let kind = tensor.kind.name();
                    Err(format!("tensor {:?} is of type {kind}, with which nothing is computed here", tensor.name))
                }
                _ => Ok(stored),
            };
        };
        let (scale, zero_point) = self.parameters(index)?;
        let mut step = NodeBuilder::new("DequantizeLinear", [&stored, &scale, &zero_point]);
        if quant.scales.len() > 1 {
            if tensor.data.is_none() {
                return Err(format!("tensor {:?} has a scale for each channel and is no constant", tensor.name));
            }
            let axis = order.map_or(Some(quant.axis), |o| o.iter().position(|&a| a == quant.axis));
            step = step.size("axis", axis.ok_or("its scales have no axis")?);
        }
        let name = self.fresh(index, "real");
        self.node(step, name.clone());
        Ok(name)
    }

    /// Nodes that a fused activation adds in front of result `index`: none where rounding to its bytes limits it as much.
    pub fn activation(&mut self, activation: Activation, index: usize) -> Try<Vec<NodeBuilder>> {
        let Some((low, high)) = activation.limits() else { return Ok(vec![NodeBuilder::new("Tanh", [""; 0])]) };
        let tensor = self.tensor(index);
        let (below, above) = match (tensor.kind, &tensor.quant) {
            (kind, Some(Quant { scales, zero_points, .. })) if scales.len() == 1 && kind.is_quantised() => {
                let (least, most) = kind.range().unwrap_or_default();
                let integer = |real: f32| (f64::from(real) / f64::from(scales[0])).round() + zero_points[0] as f64;
                (integer(low) > least as f64, integer(high) < most as f64)
            }
            _ => (low.is_finite(), high.is_finite()),
        };
        Ok(match (below, above) {
            (false, false) => Vec::new(),
            (true, false) if low == 0.0 => vec![NodeBuilder::new("Relu", [""; 0])],
            _ => {
                let kind = if tensor.kind.is_quantised() { ElementType::F32 } else { tensor.kind };
                let (low, high) = (self.typed(kind, f64::from(low))?, self.typed(kind, f64::from(high))?);
                vec![NodeBuilder::new("Clip", [&low, &high])]
            }
        })
    }
}
