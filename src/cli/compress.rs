//! Parts that commands have in common which make a model smaller: what they read, how they run models, where the result goes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::anyhow;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::DatumType;

use super::Failure;
use super::eval::args::quant;
use super::model::flags::Flags;
use super::open::{ShapeArgs, open};
use super::output::tell;
use super::progress::{Counter, spinner};
use super::quantize::saved::Place;
use crate::frame::Quant;
use crate::install::bare::described;
use crate::install::describe::Stated;
use crate::model::execute::Loader;
use crate::model::{Bundle, Engine};
use crate::pipeline::{FileSamples, Planner};
use crate::{preprocess, task};
use leptond_engine::compress::{CompressError, Executor, Plan, Samples, TensorFact};
use leptond_governor::Setpoint;

/// The model, its samples, and where the result goes.
#[derive(Debug, clap::Args)]
pub struct CompressArgs {
    /// Bundle directory, bundle name, .onnx or .tflite file, in floats
    #[arg(value_name = "MODEL")]
    pub(super) model: String,
    /// Inputs like those that it will run on: a picture, table (.csv, .jsonl) or .npy file, or a directory of them
    #[arg(long, value_name = "DIR|FILE")]
    pub(super) calibrate: PathBuf,
    /// Where the result goes: a directory for a bundle, or a file that ends in .onnx
    #[arg(short, long, value_name = "BUNDLE|FILE.onnx")]
    pub(super) output: PathBuf,
    /// Take the place of what is there
    #[arg(long)]
    pub(super) replace: bool,
    /// Meaning of integers in .bin and .npy files: real = SCALE x (value - ZERO)
    #[arg(long, value_name = "SCALE,ZERO", value_parser = quant)]
    quant: Option<Quant>,
    #[command(flatten)]
    shapes: ShapeArgs,
    #[command(flatten)]
    flags: Flags,
}

impl CompressArgs {
    /// The place of the result.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        Place::of(&self.output, self.replace)
    }

    /// The model with what the flags say of it.
    pub(super) fn bundle(&self) -> Result<Bundle, Failure> {
        let mut bundle = open(&self.model)?;
        bundle.give_shapes(&self.shapes.shapes);
        match self.flags.given() {
            None => Ok(bundle),
            Some(flag) if !bundle.is_bare() => {
                Err(Failure::Usage(format!("{flag} is for a bare model; {} has a model.toml", self.model)))
            }
            Some(_) => Ok(described(&Stated::from(&self.flags), &bundle).map_err(anyhow::Error::from)?),
        }
    }

    /// At most `limit` samples for the model, spread over all that are there. Tells of what is left out, and of fewer than `few`.
    pub(super) fn samples(&self, bundle: &Bundle, limit: usize, few: usize) -> Result<FileSamples, Failure> {
        let settings = (preprocess::Config::default(), task::Config::default());
        let planner = Planner::new(bundle.clone(), Engine::F32, 1, settings.0, &settings.1);
        let stages = spinner("loading the model", || planner.and_then(|planner| planner.stages(&Setpoint::full())));
        let stages = stages.map_err(anyhow::Error::from)?;
        let read = || FileSamples::open(&self.calibrate, stages, self.quant, limit);
        let samples = spinner("reading samples", read).map_err(|reason| anyhow!("--calibrate {reason}"))?;
        for skipped in samples.skipped() {
            tell(&format!("left out: {skipped}"));
        }
        if samples.len() < few {
            tell(&format!("only {} samples: some hundred are better", samples.len()));
        }
        Ok(samples)
    }
}

/// Runs models and shows how far the work is.
pub(super) struct Shown {
    loader: Loader,
    counter: RefCell<Option<(&'static str, Counter)>>,
}

impl Shown {
    /// For a model that `name` stands for in errors.
    pub(super) fn new(name: &str) -> Self {
        Shown { loader: Loader::new(name), counter: RefCell::new(None) }
    }

    /// Takes the progress off the screen.
    pub(super) fn clear(&self) {
        *self.counter.borrow_mut() = None;
    }
}

impl Executor for Shown {
    fn compile(&self, model: &ModelProto, inputs: &[(DatumType, Vec<usize>)]) -> Result<Box<dyn Plan>, CompressError> {
        self.loader.compile(model, inputs)
    }

    fn facts(
        &self,
        model: &ModelProto,
        inputs: &[(DatumType, Vec<usize>)],
    ) -> Result<HashMap<String, TensorFact>, CompressError> {
        self.loader.facts(model, inputs)
    }

    fn progress(&self, stage: &'static str, done: usize, all: usize) {
        let mut counter = self.counter.borrow_mut();
        if counter.as_ref().is_none_or(|(shown, _)| *shown != stage) {
            *counter = Some((stage, Counter::new(stage)));
        }
        if let Some((_, counter)) = counter.as_mut() {
            counter.set(done, all);
        }
    }
}
