//! A model with everything that belongs to it: a directory with `model.toml`, the same embedded in the program, or a
//! bare `.onnx` or `.tflite` file. The latter is converted when it is read.
//!
//! Its files are kept open: whatever is put in its place later, the variants that are compiled while a pipeline runs are those that were
//! checked when it was opened. One that is written over in place is noticed by its hash.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prost::Message;
use tract_onnx::pb::ModelProto;

use super::associated;
use super::characters::characters;
use super::external::{self, ExternalError};
use super::given::GivenShape;
use super::hash::{Identity, sha256};
use super::manifest::{self, Golden, Manifest};
use super::{ModelError, graph, strangers};
use crate::frame::{Label, TaskKind};
use crate::sys::beneath::Directory;
use crate::sys::file::{self, FileError, Stamp};
use leptond_engine::tflite::{self, TfliteError};

/// Largest manifest, and largest list of labels, in bytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Largest file of a bundle that is not a model: anchors, golden inputs.
const MAX_EXTRA_BYTES: u64 = 64 << 20;

/// A model with its manifest, labels and golden inputs. Opening one checks every file that the manifest names.
#[derive(Clone, Debug)]
pub struct Bundle {
    path: PathBuf,
    manifest: Manifest,
    labels: Vec<Label>,
    store: Store,
    digest: String,
    /// Bytes of a bare file that were read when it was opened, for the first who asks for them.
    fresh: Arc<Mutex<Option<Vec<u8>>>>,
    /// Stamps of the models that had their hash when the bundle was opened, as far as any later change would show in them.
    settled: BTreeMap<String, Stamp>,
}

