//! Inputs of a model out of files: what a model is calibrated on. Pictures and tables go through the pipeline's own preprocessing, so that
//! the model sees what it will see; files of bare tensors are taken as they are.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use tract_onnx::prelude::Tensor;

use super::offline;
use super::stages::Stages;
use super::tensors::{Stored, is_tensor};
use crate::frame::{Elements, Quant};
use crate::source::{SensorKind, names_pictures};

/// Deepest directory below the one that was given.
const DEEPEST: usize = 8;

/// Most files that are looked at.
const MOST_FILES: usize = 1 << 20;

/// Samples of a model's input out of files.
pub struct FileSamples {
    entries: Vec<Entry>,
    stages: RefCell<Stages>,
    /// Meaning of integers in files to a model of floats.
    quant: Option<Quant>,
    skipped: Vec<String>,
}

enum Entry {
    /// A picture.
    Picture(PathBuf),
    /// One of the items in a file of bare values.
    Item(PathBuf, usize),
    /// A window out of a table.
    Window(Tensor),
}

impl FileSamples {
    /// Looks for inputs at `path`: a file, or a directory with directories in it. At most `limit` are taken, spread over all; what cannot be
    /// read is left out and named by [`skipped`](Self::skipped).
    ///
    /// `stages` prepare pictures and readings for the model; `quant` says what integers in files of bare values mean to a model of floats.
    ///
    /// # Errors
    /// In words: nothing is there, or nothing of it can be used.
    pub fn open(path: &Path, stages: Stages, quant: Option<Quant>, limit: usize) -> Result<FileSamples, String> {
        let said = |reason: String| format!("{}: {reason}", path.display());
        let inputs = stages.plan.model().inputs().len();
        if inputs != 1 {
            return Err(said(format!("the model has {inputs} inputs, calibration is for models with one")));
        }
        let mut files = Vec::new();
        list(path, DEEPEST, &mut files).map_err(|error| said(error.to_string()))?;
        files.sort();
        if files.is_empty() {
            return Err(said("no picture, table (.csv, .jsonl) or file of values (.npy, .bin, .f32) is there".into()));
        }
        let found = files.len();
        let taken: Vec<PathBuf> = match found > limit {
            true => (0..limit).map(|index| files[index * found / limit].clone()).collect(),
            false => files,
        };
        let stages = RefCell::new(stages);
        let mut samples = FileSamples { entries: Vec::new(), stages, quant, skipped: Vec::new() };
        for file in taken {
            if let Err(reason) = samples.add(&file, limit) {
                samples.skipped.push(format!("{}: {reason}", file.display()));
            }
        }
        match samples.skipped.first() {
            Some(first) if samples.entries.is_empty() => {
                Err(format!("none of {found} files can be used; the first is {first}"))
            }
            _ => {
                samples.thin_out(limit);
                Ok(samples)
            }
        }
    }

    /// Leaves `limit` samples, spread over all: files may have many items each.
    fn thin_out(&mut self, limit: usize) {
        let count = self.entries.len();
        if count > limit {
            let kept: Vec<bool> = (0..count).map(|at| at * limit / count != (at + 1) * limit / count).collect();
            let mut kept = kept.into_iter();
            self.entries.retain(|_| kept.next() == Some(true));
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Test for none at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sample `index` as the model's input.
    ///
    /// # Errors
    /// Reason for which it cannot be read any more, naming the file.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Result<Tensor, String> {
        let named = |path: &Path, tensor: Result<Tensor, String>| {
            tensor.map_err(|reason| format!("{}: {reason}", path.display()))
        };
        match &self.entries[index] {
            Entry::Picture(path) => named(path, self.picture(path)),
            Entry::Item(path, item) => named(path, self.item(path, *item)),
            Entry::Window(tensor) => Ok(tensor.clone()),
        }
    }

    /// Files that were left out, each with its reason.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn add(&mut self, path: &Path, limit: usize) -> Result<(), String> {
        if is_tensor(path) {
            let count = self.items(path)?.len();
            self.entries.extend((0..count).map(|item| Entry::Item(path.into(), item)));
            return Ok(());
        }
        if names_pictures(path) {
            self.picture(path)?;
            self.entries.push(Entry::Picture(path.into()));
            return Ok(());
        }
        let windows = self.windows(path, limit)?;
        if windows.is_empty() {
            return Err("it has too few readings for one window".into());
        }
        self.entries.extend(windows.into_iter().map(Entry::Window));
        Ok(())
    }

    /// Items of a file of bare values.
    fn items(&self, path: &Path) -> Result<Vec<Vec<f64>>, String> {
        self.stages.borrow().items_of(Stored::read(path)?, self.quant)
    }

    fn item(&self, path: &Path, index: usize) -> Result<Tensor, String> {
        let items = self.items(path)?;
        let item = items.get(index).ok_or("it is shorter than it was")?;
        let mut stages = self.stages.borrow_mut();
        stages.set_input(item).map_err(|e| e.to_string())?;
        stages.first_input()
    }

    fn picture(&self, path: &Path) -> Result<Tensor, String> {
        let mut found = None;
        self.frames(path, &mut |tensor| {
            found = Some(tensor);
            false
        })?;
        found.ok_or_else(|| "no picture is in it".into())
    }

    fn windows(&self, path: &Path, limit: usize) -> Result<Vec<Tensor>, String> {
        let mut windows = Vec::new();
        self.frames(path, &mut |tensor| {
            windows.push(tensor);
            windows.len() < limit
        })?;
        Ok(windows)
    }

    /// The model's input for each frame of a file, until `each` returns false.
    fn frames(&self, path: &Path, each: &mut dyn FnMut(Tensor) -> bool) -> Result<(), String> {
        let mut stages = self.stages.borrow_mut();
        let mut source = offline::open(&path.display().to_string(), stages.spec()).map_err(|e| e.to_string())?;
        let mut failed = None;
        offline::frames(source.as_mut(), |frame| {
            let input = frame.map_err(|(_, reason)| reason).and_then(|frame| {
                stages.prepare(frame, 0).map_err(|e| e.to_string())?;
                stages.first_input()
            });
            match input {
                Ok(input) => each(input),
                Err(reason) => {
                    failed = Some(reason);
                    false
                }
            }
        })
        .map_err(|error| error.to_string())?;
        failed.map_or(Ok(()), Err)
    }
}

impl Stages {
    /// The model's first input as it was prepared.
    fn first_input(&self) -> Result<Tensor, String> {
        let view = self.plan.model().input(0);
        let shape = &view.spec.shape;
        let tensor = match view.data {
            Elements::F32(values) => Tensor::from_shape(shape, values),
            Elements::U8(values) => Tensor::from_shape(shape, values),
            Elements::I8(values) => Tensor::from_shape(shape, values),
            Elements::I32(values) => Tensor::from_shape(shape, values),
            Elements::I64(values) => Tensor::from_shape(shape, values),
        };
        tensor.map_err(|error| format!("{error:#}"))
    }
}

/// Files below `path` that may be inputs.
fn list(path: &Path, deepest: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?.path();
        let hidden = entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || files.len() >= MOST_FILES {
            continue;
        }
        if entry.is_dir() {
            if deepest > 0 {
                list(&entry, deepest - 1, files)?;
            }
        } else if names_pictures(&entry) || is_tensor(&entry) || SensorKind::of_file(&entry).is_some() {
            files.push(entry);
        }
    }
    Ok(())
}
