//! Dependencies of channels over a whole graph: which places of which tensors can only be removed together, and what a removal changes
//! in each node.
//!
//! Every axis of every tensor has labels ([`Labels`]). Layers with constant weights make new ones for their outputs; every other operator says how those
//! of its outputs follow from its inputs' ([`rules`](super::rules)), and what is not understood fixes what it reads. Nothing here asks what
//! an operator computes: that removed channels have no part in what stays follows from the rules one by one.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::{DatumType, Tensor};

use super::labels::{AxisLabels, FIXED, Label, Labels};
use crate::onnx::{GraphView, node, tensor};

/// Something in a node that changes with what is removed.
#[derive(Clone, Debug)]
pub enum Cut {
    /// A constant input loses indices of an axis.
    Constant {
        /// Index of the input.
        input: usize,
        /// Axis of the constant.
        axis: usize,
        /// Labels along it.
        labels: Vec<Label>,
    },
    /// The attribute `group` counts the kept ones of these.
    Group(Vec<Label>),
    /// A constant input is the shape of the output; `axes` are the output's axes that its elements stand for.
    Shape {
        /// Index of the input.
        input: usize,
        /// Output axes, one for each element.
        axes: Vec<usize>,
    },
    /// The sizes of the pieces of a `Split`, with the labels of each.
    Pieces(Vec<Vec<Label>>),
    /// The constant indices of a `Gather` along an axis with these labels.
    Indices(Vec<Label>),
    /// Start and end number `at` of a `Slice` along an axis with these labels.
    Bounds {
        /// Position in the lists of starts and ends.
        at: usize,
        /// Labels along the axis.
        labels: Vec<Label>,
        /// First index and the one behind the last.
        range: (usize, usize),
    },
}

/// A layer with constant weights.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Index of the node.
    pub node: usize,
    /// Labels of the input's channels, or elements for a matrix product; `None` where all stay.
    pub input: AxisLabels,
    /// Axis of the input that they lie on.
    pub input_axis: usize,
    /// Number of input channels or elements.
    pub inputs: usize,
    /// Labels of the outputs.
    pub output: Vec<Label>,
    /// Number of groups.
    pub groups: usize,
    /// Test for groups of one input channel each, which go with their channel.
    pub depthwise: bool,
    /// Multiplications for each pair of an input and an output of a group, over the whole output.
    pub macs_per_pair: u64,
}

impl Layer {
    /// Multiplications and additions with so many inputs and outputs left.
    pub fn macs(&self, inputs: usize, outputs: usize) -> u64 {
        let inputs_of_one = if self.depthwise { 1 } else { inputs / self.groups };
        self.macs_per_pair * inputs_of_one as u64 * outputs as u64
    }
}

/// An element of a list of integers that is computed from shapes.
#[derive(Clone, Debug)]
pub enum Size {
    /// A number that does not depend on what is removed.
    Known(i64),
    /// The size of an axis with these labels.
    Axis(Vec<Label>),
}

/// Knowledge of a graph.
#[derive(Debug)]
pub struct Trace {
    /// Which labels go together.
    pub labels: Labels,
    /// Labels of every axis of tensors that have any.
    pub axes: HashMap<String, Vec<AxisLabels>>,
    /// Changes, by node.
    pub cuts: HashMap<usize, Vec<Cut>>,
    /// Layers in the order in which they run.
    pub layers: Vec<Layer>,
    /// Reasons why channels stay: node, operator, reason.
    pub kept: Vec<(String, String, String)>,
}

/// A graph on the way to a [`Trace`].
pub struct Tracer<'g> {
    /// The graph.
    pub view: GraphView<'g>,
    /// Version of ONNX's operators.
    pub opset: i64,
    shapes: &'g HashMap<String, Vec<usize>>,
    /// Facts known by now.
    pub trace: Trace,
    /// Lists of integers that are computed from shapes.
    pub sizes: HashMap<String, Vec<Size>>,
}

impl<'g> Tracer<'g> {
    /// Nothing followed yet.
    pub fn new(graph: &'g GraphProto, opset: i64, shapes: &'g HashMap<String, Vec<usize>>) -> Self {
        let labels = Labels::default();
        let trace = Trace { labels, axes: HashMap::new(), cuts: HashMap::new(), layers: vec![], kept: vec![] };
        Tracer { view: GraphView::new(graph), opset, shapes, trace, sizes: HashMap::new() }
    }

