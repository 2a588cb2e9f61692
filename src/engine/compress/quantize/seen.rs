//! Ranges of a model's tensors, by what was seen of them over all samples.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::super::run::{CompressError, floats_of, shapes_of};
use super::observe::{self, Histogram};
use super::place::Placement;
use super::prepare::Prepared;
use super::range::{self, Affine, Method, Readers};
use crate::onnx::{GraphView, build};

impl Prepared<'_> {
    /// Ranges of the rounded tensors, by the tensor that each range is of.
    pub(super) fn ranges(
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

    /// Readers of a tensor: functions of it, sampled at the bars of its histogram, and others.
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
        let graph = GraphProto {
            initializer: unique(constants),
            node: region,
            input: vec![build::port_of_shape(name, DataType::Float, &[observe::BARS])],
            output: functions.iter().map(build::untyped_port).collect(),
            ..Default::default()
        };
        let model = ModelProto { graph: Some(graph), ..self.headed() };
        let outputs = self.executor.compile(&model, &shapes_of(std::slice::from_ref(&input)))?.run(&[input])?;
        let sampled = outputs.iter().zip(&functions).map(|(tensor, name)| Ok(floats_of(name, tensor)?.to_vec()));
        Ok(Readers { directly, functions: sampled.collect::<Result<_, CompressError>>()? })
    }
}

fn unique(tensors: impl Iterator<Item = TensorProto>) -> Vec<TensorProto> {
    let mut known = HashSet::new();
    tensors.filter(|tensor| known.insert(tensor.name.clone())).collect()
}
