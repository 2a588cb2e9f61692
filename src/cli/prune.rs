//! `leptond prune`: channels of a float model removed.

mod args;
mod table;

use anyhow::anyhow;

use super::Failure;
use super::compress::{Loss, Shown, compared, divided, failed, told};
use super::model::interrupt;
use super::output::tell;
use crate::model::execute::graph_that_runs;
use leptond_engine::compress::prune::{Pruner, Target};
use leptond_engine::compress::quantize::noise;
use leptond_engine::compress::{CompressError, Samples};

pub use args::Args;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let amount = args.amount()?;
    let place = args.common.place()?;
    let bundle = args.common.bundle()?;
    let samples = args.common.samples(&bundle, args.samples)?;
    if samples.len() < 2 {
        let files = args.common.calibrate.display();
        return Err(anyhow!("--calibrate {files}: one sample is not enough: layers are fitted to some hundred").into());
    }
    let [fitted, held] = divided(&samples);
    let model = graph_that_runs(&bundle).map_err(anyhow::Error::from)?;
    interrupt::watch();
    let executor = Shown::new(&args.common.model);
    let failed = |error: CompressError| failed(&args.common.model, &error);
    let all = fitted.all();
    let pruner = Pruner::new(&model, &executor, &fitted, &all, args.settings()).map_err(failed)?;
    let loss = Loss::of(&bundle, &model, &held).map_err(failed)?;
    let drop = |pruned: &_| loss.lost(pruned);
    let target = match amount {
        args::Amount::Ratio(ratio) => Target::Ratio(ratio),
        args::Amount::Macs(macs) => Target::Macs(macs),
        args::Amount::Drop(share) => Target::Drop(share, &drop),
    };
    let pruned = pruner.prune(&target).map_err(failed)?;
    let agreements = loss.agreements(&pruned.model).map_err(failed)?;
    let noise = noise(&executor, [&model, &pruned.model], &held, &held.all()).map_err(failed)?;
    executor.clear();
    table::show(&pruned, fitted.len())?;
    compared(&agreements, noise, held.len(), samples.len())?;
    if held.len() < 100 {
        tell(&format!("{} samples were held out: one is {:.1} %", held.len(), 100.0 / held.len() as f64));
    }
    told(&bundle, &place.write(&bundle, &pruned.model)?)
}
