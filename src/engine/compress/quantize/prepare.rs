//! A float model made ready to be quantised in several ways.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};

use tract_onnx::pb::ModelProto;

use super::super::run::{CompressError, Executor, Samples, TensorFact, graph_of, shapes_of};
use super::super::{floats, fold, opset};
use super::observe::Histogram;
use super::place::place;
use super::separate::separate;
use crate::onnx::GraphView;

/// A float model made plain and looked over once: the ground on which quantisations differ only by their settings.
pub struct Prepared<'e> {
    pub(super) executor: &'e dyn Executor,
    pub(super) samples: &'e dyn Samples,
    pub(super) model: ModelProto,
    pub(super) facts: HashMap<String, TensorFact>,
    /// Histograms of the plain model's tensors that were made.
    pub(super) seen: RefCell<HashMap<String, Histogram>>,
    /// The model with channels of like ranges, once it was made; `None` where that changes nothing.
    pub(super) equalized: OnceCell<Option<ModelProto>>,
}

impl<'e> Prepared<'e> {
    /// Makes `model` plain: operator set 13 or newer, constants as initializers, normalisations folded, weights that several layers
    /// share apart.
    ///
    /// # Errors
    /// [`CompressError::Node`] for a model that is quantised already and for weights that are no
    /// numbers, [`CompressError::Sample`] without samples.
    pub fn new(
        mut model: ModelProto,
        samples: &'e dyn Samples,
        executor: &'e dyn Executor,
    ) -> Result<Prepared<'e>, CompressError> {
        if samples.is_empty() {
            return Err(CompressError::Sample("there is no calibration sample".into()));
        }
        floats::plain(&mut model)?;
        separate(&mut model);
        let facts = executor.facts(&model, &shapes_of(&samples.get(0)?))?;
        opset::raise(&mut model, &facts)?;
        if let Some(graph) = &mut model.graph {
            fold::biases(graph, &facts);
            fold::spread(graph, &facts);
        }
        Ok(Prepared { executor, samples, model, facts, seen: RefCell::default(), equalized: OnceCell::new() })
    }

    /// The plain float model.
    pub fn model(&self) -> &ModelProto {
        &self.model
    }

    /// Elements of a tensor; 0 where its shape is not known.
    pub(super) fn elements(&self, name: &str) -> usize {
        self.facts.get(name).and_then(|fact| fact.shape.as_ref()).map_or(0, |shape| shape.iter().product())
    }

    /// Names of the layers that would compute on bytes.
    pub(super) fn layers(&self, keep_float: &HashSet<String>) -> Result<Vec<String>, CompressError> {
        let view = GraphView::new(graph_of(&self.model)?);
        let placement = place(&view, &self.facts, keep_float);
        Ok(placement.layers().map(|index| view.node(index).name.clone()).collect())
    }

    /// The same model without its graph, for parts of it.
    pub(super) fn headed(&self) -> ModelProto {
        let model = &self.model;
        ModelProto { opset_import: model.opset_import.clone(), ir_version: model.ir_version, ..Default::default() }
    }
}
