//! Arguments of `leptond eval`.

use std::path::PathBuf;

use crate::cli::open::ShapeArgs;
use crate::frame::Quant;
use crate::model::Engine;
use crate::preprocess::Grid;

/// Arguments of `leptond eval`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "DATA is told by looking: a folder with a folder for each class; a CSV or TSV file with the columns file and label (the right \
                  class, or the right reading of a meter); COCO annotations (instances.json) with their pictures beside them; a folder of files \
                  that have the class in their names (007_cat.jpg, tst_000000_Stop_7.bin). Inputs are pictures, tables of readings, or bare \
                  values: .npy, .f32, or .bin in the model's own type. Without labels, --against says how far two models agree. An archive \
                  is unpacked first."
)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file; or a configuration (.toml) with the pipeline or meter to measure
    #[arg(value_name = "MODEL")]
    pub(super) model: String,
    /// Folder, list of labels, or COCO annotations
    #[arg(value_name = "DATA")]
    pub(super) data: PathBuf,
    /// Another model over the same inputs, with the difference and how sure it is
    #[arg(long, value_name = "MODEL")]
    pub(super) against: Option<String>,
    /// Folder of the pictures that a list or annotations name [default: beside it]
    #[arg(long, value_name = "DIR")]
    pub(super) images: Option<PathBuf>,
    /// The pipeline or meter, where MODEL or --regions is a configuration with several
    #[arg(long, value_name = "NAME")]
    pub(super) pipeline: Option<String>,
    /// Cut pictures as this file says: TOML with keys as in [pipeline.preprocess], or a configuration
    #[arg(long, value_name = "FILE")]
    pub(super) regions: Option<PathBuf>,
    /// Look at so many columns and rows of tiles of a picture one by one, and at the whole: small objects are found (3x2)
    #[arg(long, value_name = "CxR", conflicts_with = "regions")]
    pub(super) tiles: Option<Grid>,
    /// Inputs at most, taken evenly from all of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Write the confusion matrix as a picture: .svg or .png
    #[arg(long, value_name = "FILE")]
    pub(super) confusion: Option<PathBuf>,
    /// Meaning of integers in .bin and .npy files, for a model that takes floats: real = SCALE x (value - ZERO) [default: as the other model says]
    #[arg(long, value_name = "SCALE,ZERO", value_parser = quant)]
    pub(super) quant: Option<Quant>,
    /// Which arithmetic: auto, int8 or f32
    #[arg(long, value_enum, default_value_t)]
    pub(super) engine: Engine,
    /// Which arithmetic of --against [default: as --engine]
    #[arg(long, value_enum, requires = "against")]
    pub(super) against_engine: Option<Engine>,
    /// Threads for one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) threads: u32,
    #[command(flatten)]
    pub(super) shapes: ShapeArgs,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads `--quant`.
pub(in crate::cli) fn quant(text: &str) -> Result<Quant, String> {
    let wrong = || "two numbers with a comma between them, such as 0.5,-128".to_owned();
    let (scale, zero) = text.split_once(',').ok_or_else(wrong)?;
    let scale: f32 = scale.trim().parse().map_err(|_| wrong())?;
    let zero_point = zero.trim().parse().map_err(|_| wrong())?;
    if !(scale.is_finite() && scale > 0.0) {
        return Err(format!("the scale {scale} is not above 0"));
    }
    Ok(Quant { scale, zero_point })
}
