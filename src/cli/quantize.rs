//! `leptond quantize`: a float model to one in bytes.

mod args;
mod loss;
pub(super) mod saved;
mod table;

use std::cell::RefCell;

use anyhow::anyhow;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{DatumType, Tensor};

use super::Failure;
use super::model::interrupt;
use super::open::open;
use super::output::tell;
use super::progress::{Counter, spinner};
use crate::model::execute::{Loader, graph_that_runs};
use crate::model::{Bundle, Engine};
use crate::pipeline::{FileSamples, Planner};
use crate::{preprocess, task};
use leptond_engine::compress::quantize::{Prepared, noise};
use leptond_engine::compress::{CompressError, Executor, Plan, Samples, TensorFact};
use leptond_governor::Setpoint;

pub use args::Args;
use loss::Loss;

/// Fewer samples are too few to hold some out.
const FEW: usize = 16;

/// One of so many samples is held out.
const HELD_OUT: usize = 5;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let place = saved::Place::of(&args.output, args.replace)?;
    let bundle = args.described(open(&args.model)?)?;
    let samples = samples(&bundle, &args)?;
    let [calibration, held] = Part::divided(&samples);
    let model = graph_that_runs(&bundle).map_err(anyhow::Error::from)?;
    interrupt::watch();
    let executor = Shown { loader: Loader::new(&args.model), counter: RefCell::new(None) };
    let failed = |error: CompressError| {
        let said = error.to_string();
        // The loader names the file itself.
        Failure::Failed(if said.starts_with(&args.model) {
            anyhow!("{said}")
        } else {
            anyhow!("{}: {said}", args.model)
        })
    };
    let prepared = Prepared::new(model, &calibration, &executor).map_err(failed)?;
    let settings = args.settings();
    let loss = Loss::of(&bundle, &held)?;
    let quantized = match args.target_drop {
        None => prepared.quantize(&settings).map_err(failed)?,
        Some(target) => prepared.quantize_within(&settings, target, &mut |model| loss.lost(model)).map_err(failed)?.0,
    };
    executor.clear();
    let indices: Vec<usize> = (0..held.len()).collect();
    let noise = noise(&executor, [prepared.model(), &quantized.model], &held, &indices).map_err(failed)?;
    let agreements = loss.agreements(&quantized.model).map_err(failed)?;
    table::show(&quantized, calibration.len())?;
    table::compared(&agreements, noise, held.len())?;
    let written = place.write(&bundle, &quantized.model)?;
    table::saved(&bundle, &written)
}

/// Some of the samples.
pub(super) struct Part<'s> {
    samples: &'s FileSamples,
    indices: Vec<usize>,
}

impl<'s> Part<'s> {
    /// Samples for calibration and those that are held out to measure on, one in [`HELD_OUT`]; of few samples all are both.
    pub(super) fn divided(samples: &'s FileSamples) -> [Part<'s>; 2] {
        let few = samples.len() < FEW;
        let chosen = |held: bool| {
            let indices = (0..samples.len()).filter(|index| few || (index % HELD_OUT == HELD_OUT - 1) == held);
            Part { samples, indices: indices.collect() }
        };
        [chosen(false), chosen(true)]
    }
}

impl Samples for Part<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, CompressError> {
        self.samples.get(self.indices[index])
    }
}

/// Samples for calibration.
fn samples(bundle: &Bundle, args: &Args) -> Result<FileSamples, Failure> {
    let planner = Planner::new(bundle.clone(), Engine::F32, 1, preprocess::Config::default(), &task::Config::default());
    let stages = spinner("loading the model", || planner.and_then(|planner| planner.stages(&Setpoint::full())));
    let stages = stages.map_err(anyhow::Error::from)?;
    let samples =
        spinner("reading samples", || FileSamples::open(&args.calibrate, stages, args.quant, args.samples as usize))
            .map_err(|reason| anyhow!("--calibrate {reason}"))?;
    for skipped in samples.skipped() {
        tell(&format!("left out: {skipped}"));
    }
    if samples.len() < FEW {
        tell(&format!("only {} samples: ranges may not hold for other inputs; some hundred are better", samples.len()));
    }
    Ok(samples)
}

/// Runs models and shows how far the work is.
struct Shown {
    loader: Loader,
    counter: RefCell<Option<(String, Counter)>>,
}

impl Shown {
    fn clear(&self) {
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
    ) -> Result<std::collections::HashMap<String, TensorFact>, CompressError> {
        self.loader.facts(model, inputs)
    }

    fn progress(&self, stage: &'static str, done: usize, all: usize) {
        let mut counter = self.counter.borrow_mut();
        if counter.as_ref().is_none_or(|(shown, _)| shown != stage) {
            *counter = Some((stage.to_owned(), Counter::new(stage)));
        }
        if let Some((_, counter)) = counter.as_mut() {
            counter.set(done, all);
        }
    }
}
