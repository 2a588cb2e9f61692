//! `leptond infer`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Failure;
use super::progress::{Counter, spinner};
use crate::model::{Bundle, Engine, LoadedModel, graph, npy};
use crate::pipeline::open_bundle;
use crate::sys::file;

/// More than the header of an `.npy` file may have.
const NPY_HEADER_BYTES: u64 = 1 << 20;

/// Arguments of `leptond infer`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file
    pub model: String,
    /// Pictures, CSV or JSON Lines files; with --raw one .npy file per model input, in graph order
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Bare tensors in and out, for any ONNX model
    #[arg(long)]
    pub raw: bool,
    /// With --raw: where output 0 goes (output k goes to the same name with .k before .npy)
    #[arg(short, long, value_name = "OUT.npy")]
    pub output: Option<PathBuf>,
    /// Which arithmetic: auto, int8 or f32
    #[arg(long, value_enum, default_value_t)]
    pub engine: Engine,
    /// Threads for one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// One JSON object per input on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.raw {
        return infer_raw(&args);
    }
    if args.output.is_some() {
        return Err(Failure::Usage("--output belongs to --raw; results go to standard output".into()));
    }
    super::infer_files::run(&args)
}

fn infer_raw(args: &Args) -> Result<(), Failure> {
    let Some(output) = &args.output else {
        return Err(Failure::Usage("--raw needs -o OUT.npy: where the output goes".into()));
    };
    let model = load(&args.model, args.engine, args.threads)?;
    let ports = &model.info().inputs;
    if args.inputs.len() != ports.len() {
        let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "{} has {} inputs ({}), {} files were given",
            args.model,
            names.len(),
            names.join(", "),
            args.inputs.len()
        )));
    }
    let mut tensors = Vec::new();
    for path in &args.inputs {
        let bytes = file::read_regular(path, graph::MAX_TENSOR_BYTES as u64 + NPY_HEADER_BYTES)
            .with_context(|| path.display().to_string())?;
        tensors.push(npy::read(&bytes).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?);
    }
    let mut counter = Counter::new("runs");
    let outputs = model.run_raw(tensors, |done, all| counter.set(done, all)).map_err(anyhow::Error::from)?;
    drop(counter);
    for (index, tensor) in outputs.iter().enumerate() {
        let path = numbered(output, index);
        let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let mut file = std::io::BufWriter::new(file);
        npy::write(tensor, &mut file)
            .and_then(|()| std::io::Write::flush(&mut file))
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Finds a model by what was typed, and tries it out where it was never seen.
pub(super) fn open(name: &str) -> Result<Bundle, Failure> {
    let bundle = open_bundle(name, &super::model_dirs()).map_err(anyhow::Error::from)?;
    spinner("trying the model", || super::try_out(&bundle)).map_err(anyhow::Error::from)?;
    Ok(bundle)
}

/// Finds and loads a model by what was typed: a path, or a bundle's name in the default directories.
pub(super) fn load(name: &str, engine: Engine, threads: u32) -> Result<LoadedModel, Failure> {
    let bundle = open(name)?;
    let load = || LoadedModel::load(&bundle, 0, engine, threads as usize);
    Ok(spinner("loading the model", load).map_err(anyhow::Error::from)?)
}

/// `out.npy`, `out.1.npy`, `out.2.npy`, …
fn numbered(path: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return path.to_path_buf();
    }
    match path.extension() {
        Some(extension) => path.with_extension(format!("{index}.{}", extension.to_string_lossy())),
        None => PathBuf::from(format!("{}.{index}", path.display())),
    }
}
