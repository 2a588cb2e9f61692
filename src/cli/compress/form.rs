//! A bundle with another model in the place of its own, in memory.

use std::borrow::Cow;

use tract_onnx::pb::ModelProto;

use super::saved;
use crate::cli::Failure;
use crate::frame::TaskKind;
use crate::model::{Bundle, ModelError, sha256};

/// The bundle with the ONNX file `model` in the place of its own; with another task and resolutions where they are given.
///
/// # Errors
/// A file of the bundle's that cannot be read.
pub(in crate::cli) fn form(
    bundle: &Bundle,
    model: Vec<u8>,
    task: Option<TaskKind>,
    sizes: &[[usize; 2]],
) -> Result<Bundle, Failure> {
    // A bare file may be called what no bundle is.
    let name = if bundle.is_bare() { "model" } else { &bundle.manifest().name };
    let mut document = saved::manifest(bundle, name, &sha256(&model), task)?;
    saved::set_sizes(&mut document, sizes);
    let about = bundle.manifest();
    let files = about.labels_file.iter().chain(&about.output.anchors);
    let read = |file: &String| Ok((file.clone(), Cow::Owned(bundle.read(file)?.into_owned())));
    let files = files.map(read).collect::<Result<Vec<_>, ModelError>>().map_err(anyhow::Error::from)?;
    let form = Bundle::from_parts(name, &document.to_string(), Cow::Owned(model), files);
    Ok(form.map_err(anyhow::Error::from)?.made_of(bundle.path()))
}

/// Test for a model whose only output comes out of a softmax.
pub(in crate::cli) fn ends_in_softmax(model: &ModelProto) -> bool {
    let last = || {
        let graph = model.graph.as_ref()?;
        let [output] = &graph.output[..] else { return None };
        let maker = graph.node.iter().find(|node| node.output.contains(&output.name))?;
        Some(matches!(maker.op_type.as_str(), "Softmax" | "LogSoftmax"))
    };
    last() == Some(true)
}
