//! `leptond infer --raw`: bare tensors in and out.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::args::Args;
use crate::cli::Failure;
use crate::cli::open::load;
use crate::cli::progress::Counter;
use crate::model::{graph, npy};
use crate::sys::file;

/// More than the header of an `.npy` file may have.
const NPY_HEADER_BYTES: u64 = 1 << 20;

/// Runs the model once over one tensor per input and writes one file per output.
pub fn run(args: &Args, name: &str, inputs: &[PathBuf]) -> Result<(), Failure> {
    let Some(output) = &args.output else {
        return Err(Failure::Usage("--raw needs -o OUT.npy: where the output goes".into()));
    };
    let model = load(name, args.engine, args.threads, &args.shapes)?;
    let ports = &model.info().inputs;
    if inputs.len() != ports.len() {
        let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "{} has {} inputs ({}), {} files were given",
            name,
            names.len(),
            names.join(", "),
            inputs.len()
        )));
    }
    let mut tensors = Vec::new();
    for path in inputs {
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
        let mut file = io::BufWriter::new(file);
        npy::write(tensor, &mut file).and_then(|()| file.flush()).with_context(|| path.display().to_string())?;
    }
    Ok(())
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
