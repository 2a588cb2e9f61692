//! Layers fitted anew once channels are gone: each comes as close as its remaining inputs allow to what it gave in the float model, over samples.
//!
//! Least squares in the order in which layers run, over the inputs that the pruned model gives by then, so that a later layer makes up for what
//! the ones before it lost (as OBSPA does it; no labels and no training).

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::prelude::Tensor;
use tract_onnx::prelude::tract_ndarray::{Array2, Axis};

use super::labels::Label;
use super::score::weights_of;
use super::trace::{Layer, Trace, kept};
use crate::compress::gram::{Cross, spread};
use crate::compress::run::{CompressError, Executor, Samples, floats_of, graph_of, shapes_of, with_outputs};
use crate::compress::unroll::Unrolled;
use crate::onnx::{GraphView, node, tensor};

/// Elements of a row up to which a layer is fitted: the moments of one with more would take more than 2 × 128 MiB.
const WIDEST: usize = 4096;
/// Rows for each element of a row.
const ROWS_PER_ELEMENT: usize = 6;
/// Fewest rows of a layer, as far as samples have them.
const FEWEST_ROWS: usize = 4096;
/// Memory for the moments of layers that are fitted in one pass over the samples.
const MOMENTS_BYTES: usize = 256 << 20;

/// Layers that are fitted, and how.
pub struct Rebuild<'a> {
    /// The float model, made plain.
    pub float: &'a ModelProto,
    /// Its channels.
    pub trace: &'a Trace,
    /// Shapes of its tensors.
    pub shapes: &'a HashMap<String, Vec<usize>>,
    /// Sets that are gone.
    pub removed: &'a HashSet<Label>,
    /// Share of the mean square of an input that is added to each: larger keeps weights nearer to those in the file.
    pub damping: f64,
    /// Runs models.
    pub executor: &'a dyn Executor,
    /// Inputs.
    pub samples: &'a dyn Samples,
    /// Samples that are used.
    pub indices: &'a [usize],
}

/// A layer with what is summed for it.
struct Fit<'a> {
    layer: &'a Layer,
    float: Unrolled,
    changed: Unrolled,
    weights: Vec<f32>,
    /// One for each group of the pruned layer.
    sums: Vec<Cross>,
    /// Groups of the float layer that stay.
    groups: Vec<usize>,
}

