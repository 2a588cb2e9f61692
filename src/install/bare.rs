//! A bare model with a manifest in memory: for commands that use a model once and install nothing.

use std::borrow::Cow;
use std::path::Path;

use super::describe::{LABELS, Stated};
use super::error::InstallError;
use super::steps::Steps;
use crate::catalog::Progress;
use crate::model::{Bundle, Engine, LoadedModel, sha256};

/// Name of the model's file in such a bundle.
const FILE: &str = "model.onnx";

/// Steps that nobody looks at.
struct Unseen;

impl Steps for Unseen {
    fn step(&self, _name: &str, work: &mut dyn FnMut()) {
        work();
    }

    fn begin(&self) {}

    fn wait(&self, _dir: &Path) {}

    fn download(&self, _name: &str) -> Box<dyn Progress> {
        Box::new(Unseen)
    }
}

impl Progress for Unseen {
    fn at(&mut self, _done_bytes: u64, _total_bytes: Option<u64>) {}

    fn say(&mut self, _line: &str) {}
}

/// The bare model `bundle` with what is stated of it, in memory.
///
/// # Errors
/// As [`Stated::describe`]; what is wrong with the model.
pub fn described(stated: &Stated, bundle: &Bundle) -> Result<Bundle, InstallError> {
    let loaded = LoadedModel::load(bundle, 0, Engine::F32, 1)?;
    let name = &bundle.manifest().name;
    let origin = bundle.path().display().to_string();
    let onnx = bundle.onnx(0)?;
    let described = stated.describe(name, &origin, (FILE, &sha256(&onnx)), &loaded, &Unseen)?;
    let labels = described.labels.map(|text| (LABELS.to_owned(), Cow::Owned(text.into_bytes())));
    let text = ("model.toml".to_owned(), Cow::Owned(described.text.clone().into_bytes()));
    let files = labels.into_iter().chain([text]).collect();
    Ok(Bundle::from_parts(name, &described.text, Cow::Owned(onnx.into_owned()), files)?)
}
