//! Parts that commands have in common which make a model smaller: what they read, how they run models, where the result goes.

mod form;
mod loss;
mod saved;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::anyhow;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{DatumType, Tensor};

use super::Failure;
use super::eval::args::quant;
use super::model::flags::Flags;
use super::open::{ShapeArgs, open};
use super::output::{say, tell};
use super::progress::{Counter, spinner};
use crate::evaluate::Agreements;
use crate::frame::Quant;
use crate::install::bare::described;
use crate::install::describe::Stated;
use crate::model::execute::Loader;
use crate::model::{Bundle, Engine};
use crate::pipeline::{FileSamples, Planner};
pub(super) use form::{ends_in_softmax, form};
use leptond_engine::compress::{CompressError, Executor, Plan, Samples, TensorFact};
use leptond_governor::Setpoint;
pub(super) use loss::Loss;
pub(super) use saved::{Ladder, Place, Rung, Written};

/// Fewer samples than this say little.
const FEW: usize = 64;

/// Fewer samples than this are too few to hold some out.
const TOO_FEW: usize = 10;

/// One of so many samples is held out.
const HELD_OUT: usize = 5;

/// The model, its samples, and where the result goes.
#[derive(Debug, clap::Args)]
pub struct CompressArgs {
    /// Bundle directory, bundle name, .onnx or .tflite file, in floats
    #[arg(value_name = "MODEL")]
    pub(super) model: String,
    /// Inputs like those that it will run on: a picture, table (.csv, .jsonl) or .npy file, or a directory of them
    #[arg(long, value_name = "DIR|FILE")]
    pub(super) calibrate: PathBuf,
    /// Place of the result: a directory for a bundle, or a file that ends in .onnx
    #[arg(short, long, value_name = "BUNDLE|FILE.onnx")]
    pub(super) output: PathBuf,
    /// Take the place of what is there
    #[arg(long)]
    pub(super) replace: bool,
    /// Meaning of integers in .bin and .npy files: real = SCALE x (value - ZERO)
    #[arg(long, value_name = "SCALE,ZERO", value_parser = quant)]
    pub(super) quant: Option<Quant>,
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

    /// The place of a bundle.
    pub(super) fn bundle_place(&self) -> Result<Place, Failure> {
        match self.place()? {
            Place::File(file) => {
                Err(Failure::Usage(format!("{}: several forms are a bundle; give a directory as -o", file.display())))
            }
            place => Ok(place),
        }
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

    /// At most `limit` samples for the model, spread over all that are there. Tells of what is left out, and of few.
    pub(super) fn samples(&self, bundle: &Bundle, limit: u32) -> Result<FileSamples, Failure> {
        let planner = Planner::of_bundle(bundle.clone(), Engine::F32, 1);
        let stages = spinner("loading the model", || planner.and_then(|planner| planner.stages(&Setpoint::full())));
        let stages = stages.map_err(anyhow::Error::from)?;
        let read = || FileSamples::open(&self.calibrate, stages, self.quant, limit as usize);
        let samples = spinner("reading samples", read).map_err(|reason| anyhow!("--calibrate {reason}"))?;
        for skipped in samples.skipped() {
            tell(&format!("left out: {skipped}"));
        }
        if samples.len() < FEW {
            tell(&format!("only {} samples: some hundred are better", samples.len()));
        }
        Ok(samples)
    }
}

/// The failure of `model`, as it was named.
pub(super) fn failed(model: &str, error: &CompressError) -> Failure {
    let said = error.to_string();
    // The loader names the file itself.
    Failure::Failed(if said.starts_with(model) { anyhow!("{said}") } else { anyhow!("{model}: {said}") })
}

/// Some of the samples.
pub(super) struct Part<'s> {
    samples: &'s FileSamples,
    indices: Vec<usize>,
}

/// Divides samples into those that a model is fitted to and those that are held out, to compare it with its float form; of few samples all
/// are both.
pub(super) fn divided(samples: &FileSamples) -> [Part<'_>; 2] {
    let few = samples.len() < TOO_FEW;
    [false, true].map(|held| {
        let indices = (0..samples.len()).filter(|index| few || (index % HELD_OUT == HELD_OUT - 1) == held);
        Part { samples, indices: indices.collect() }
    })
}

/// All of the samples.
pub(super) fn whole(samples: &FileSamples) -> Part<'_> {
    Part { samples, indices: (0..samples.len()).collect() }
}

impl Part<'_> {
    /// Every index.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.indices.len()).collect()
    }
}

impl Samples for Part<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, CompressError> {
        Ok(vec![self.samples.get(self.indices[index]).map_err(CompressError::Sample)?])
    }
}

/// Shows how far a model is from its float form over `held` samples out of `all`; `noise` = error over variance of the outputs.
pub(super) fn compared(agreements: &Agreements, noise: f64, held: usize, all: usize) -> Result<(), Failure> {
    let kind = if held < all { "samples that were held out" } else { "samples, the same ones" };
    say(&format!("beside its float form, over {held} {kind}:"))?;
    if let Some(measure) = agreements.measure() {
        say(&format!("  {}: {:.2} %", measure.name, measure.share * 100.0))?;
    }
    if let Some(lost) = agreements.lost_share() {
        let (matched, gone, added) = agreements.boxes();
        say(&format!("  boxes lost: {:.2} % ({gone} of {}), added: {added}", lost * 100.0, matched + gone))?;
    }
    say(&format!("  outputs: {:.1} dB of signal over error", -10.0 * noise.max(1e-12).log10()))
}

/// Shows where the result is, and how large.
pub(super) fn told(bundle: &Bundle, written: &Written) -> Result<(), Failure> {
    let before = bundle.onnx(0).map_err(anyhow::Error::from)?.len();
    say(&format!(
        "{}: {:.1} KB, {:.2} of the float model's {:.1} KB",
        written.path.display(),
        written.bytes as f64 / 1e3,
        written.bytes as f64 / before as f64,
        before as f64 / 1e3
    ))
}

/// Reads a share above 0 and below 1: `0.01` or `1%`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.trim().strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let value: f64 = number.trim().parse().map_err(|_| "a share like 0.3 or 30% is wanted".to_owned())?;
    match value / unit {
        share if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("a share above 0 and below 1 (100%) is wanted".into()),
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
