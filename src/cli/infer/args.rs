//! Arguments of `leptond infer`.

use std::path::PathBuf;

use crate::cli::open::ShapeArgs;
use crate::model::Engine;
use crate::preprocess::Grid;

/// Arguments of `leptond infer`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each FILE is a sequence of its own: what a task remembers (a counter's last reading, an anomaly that goes on) ends \
                  with it. A directory or a quoted pattern such as 'photos/*.jpg' is one FILE, its pictures in the order of their names."
)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Pictures, CSV or JSON Lines files; with --raw one .npy file per model input, in graph order
    #[arg(value_name = "FILE", required = true)]
    pub(super) inputs: Vec<PathBuf>,
    /// The pipeline of --regions, where it is a configuration with several
    #[arg(long, value_name = "NAME")]
    pub(super) pipeline: Option<String>,
    /// Cut pictures as this file says: TOML with keys as in [pipeline.preprocess], or a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub(super) regions: Option<PathBuf>,
    /// Look at so many columns and rows of tiles of a picture one by one, and at the whole: small objects are found (3x2)
    #[arg(long, value_name = "CxR", conflicts_with_all = ["raw", "regions"])]
    pub(super) tiles: Option<Grid>,
    /// Write each picture with its boxes, labels and regions into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "raw")]
    pub(super) draw: Option<PathBuf>,
    /// Bare tensors in and out, for any ONNX model
    #[arg(long)]
    pub(super) raw: bool,
    /// With --raw: where output 0 goes (output k goes to the same name with .k before .npy)
    #[arg(short, long, value_name = "OUT.npy")]
    pub(super) output: Option<PathBuf>,
    /// Which arithmetic: auto, int8 or f32
    #[arg(long, value_enum, default_value_t)]
    pub(super) engine: Engine,
    /// Threads for one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) threads: u32,
    #[command(flatten)]
    pub(super) shapes: ShapeArgs,
    /// One JSON object per input on standard output
    #[arg(long)]
    pub(super) json: bool,
}
