//! The models that are part of the program, so that `demo` and a fresh installation need no file.

use std::borrow::Cow;
use std::path::PathBuf;

use super::{Bundle, Manifest, ModelError, locate};

/// A model that is part of the program.
struct Shipped {
    name: &'static str,
    manifest: &'static str,
    onnx: &'static [u8],
    /// Its smaller forms, by file name.
    variants: &'static [(&'static str, &'static [u8])],
}

const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "leptonnet-digits",
        manifest: include_str!("../../models/leptonnet-digits/model.toml"),
        onnx: include_bytes!("../../models/leptonnet-digits/model.onnx"),
        variants: &[("small.onnx", include_bytes!("../../models/leptonnet-digits/small.onnx"))],
    },
    Shipped {
        name: "leptonnet-dials",
        manifest: include_str!("../../models/leptonnet-dials/model.toml"),
        onnx: include_bytes!("../../models/leptonnet-dials/model.onnx"),
        variants: &[],
    },
    Shipped {
        name: "machine-anomaly",
        manifest: include_str!("../../models/machine-anomaly/model.toml"),
        onnx: include_bytes!("../../models/machine-anomaly/model.onnx"),
        variants: &[],
    },
];

/// Their names.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|shipped| shipped.name)
}

/// Whether a model file with this SHA-256 came with the program, as a part of it or beside it.
pub fn is_shipped(sha256: &str) -> bool {
    let hashes = |shipped: &Shipped| {
        let manifest = Manifest::parse(shipped.manifest, shipped.name.as_ref()).ok()?;
        Some(manifest.variants.into_iter().map(|variant| variant.sha256).chain([manifest.sha256]).collect::<Vec<_>>())
    };
    SHIPPED.iter().filter_map(hashes).flatten().any(|hash| hash.eq_ignore_ascii_case(sha256))
}

/// Opens what the configuration or a person names: the path of a bundle, `.onnx` or `.tflite` file, a bundle in one of `dirs` (in
/// order), or one of the shipped models, whose golden inputs are not part of the program. `None` = there is none of that
/// name.
///
/// # Errors
/// What is wrong with the bundle.
pub fn open(name: &str, dirs: &[PathBuf]) -> Option<Result<Bundle, ModelError>> {
    if let Some(path) = locate(name, dirs) {
        return Some(Bundle::open(&path));
    }
    let Shipped { name, manifest, onnx, variants } = SHIPPED.iter().find(|shipped| shipped.name == name)?;
    let variants = variants.iter().map(|(file, bytes)| ((*file).to_string(), Cow::Borrowed(*bytes))).collect();
    Some(Bundle::from_parts(name, manifest, Cow::Borrowed(*onnx), variants))
}
