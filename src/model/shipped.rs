//! The models that are part of the program, so that `demo` and a fresh installation need no file.

use std::borrow::Cow;
use std::path::PathBuf;

use super::{Bundle, ModelError, locate};

/// Name, manifest and ONNX file of each.
const SHIPPED: &[(&str, &str, &[u8])] = &[
    (
        "leptonnet-digits",
        include_str!("../../models/leptonnet-digits/model.toml"),
        include_bytes!("../../models/leptonnet-digits/model.onnx"),
    ),
    (
        "machine-anomaly",
        include_str!("../../models/machine-anomaly/model.toml"),
        include_bytes!("../../models/machine-anomaly/model.onnx"),
    ),
];

/// Their names.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, ..)| *name)
}

/// Opens what the configuration or a person names: the path of a bundle or `.onnx` file, a bundle in one of `dirs` (in
/// order), or one of the shipped models, whose golden inputs are not part of the program. `None` = there is none of that
/// name.
///
/// # Errors
/// What is wrong with the bundle.
pub fn open(name: &str, dirs: &[PathBuf]) -> Option<Result<Bundle, ModelError>> {
    if let Some(path) = locate(name, dirs) {
        return Some(Bundle::open(&path));
    }
    let (name, manifest, onnx) = SHIPPED.iter().find(|(shipped, ..)| *shipped == name)?;
    Some(Bundle::from_parts(name, manifest, Cow::Borrowed(*onnx), Vec::new()))
}
