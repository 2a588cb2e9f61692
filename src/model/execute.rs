//! Models compiled for `compress`: by the loader that everything else uses.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::prelude::*;

use super::{Bundle, Engine, LoadedModel, ModelError, Runner};
use leptond_engine::compress::{CompressError, Executor, Plan, TensorFact};
use leptond_engine::onnx::{build, tensor};

/// Runs models under the name of a file.
pub struct Loader {
    name: String,
}

impl Loader {
    /// For a model that `name` stands for in errors.
    pub fn new(name: &str) -> Self {
        Loader { name: name.into() }
    }

    /// Loads a model for inputs of known shapes: types and shapes of new outputs follow only from whole inputs.
    fn load(&self, model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> Result<LoadedModel, CompressError> {
        let mut model = model.clone();
        if let Some(graph) = &mut model.graph {
            let constants: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
            let ports = graph.input.iter_mut().filter(|port| !constants.contains(port.name.as_str()));
            for (port, (dtype, shape)) in ports.zip(inputs) {
                if let Some(kind) = tensor::data_type(*dtype) {
                    *port = build::port_of_shape(port.name.clone(), kind, shape);
                }
            }
        }
        LoadedModel::from_onnx(&self.name, &model.encode_to_vec()).map_err(failed)
    }
}

impl Executor for Loader {
    fn compile(&self, model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> Result<Box<dyn Plan>, CompressError> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|(_, shape)| shape.clone()).collect();
        Ok(Box::new(self.load(model, inputs)?.compile(&shapes).map_err(failed)?))
    }

    fn facts(
        &self,
        model: &ModelProto,
        inputs: &[(DatumType, Vec<usize>)],
    ) -> Result<HashMap<String, TensorFact>, CompressError> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|(_, shape)| shape.clone()).collect();
        let facts = self.load(model, inputs)?.analysis(&shapes).map_err(failed)?.facts;
        Ok(facts.into_iter().map(|(name, f)| (name, TensorFact { dtype: f.dtype, shape: f.shape })).collect())
    }
}

impl Plan for Runner {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, CompressError> {
        self.reset_state();
        let inputs = inputs.iter().map(|tensor| tensor.clone().into_tvalue()).collect();
        let outputs = Runner::run(self, inputs).map_err(failed)?;
        Ok(outputs.into_iter().map(TValue::into_tensor).collect())
    }
}

fn failed(error: ModelError) -> CompressError {
    CompressError::Run(error.to_string())
}

/// The graph of variant 0 of a bundle as it runs here: functions put in place, half precision computed in single, operators of other
/// tools in ONNX's own. Dimensions that the file leaves open keep their names.
///
/// # Errors
/// As [`LoadedModel::load`].
pub fn graph_that_runs(bundle: &Bundle) -> Result<ModelProto, ModelError> {
    let LoadedModel { info, mut proto, .. } = LoadedModel::load(bundle, 0, Engine::Auto, 1)?;
    let ports = proto.graph.iter_mut().flat_map(|graph| &mut graph.input);
    for port in ports {
        let Some(known) = info.inputs.iter().find(|known| known.name == port.name) else { continue };
        let Some(Value::TensorType(tensor)) = port.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else {
            continue;
        };
        let dims = tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim);
        for (dim, name) in dims.zip(&known.open) {
            // Also one whose size the manifest says: it does so by this name.
            if let Some(name) = name {
                dim.value = Some(dimension::Value::DimParam(name.clone()));
            }
        }
    }
    Ok(*proto)
}
