//! `model.toml`: what a bundle says about its model, and how a wrong manifest is explained.

use std::path::{Component, Path};

use serde::Deserialize;

use super::ModelError;
use crate::frame::{Boxes, Colour, Fit, Head, Layout, TaskKind};

/// Most smaller forms: each is a file that stays open while the model is in use.
const MAX_VARIANTS: usize = 16;

/// Label of a golden input in which there is no position to be read.
pub(crate) const NO_POSITION: &str = "none";

/// Most golden inputs: each is read whenever the bundle is opened.
const MAX_GOLDENS: usize = 4096;

/// The manifest of a bundle. Keys that are not listed here are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the bundle and of its directory, `[a-zA-Z0-9_-]`.
    pub name: String,
    /// Version of the model, free form.
    #[serde(default)]
    pub version: String,
    /// What its outputs mean.
    #[serde(default = "raw")]
    pub task: TaskKind,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// SPDX expression.
    #[serde(default)]
    pub licence: String,
    /// Where it comes from.
    #[serde(default)]
    pub origin: String,
    /// The ONNX file, relative to the bundle.
    #[serde(default = "model_onnx")]
    pub file: String,
    /// SHA-256 of `file`, 64 hexadecimal digits.
    #[serde(default)]
    pub sha256: String,
    /// Class names, index = class.
    #[serde(default)]
    pub labels: Vec<String>,
    /// A file with one class name per line, instead of `labels`.
    #[serde(default)]
    pub labels_file: Option<String>,
    /// The input.
    #[serde(default)]
    pub input: Input,
    /// The outputs.
    #[serde(default)]
    pub output: Output,
    /// Defaults of `[pipeline.task]`.
    #[serde(default)]
    pub defaults: serde_json::Map<String, serde_json::Value>,
    /// What was measured.
    #[serde(default)]
    pub accuracy: Option<Accuracy>,
    /// Smaller forms of the same model, best first; the main file is the first rung.
    #[serde(default, rename = "variant")]
    pub variants: Vec<Variant>,
    /// Inputs with expected outcomes.
    #[serde(default, rename = "golden")]
    pub goldens: Vec<Golden>,
}

/// `[input]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// Picture or window; absent = inferred from the shape.
    pub kind: Option<InputKind>,
    /// `[height, width]` in pixels; absent = from the graph.
    pub size: Option<[usize; 2]>,
    /// Further resolutions at which the graph may run.
    pub sizes: Vec<[usize; 2]>,
    /// Axis order; absent = inferred from the shape.
    pub layout: Option<Layout>,
    /// Channels; absent = inferred from the shape.
    pub colour: Option<Colour>,
    /// How a picture of another shape is fitted.
    pub fit: Fit,
    /// Mean, one value or one per channel.
    pub mean: Vec<f32>,
    /// Standard deviation, one value or one per channel.
    pub std: Vec<f32>,
    /// Readings in one window.
    pub rows: Option<usize>,
    /// Channel names of a window, in the model's order.
    pub channels: Vec<String>,
    /// Shapes of inputs, and sizes of dimensions, that the file leaves open, by name.
    pub shapes: std::collections::BTreeMap<String, Vec<usize>>,
}

/// What a model is fed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// Pictures.
    Image,
    /// Windows of sensor readings.
    Window,
}

/// `[output]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Layout of a detection model's outputs.
    pub head: Option<Head>,
    /// Unit of a detection model's boxes.
    pub boxes: Boxes,
    /// Key points of an object and values of each, x and y and with 3 a score; absent = by the shape.
    pub keypoints: Option<[usize; 2]>,
    /// Overrides the scale that the graph gives for its outputs.
    pub scale: Option<f32>,
    /// Overrides the zero point that the graph gives for its outputs.
    pub zero_point: Option<i32>,
    /// Anchor file of an SSD head.
    pub anchors: Option<String>,
    /// The label of the class that means "nothing to read here" (`none`, `NaN`, …), one of the labels; of a text model the blank.
    pub none: Option<String>,
    /// The output that gives positions of drums or pointers around the turn; absent = labels that are numbers.
    pub position: Option<String>,
}

