//! The manifest of a model that comes without one: out of the file itself, and of a person's statements.

use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::error::InstallError;
use super::steps::{Steps, run};
use crate::frame::{Head, Spec};
use crate::model::exporter::{Said, said};
use crate::model::graph::Port;
use crate::model::head::{self, Detector, HeadError};
use crate::model::{LoadedModel, Model as _, PlanKey};
use crate::sys::file::{FileError, read_text};

/// Statements of a person about a model that has no manifest. The rest comes from the file. Words are as in a manifest.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    /// Task that reads the outputs.
    pub task: Option<String>,
    /// File with class names, one a line.
    pub labels: Option<PathBuf>,
    /// Layout of a detector's outputs.
    pub head: Option<String>,
    /// Unit of a detector's boxes.
    pub boxes: Option<String>,
    /// `[height, width]` of a picture that the file leaves open.
    pub size: Option<[usize; 2]>,
    /// Channels of a picture.
    pub colour: Option<String>,
    /// Axes of a picture.
    pub layout: Option<String>,
    /// Fit of a picture of another shape.
    pub fit: Option<String>,
    /// Mean that is taken off the pixels (0 to 1).
    pub mean: Vec<f32>,
    /// Standard deviation that the pixels (0 to 1) are divided by.
    pub std: Vec<f32>,
    /// Readings in one window.
    pub rows: Option<u32>,
    /// Channels of readings, in the model's order.
    pub channels: Vec<String>,
    /// One line for people.
    pub description: Option<String>,
    /// Licence.
    pub licence: Option<String>,
}

/// A manifest that was made.
#[derive(Debug)]
pub struct Described {
    /// The text of `model.toml`.
    pub text: String,
    /// The text of its label file.
    pub labels: Option<String>,
    /// Facts that were found and not stated, one line each.
    pub found: Vec<String>,
    /// The head of a detector was told by its file and its shape, and not by the person.
    pub head_found: bool,
}

/// Name of the label file in a bundle.
pub const LABELS: &str = "labels.txt";

impl Stated {
    /// The manifest of the model `name`, whose `file` has `sha256` and came from `origin`.
    ///
    /// # Errors
    /// [`InstallError::Request`] when a flag does not fit the model, or one is missing; [`InstallError::Unsupported`] when it is a model of a kind
    /// that does not run here.
    pub fn describe(
        &self,
        name: &str,
        origin: &str,
        (file, sha256): (&str, &str),
        model: &LoadedModel,
        steps: &dyn Steps,
    ) -> Result<Described, InstallError> {
        let info = model.info();
        let said = said(&info.metadata);
        let mut found = Vec::new();
        let labels = self.label_lines(&said, &mut found)?;
        let count = labels.as_ref().map(Vec::len);
        let task = self.task(&said, &info.outputs, count, &mut found)?;
        let mut root = Table::new();
        let mut put = |key: &str, text: &str| {
            if !text.is_empty() {
                root.insert(key, value(text));
            }
        };
        put("name", name);
        put("task", &task);
        put("description", self.description.as_deref().unwrap_or_default());
        put("licence", self.licence.as_deref().unwrap_or_default());
        put("origin", origin);
        put("file", file);
        put("sha256", sha256);
        put("labels_file", if labels.is_some() { LABELS } else { "" });
        let detector = said.by_ultralytics() && task == "detect";
        let input = self.input(info.inputs.first(), &said, detector, &mut found);
        if !input.is_empty() {
            root.insert("input", Item::Table(input));
        }
        if task == "detect" {
            let head = self.head(model, &said, count, &mut found, steps)?;
            let mut output = Table::new();
            output.insert("head", value(head));
            if let Some(boxes) = &self.boxes {
                output.insert("boxes", value(boxes));
            }
            root.insert("output", Item::Table(output));
        } else if let Some(flag) = [("--head", &self.head), ("--boxes", &self.boxes)].iter().find(|f| f.1.is_some()) {
            return Err(InstallError::Request(format!("{} belongs to --task detect, this is {task}", flag.0)));
        }
        let head_found = task == "detect" && self.head.is_none();
        let text = format!("{}\n", DocumentMut::from(root).to_string().trim());
        Ok(Described { text, labels: labels.map(|lines| lines.join("\n") + "\n"), found, head_found })
    }

    fn label_lines(&self, said: &Said, found: &mut Vec<String>) -> Result<Option<Vec<String>>, InstallError> {
        let Some(path) = &self.labels else {
            if said.labels.is_empty() {
                if said.strange_labels {
                    found.push("names in the file's own metadata that are no list of labels: give --labels".into());
                }
                return Ok(None);
            }
            let (count, noun) = (said.labels.len(), if said.labels.len() == 1 { "label" } else { "labels" });
            found.push(format!("{count} {noun} out of the file's own metadata"));
            return Ok(Some(said.labels.clone()));
        };
        let wrong = |reason: String| InstallError::Request(format!("--labels {}: {reason}", path.display()));
        let text = read_text(path, 1 << 20).map_err(|e| match e {
            FileError::TooLarge { .. } => wrong("above 1 MiB; a text file with one name a line is wanted".into()),
            other => wrong(other.to_string()),
        })?;
        let lines: Vec<String> = text.lines().map(|l| l.trim_end().into()).filter(|l: &String| !l.is_empty()).collect();
        match (lines.len(), said.labels.len()) {
            (0, _) => Err(wrong("there is no label in it".into())),
            (given, own) if own > 0 && given != own => {
                Err(wrong(format!("{given} labels, but the file's own metadata has {own}")))
            }
            _ => Ok(Some(lines)),
        }
    }

