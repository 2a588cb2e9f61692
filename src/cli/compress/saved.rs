//! The place of a changed model: a file, or a bundle put in place whole.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context as _;
use prost::Message;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, table, value};
use tract_onnx::pb::ModelProto;

use crate::cli::Failure;
use crate::frame::TaskKind;
use crate::model::{Bundle, sha256};
use crate::sys::atomic;

/// Name of the model's file in a bundle.
const FILE: &str = "model.onnx";

/// Keys of a manifest that belong to the files of the model that it was made of.
const OF_THE_OLD: [&str; 2] = ["accuracy", "variant"];

/// A place for a model.
pub(in crate::cli) enum Place {
    /// A single file.
    File(PathBuf),
    /// A bundle's directory.
    Bundle(PathBuf),
}

/// A model in its place.
pub(in crate::cli) struct Written {
    /// The file or directory.
    pub(in crate::cli) path: PathBuf,
    /// Size of the model's file.
    pub(in crate::cli) bytes: usize,
}

impl Place {
    /// The place that `path` names.
    ///
    /// # Errors
    /// [`Failure::Usage`] where something is there and may not be replaced.
    pub(in crate::cli) fn of(path: &Path, replace: bool) -> Result<Place, Failure> {
        let is_file = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        if path.exists() && !replace {
            return Err(Failure::Usage(format!("{} is there already; --replace takes its place", path.display())));
        }
        if path.exists() && path.is_dir() == is_file {
            let (kind, found) = if is_file { ("file", "directory") } else { ("directory", "file") };
            return Err(Failure::Usage(format!("{}: a {kind} is to be written, a {found} is there", path.display())));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            return Err(Failure::Usage(format!("{}: there is no directory {}", path.display(), parent.display())));
        }
        if is_file {
            return Ok(Place::File(path.into()));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let reason =
                "a bundle is called as its directory: 1 to 64 of a-z A-Z 0-9 _ -, or give a file that ends in .onnx";
            return Err(Failure::Usage(format!("{}: {reason}", path.display())));
        }
        Ok(Place::Bundle(path.into()))
    }