/// `[accuracy]`: what was measured, and how to measure it again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// What is counted (`top-1`, `auc`, …).
    pub metric: String,
    /// The figure.
    pub value: f64,
    /// On which data.
    #[serde(default)]
    pub dataset: String,
    /// The command that gave it.
    #[serde(default)]
    pub command: String,
    /// Million multiply-accumulates of one inference.
    #[serde(default)]
    pub mmac: Option<f64>,
}

/// `[[variant]]`: a smaller form of the same model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name of the rung.
    pub name: String,
    /// Its ONNX file.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// `[height, width]`; absent = as the main form.
    #[serde(default)]
    pub size: Option<[usize; 2]>,
    /// The figure of `[accuracy]` for this form.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// Million multiply-accumulates of one inference.
    #[serde(default)]
    pub mmac: Option<f64>,
}

/// `[[golden]]`: an input with its expected outcome.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Picture, CSV, JSON Lines or `.npy` file, relative to the bundle.
    pub file: String,
    /// classify and text: the expected label, reading or text.
    #[serde(default)]
    pub label: Option<String>,
    /// detect: the labels that must be found.
    #[serde(default)]
    pub labels: Vec<String>,
    /// anomaly: whether the window is one.
    #[serde(default)]
    pub anomalous: Option<bool>,
    /// position: the expected position in tenths of a turn; `label` may say `none` instead.
    #[serde(default)]
    pub position: Option<f32>,
}

fn raw() -> TaskKind {
    TaskKind::Raw
}

fn model_onnx() -> String {
    "model.onnx".into()
}

impl Manifest {
    /// What is assumed of a bare `.onnx` file: task raw, everything else from the graph.
    pub fn bare(name: &str, file: &str) -> Manifest {
        Manifest {
            name: name.into(),
            version: String::new(),
            task: TaskKind::Raw,
            description: String::new(),
            licence: String::new(),
            origin: String::new(),
            file: file.into(),
            sha256: String::new(),
            labels: Vec::new(),
            labels_file: None,
            input: Input::default(),
            output: Output::default(),
            defaults: serde_json::Map::new(),
            accuracy: None,
            variants: Vec::new(),
            goldens: Vec::new(),
        }
    }

