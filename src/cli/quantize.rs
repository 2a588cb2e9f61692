//! `leptond quantize`: a float model to one in bytes.

mod args;
mod table;

use super::Failure;
use super::compress::{Loss, Shown, compared, divided, failed, told};
use super::model::interrupt;
use crate::model::execute::graph_that_runs;
use leptond_engine::compress::quantize::{Prepared, noise};
use leptond_engine::compress::{CompressError, Samples};

pub use args::Args;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let place = args.common.place()?;
    let bundle = args.common.bundle()?;
    let samples = args.common.samples(&bundle, args.samples)?;
    let [calibration, held] = divided(&samples);
    let model = graph_that_runs(&bundle).map_err(anyhow::Error::from)?;
    interrupt::watch();
    let executor = Shown::new(&args.common.model);
    let failed = |error: CompressError| failed(&args.common.model, &error);
    let prepared = Prepared::new(model.clone(), &calibration, &executor).map_err(failed)?;
    let loss = Loss::of(&bundle, &model, &held).map_err(failed)?;
    let settings = args.settings();
    let quantized = match args.target_drop {
        None => prepared.quantize(&settings).map_err(failed)?,
        Some(target) => prepared.quantize_within(&settings, target, &mut |model| loss.lost(model)).map_err(failed)?.0,
    };
    executor.clear();
    let noise = noise(&executor, [prepared.model(), &quantized.model], &held, &held.all()).map_err(failed)?;
    let agreements = loss.agreements(&quantized.model).map_err(failed)?;
    table::show(&quantized, calibration.len())?;
    compared(&agreements, noise, held.len(), samples.len())?;
    told(&bundle, &place.write(&bundle, &quantized.model)?)
}