    /// Writes the model, with what belongs to `bundle`, which it was made of.
    ///
    /// # Errors
    /// Names the file that cannot be written; what was there before is then still there.
    pub(in crate::cli) fn write(&self, bundle: &Bundle, model: &ModelProto) -> Result<Written, Failure> {
        let bytes = model.encode_to_vec();
        match self {
            Place::File(path) => {
                atomic::replace(path, &bytes).with_context(|| path.display().to_string())?;
                Ok(Written { path: path.clone(), bytes: bytes.len() })
            }
            Place::Bundle(path) => {
                let (name, file) = (name_of(path), FILE.to_owned());
                let manifest = manifest(bundle, &name, &sha256(&bytes), None)?.to_string();
                write_bundle(path, bundle, &[(file, &bytes)], &manifest)?;
                Ok(Written { path: path.clone(), bytes: bytes.len() })
            }
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Puts a bundle in its place whole: the models' files, the manifest, and what else belongs to `bundle`.
fn write_bundle(path: &Path, bundle: &Bundle, models: &[(String, &[u8])], manifest: &str) -> Result<(), Failure> {
    let name = name_of(path);
    let stage = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let filled = fill(&stage, bundle, models, manifest).and_then(|()| {
        let place = || -> std::io::Result<()> {
            if path.exists() {
                std::fs::remove_dir_all(path)?;
            }
            std::fs::rename(&stage, path)
        };
        Ok(place().with_context(|| path.display().to_string())?)
    });
    if filled.is_err() {
        let _gone = std::fs::remove_dir_all(&stage);
    }
    filled
}

/// Writes the files of a bundle into a new directory.
fn fill(stage: &Path, bundle: &Bundle, models: &[(String, &[u8])], manifest: &str) -> Result<(), Failure> {
    let put = |file: &str, bytes: &[u8]| -> Result<(), Failure> {
        let to = stage.join(file);
        if let Some(dir) = to.parent() {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        Ok(std::fs::write(&to, bytes).with_context(|| to.display().to_string())?)
    };
    for (file, bytes) in models {
        put(file, bytes)?;
    }
    put("model.toml", manifest.as_bytes())?;
    let about = bundle.manifest();
    let goldens = about.goldens.iter().map(|golden| &golden.file);
    for file in about.labels_file.iter().chain(&about.output.anchors).chain(goldens) {
        put(file, &bundle.read(file).map_err(anyhow::Error::from)?)?;
    }
    Ok(())
}

/// The manifest of the model that `bundle` became, with another task where one is given.
///
/// # Errors
/// A manifest of the bundle's that is wrong.
pub(super) fn manifest(
    bundle: &Bundle,
    name: &str,
    sha256: &str,
    task: Option<TaskKind>,
) -> Result<DocumentMut, Failure> {
    let text = match bundle.is_bare() {
        true => bare(bundle),
        false => String::from_utf8_lossy(&bundle.read("model.toml").map_err(anyhow::Error::from)?).into_owned(),
    };
    let mut document: DocumentMut = text.parse().map_err(anyhow::Error::from)?;
    for key in OF_THE_OLD {
        document.remove(key);
    }
    document["name"] = value(name);
    document["file"] = value(FILE);
    document["sha256"] = value(sha256);
    if let Some(task) = task {
        document["task"] = value(task.word());
    }
    Ok(document)
}

/// Sets the resolutions at which the model may run beside its own.
pub(super) fn set_sizes(document: &mut DocumentMut, sizes: &[[usize; 2]]) {
    if !sizes.is_empty() {
        document["input"].or_insert(table())["sizes"] = value(sizes.iter().copied().map(pair).collect::<Array>());
    }
}

/// Forms of one model, the best first.
pub(in crate::cli) struct Ladder<'a> {
    /// The model that they were made of.
    pub(in crate::cli) bundle: &'a Bundle,
    /// Its task, where the manifest says another one.
    pub(in crate::cli) task: Option<TaskKind>,
    /// Name of the accuracy, its data, and the command that measures it again.
    pub(in crate::cli) metric: &'a str,
    pub(in crate::cli) dataset: String,
    pub(in crate::cli) command: String,
    /// The forms.
    pub(in crate::cli) rungs: Vec<Rung>,
}

/// One form.
pub(in crate::cli) struct Rung {
    /// Its name among the variants.
    pub(in crate::cli) name: String,
    /// The ONNX file; rungs may share one.
    pub(in crate::cli) file: Rc<Vec<u8>>,
    /// `[height, width]` at which it runs.
    pub(in crate::cli) size: Option<[usize; 2]>,
    /// Accuracy, 0 to 1.
    pub(in crate::cli) accuracy: f64,
    /// Million multiplications and additions of one inference.
    pub(in crate::cli) mmac: f64,
}

impl Place {
    /// Writes a bundle whose main form is the first rung, and whose variants are the others; gives its path.
    ///
    /// # Errors
    /// As [`Place::write`].
    pub(in crate::cli) fn write_ladder(&self, ladder: &Ladder<'_>) -> Result<PathBuf, Failure> {
        let (Place::Bundle(path) | Place::File(path)) = self;
        let Some(main) = ladder.rungs.first() else { return Err(anyhow::anyhow!("there is no form to write").into()) };
        let mut files: Vec<(String, &[u8])> = Vec::new();
        let mut document = manifest(ladder.bundle, &name_of(path), &sha256(&main.file), ladder.task)?;
        let mut variants = ArrayOfTables::new();
        for (index, rung) in ladder.rungs.iter().enumerate() {
            // The same file at another resolution is written once.
            let known = files.iter().find(|(_, bytes)| **bytes == rung.file[..]).map(|(file, _)| file.clone());
            let file = known.unwrap_or_else(|| {
                let file = if index == 0 { FILE.to_owned() } else { format!("{}.onnx", rung.name) };
                files.push((file.clone(), &rung.file));
                file
            });
            if index > 0 {
                variants.push(variant(rung, &file));
            }
        }
        document["accuracy"] = Item::Table(ladder.accuracy(main));
        if let Some(size) = main.size {
            let input = document["input"].or_insert(table());
            input["size"] = value(pair(size));
            // Each resolution that was judged is a variant; of others nothing is known.
            if let Some(input) = input.as_table_like_mut() {
                input.remove("sizes");
            }
        }
        if !variants.is_empty() {
            document["variant"] = Item::ArrayOfTables(variants);
        }
        write_bundle(path, ladder.bundle, &files, &document.to_string())?;
        Ok(path.clone())
    }
}

impl Ladder<'_> {
    /// The table `[accuracy]` of the main form.
    fn accuracy(&self, main: &Rung) -> Table {
        let mut about = Table::new();
        about["metric"] = value(self.metric);
        about["value"] = value(rounded(main.accuracy));
        about["dataset"] = value(&self.dataset);
        about["command"] = value(&self.command);
        about["mmac"] = value(rounded(main.mmac));
        about
    }
}

/// The table `[[variant]]` of a rung whose model is in `file`.
fn variant(rung: &Rung, file: &str) -> Table {
    let mut about = Table::new();
    about["name"] = value(&rung.name);
    about["file"] = value(file);
    about["sha256"] = value(sha256(&rung.file));
    if let Some(size) = rung.size {
        about["size"] = value(pair(size));
    }
    about["accuracy"] = value(rounded(rung.accuracy));
    about["mmac"] = value(rounded(rung.mmac));
    about
}

fn pair(size: [usize; 2]) -> Array {
    size.iter().map(|side| *side as i64).collect()
}

/// To four places: more digits mean nothing.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Facts about a model without a manifest, as one.
fn bare(bundle: &Bundle) -> String {
    let about = bundle.manifest();
    let mut text = format!("name = \"\"\ntask = \"{}\"\n", about.task.word());
    if !about.input.shapes.is_empty() {
        text.push_str("[input.shapes]\n");
    }
    for (name, shape) in &about.input.shapes {
        text.push_str(&format!("{} = {shape:?}\n", toml_edit::Key::new(name).display_repr()));
    }
    text
}