    /// Parses and validates a manifest; `path` is named in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, ModelError> {
        let manifest: Manifest = toml_edit::de::from_str(text).map_err(|e| explain(text, path, &e))?;
        match manifest.faults().into_iter().next() {
            None => Ok(manifest),
            Some((key, reason)) => {
                Err(ModelError::Manifest { path: path.into(), line: line_of_key(text, key), reason })
            }
        }
    }

    /// What is wrong beyond types and names: the key (as `table.key`) and the sentence.
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut fault = |bad: bool, key, reason: String| {
            if bad {
                faults.push((key, format!("{key}: {reason}")));
            }
        };
        let plain = |s: &str| s.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        fault(
            self.name.is_empty() || self.name.len() > 64 || !plain(&self.name),
            "name",
            format!("found {:?}, allowed are 1 to 64 of a-z A-Z 0-9 _ -", self.name),
        );
        fault(
            !is_sha256(&self.sha256),
            "sha256",
            format!("found {:?}, allowed are 64 hexadecimal digits", self.sha256),
        );
        let files = [("file", Some(&self.file)), ("labels_file", self.labels_file.as_ref())];
        for (key, file) in files.into_iter().chain([("output.anchors", self.output.anchors.as_ref())]) {
            if let Some(file) = file {
                fault(!is_inside(file), key, format!("{file:?} must be a relative path inside the bundle"));
            }
        }
        fault(
            !self.labels.is_empty() && self.labels_file.is_some(),
            "labels_file",
            "give either labels or labels_file, not both".into(),
        );
        fault(
            self.task.has_objects() && self.output.head.is_none(),
            "output.head",
            format!(
                "a {} model needs one of {}",
                self.task.word(),
                Head::ALL.iter().map(|head| head.word()).collect::<Vec<_>>().join(", ")
            ),
        );
        fault(
            self.output.boxes != Boxes::Pixels && self.output.head.is_some_and(|head| !head.takes_boxes()),
            "output.boxes",
            format!(
                "belongs to the heads {} only",
                Head::ALL.iter().filter(|h| h.takes_boxes()).map(|h| h.word()).collect::<Vec<_>>().join(", ")
            ),
        );
        if let Some([count, values]) = self.output.keypoints {
            fault(self.task != TaskKind::Pose, "output.keypoints", "belongs to task = \"pose\" only".into());
            fault(
                !(1..=1024).contains(&count) || !(2..=3).contains(&values),
                "output.keypoints",
                format!("found {:?}, allowed is [1 to 1024, 2 or 3]: x and y, and perhaps a score", [count, values]),
            );
        }
        if let Some(none) = &self.output.none {
            fault(
                !matches!(self.task, TaskKind::Classify | TaskKind::Text | TaskKind::Position),
                "output.none",
                format!("{none:?} names a class of nothing to read, which classify, text and position models have"),
            );
            fault(
                self.labels_file.is_none() && !self.labels.contains(none),
                "output.none",
                none_of_the_labels(none, &self.labels),
            );
        }
        for size in self.input.size.iter().chain(&self.input.sizes) {
            fault(
                size.iter().any(|s| !(1..=8192).contains(s)),
                if self.input.size.as_ref() == Some(size) { "input.size" } else { "input.sizes" },
                format!("found {size:?}, allowed is [height, width] of 1 to 8192 pixels each"),
            );
        }
        let image = self.input.kind == Some(InputKind::Image);
        let window = self.input.kind == Some(InputKind::Window);
        fault(window && self.input.rows.is_none(), "input.rows", "missing: a window needs its number of rows".into());
        fault(
            self.input.rows.is_some_and(|r| !(1..=1_000_000).contains(&r)),
            "input.rows",
            format!("found {}, allowed is 1 to 1000000", self.input.rows.unwrap_or(0)),
        );
        fault(
            window && self.input.channels.is_empty(),
            "input.channels",
            "missing: a window needs the names of its channels".into(),
        );
        fault(image && self.input.rows.is_some(), "input.rows", "belongs to kind = \"window\" only".into());
        fault(image && !self.input.channels.is_empty(), "input.channels", "belongs to kind = \"window\" only".into());
        let pictures = self.input.size.is_some() || self.input.layout.is_some() || self.input.colour.is_some();
        fault(window && pictures, "input.kind", "size, layout and colour belong to kind = \"image\" only".into());
        let channels = match (window, self.input.colour) {
            (true, _) => Some(self.input.channels.len()),
            (false, Some(Colour::Grey)) => Some(1),
            (false, Some(Colour::Rgb | Colour::Bgr)) => Some(3),
            (false, None) => None,
        };
        for (key, values) in [("input.mean", &self.input.mean), ("input.std", &self.input.std)] {
            let fits = values.len() <= 1 || channels.map_or(values.len() == 3, |c| c == values.len());
            let want = channels.map_or("3".into(), |c| c.to_string());
            fault(!fits, key, format!("found {} values, allowed are 1 or {want} (one per channel)", values.len()));
            fault(values.iter().any(|v| !v.is_finite()), key, format!("found {values:?}, allowed are finite numbers"));
        }
        fault(self.input.std.iter().any(|v| *v <= 0.0), "input.std", "every value must be above 0".into());
        fault(
            self.output.scale.is_some_and(|s| !(s.is_finite() && s > 0.0)),
            "output.scale",
            format!("found {}, allowed is a finite number above 0", self.output.scale.unwrap_or(0.0)),
        );
        for (key, count, most) in
            [("variant.name", self.variants.len(), MAX_VARIANTS), ("golden.file", self.goldens.len(), MAX_GOLDENS)]
        {
            fault(count > most, key, format!("{count} of them, allowed are up to {most}"));
        }
        for variant in &self.variants {
            let name = &variant.name;
            fault(
                name.is_empty() || !plain(name),
                "variant.name",
                format!("found {name:?}, allowed are a-z A-Z 0-9 _ -"),
            );
            fault(!is_inside(&variant.file), "variant.file", format!("{:?} must be inside the bundle", variant.file));
            fault(
                !is_sha256(&variant.sha256),
                "variant.sha256",
                format!("found {:?} for {name:?}, allowed are 64 hexadecimal digits", variant.sha256),
            );
            fault(
                self.variants.iter().filter(|v| v.name == *name).count() > 1,
                "variant.name",
                format!("{name:?} is used twice"),
            );
        }
        for golden in &self.goldens {
            let file = &golden.file;
            fault(!is_inside(file), "golden.file", format!("{file:?} must be inside the bundle"));
            let fits = match self.task {
                TaskKind::Classify | TaskKind::Text => golden.label.is_some(),
                TaskKind::Detect | TaskKind::Pose | TaskKind::Segment | TaskKind::Obb | TaskKind::Semantic => {
                    !golden.labels.is_empty()
                }
                TaskKind::Position => {
                    golden.position.is_some() != golden.label.as_deref().is_some_and(|label| label == NO_POSITION)
                }
                TaskKind::Anomaly => golden.anomalous.is_some(),
                TaskKind::Raw | TaskKind::Baseline | TaskKind::Threshold => true,
            };
            let want = match self.task {
                TaskKind::Classify | TaskKind::Text => "label",
                TaskKind::Detect | TaskKind::Pose | TaskKind::Segment | TaskKind::Obb | TaskKind::Semantic => "labels",
                TaskKind::Position => "position, or label = \"none\"",
                TaskKind::Anomaly => "anomalous",
                TaskKind::Raw | TaskKind::Baseline | TaskKind::Threshold => "",
            };
            fault(!fits, "golden.file", format!("{file:?} has no expected outcome: this task needs the key {want}"));
        }
        faults
    }
}

