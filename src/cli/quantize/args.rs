//! Arguments of `leptond quantize`.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::cli::eval::args::quant;
use crate::cli::model::flags::Flags;
use crate::cli::open::ShapeArgs;
use crate::frame::Quant;
use crate::install::bare::described;
use crate::install::describe::Stated;
use crate::model::Bundle;
use leptond_engine::compress::quantize::range::Method;
use leptond_engine::compress::quantize::{Activations, Effort, Settings};

/// Arguments of `leptond quantize`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Pictures and tables go through the bundle's own preprocessing. Of a model without a manifest, say what it takes (--mean, --std, \
                  --fit …) as for leptond model add, or give its inputs as .npy files. The result is standard QDQ, which onnxruntime \
                  runs to the same result."
)]
pub struct Args {
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
    /// Samples that are used at most, spread over all
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) samples: u32,
    /// How ranges of activations are chosen: by least error, by the extremes, without the outermost values, or by least divergence
    #[arg(long, value_enum, default_value_t = Ranges::Mse)]
    method: Ranges,
    /// Bytes of activations: without or with a sign
    #[arg(long, value_enum, default_value_t = Bytes::U8)]
    activations: Bytes,
    /// Scales of weights: one for each output of a layer, or one for all
    #[arg(long, value_enum, default_value_t = Scales::PerChannel)]
    weights: Scales,
    /// Pains that are taken: low only rounds, normal puts biases right, high learns which way each weight is rounded
    #[arg(long, value_enum, default_value_t = Pains::Normal)]
    effort: Pains,
    /// Keep the fewest layers in floats with which it decides otherwise than the float model on at most this share of inputs: 1% or 0.01
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) target_drop: Option<f64>,
    /// Meaning of integers in .bin and .npy files: real = SCALE x (value - ZERO)
    #[arg(long, value_name = "SCALE,ZERO", value_parser = quant)]
    pub(super) quant: Option<Quant>,
    /// A node that stays in floats, by its name; may be given again
    #[arg(long, value_name = "NODE")]
    keep_float: Vec<String>,
    #[command(flatten)]
    pub(super) shapes: ShapeArgs,
    #[command(flatten)]
    flags: Flags,
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
enum Pains {
    Low,
    Normal,
    High,
}

/// Reads a share: `1%` or `0.01`.
pub(in crate::cli) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().ok().map(|number| number * unit);
    share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| "a share below 1, such as 1% or 0.01".into())
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
                Pains::Low => Effort::Low,
                Pains::Normal => Effort::Normal,
                Pains::High => Effort::High,
            },
        }
    }

    /// The bundle with what the flags say of it.
    pub(super) fn described(&self, mut bundle: Bundle) -> Result<Bundle, Failure> {
        bundle.give_shapes(&self.shapes.shapes);
        match self.flags.given() {
            None => Ok(bundle),
            Some(flag) if !bundle.is_bare() => {
                Err(Failure::Usage(format!("{flag} is for a bare model; {} has a model.toml", self.model)))
            }
            Some(_) => Ok(described(&Stated::from(&self.flags), &bundle).map_err(anyhow::Error::from)?),
        }
    }
}
