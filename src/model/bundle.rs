//! A model with everything that belongs to it: a directory with `model.toml`, the same embedded in the program, or a
//! bare `.onnx` or `.tflite` file. The latter is converted when it is read.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::external::{self, ExternalError};
use super::manifest::{Golden, Manifest};
use super::{ModelError, graph};
use crate::frame::Label;
use crate::sys::beneath::Directory;
use crate::tflite::{self, TfliteError};

/// A model with its manifest, labels and golden inputs. Opening one checks every file that the manifest names.
#[derive(Clone, Debug)]
pub struct Bundle {
    path: PathBuf,
    manifest: Manifest,
    labels: Vec<Label>,
    store: Store,
}

/// Where the files of a bundle are.
#[derive(Clone, Debug)]
enum Store {
    Directory(PathBuf),
    /// A single model file; it is the whole bundle.
    Bare(PathBuf),
    Embedded(Vec<(String, Cow<'static, [u8]>)>),
}

/// One form of a bundle's model; rung 0 is the main file, the others are its variants in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// `main`, or the variant's name.
    pub name: String,
    /// Its ONNX file.
    pub file: String,
    /// Expected SHA-256; empty for a bare file.
    pub sha256: String,
    /// `[height, width]` in pixels where the manifest says it.
    pub size: Option<[usize; 2]>,
    /// The figure of `[accuracy]` for this form.
    pub accuracy: Option<f64>,
    /// Million multiply-accumulates of one inference.
    pub mmac: Option<f64>,
}

impl Rung {
    /// The main form.
    pub(super) fn of(manifest: &Manifest) -> Rung {
        Rung {
            name: "main".into(),
            file: manifest.file.clone(),
            sha256: manifest.sha256.clone(),
            size: manifest.input.size,
            accuracy: manifest.accuracy.as_ref().map(|a| a.value),
            mmac: manifest.accuracy.as_ref().and_then(|a| a.mmac),
        }
    }
}

impl Bundle {
    /// Opens a bundle directory or a bare `.onnx` or `.tflite` file.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Manifest`] or [`ModelError::Hash`].
    pub fn open(path: &Path) -> Result<Bundle, ModelError> {
        if path.is_dir() {
            let manifest_path = path.join("model.toml");
            let text = read(&manifest_path, 1 << 20)?;
            let text = String::from_utf8(text).map_err(|e| ModelError::Manifest {
                path: manifest_path.clone(),
                line: None,
                reason: format!("not UTF-8: {e}"),
            })?;
            let manifest = Manifest::parse(&text, &manifest_path)?;
            let directory = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            if directory.file_name().is_some_and(|n| n != manifest.name.as_str()) {
                return Err(ModelError::Manifest {
                    path: manifest_path,
                    line: None,
                    reason: format!(
                        "name: found {:?}, but the directory is called {:?}: both must be the same",
                        manifest.name,
                        directory.file_name().unwrap_or_default()
                    ),
                });
            }
            return Self::checked(path.to_path_buf(), manifest, Store::Directory(path.to_path_buf()));
        }
        let meta = std::fs::metadata(path).map_err(|e| io(path, &e))?;
        if !meta.is_file() {
            return Err(ModelError::Io { path: path.into(), reason: "neither a directory nor a file".into() });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let manifest = Manifest::bare(&name, &file);
        Ok(Bundle { path: path.into(), manifest, labels: Vec::new(), store: Store::Bare(path.into()) })
    }

    /// A bundle out of the program's own memory: the manifest's text, the main ONNX file, and the other files by name.
    ///
    /// # Errors
    /// As [`Bundle::open`]; the path in errors is `embedded:NAME`.
    pub fn from_parts(
        name: &str,
        manifest: &str,
        onnx: Cow<'static, [u8]>,
        files: Vec<(String, Cow<'static, [u8]>)>,
    ) -> Result<Bundle, ModelError> {
        let path = PathBuf::from(format!("embedded:{name}"));
        let mut manifest = Manifest::parse(manifest, &path.join("model.toml"))?;
        // A program that embeds a model may leave out smaller forms, and golden inputs, which are for `check` and calibration.
        let embedded = |file: &String| files.iter().any(|(name, _)| name == file);
        manifest.goldens.retain(|golden| embedded(&golden.file));
        manifest.variants.retain(|variant| embedded(&variant.file));
        if manifest.name != name {
            let reason = format!("name: found {:?}, but it is embedded as {name:?}", manifest.name);
            return Err(ModelError::Manifest { path, line: None, reason });
        }
        let mut all = vec![(manifest.file.clone(), onnx)];
        all.extend(files);
        Self::checked(path, manifest, Store::Embedded(all))
    }

    fn checked(path: PathBuf, manifest: Manifest, store: Store) -> Result<Bundle, ModelError> {
        let mut bundle = Bundle { path, manifest, labels: Vec::new(), store };
        for rung in 0..bundle.rungs().len() {
            bundle.onnx(rung)?;
        }
        bundle.labels = match &bundle.manifest.labels_file {
            Some(file) => {
                let text = bundle.read(file)?;
                let text = std::str::from_utf8(&text)
                    .map_err(|e| ModelError::Io { path: bundle.path.join(file), reason: format!("not UTF-8: {e}") })?;
                text.lines().map(str::trim_end).filter(|l| !l.is_empty()).map(Label::from).collect()
            }
            None => bundle.manifest.labels.iter().map(|l| Label::from(l.as_str())).collect(),
        };
        let golden = bundle.manifest.goldens.iter().map(|g| &g.file);
        for file in golden.chain(&bundle.manifest.output.anchors) {
            bundle.read(file)?;
        }
        Ok(bundle)
    }

    /// Directory or file, or `embedded:NAME`; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the manifest says (or what is assumed of a bare file).
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Class names, index = class.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Inputs with expected outcomes; read their files with [`Bundle::read`].
    pub fn goldens(&self) -> &[Golden] {
        &self.manifest.goldens
    }

    /// Whether this is a single file without a manifest.
    pub fn is_bare(&self) -> bool {
        matches!(self.store, Store::Bare(_))
    }

    /// Whether it is part of the program.
    pub fn is_embedded(&self) -> bool {
        matches!(self.store, Store::Embedded(_))
    }

    /// The main form and its variants, best first.
    pub fn rungs(&self) -> Vec<Rung> {
        let m = &self.manifest;
        let variants = m.variants.iter().map(|v| Rung {
            name: v.name.clone(),
            file: v.file.clone(),
            sha256: v.sha256.clone(),
            size: v.size.or(m.input.size),
            accuracy: v.accuracy,
            mmac: v.mmac,
        });
        std::iter::once(Rung::of(m)).chain(variants).collect()
    }

    /// Any file of the bundle: anchors, golden inputs.
    ///
    /// # Errors
    /// [`ModelError::Io`] when it is missing, unreadable or too large.
    pub fn read(&self, file: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        match &self.store {
            Store::Directory(dir) => read(&dir.join(file), graph::MAX_FILE_BYTES).map(Cow::Owned),
            Store::Bare(path) => read(path, graph::MAX_FILE_BYTES).map(Cow::Owned),
            Store::Embedded(files) => match files.iter().find(|(name, _)| name == file) {
                Some((_, bytes)) => Ok(Cow::Borrowed(bytes)),
                None => Err(ModelError::Io { path: self.path.join(file), reason: "not embedded".into() }),
            },
        }
    }

    /// Where the ONNX file of a rung is, for messages.
    pub fn onnx_path(&self, rung: usize) -> PathBuf {
        match &self.store {
            Store::Bare(path) => path.clone(),
            _ => self.path.join(self.rungs().get(rung).map(|r| r.file.clone()).unwrap_or_default()),
        }
    }

    /// The ONNX model of a rung, its file's hash checked; a TensorFlow Lite file is converted.
    ///
    /// # Errors
    /// [`ModelError::Io`] when there is no such rung or file, [`ModelError::Hash`] when it was changed, [`ModelError::Unsupported`]
    /// or [`ModelError::Shape`] when it cannot be converted.
    pub fn onnx(&self, rung: usize) -> Result<Cow<'_, [u8]>, ModelError> {
        let rungs = self.rungs();
        let Some(form) = rungs.get(rung) else {
            let reason = format!("it has no form {rung}, only 0 to {}", rungs.len() - 1);
            return Err(ModelError::Io { path: self.path.clone(), reason });
        };
        let bytes = self.read(&form.file)?;
        if !form.sha256.is_empty() {
            let found = sha256(&bytes);
            if !found.eq_ignore_ascii_case(&form.sha256) {
                let path = self.onnx_path(rung);
                return Err(ModelError::Hash { path, found, expected: form.sha256.to_ascii_lowercase() });
            }
        }
        if tflite::is_tflite(&bytes) {
            return tflite::convert(&bytes).map(Cow::Owned).map_err(|e| unconverted(&self.onnx_path(rung), e));
        }
        let whole = match &self.store {
            Store::Bare(path) => with_external_data(&bytes, path)?,
            // A manifest has the hash of one file; the others would belong to the bundle unseen.
            Store::Directory(_) | Store::Embedded(_) => None,
        };
        Ok(whole.map_or(bytes, Cow::Owned))
    }
}

/// The model in `bytes` with its tensors that lie in files beside `path`, beneath its directory; `None` if it has none.
///
/// # Errors
/// [`ModelError::Shape`] naming the tensor, [`ModelError::Parse`].
pub fn with_external_data(bytes: &[u8], path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    let open = |name: &str| {
        let dir = Directory::open(path.parent().unwrap_or(path)).map_err(|e| e.to_string())?;
        dir.open_file(name).map_err(|e| e.to_string())
    };
    external::merge(bytes, &open).map_err(|error| match error {
        ExternalError::Tensor { tensor, reason } => ModelError::Shape { path: path.into(), tensor, reason },
        ExternalError::Broken(reason) => ModelError::Parse { path: path.into(), reason },
    })
}

fn unconverted(path: &Path, error: TfliteError) -> ModelError {
    let path = path.into();
    match error {
        TfliteError::Unsupported { operator, index, tensor, reason } => {
            let reason = format!("operator {index} of the TensorFlow Lite file: {reason}");
            ModelError::Unsupported { path, node: tensor, operator, reason }
        }
        TfliteError::Tensor { tensor, reason } => ModelError::Shape { path, tensor, reason },
        TfliteError::Broken { .. } => ModelError::Io { path, reason: error.to_string() },
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let meta = std::fs::metadata(path).map_err(|e| io(path, &e))?;
    if meta.len() > limit {
        let reason = format!("{} bytes, allowed are up to {limit}", meta.len());
        return Err(ModelError::Io { path: path.into(), reason });
    }
    std::fs::read(path).map_err(|e| io(path, &e))
}

fn io(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::Io { path: path.into(), reason: error.to_string() }
}
