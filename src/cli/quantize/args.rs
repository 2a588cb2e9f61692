//! Arguments of `leptond quantize`.

use crate::cli::compress::{CompressArgs, share};
use leptond_engine::compress::quantize::{Activations, Effort, Method, Settings};

/// Arguments of `leptond quantize`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Pictures and tables go through the bundle's own preprocessing. Of a model without a manifest, say what it takes (--mean, --std, \
                  --fit …) as for leptond model add, or give its inputs as .npy files. The result is standard QDQ, which onnxruntime \
                  runs to the same result."
)]
pub struct Args {
    #[command(flatten)]
    pub(super) common: CompressArgs,
    /// Samples that are used at most, spread over all
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) samples: u32,
    /// Choice of the ranges of activations: by least error, by the extremes, without the outermost values, or by least divergence
    #[arg(long, value_enum, default_value_t = Ranges::Mse)]
    method: Ranges,
    /// Bytes of activations: without or with a sign
    #[arg(long, value_enum, default_value_t = Bytes::U8)]
    activations: Bytes,
    /// Scales of weights: one for each output of a layer, or one for all
    #[arg(long, value_enum, default_value_t = Scales::PerChannel)]
    weights: Scales,
    /// Effort: low only rounds, normal corrects biases too, high also learns the rounding of each weight
    #[arg(long, value_enum, default_value_t = Degree::Normal)]
    effort: Degree,
    /// Keep the fewest layers in floats with which it decides otherwise than the float model on at most this share of inputs: 1% or 0.01
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) target_drop: Option<f64>,
    /// A node that stays in floats, by its name; may be given again
    #[arg(long, value_name = "NODE")]
    keep_float: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ranges {
    Mse,
    Minmax,
    Percentile,
    Entropy,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Bytes {
    U8,
    S8,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Scales {
    PerChannel,
    PerTensor,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Degree {
    Low,
    Normal,
    High,
}

impl Args {
    /// Settings of the quantisation.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            method: match self.method {
                Ranges::Mse => Method::Mse,
                Ranges::Minmax => Method::MinMax,
                Ranges::Percentile => Method::Percentile,
                Ranges::Entropy => Method::Entropy,
            },
            activations: match self.activations {
                Bytes::U8 => Activations::U8,
                Bytes::S8 => Activations::S8,
            },
            per_channel: matches!(self.weights, Scales::PerChannel),
            keep_float: self.keep_float.iter().cloned().collect(),
            effort: match self.effort {
                Degree::Low => Effort::Low,
                Degree::Normal => Effort::Normal,
                Degree::High => Effort::High,
            },
        }
    }
}
