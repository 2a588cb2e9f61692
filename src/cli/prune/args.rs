//! Arguments of `leptond prune`.

use crate::cli::Failure;
use crate::cli::compress::{CompressArgs, share};
use leptond_engine::compress::prune::{Method, Settings};

/// Arguments of `leptond prune`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("amount").required(true).args(["ratio", "target_macs", "target_drop"]),
    after_help = "Channels go with everything that depends on them, and the layers behind are fitted to the samples, without labels or \
                  training. A fifth of the samples is held out: over these the result is compared with the float model. Pictures and \
                  tables go through the bundle's own preprocessing. Of a model without a manifest, say what it takes (--mean, --std, --fit …) \
                  as for leptond model add, or give its inputs as .npy files. Quantise afterwards: what is pruned stays in floats."
)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: CompressArgs,
    /// Share of the multiplications to be removed: 0.3 or 30%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    ratio: Option<f64>,
    /// Multiplications that may be left for one input: 8000000, 8M or 0.5G
    #[arg(long, value_name = "N", value_parser = count)]
    target_macs: Option<u64>,
    /// Remove as much as can go while at most this share of what the model says differs: 1%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    target_drop: Option<f64>,
    /// Samples that are used at most, spread over all
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) samples: u32,
    /// Measure by which channels are chosen: loss once their readers are fitted anew, energy that comes through, or size of weights with no fit
    /// (to compare with)
    #[arg(long, value_enum, default_value_t = Measure::Fitted)]
    method: Measure,
    /// Channels of a layer that go together, so that kernels that work by lanes lose no time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    step: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    Fitted,
    Activation,
    Magnitude,
}

/// Amount that is to be removed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    Ratio(f64),
    Macs(u64),
    Drop(f64),
}

impl Args {
    /// The one amount that was given.
    pub(super) fn amount(&self) -> Result<Amount, Failure> {
        match (self.ratio, self.target_macs, self.target_drop) {
            (Some(ratio), None, None) => Ok(Amount::Ratio(ratio)),
            (None, Some(macs), None) => Ok(Amount::Macs(macs)),
            (None, None, Some(drop)) => Ok(Amount::Drop(drop)),
            _ => Err(Failure::Usage("give one of --ratio, --target-macs and --target-drop".into())),
        }
    }

    /// Settings of the work.
    pub(super) fn settings(&self) -> Settings {
        let method = match self.method {
            Measure::Fitted => Method::Fitted,
            Measure::Activation => Method::Activation,
            Measure::Magnitude => Method::Magnitude,
        };
        Settings { method, fit: self.method != Measure::Magnitude, step: self.step as usize, ..Settings::default() }
    }
}

/// A count, also in thousands (k), millions (M) or thousands of millions (G).
fn count(text: &str) -> Result<u64, String> {
    let units = [('k', 1e3), ('K', 1e3), ('M', 1e6), ('G', 1e9)];
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)));
    let (number, factor) = found.unwrap_or((text, 1.0));
    let value: f64 = number.trim().parse().map_err(|_| "a number like 8000000 or 8M is wanted".to_owned())?;
    let value = value * factor;
    if value.is_finite() && (1.0..=1e18).contains(&value) { Ok(value as u64) } else { Err("it is out of range".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_counts_as_people_write_them() {
        assert_eq!((share("0.3"), share("30%"), share("1 %")), (Ok(0.3), Ok(0.3), Ok(0.01)));
        for bad in ["0", "1", "100%", "-0.1", "30", "NaN", "", "%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (count("8M"), count("8000000"), count("0.5G"), count("3k")),
            (Ok(8_000_000), Ok(8_000_000), Ok(500_000_000), Ok(3000))
        );
        for bad in ["0", "-1M", "M", "1e40", "NaN", "inf"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