    /// The result once every node was followed: what the graph gives away stays.
    pub fn finish(mut self) -> Trace {
        let kept: Vec<String> = self.trace.axes.keys().filter(|name| self.view.is_kept(name)).cloned().collect();
        kept.iter().for_each(|name| self.fix(name));
        self.trace
    }
    /// Shape of a tensor.
    ///
    /// # Errors
    /// A reason to leave the node alone, where the shape is not known.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, String> {
        if let Some(shape) = self.shapes.get(name) {
            return Ok(shape.clone());
        }
        let constant = self.view.constant(name).map(|constant| constant.shape().to_vec());
        constant.ok_or_else(|| format!("the shape of {name:?} depends on data"))
    }

    /// Labels of the axes of a tensor, as many as it has dimensions.
    pub fn axes(&self, name: &str, rank: usize) -> Vec<AxisLabels> {
        self.trace.axes.get(name).cloned().unwrap_or_else(|| vec![None; rank])
    }

    /// Test for a tensor with a channel that may be removed.
    pub fn is_labelled(&self, name: &str) -> bool {
        self.trace.axes.get(name).is_some_and(|axes| axes.iter().any(Option::is_some))
    }

    /// Gives a tensor its labels.
    pub fn set(&mut self, name: &str, axes: Vec<AxisLabels>) {
        let free = |labels: &Labels, own: &Vec<Label>| labels.free(own) > 0;
        let axes: Vec<AxisLabels> =
            axes.into_iter().map(|own| own.filter(|own| free(&self.trace.labels, own))).collect();
        if !name.is_empty() && axes.iter().any(Option::is_some) {
            self.trace.axes.insert(name.to_owned(), axes);
        }
    }

    /// Makes all channels of a tensor stay.
    pub fn fix(&mut self, name: &str) {
        for own in self.axes(name, 0).into_iter().flatten() {
            self.trace.labels.fix(&own);
        }
        for size in self.sizes.get(name).cloned().unwrap_or_default() {
            if let Size::Axis(own) = size {
                self.trace.labels.fix(&own);
            }
        }
    }

    /// Makes labels along an axis stay; gives what the axis has then.
    pub fn fix_axis(&mut self, own: &AxisLabels) -> AxisLabels {
        if let Some(own) = own {
            self.trace.labels.fix(own);
        }
        None
    }

    /// Makes everything that a node reads stay.
    pub fn leave(&mut self, index: usize, node: &NodeProto, reason: String) {
        self.trace.cuts.remove(&index);
        let labelled = node::inputs(node).any(|name| self.is_labelled(name) || self.sizes.contains_key(name));
        let layer = matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul");
        for name in node::inputs(node) {
            self.fix(name);
        }
        for name in node::outputs(node) {
            self.trace.axes.remove(name);
        }
        if labelled || layer {
            let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
            self.trace.kept.push((name.cloned().unwrap_or_default(), node.op_type.clone(), reason));
        }
    }

    /// Notes a change of a node.
    pub fn cut(&mut self, node: usize, cut: Cut) {
        self.trace.cuts.entry(node).or_default().push(cut);
    }

    /// Value of a constant.
    pub fn constant(&self, name: &str) -> Option<Tensor> {
        self.view.constant(name)
    }

    /// A constant list of integers.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        tensor::ints(&self.constant(name)?).ok()
    }

    /// Notes that a constant input of a node loses indices of an axis.
    ///
    /// # Errors
    /// A reason, where the constant cannot be cut.
    pub fn cut_constant(&mut self, index: usize, input: usize, axis: usize, labels: &[Label]) -> Result<(), String> {
        let name = &self.view.node(index).input[input];
        let constant = self.constant(name).ok_or_else(|| format!("{name:?} is no constant"))?;
        if !matches!(constant.datum_type(), DatumType::F32 | DatumType::I32 | DatumType::I64) {
            return Err(format!("constant {name:?} is of type {:?}", constant.datum_type()));
        }
        if constant.shape().get(axis) != Some(&labels.len()) {
            return Err(format!("constant {name:?} of shape {:?} does not fit its channels", constant.shape()));
        }
        self.cut(index, Cut::Constant { input, axis, labels: labels.to_vec() });
        Ok(())
    }

    /// Labels of the broadcast of some inputs of a node: what meets goes together, constants are cut, and what is repeated stays. `skip` is an axis of
    /// the output that is left out.
    ///
    /// # Errors
    /// A reason, where inputs cannot be matched.
    pub fn broadcast(
        &mut self,
        index: usize,
        inputs: &[usize],
        shape: &[usize],
        skip: Option<usize>,
    ) -> Result<Vec<AxisLabels>, String> {
        let node = self.view.node(index);
        let mut result: Vec<AxisLabels> = vec![None; shape.len()];
        let mut fixed = vec![false; shape.len()];
        let mut constants = Vec::new();
        for &input in inputs {
            let Some(name) = node::input(node, input) else { continue };
            let own = self.shape(name)?;
            let Some(shift) = shape.len().checked_sub(own.len()) else {
                return Err(format!("{name:?} has more dimensions than the output"));
            };
            let labels = self.axes(name, own.len());
            let constant = !self.is_labelled(name) && self.constant(name).is_some();
            for axis in 0..own.len() {
                let to = axis + shift;
                if Some(to) == skip {
                    continue;
                }
                match &labels[axis] {
                    Some(labels) if own[axis] != shape[to] => self.trace.labels.fix(labels),
                    Some(labels) => match &result[to] {
                        Some(first) => self.trace.labels.unite_all(&first.clone(), labels),
                        None => result[to] = Some(labels.clone()),
                    },
                    None if own[axis] != shape[to] || own[axis] == 1 => {}
                    None if constant => constants.push((input, axis, to)),
                    None => fixed[to] = true,
                }
            }
        }
        for (axis, own) in result.iter_mut().enumerate() {
            if fixed[axis] {
                *own = self.fix_axis(own);
            }
        }
        for (input, axis, to) in constants {
            if let Some(labels) = result[to].clone() {
                self.cut_constant(index, input, axis, &labels)?;
            }
        }
        Ok(result)
    }
}

/// Indices of an axis that stay, where `removed` says which sets go.
pub fn kept(labels: &Labels, own: &[Label], removed: &dyn Fn(Label) -> bool) -> Vec<usize> {
    let stays = |label: Label| {
        let head = labels.head(label);
        head == FIXED || !removed(head)
    };
    own.iter().enumerate().filter(|(_, label)| stays(**label)).map(|(index, _)| index).collect()
}
