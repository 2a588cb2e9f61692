//! Arguments of `leptond shrink`.

use std::path::PathBuf;

use crate::cli::compress::{CompressArgs, share};
use crate::cli::picture_size;
use crate::evaluate::Bounds;

/// Cost of a rung over that of the one before, at most: what is nearer is no other rung.
const STEP: f64 = 0.85;

/// Arguments of `leptond shrink`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each share of channels removed is tried in floats and in bytes, at each resolution, judged on --eval and timed here, by turns with \
                  the model itself. Of the forms that no other one beats, the fewest that are clearly cheaper than one another become rungs: \
                  a bundle whose forms the governor changes between. Give other files to --eval than to --calibrate. On a board, run \
                  it on that board: the times are its own."
)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: CompressArgs,
    /// Data to judge by, labelled as for leptond eval; without labels by how often a form agrees with the model
    #[arg(long, value_name = "DATA")]
    pub(super) eval: PathBuf,
    /// Inputs of --eval at most, taken evenly from all of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(super) limit: Option<u32>,
    /// Samples of --calibrate that are used at most, spread over all
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..=65536))]
    pub(super) samples: u32,
    /// Shares of the multiplications to be removed, beside none: 0.3 or 30%
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', default_value = "15%,30%,45%,60%", value_parser = share)]
    ratios: Vec<f64>,
    /// Prune nothing
    #[arg(long, conflicts_with = "ratios")]
    no_prune: bool,
    /// Resolutions beside its own [default: those of the manifest, else three quarters and half of its own]
    #[arg(long, value_name = "HxW,…", value_delimiter = ',', value_parser = picture_size::parse)]
    pub(super) sizes: Option<Vec<[usize; 2]>>,
    /// Rungs at most
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    rungs: u32,
    /// Accuracy that the main form may lose against the best one
    #[arg(long, value_name = "SHARE", default_value = "0.5%", value_parser = loss)]
    main_loss: f64,
    /// Accuracy that any rung may lose against the best form
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = loss)]
    most_loss: f64,
    /// Threads of one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) threads: u32,
    /// Draw accuracy against time: FILE.svg
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// Shares to be removed, none first.
    pub(super) fn ratios(&self) -> Vec<f64> {
        let mut ratios = vec![0.0];
        if !self.no_prune {
            ratios.extend(&self.ratios);
        }
        ratios.sort_by(f64::total_cmp);
        ratios.dedup();
        ratios
    }

    /// Bounds on the rungs.
    pub(super) fn bounds(&self) -> Bounds {
        let (first_loss, most_loss) = (self.main_loss, self.most_loss.max(self.main_loss));
        Bounds { first_loss, most_loss, step: STEP, most: self.rungs as usize }
    }
}

/// A share from 0 on.
fn loss(text: &str) -> Result<f64, String> {
    let none = text.trim().trim_end_matches('%').trim().parse() == Ok(0.0);
    if none { Ok(0.0) } else { share(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_may_be_none() {
        assert_eq!((loss("0"), loss("0 %"), loss("1%"), loss("0.02")), (Ok(0.0), Ok(0.0), Ok(0.01), Ok(0.02)));
        for bad in ["-1%", "", "2", "NaN"] {
            assert!(loss(bad).is_err(), "{bad}");
        }
    }
}