/// The sentence for an `output.none` that is not among the labels.
pub(super) fn none_of_the_labels(none: &str, labels: &[impl AsRef<str>]) -> String {
    let known = labels.iter().map(AsRef::as_ref).take(20).collect::<Vec<_>>().join(", ");
    match labels.len() {
        0 => format!("{none:?} is none of the model's labels: it has none, give labels or labels_file"),
        count => {
            format!("{none:?} is none of the model's {count} labels ({known}{})", if count > 20 { ", …" } else { "" })
        }
    }
}

/// Test for a SHA-256 in hexadecimal digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

/// A TOML error with its line, its key and, for an unknown key, the nearest known one.
fn explain(text: &str, path: &Path, error: &toml_edit::de::Error) -> ModelError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message().trim_end().replace('\n', ", ");
    let key = line
        .and_then(|l| text.lines().nth(l - 1))
        .and_then(|l| l.split_once('='))
        .map(|(key, _)| key.trim())
        .filter(|key| !key.is_empty() && !key.starts_with(['[', '#', '{']));
    let reason = if let Some(rest) = message.strip_prefix("unknown field `") {
        let mut quoted = rest.split('`').step_by(2);
        let found = quoted.next().unwrap_or_default();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        let nearest = nearest(found, &known).map(|n| format!(", did you mean {n:?}?")).unwrap_or_default();
        format!("unknown key {found:?}{nearest} (allowed: {})", known.join(", "))
    } else {
        match key {
            Some(key) if !message.contains("missing field") => format!("{key}: {message}"),
            _ => message,
        }
    };
    ModelError::Manifest { path: path.into(), line, reason }
}

/// The known key that is most like `found`, if any is like it at all.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |k: &str| strsim::jaro_winkler(found, k);
    known.iter().copied().filter(|k| score(k) > 0.7).max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// Line of `table.key` (or `key` at the top), counted from 1; the table's own line where the key is missing.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let (table, key) = key.split_once('.').unwrap_or(("", key));
    let mut current = "";
    let mut table_line = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') && line.ends_with(']') && !line.contains('=') {
            current = line.trim_matches(['[', ']', ' ']);
            if current == table && table_line.is_none() {
                table_line = Some(index + 1);
            }
        } else if current == table && line.split_once('=').is_some_and(|(k, _)| k.trim() == key) {
            return Some(index + 1);
        }
    }
    table_line
}
