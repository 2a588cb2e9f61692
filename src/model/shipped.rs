//! The models that are part of the program, so that `demo` and a fresh installation need no file.

use std::borrow::Cow;

use super::{Bundle, ModelError};

/// Name, manifest and ONNX file of each.
const SHIPPED: &[(&str, &str, &[u8])] = &[];

/// Their names.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, ..)| *name)
}

/// Opens one of them; `None` = there is none of that name.
///
/// # Errors
/// As [`Bundle::from_parts`].
pub fn open_shipped(name: &str) -> Option<Result<Bundle, ModelError>> {
    let (name, manifest, onnx) = SHIPPED.iter().find(|(shipped, ..)| *shipped == name)?;
    Some(Bundle::from_parts(name, manifest, Cow::Borrowed(*onnx), Vec::new()))
}
