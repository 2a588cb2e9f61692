//! `leptond quantize`: a float model to one in bytes.

mod args;
pub(super) mod saved;
mod table;

use std::cell::RefCell;

use anyhow::anyhow;
use tract_onnx::pb::ModelProto;

use super::Failure;
use super::model::interrupt;
use super::open::{open, settle};
use super::output::tell;
use super::progress::{Counter, spinner};
use crate::model::execute::{Loader, graph_that_runs};
use crate::model::{Bundle, Engine, LoadedModel, PlanKey};
use crate::pipeline::{FileSamples, Planner};
use crate::{preprocess, task};
use leptond_engine::compress::quantize::{Prepared, noise};
use leptond_engine::compress::{CompressError, Executor, Plan, Samples, TensorFact};
use leptond_governor::Setpoint;

pub use args::Args;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let place = saved::Place::of(&args.output, args.replace)?;
    let bundle = args.described(open(&args.model)?)?;
    let samples = samples(&bundle, &args)?;
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
    let prepared = Prepared::new(model, &samples, &executor).map_err(failed)?;
    let settings = args.settings();
    let quantized = prepared.quantize(&settings).map_err(failed)?;
    executor.clear();
    let indices: Vec<usize> = (0..samples.len()).collect();
    let noise = noise(&executor, [prepared.model(), &quantized.model], &samples, &indices).map_err(failed)?;
    executor.clear();
    table::show(&quantized, noise, samples.len())?;
    let written = place.write(&bundle, &quantized.model)?;
    table::saved(&bundle, &written)
}

/// Samples for calibration.
fn samples(bundle: &Bundle, args: &Args) -> Result<FileSamples, Failure> {
    let mut loaded =
        spinner("loading the model", || LoadedModel::load(bundle, 0, Engine::F32, 1)).map_err(anyhow::Error::from)?;
    let stages = Planner::new(bundle.clone(), Engine::F32, 1, preprocess::Config::default(), &task::Config::default())
        .and_then(|planner| planner.stages(&Setpoint::full()));
    settle(&mut loaded, PlanKey::default());
    let shapes = loaded.shapes(PlanKey::default()).map_err(anyhow::Error::from)?;
    let inputs = loaded.info().inputs.iter().map(|port| port.dtype).zip(shapes).collect();
    let samples =
        spinner("reading samples", || FileSamples::open(&args.calibrate, stages.ok(), inputs, args.samples as usize))
            .map_err(|reason| anyhow!("--calibrate {reason}"))?;
    for skipped in samples.skipped() {
        tell(&format!("left out: {skipped}"));
    }
    if samples.len() < 16 {
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
    fn compile(
        &self,
        model: &ModelProto,
        inputs: &[(tract_onnx::prelude::DatumType, Vec<usize>)],
    ) -> Result<Box<dyn Plan>, CompressError> {
        self.loader.compile(model, inputs)
    }

    fn facts(
        &self,
        model: &ModelProto,
        inputs: &[(tract_onnx::prelude::DatumType, Vec<usize>)],
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
