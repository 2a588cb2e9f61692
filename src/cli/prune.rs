//! `leptond prune`: channels of a float model removed.

mod agreement;
mod args;
mod table;

use anyhow::anyhow;

use super::Failure;
use super::compress::Shown;
use super::model::interrupt;
use super::output::tell;
use crate::model::execute::graph_that_runs;
use leptond_engine::compress::prune::{Pruner, Target};
use leptond_engine::compress::{CompressError, Samples};

use agreement::Agreement;
pub use args::Args;

/// Of so many samples, one is held out.
const HELD_OUT: usize = 5;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let amount = args.amount()?;
    let place = args.common.place()?;
    let bundle = args.common.bundle()?;
    let samples = args.common.samples(&bundle, args.samples as usize, 64)?;
    if samples.len() < 2 {
        return Err(anyhow!("--calibrate {}: one sample is not enough: layers are fitted to some and compared over others; give some hundred", args.common.calibrate.display()).into());
    }
    let model = graph_that_runs(&bundle).map_err(anyhow::Error::from)?;
    interrupt::watch();
    let executor = Shown::new(&args.common.model);
    let failed = |error: CompressError| {
        let said = error.to_string();
        // The loader names the file itself.
        let named = said.starts_with(&args.common.model);
        Failure::Failed(if named { anyhow!("{said}") } else { anyhow!("{}: {said}", args.common.model) })
    };
    let is_held_out =
        |index: &usize| index % HELD_OUT == HELD_OUT - 1 || (samples.len() < HELD_OUT && index + 1 == samples.len());
    let (held_out, fitted): (Vec<usize>, Vec<usize>) = (0..samples.len()).partition(is_held_out);
    let pruner = Pruner::new(&model, &executor, &samples, &fitted, args.settings()).map_err(failed)?;
    let kind = agreement::kind(&model, bundle.manifest().task);
    let measured = |pruned: &_| Agreement::measure(kind, [&model, pruned], &executor, &samples, &held_out);
    let drop = |pruned: &_| measured(pruned).map(|agreement| agreement.drop());
    let target = match amount {
        args::Amount::Ratio(ratio) => Target::Ratio(ratio),
        args::Amount::Macs(macs) => Target::Macs(macs),
        args::Amount::Drop(share) => Target::Drop(share, &drop),
    };
    let pruned = pruner.prune(&target).map_err(failed)?;
    let agreement = measured(&pruned.model).map_err(failed)?;
    executor.clear();
    table::show(&pruned, &agreement, fitted.len())?;
    if held_out.len() < 100 {
        tell(&format!("{} samples were held out: one is {:.1} %", held_out.len(), 100.0 / held_out.len() as f64));
    }
    let written = place.write(&bundle, &pruned.model)?;
    table::saved(&bundle, &written)
}