impl Rebuild<'_> {
    fn kept(&self, labels: &[Label]) -> Vec<usize> {
        kept(&self.trace.labels, labels, &|head| self.removed.contains(&head))
    }

    /// Fits every layer of `pruned` behind something that was removed. Gives the names of those that could not be fitted, and why.
    ///
    /// # Errors
    /// Those of running models, and of layers whose weights cannot be read.
    pub fn run(&self, pruned: &mut ModelProto) -> Result<Vec<(String, String)>, CompressError> {
        let graph = graph_of(self.float)?;
        let view = GraphView::new(graph);
        let mut left = Vec::new();
        let waves = self.waves(&view);
        let all = waves.iter().map(Vec::len).sum();
        let mut done = 0;
        for wave in waves {
            let mut fits = Vec::new();
            for layer in wave {
                self.executor.progress("fitting layers", done, all);
                done += 1;
                match self.fit(&view, pruned, layer)? {
                    Ok(fit) => fits.push(fit),
                    Err(reason) => left.push((view.node(layer.node).name.clone(), reason)),
                }
                let bytes =
                    |fit: &Fit<'_>| fit.sums.iter().map(|sum| (sum.xy.len() + sum.changed.xx.len()) * 8).sum::<usize>();
                if fits.iter().map(bytes).sum::<usize>() > MOMENTS_BYTES {
                    left.extend(self.pass(&view, pruned, std::mem::take(&mut fits))?);
                }
            }
            left.extend(self.pass(&view, pruned, fits)?);
        }
        self.executor.progress("fitting layers", all, all);
        Ok(left)
    }

    /// Layers behind something that was removed, by the number of such layers in front of them.
    fn waves<'t>(&'t self, view: &GraphView<'_>) -> Vec<Vec<&'t Layer>> {
        let at: HashMap<usize, &Layer> = self.trace.layers.iter().map(|layer| (layer.node, layer)).collect();
        let touched = |name: &str| {
            let axes = self.trace.axes.get(name);
            axes.is_some_and(|axes| axes.iter().flatten().any(|own| self.kept(own).len() < own.len()))
        };
        // Number of fitted layers on the way to a tensor; none where nothing in front of it changed.
        let mut depth: HashMap<&str, Option<usize>> = HashMap::new();
        let mut waves: Vec<Vec<&Layer>> = Vec::new();
        for index in view.order() {
            let found = view.node(index);
            let mut own = node::inputs(found).filter_map(|name| depth.get(name).copied().flatten()).max();
            if own.is_none() && node::inputs(found).any(touched) {
                own = Some(0);
            }
            if let (Some(wave), Some(layer)) = (own, at.get(&index)) {
                waves.resize_with(waves.len().max(wave + 1), Vec::new);
                waves[wave].push(layer);
                own = Some(wave + 1);
            }
            node::outputs(found).for_each(|name| _ = depth.insert(name, own));
        }
        waves
    }

    fn fit<'t>(
        &self,
        view: &GraphView<'_>,
        pruned: &ModelProto,
        layer: &'t Layer,
    ) -> Result<Result<Fit<'t>, String>, CompressError> {
        let (float, weights) = weights_of(view, layer, self.shapes)?;
        if float.width > WIDEST {
            return Ok(Err(format!("its rows have {} elements, more than {WIDEST}", float.width)));
        }
        let node = view.node(layer.node);
        let mut shape = self.shapes[&node.input[0]].clone();
        if let Some(own) = &layer.input {
            shape[layer.input_axis] = self.kept(own).len();
        }
        let changed_node = named(pruned, &node.name)?;
        let changed_graph = GraphView::new(graph_of(pruned)?);
        let changed_weights = changed_graph.constant(&changed_node.input[1]);
        let Some(changed_weights) = changed_weights else { return Ok(Err("its weights are no constant".into())) };
        let changed = match Unrolled::new(changed_node, changed_weights.shape(), &shape) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let groups = match &layer.input {
            Some(own) if layer.depthwise => self.kept(own),
            _ => (0..float.groups).collect(),
        };
        if groups.len() != changed.groups || float.places != changed.places {
            return Ok(Err("its groups do not fit".into()));
        }
        let sums = groups.iter().map(|_| Cross::new(float.width, changed.width)).collect();
        Ok(Ok(Fit { layer, float, changed, weights, sums, groups }))
    }

    /// Sums over the samples, then the fitted weights.
    fn pass(
        &self,
        view: &GraphView<'_>,
        pruned: &mut ModelProto,
        mut fits: Vec<Fit<'_>>,
    ) -> Result<Vec<(String, String)>, CompressError> {
        let Some(&first) = self.indices.first().filter(|_| !fits.is_empty()) else { return Ok(vec![]) };
        let mut names: Vec<String> = fits.iter().map(|fit| view.node(fit.layer.node).input[0].clone()).collect();
        names.sort();
        names.dedup();
        let shapes = shapes_of(&self.samples.get(first)?);
        let mut before = self.executor.compile(&with_outputs(self.float, &names), &shapes)?;
        let mut after = self.executor.compile(&with_outputs(pruned, &names), &shapes)?;
        for (turn, &index) in self.indices.iter().enumerate() {
            let sample = self.samples.get(index)?;
            let (float, changed) = (before.run(&sample)?, after.run(&sample)?);
            for fit in &mut fits {
                let name = &view.node(fit.layer.node).input[0];
                let Ok(at) = names.binary_search(name) else { continue };
                fit.add(floats_of(name, &float[at])?, floats_of(name, &changed[at])?, turn, self.indices.len());
            }
        }
        let mut left = Vec::new();
        for fit in fits {
            let name = &view.node(fit.layer.node).name;
            if let Some(reason) = self.write(fit, name, pruned)? {
                left.push((name.clone(), reason));
            }
        }
        Ok(left)
    }

    /// Puts fitted weights and bias into the pruned model; gives the reason where they stay as they are.
    fn write(&self, fit: Fit<'_>, name: &str, pruned: &mut ModelProto) -> Result<Option<String>, CompressError> {
        let bias = Bias::of(pruned, name)?;
        let layer_outputs = fit.layer.output.len();
        let taps = fit.float.outputs * fit.float.groups / layer_outputs;
        let per_group = layer_outputs / fit.float.groups;
        let mut weights = vec![0.0f32; fit.changed.groups * fit.changed.width * fit.changed.outputs];
        let mut shifts = Vec::new();
        for (at, &group) in fit.groups.iter().enumerate() {
            let old = fit.float.matrix(&fit.weights, group);
            let of_group = &fit.layer.output[group * per_group..(group + 1) * per_group];
            let rows: Vec<usize> = self.kept(of_group).iter().flat_map(|o| o * taps..(o + 1) * taps).collect();
            let old = old.select(Axis(0), &rows);
            let start = old.select(Axis(1), &self.columns(&fit));
            let centred = bias.is_some() && taps == 1;
            let Some(solved) = fit.sums[at].solve(&old, &start, self.damping, centred) else {
                return Ok(Some("its inputs over the samples are not finite".into()));
            };
            shifts.extend(if centred { fit.sums[at].shift(&old, &solved) } else { vec![] });
            fit.changed.store(&solved, at, &mut weights);
        }
        set(pruned, name, 1, &weights)?;
        if let Some(bias) = bias {
            bias.add(pruned, name, &shifts)?;
        }
        Ok(None)
    }

    /// Elements of a float row that stay.
    fn columns(&self, fit: &Fit<'_>) -> Vec<usize> {
        let taps = fit.float.taps();
        match &fit.layer.input {
            Some(own) if !fit.layer.depthwise => {
                let of_group = &own[..own.len() / fit.float.groups];
                self.kept(of_group).iter().flat_map(|i| i * taps..(i + 1) * taps).collect()
            }
            _ => (0..fit.float.width).collect(),
        }
    }
}