    fn task(
        &self,
        said: &Said,
        outputs: &[Port],
        labels: Option<usize>,
        found: &mut Vec<String>,
    ) -> Result<String, InstallError> {
        if let Some(task) = &self.task {
            return Ok(task.clone());
        }
        let first = outputs.first();
        let scores = first.and_then(|port| port.dims.iter().skip(1).copied().product::<Option<usize>>());
        let (task, why) = match (said.task.as_deref(), labels) {
            (Some(task @ ("detect" | "classify")), _) => (task, "by the file's own metadata"),
            (Some(task), _) => {
                let kind = match task {
                    "segment" => "instance segmentation",
                    "pose" => "poses (key points)",
                    "obb" => "boxes with an angle",
                    other => other,
                };
                return Err(InstallError::Unsupported(format!(
                    "its own metadata says that it is a model for {kind} (task = {task}), which is not read here; --task raw installs it \
                     with its outputs published as they are"
                )));
            }
            (None, Some(labels)) if scores == Some(labels) => ("classify", "as many outputs as labels"),
            (None, _) if self.head.is_some() => ("detect", "by --head"),
            (None, _) if said.end2end.is_some() => ("detect", "by the file's own metadata"),
            (None, Some(_)) if first.is_some_and(|port| port.dims.len() >= 3) => {
                ("detect", "by the shape of its output")
            }
            (None, Some(_)) => ("classify", "it has labels"),
            (None, None) => {
                ("raw", "its outputs are published as they are; --task classify, detect or anomaly says more")
            }
        };
        found.push(format!("task {task}: {why}"));
        Ok(task.into())
    }

    fn input(&self, port: Option<&Port>, said: &Said, detector: bool, found: &mut Vec<String>) -> Table {
        let mut input = Table::new();
        if let Some(rows) = self.rows {
            input.insert("kind", value("window"));
            input.insert("rows", value(i64::from(rows)));
            input.insert("channels", value(self.channels.iter().collect::<Array>()));
        } else {
            let size = self.size.or(said.size.filter(|_| is_open(port)));
            if let Some([height, width]) = size {
                if self.size.is_none() {
                    found.push(format!("size {height}x{width} out of the file's own metadata"));
                }
                input.insert("size", value(Array::from_iter([height as i64, width as i64])));
            }
            // That exporter's detectors are trained with grey bars.
            let fit = self.fit.clone().or_else(|| {
                let fit = detector.then(|| "letterbox".to_string());
                found.extend(fit.is_some().then(|| "fit letterbox: as such detectors are trained".into()));
                fit
            });
            for (key, word) in [("layout", &self.layout), ("colour", &self.colour), ("fit", &fit)] {
                if let Some(word) = word {
                    input.insert(key, value(word));
                }
            }
        }
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            if !values.is_empty() {
                // Through text, so that 0.485 stays 0.485.
                let values: Array = values.iter().filter_map(|v| v.to_string().parse::<f64>().ok()).collect();
                input.insert(key, value(values));
            }
        }
        input
    }

    /// The head that the person, the file or the shapes of the outputs of a plan tell.
    fn head(
        &self,
        model: &LoadedModel,
        said: &Said,
        classes: Option<usize>,
        found: &mut Vec<String>,
        steps: &dyn Steps,
    ) -> Result<String, InstallError> {
        if let Some(head) = &self.head {
            return Ok(head.clone());
        }
        let key =
            PlanKey { batch: Some(1), size: self.size.or(said.size.filter(|_| is_open(model.info().inputs.first()))) };
        // What the file claims of its outputs may be open or wrong; what a plan computes is neither.
        let plan = run(steps, "compiling", || model.compile_plan(key))?;
        let outputs: Vec<Vec<usize>> = plan.outputs().iter().map(|output| output.shape.clone()).collect();
        let size = match model.spec(key)? {
            Spec::Image(image) => [image.height, image.width],
            Spec::Window(_) => [0, 0],
        };
        let (head, why) = head::infer(&Detector { outputs: &outputs, classes, size, said }).map_err(|e| unclear(&e))?;
        found.push(format!("head {}: {why}", head.word()));
        Ok(head.word().into())
    }
}

/// The error where the head is not known, with the flags that settle it.
fn unclear(error: &HeadError) -> InstallError {
    let heads: Vec<&str> = error.heads().into_iter().map(Head::word).collect();
    match error {
        HeadError::Unclear { .. } => InstallError::Request(format!(
            "{error}: say which with --head {} (and give --labels, if it has none)",
            heads.join(" or --head ")
        )),
        HeadError::Contradicted { .. } => InstallError::Request(error.to_string()),
        HeadError::Labels { .. } => {
            InstallError::Request(format!("{error}: give the right --labels, or --head if it is another"))
        }
        HeadError::Unknown { .. } => InstallError::Request(format!(
            "{error}; no --head fits, --task raw installs it with its outputs published as they are"
        )),
    }
}

/// Reports a picture whose size the file leaves open.
fn is_open(port: Option<&Port>) -> bool {
    port.is_some_and(|port| port.dims.len() == 4 && port.dims.iter().skip(1).any(Option::is_none))
}

/// Name of a model's file in its bundle.
pub fn file_name(is_tflite: bool) -> &'static str {
    if is_tflite { "model.tflite" } else { "model.onnx" }
}

/// The text of a manifest with another name.
///
/// # Errors
/// [`InstallError::Unsupported`] when it is not TOML.
pub fn renamed(text: &str, name: &str, path: &Path) -> Result<String, InstallError> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| InstallError::Unsupported(format!("{}: {e}", path.display())))?;
    document.insert("name", value(name));
    Ok(document.to_string())
}