/// Where the files of a bundle are.
#[derive(Clone, Debug)]
enum Store {
    Directory(Arc<Opened>),
    /// A single model file; it is the whole bundle.
    Bare(PathBuf, Arc<File>),
    Embedded(Vec<(String, Cow<'static, [u8]>)>),
    /// Nothing: readings go to their task as they are.
    Readings,
}

/// A model as it was read.
pub enum Form<'a> {
    /// The bytes of an ONNX file.
    File(Cow<'a, [u8]>),
    /// Made of another format, so that there is nothing to decode.
    Converted(Box<ModelProto>),
}

/// A bundle's directory.
#[derive(Debug)]
struct Opened {
    dir: Directory,
    manifest: Vec<u8>,
    /// What is read again when another plan is compiled: the variants and the anchors. They outlast their names.
    held: BTreeMap<String, File>,
}

/// One variant of a bundle's model; variant 0 is the main file, the others are its variants in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// `main`, or the variant's name.
    pub name: String,
    /// Its ONNX file.
    pub file: String,
    /// Expected SHA-256; empty for a bare file.
    pub sha256: String,
    /// `[height, width]` in pixels where the manifest says it.
    pub size: Option<[usize; 2]>,
    /// The figure of `[accuracy]` for this variant.
    pub accuracy: Option<f64>,
    /// Million multiply-accumulates of one inference.
    pub mmac: Option<f64>,
}

impl Variant {
    /// The main variant.
    pub(super) fn of(manifest: &Manifest) -> Variant {
        Variant {
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
        let about = std::fs::metadata(path).map_err(|e| unread(path, e.into()))?;
        if !about.is_dir() {
            return Self::open_bare(path);
        }
        let dir = Directory::open(path).map_err(|e| unread(path, e))?;
        let manifest_path = path.join("model.toml");
        let bytes = dir.read("model.toml", MAX_TEXT_BYTES).map_err(|e| unread(&manifest_path, e))?;
        let wrong = |reason: String| ModelError::Manifest { path: manifest_path.clone(), line: None, reason };
        let text = std::str::from_utf8(&bytes).map_err(|e| wrong(format!("not UTF-8: {e}")))?;
        let manifest = Manifest::parse(text, &manifest_path)?;
        let directory = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if directory.file_name().is_some_and(|n| n != manifest.name.as_str()) {
            return Err(wrong(format!(
                "name: found {:?}, but the directory is called {:?}: both must be the same",
                manifest.name,
                directory.file_name().unwrap_or_default()
            )));
        }
        let mut held = BTreeMap::new();
        let variants = manifest.variants.iter().map(|variant| &variant.file).chain([&manifest.file]);
        for name in variants.chain(&manifest.output.anchors) {
            let file = dir.open_file(name).map_err(|e| unread(&path.join(name), e))?;
            held.insert(name.clone(), file);
        }
        Self::checked(path.to_path_buf(), manifest, Store::Directory(Arc::new(Opened { dir, manifest: bytes, held })))
    }

    fn open_bare(path: &Path) -> Result<Bundle, ModelError> {
        let file = file::open_regular(path).map_err(|e| unread(path, e))?;
        let stamp = Stamp::of(&file);
        let bytes = file::read_open(&file, graph::MAX_FILE_BYTES).map_err(|e| unread(path, e))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let manifest = Manifest::bare(&name, &path.file_name().unwrap_or_default().to_string_lossy());
        let store = Store::Bare(path.into(), Arc::new(file));
        // Tensors beside the file are part of what it is; what is wrong with them is said when the model is read.
        let whole = with_external_data(&bytes, path);
        let (is_alone, is_right) = (matches!(whole, Ok(None)), whole.is_ok());
        let bytes = whole.ok().flatten().unwrap_or(bytes);
        let digest = sha256(&bytes);
        let fresh = Arc::new(Mutex::new(is_right.then_some(bytes)));
        let mut settled = BTreeMap::new();
        if let (Some(stamp), true) = (stamp.filter(|s| s.is_settled(SystemTime::now())), is_alone) {
            settled.insert(manifest.file.clone(), stamp);
        }
        Ok(Bundle { path: path.into(), manifest, labels: Vec::new(), store, digest, fresh, settled })
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
        // A program that embeds a model may leave out smaller variants, and golden inputs, which are for `check` and calibration.
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

    /// The same under the path of what it was made of, for errors.
    pub fn made_of(mut self, path: &Path) -> Bundle {
        self.path = path.into();
        self
    }

    /// Stand-in for a model where a `task` looks at the readings themselves: no file, no network.
    pub fn readings(task: TaskKind) -> Bundle {
        let mut manifest = Manifest { task, ..Manifest::bare(task.word(), "") };
        manifest.input.kind = Some(manifest::InputKind::Window);
        let (labels, digest) = (Vec::new(), format!("readings {}", task.word()));
        let path = PathBuf::from(task.word());
        Bundle {
            path,
            manifest,
            labels,
            store: Store::Readings,
            digest,
            fresh: Arc::default(),
            settled: BTreeMap::new(),
        }
    }

    fn checked(path: PathBuf, manifest: Manifest, store: Store) -> Result<Bundle, ModelError> {
        let (labels, digest, settled) = (Vec::new(), String::new(), BTreeMap::new());
        let mut bundle = Bundle { path, manifest, labels, store, digest, fresh: Arc::default(), settled };
        let mut identity = Identity::default();
        match &bundle.store {
            Store::Directory(opened) => identity.add("model.toml", &opened.manifest),
            // The program's own models change with the program alone.
            Store::Bare(..) | Store::Embedded(_) | Store::Readings => {
                identity.add("name", bundle.manifest.name.as_bytes())
            }
        }
        for (index, variant) in bundle.variants().iter().enumerate() {
            let stamp = bundle.stamp(&variant.file).filter(|s| s.is_settled(SystemTime::now()));
            bundle.onnx(index)?;
            bundle.settled.extend(stamp.map(|stamp| (variant.file.clone(), stamp)));
            // That its bytes have this hash was just seen.
            identity.add(&variant.file, variant.sha256.to_ascii_lowercase().as_bytes());
        }
        bundle.labels = match &bundle.manifest.labels_file {
            Some(file) => {
                let text = bundle.read_at_most(file, MAX_TEXT_BYTES)?;
                identity.add(file, &text);
                let text = std::str::from_utf8(&text)
                    .map_err(|e| ModelError::Io { path: bundle.path.join(file), reason: format!("not UTF-8: {e}") })?;
                if bundle.manifest.task == TaskKind::Text {
                    let lines = characters(text).map_err(|line| ModelError::Io {
                        path: bundle.path.join(file),
                        reason: format!("line {line} is empty, each has a character"),
                    })?;
                    lines.into_iter().map(Label::from).collect()
                } else {
                    text.lines().map(str::trim_end).filter(|l| !l.is_empty()).map(Label::from).collect()
                }
            }
            None => bundle.manifest.labels.iter().map(|l| Label::from(l.as_str())).collect(),
        };
        if let Some(none) = &bundle.manifest.output.none
            && !bundle.labels.iter().any(|label| **label == **none)
        {
            let reason = format!("output.none: {}", manifest::none_of_the_labels(none, &bundle.labels));
            return Err(ModelError::Manifest { path: bundle.path.join("model.toml"), line: None, reason });
        }
        let golden = bundle.manifest.goldens.iter().map(|g| &g.file);
        for file in golden.chain(&bundle.manifest.output.anchors) {
            identity.add(file, &bundle.read(file)?);
        }
        bundle.digest = identity.finish();
        Ok(bundle)
    }

    /// What the bundle is, whatever its name and place: one SHA-256 over the manifest and every file that it names; of a bare file its own.
    /// Equal for equal behaviour.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// SHA-256 of a variant's file, which was seen when the bundle was opened: of a bare file the [`Bundle::digest`].
    pub fn hash(&self, variant: &Variant) -> String {
        match variant.sha256.as_str() {
            "" => self.digest.clone(),
            known => known.to_ascii_lowercase(),
        }
    }

    /// Directory or file, or `embedded:NAME`; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes given shapes for what the files leave open, in place of the manifest's.
    pub fn give_shapes(&mut self, shapes: &[GivenShape]) {
        self.manifest.input.shapes.extend(shapes.iter().map(|s| (s.name.clone(), s.dims.clone())));
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
        matches!(self.store, Store::Bare(..))
    }

    /// Whether it is part of the program.
    pub fn is_embedded(&self) -> bool {
        matches!(self.store, Store::Embedded(_) | Store::Readings)
    }

    /// True where there is no model: [`Bundle::readings`].
    pub fn is_readings(&self) -> bool {
        matches!(self.store, Store::Readings)
    }

    /// The main variant and its variants, best first.
    pub fn variants(&self) -> Vec<Variant> {
        let m = &self.manifest;
        let variants = m.variants.iter().map(|v| Variant {
            name: v.name.clone(),
            file: v.file.clone(),
            sha256: v.sha256.clone(),
            size: v.size.or(m.input.size),
            accuracy: v.accuracy,
            mmac: v.mmac,
        });
        std::iter::once(Variant::of(m)).chain(variants).collect()
    }

    /// Any file of the bundle: anchors, golden inputs. Of a directory only what is beneath it, through no link.
    ///
    /// # Errors
    /// [`ModelError::Unavailable`] when it is missing or unreadable, [`ModelError::Io`] when it is no regular file, lies elsewhere or is too
    /// large.
    pub fn read(&self, file: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        let is_form = self.manifest.file == file || self.manifest.variants.iter().any(|v| v.file == file);
        self.read_at_most(file, if is_form { graph::MAX_FILE_BYTES } else { MAX_EXTRA_BYTES })
    }

    fn read_at_most(&self, file: &str, limit_bytes: u64) -> Result<Cow<'_, [u8]>, ModelError> {
        let read = match &self.store {
            Store::Directory(opened) => match opened.held.get(file) {
                Some(held) => file::read_open(held, limit_bytes),
                None => opened.dir.read(file, limit_bytes),
            },
            Store::Bare(_, held) => file::read_open(held, limit_bytes),
            Store::Readings => {
                return Err(ModelError::Io { path: self.path.clone(), reason: "it has no model, and no files".into() });
            }
            Store::Embedded(files) => {
                return match files.iter().find(|(name, _)| name == file) {
                    Some((_, bytes)) => Ok(Cow::Borrowed(bytes)),
                    None => Err(ModelError::Io { path: self.path.join(file), reason: "not embedded".into() }),
                };
            }
        };
        read.map(Cow::Owned).map_err(|e| unread(&self.path_of(file), e))
    }

    /// [`Bundle::read`] for a copy that others may read: see [`Directory::read_own`].
    ///
    /// # Errors
    /// The same.
    pub fn read_to_copy(&self, file: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        match &self.store {
            Store::Directory(opened) => {
                let read = opened.dir.read_own(file, graph::MAX_FILE_BYTES);
                read.map(Cow::Owned).map_err(|e| unread(&self.path_of(file), e))
            }
            Store::Bare(..) | Store::Embedded(_) | Store::Readings => self.read(file),
        }
    }

    fn path_of(&self, file: &str) -> PathBuf {
        if self.is_bare() { self.path.clone() } else { self.path.join(file) }
    }

    /// Path of a variant's ONNX file, for messages.
    pub fn onnx_path(&self, variant: usize) -> PathBuf {
        match &self.store {
            Store::Bare(path, _) => path.clone(),
            _ => self.path.join(self.variants().get(variant).map(|r| r.file.clone()).unwrap_or_default()),
        }
    }

    /// The file of a variant, which is as it was when the bundle was opened.
    fn unchanged(&self, index: usize, variant: &Variant) -> Result<Cow<'_, [u8]>, ModelError> {
        let bytes = self.read(&variant.file)?;
        let whole = match &self.store {
            Store::Bare(path, _) => with_external_data(&bytes, path)?,
            // A manifest has the hash of one file; the others would belong to the bundle unseen.
            Store::Directory(_) | Store::Embedded(_) | Store::Readings => None,
        };
        let stamp = self.settled.get(&variant.file);
        let is_settled = whole.is_none() && stamp.is_some() && stamp.copied() == self.stamp(&variant.file);
        let bytes = whole.map_or(bytes, Cow::Owned);
        if !is_settled {
            self.check_hash(index, variant, &bytes)?;
        }
        Ok(bytes)
    }

