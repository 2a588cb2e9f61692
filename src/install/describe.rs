//! The manifest of a model that comes without one: out of the file itself, and of a person's statements.

use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::error::InstallError;
use super::steps::{Steps, run};
use crate::catalog::built_in_labels;
use crate::frame::{DType, Head, Spec, TaskKind, TensorSpec};
use crate::model::characters::characters;
use crate::model::exporter::{Said, said};
use crate::model::graph::{Port, dtype_of};
use crate::model::head::{self, Detector, HeadError};
use crate::model::{LoadedModel, Model, Plan, PlanKey};
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
        let is_text = task == TaskKind::Text.word();
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
        let kind = OBJECTS.into_iter().find(|kind| kind.word() == task);
        let mut head = None;
        if let Some(kind) = kind {
            let word = self.head(kind, model, &said, count, &mut found, steps)?;
            let mut output = Table::new();
            output.insert("head", value(&word));
            if let Some(boxes) = &self.boxes {
                output.insert("boxes", value(boxes));
            } else if said.has_shares() && word == Head::Yolov8.word() {
                output.insert("boxes", value("normalised"));
                found.push("boxes normalised: by the file's own metadata".into());
            }
            if let Some([count, values]) = said.keypoints.filter(|_| kind == TaskKind::Pose) {
                output.insert("keypoints", value(Array::from_iter([count as i64, values as i64])));
                found.push(format!("{count} key points out of the file's own metadata"));
            }
            root.insert("output", Item::Table(output));
            head = Head::ALL.iter().copied().find(|head| head.word() == word);
        } else if let Some(flag) = [("--head", &self.head), ("--boxes", &self.boxes)].iter().find(|f| f.1.is_some()) {
            return Err(InstallError::Request(format!(
                "{} belongs to --task detect, pose, segment and obb, this is {task}",
                flag.0
            )));
        }
        let input = self.input(info.inputs.first(), &said, (head, is_text), &mut found);
        if !input.is_empty() {
            root.insert("input", Item::Table(input));
        }
        let head_found = kind.is_some() && self.head.is_none();
        let text = format!("{}\n", DocumentMut::from(root).to_string().trim());
        Ok(Described { text, labels: labels.map(|lines| lines.join("\n") + "\n"), found, head_found })
    }

    fn label_lines(&self, said: &Said, found: &mut Vec<String>) -> Result<Option<Vec<String>>, InstallError> {
        let is_text = self.is_text(said);
        let Some(path) = &self.labels else {
            if is_text && !said.characters.is_empty() {
                found.push(format!("{} characters out of the file's own metadata", said.characters.len()));
                return Ok(Some(said.characters.clone()));
            }
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
        let built_in = path.to_str().filter(|_| !path.exists()).and_then(built_in_labels);
        let text =
            built_in.map_or_else(|| read_text(path, 1 << 20), |text| Ok(text.to_owned())).map_err(|e| match e {
                FileError::TooLarge { .. } => wrong("above 1 MiB; a text file with one name a line is wanted".into()),
                other => wrong(other.to_string()),
            })?;
        if is_text {
            let lines =
                characters(&text).map_err(|line| wrong(format!("line {line} is empty, each has a character")))?;
            return match lines[..] {
                [] => Err(wrong("there is no character in it".into())),
                _ => Ok(Some(lines.into_iter().map(str::to_owned).collect())),
            };
        }
        let lines: Vec<String> = text.lines().map(|l| l.trim_end().into()).filter(|l: &String| !l.is_empty()).collect();
        match (lines.len(), said.labels.len()) {
            (0, _) => Err(wrong("there is no label in it".into())),
            (given, own) if own > 0 && given != own => {
                Err(wrong(format!("{given} labels, but the file's own metadata has {own}")))
            }
            _ => Ok(Some(lines)),
        }
    }

    /// True for a model that reads text: by the person, else by its dictionary.
    fn is_text(&self, said: &Said) -> bool {
        match &self.task {
            Some(task) => task == TaskKind::Text.word(),
            None => !said.characters.is_empty() && said.task.is_none() && self.head.is_none(),
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
        if self.is_text(said) {
            found.push("task text: by the dictionary in the file's own metadata".into());
            return Ok(TaskKind::Text.word().into());
        }
        let first = outputs.first();
        let scores = first.and_then(|port| port.dims.iter().skip(1).copied().product::<Option<usize>>());
        let (task, why) = match (said.task.as_deref(), labels) {
            (Some(task @ ("detect" | "classify" | "pose" | "segment" | "obb" | "semantic")), _) => {
                (task, "by the file's own metadata")
            }
            (Some(task), _) => {
                return Err(InstallError::Unsupported(format!(
                    "its own metadata says that it is a model for another task ({task}), which is not read here; --task raw installs it \
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

    fn input(
        &self,
        port: Option<&Port>,
        said: &Said,
        (head, is_text): (Option<Head>, bool),
        found: &mut Vec<String>,
    ) -> Table {
        let mut input = Table::new();
        let (mut mean, mut std) = (self.mean.clone(), self.std.clone());
        if let Some(rows) = self.rows {
            input.insert("kind", value("window"));
            input.insert("rows", value(i64::from(rows)));
            input.insert("channels", value(self.channels.iter().collect::<Array>()));
        } else {
            let size = self.size.or(said.size.or(is_text.then_some(TEXT_SIZE)).filter(|_| is_open(port)));
            if let Some([height, width]) = size {
                if self.size.is_none() {
                    let why = if said.size.is_some() {
                        "out of the file's own metadata"
                    } else {
                        "as such models are trained"
                    };
                    found.push(format!("size {height}x{width} {why}"));
                }
                input.insert("size", value(Array::from_iter([height as i64, width as i64])));
            }
            // That exporter's detectors are trained with grey bars.
            let bars = head.is_some() && said.by_ultralytics();
            let habit = head.and_then(habit).or(TEXT.filter(|_| is_text));
            let fit = self.fit.clone().or_else(|| {
                let fit = habit.map(|habit| habit.fit).or(bars.then_some("letterbox"))?;
                found.push(format!("fit {fit}: as such models are trained"));
                Some(fit.to_string())
            });
            let floats = port.and_then(|port| dtype_of(port.dtype)) == Some(DType::F32);
            if let Some(habit) = habit.filter(|_| floats && self.mean.is_empty() && self.std.is_empty()) {
                let what = if is_text { "PP-OCR" } else { head.map_or("it", Head::word) };
                found.push(format!("{}: as {what} is trained", habit.about));
                (mean, std) = (habit.mean.to_vec(), habit.std.to_vec());
            }
            let colour = self.colour.clone().or_else(|| Some(habit.filter(|_| floats)?.colour.to_string()));
            for (key, word) in [("layout", &self.layout), ("colour", &colour), ("fit", &fit)] {
                if let Some(word) = word {
                    input.insert(key, value(word));
                }
            }
        }
        for (key, values) in [("mean", &mean), ("std", &std)] {
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
        task: TaskKind,
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
        let mut plan = run(steps, "compiling", || model.compile_plan(key))?;
        let size = match model.spec(key)? {
            Spec::Image(image) => [image.height, image.width],
            Spec::Window(_) => [0, 0],
        };
        let told = {
            let outputs: Vec<&TensorSpec> = plan.outputs().iter().collect();
            head::infer(&Detector { task, outputs: &outputs, classes, size, said })
        };
        let (head, why) = match told {
            Err(error) if error.is_yolov5_or_yolox() => match is_decoded(&mut plan, size)? {
                true => (Head::Yolov5, "by what it gives for a grey picture: its boxes are in pixels"),
                false => (Head::Yolox, "by what it gives for a grey picture: its boxes are relative to their cells"),
            },
            told => told.map_err(|e| unclear(&e))?,
        };
        found.push(format!("head {}: {why}", head.word()));
        Ok(head.word().into())
    }
}

/// Tasks that find objects.
const OBJECTS: [TaskKind; 4] = [TaskKind::Detect, TaskKind::Pose, TaskKind::Segment, TaskKind::Obb];

/// Usual preparation of the pictures that networks with a head are trained with, unless their authors say otherwise.
#[derive(Clone, Copy)]
struct Habit {
    colour: &'static str,
    fit: &'static str,
    mean: &'static [f32],
    std: &'static [f32],
    /// The values in words.
    about: &'static str,
}

/// `[height, width]` of a line of text that a file leaves open, in pixels.
const TEXT_SIZE: [usize; 2] = [48, 320];

/// Preparation of the pictures of PP-OCR's recognisers.
const TEXT: Option<Habit> =
    Some(Habit { colour: "bgr", fit: "pad", mean: &[0.5], std: &[0.5], about: "pixels from -1 to 1, blue first" });

/// 1 for each step of a pixel.
const STEP: f32 = 0.003_921_569;

fn habit(head: Head) -> Option<Habit> {
    let of = |colour, fit, mean, std, about| Some(Habit { colour, fit, mean, std, about });
    match head {
        Head::Yolox => of("bgr", "letterbox", &[], &[STEP], "pixels from 0 to 255, blue first"),
        Head::YuNet => of("bgr", "stretch", &[], &[STEP], "pixels from 0 to 255, blue first"),
        Head::NanoDet => of(
            "bgr",
            "stretch",
            &[0.406, 0.456, 0.485],
            &[0.225, 0.224, 0.229],
            "mean and deviation of ImageNet, blue first",
        ),
        Head::PicoDet => {
            of("rgb", "stretch", &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225], "mean and deviation of ImageNet")
        }
        Head::RetinaFace => of(
            "bgr",
            "letterbox",
            &[0.407_843_14, 0.458_823_53, 0.482_352_94],
            &[STEP],
            "pixels less 104, 117 and 123, blue first",
        ),
        // Blue first with the mean of red first, as its authors have it.
        Head::DbNet => of(
            "bgr",
            "letterbox",
            &[0.485, 0.456, 0.406],
            &[0.229, 0.224, 0.225],
            "mean and deviation of ImageNet, blue first",
        ),
        Head::Scrfd => of("rgb", "letterbox", &[0.5], &[0.502], "pixels from -1 to 1"),
        Head::UltraFace => of("rgb", "stretch", &[0.498], &[0.502], "pixels from -1 to 1"),
        Head::Landmarks => of("rgb", "letterbox", &[], &[], "pixels from 0 to 1"),
        Head::MediaPipe => of("rgb", "letterbox", &[0.5], &[0.5], "pixels from -1 to 1"),
        _ => None,
    }
}

/// True if the boxes of a plan's only output are in pixels: those of neighbouring cells are then a stride apart, whatever the picture shows.
fn is_decoded(plan: &mut Plan, [height, width]: [usize; 2]) -> Result<bool, InstallError> {
    plan.run()?;
    let mut values = Vec::new();
    let output = plan.output(0);
    output.dequantize_into(&mut values);
    let columns = output.spec.shape.last().copied().unwrap_or(1).max(1);
    let centres = values.chunks_exact(columns).map(|row| [row[0] / width as f32, row[1] / height as f32]);
    let far = centres.flatten().filter(|share| *share > 0.25).count();
    // Half of all cells are in the right half, and half of them in the lower one.
    Ok(far * 4 > values.len() / columns)
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