impl Fit<'_> {
    fn add(&mut self, float: &[f32], changed: &[f32], turn: usize, samples: usize) {
        let rows = (ROWS_PER_ELEMENT * self.float.width).max(FEWEST_ROWS);
        let places = spread(self.float.places, rows.div_ceil(samples), turn);
        let mut float_rows = Array2::zeros((places.len(), self.float.width));
        let mut changed_rows = Array2::zeros((places.len(), self.changed.width));
        for (at, &group) in self.groups.iter().enumerate() {
            self.float.rows(float, group, &places, float_rows.view_mut());
            self.changed.rows(changed, at, &places, changed_rows.view_mut());
            self.sums[at].add(float_rows.view(), changed_rows.view());
        }
    }
}

/// Place of a layer's bias.
enum Bias {
    /// The layer's third input.
    Own,
    /// No third input yet; this many outputs.
    New(usize),
    /// A constant that an `Add` behind the layer adds: node and input.
    Behind(usize, usize),
}

impl Bias {
    fn of(model: &ModelProto, name: &str) -> Result<Option<Bias>, CompressError> {
        let graph = graph_of(model)?;
        let view = GraphView::new(graph);
        let layer = named(model, name)?;
        match (layer.op_type.as_str(), node::input(layer, 2)) {
            ("MatMul", _) => {
                let output = &layer.output[0];
                let &[only] = view.consumers(output) else { return Ok(None) };
                let add = view.node(only);
                if add.op_type != "Add" || view.is_kept(output) {
                    return Ok(None);
                }
                let other = usize::from(add.input[0] == *output);
                let outputs = view.constant(&layer.input[1]).and_then(|w| w.shape().last().copied());
                let fits = view.constant(&add.input[other]).is_some_and(|b| Some(b.len()) == outputs && b.len() > 1);
                Ok(fits.then_some(Bias::Behind(only, other)))
            }
            // What is added is scaled there, or what is multiplied.
            ("Gemm", _) if ["alpha", "beta"].iter().any(|name| node::float(layer, name, 1.0) != Ok(1.0)) => Ok(None),
            (_, Some(bias)) => {
                let outputs = view.constant(bias).map(|bias| bias.len());
                Ok((outputs > Some(1)).then_some(Bias::Own))
            }
            (operator, None) => {
                let weights = view.constant(&layer.input[1]).map(|w| w.shape().to_vec()).unwrap_or_default();
                let axis = match operator {
                    "Conv" => 0,
                    "Gemm" => usize::from(!node::flag(layer, "transB").unwrap_or(false)),
                    _ => return Ok(None),
                };
                Ok(weights.get(axis).map(|outputs| Bias::New(*outputs)))
            }
        }
    }