    /// Stamp of a file that is kept open.
    fn stamp(&self, file: &str) -> Option<Stamp> {
        match &self.store {
            Store::Directory(opened) => opened.held.get(file).and_then(Stamp::of),
            Store::Bare(_, held) => Stamp::of(held),
            Store::Embedded(_) | Store::Readings => None,
        }
    }

    /// Checks that the bytes of a variant are those that the manifest names, or that were there when a bare file was opened.
    fn check_hash(&self, index: usize, variant: &Variant, bytes: &[u8]) -> Result<(), ModelError> {
        let found = sha256(bytes);
        if self.is_bare() && found != self.digest {
            return Err(ModelError::Changed { path: self.path.clone() });
        }
        if !variant.sha256.is_empty() && !found.eq_ignore_ascii_case(&variant.sha256) {
            let (path, expected) = (self.onnx_path(index), variant.sha256.to_ascii_lowercase());
            // It had this hash when it was opened.
            return Err(if self.digest.is_empty() {
                ModelError::Hash { path, found, expected }
            } else {
                ModelError::Changed { path }
            });
        }
        Ok(())
    }

    /// The ONNX file of a variant, its hash checked; a TensorFlow Lite file is converted.
    ///
    /// # Errors
    /// As [`Bundle::model`].
    pub fn onnx(&self, index: usize) -> Result<Cow<'_, [u8]>, ModelError> {
        Ok(match self.model(index)? {
            Form::File(bytes) => bytes,
            Form::Converted(model) => Cow::Owned(model.encode_to_vec()),
        })
    }