    fn add(self, model: &mut ModelProto, name: &str, shifts: &[f64]) -> Result<(), CompressError> {
        if shifts.is_empty() {
            return Ok(());
        }
        match self {
            Bias::New(outputs) => {
                let values: Vec<f32> = shifts.iter().map(|shift| *shift as f32).collect();
                let Some(graph) = &mut model.graph else { return Ok(()) };
                let made = format!("{name}.fitted_bias");
                let tensor = Tensor::from_shape(&[outputs], &values).ok().and_then(|t| tensor::write(&made, &t));
                graph.initializer.extend(tensor);
                let layer = graph.node.iter_mut().find(|node| node.name == name);
                layer.into_iter().for_each(|layer| {
                    layer.input.truncate(2);
                    layer.input.push(made.clone());
                });
                Ok(())
            }
            Bias::Own => shift(model, name, 2, shifts),
            Bias::Behind(index, input) => {
                let behind = graph_of(model)?.node[index].name.clone();
                shift(model, &behind, input, shifts)
            }
        }
    }
}

fn shift(model: &mut ModelProto, name: &str, input: usize, shifts: &[f64]) -> Result<(), CompressError> {
    let graph = graph_of(model)?;
    let constant = GraphView::new(graph).constant(&named(model, name)?.input[input]);
    let old = constant.and_then(|constant| tensor::floats(&constant).ok()).unwrap_or_default();
    let new: Vec<f32> = old.iter().zip(shifts).map(|(old, shift)| (f64::from(*old) + shift) as f32).collect();
    set(model, name, input, &new)
}

/// Node of that name.
fn named<'m>(model: &'m ModelProto, name: &str) -> Result<&'m NodeProto, CompressError> {
    let found = graph_of(model)?.node.iter().find(|node| node.name == name);
    found.ok_or_else(|| CompressError::Model(format!("node {name:?} is gone")))
}

/// Gives a constant input of a node other values, in a constant of its own.
fn set(model: &mut ModelProto, name: &str, input: usize, values: &[f32]) -> Result<(), CompressError> {
    let graph = graph_of(model)?;
    let old = named(model, name)?.input[input].clone();
    let view = GraphView::new(graph);
    let shape = view.constant(&old).map(|constant| constant.shape().to_vec()).unwrap_or_default();
    let shared = view.consumers(&old).len() > 1;
    let new = if shared { format!("{old}.{name}.{input}") } else { old.clone() };
    let written = Tensor::from_shape(&shape, values).ok().and_then(|tensor| tensor::write(&new, &tensor));
    let written =
        written.ok_or_else(|| CompressError::Model(format!("constant {old:?} does not take its new values")))?;
    let Some(graph) = &mut model.graph else { return Ok(()) };
    graph.initializer.retain(|tensor| tensor.name != new);
    graph.initializer.push(written);
    graph.node.iter_mut().filter(|node| node.name == name).for_each(|node| node.input[input].clone_from(&new));
    Ok(())
}