    /// The model of a variant, its file's hash checked.
    ///
    /// # Errors
    /// As [`Bundle::read`], [`ModelError::Hash`] or [`ModelError::Changed`] when it was changed, [`ModelError::Unsupported`]
    /// or [`ModelError::Shape`] when it cannot be converted.
    pub fn model(&self, index: usize) -> Result<Form<'_>, ModelError> {
        let variants = self.variants();
        let Some(variant) = variants.get(index) else {
            let reason = format!("it has no variant {index}, only 0 to {}", variants.len() - 1);
            return Err(ModelError::Io { path: self.path.clone(), reason });
        };
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = match fresh {
            Some(bytes) => Cow::Owned(bytes),
            None => self.unchanged(index, variant)?,
        };
        if tflite::is_tflite(&bytes) {
            let converted = tflite::convert_to_model(&bytes).map_err(|e| unconverted(&self.onnx_path(index), e))?;
            return Ok(Form::Converted(Box::new(associated::with_metadata(converted, &bytes))));
        }
        Ok(Form::File(bytes))
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
        ExternalError::Broken(reason) => {
            let reason = strangers::kind_of(bytes).map_or(reason, str::to_owned);
            ModelError::Parse { path: path.into(), reason }
        }
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

fn unread(path: &Path, error: FileError) -> ModelError {
    let (path, reason) = (path.into(), error.to_string());
    if error.may_pass() { ModelError::Unavailable { path, reason } } else { ModelError::Io { path, reason } }
}
