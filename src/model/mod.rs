//! Models: the bundle on disk, loading through tract, and one compiled plan per batch and resolution.
//!
//! [`Bundle`] is what is on disk (or embedded), [`LoadedModel`] is the parsed graph, [`Model`] is a plan that runs.

mod associated;
pub mod autotune;
mod bounded;
mod branches;
mod budget;
mod bundle;
pub mod characters;
mod compile;
mod dynamic;
mod ends;
mod equal;
pub mod execute;
mod explain;
pub mod exporter;
mod external;
mod given;
pub mod graph;
mod guard;
mod hash;
pub mod head;
mod inflate;
pub mod layers;
mod limits;
mod load;
pub mod manifest;
pub mod npy;
mod operands;
mod optimise;
mod parser;
mod plan;
mod quant;
mod raw;
mod readings;
mod remember;
pub mod report;
mod runner;
mod shipped;
mod spec;
pub mod state;
mod strangers;
mod tensors;
mod wire;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bundle::{Bundle, Variant, with_external_data};
pub use given::GivenShape;
pub use guard::spare_thread;
pub use hash::sha256;
pub use load::LoadedModel;
pub use manifest::Manifest;
pub use plan::Plan;
pub use remember::{Remembered, warn_unkept};
pub use runner::Runner;
pub use shipped::{is_shipped, open, shipped};

use crate::frame::{TensorSpec, TensorView, TensorViewMut};
use leptond_engine::int8;

/// `[models]`: where models are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directories with one bundle each per sub-directory, searched in order.
    pub dirs: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config { dirs: vec!["/var/lib/leptond/models".into(), "/usr/share/leptond/models".into()] }
    }
}

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The faster one on this board.
    #[default]
    Auto,
    /// Integers wherever the model is quantised.
    Int8,
    /// Floats.
    F32,
}

/// Name of the instruction set that the integer engine uses on this processor.
pub fn kernels() -> &'static str {
    int8::kernels::best().name()
}

/// One compiled plan: fixed batch and resolution, inputs and outputs in place.
pub trait Model: Send {
    /// The inputs in graph order, initialisers left out.
    fn inputs(&self) -> &[TensorSpec];

    /// The outputs in graph order.
    fn outputs(&self) -> &[TensorSpec];

    /// Input `index`, to be written before [`Model::run`]; keeps its values between runs.
    ///
    /// # Panics
    /// When `index` is not below `inputs().len()`.
    fn input_mut(&mut self, index: usize) -> TensorViewMut<'_>;

    /// Runs once.
    ///
    /// # Errors
    /// [`ModelError::Run`] naming the node; the plan stays usable.
    fn run(&mut self) -> Result<(), ModelError>;

    /// Output `index` of the last run (zeros before the first).
    ///
    /// # Panics
    /// When `index` is not below `outputs().len()`.
    fn output(&self, index: usize) -> TensorView<'_>;

    /// Bytes that it keeps from one run to the next.
    fn state_bytes(&self) -> usize {
        0
    }

    /// Makes the next run the first one of a new stream: what is kept between runs is as it was before the first one.
    fn reset_state(&mut self) {}

    /// Input `index` as it was given to the last run.
    ///
    /// # Panics
    /// When `index` is not below `inputs().len()`.
    fn input(&self, index: usize) -> TensorView<'_>;
}

/// Why a model cannot be used. Everything but `Run` is found at load.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is not there or cannot be read now: that may pass.
    #[error("{path}: {reason}")]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file is none that can be read, or does not hold what it should.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// `model.toml` is wrong.
    #[error("{path}{}: {reason}", .line.map(|l| format!(":{l}")).unwrap_or_default())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, where known.
        line: Option<usize>,
        /// What is wrong, with key, found, allowed.
        reason: String,
    },
    /// The file's hash is not the manifest's.
    #[error("{path}: sha256 is {found}, the manifest says {expected}: the file was changed or damaged")]
    Hash {
        /// The model file.
        path: PathBuf,
        /// What was computed.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// A file was written over since the bundle was opened.
    #[error("{path}: was changed on the disk since it was opened")]
    Changed {
        /// The model file.
        path: PathBuf,
    },
    /// Not an ONNX file, or cut short.
    #[error("{path}: not a complete ONNX model: {reason}")]
    Parse {
        /// The model file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// An operator that cannot run.
    #[error("{path}: node {node:?} (operator {operator}): {reason}")]
    Unsupported {
        /// The model file.
        path: PathBuf,
        /// The node's name.
        node: String,
        /// ONNX operator type.
        operator: String,
        /// Why.
        reason: String,
    },
    /// The graph cannot be compiled, and no single node is known to be the cause.
    #[error("{path}: {reason}")]
    Compile {
        /// The model file.
        path: PathBuf,
        /// tract's words.
        reason: String,
    },
    /// Shape or type of an input or output does not fit what is asked.
    #[error("{path}: tensor {tensor:?}: {reason}")]
    Shape {
        /// The model file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What does not fit.
        reason: String,
    },
    /// A run failed.
    #[error("{model}: {reason}")]
    Run {
        /// The model's name.
        model: String,
        /// tract's words with the node's name.
        reason: String,
    },
}

/// The key of one compiled plan. `None` keeps what the graph (or the manifest) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct PlanKey {
    /// Items in one run.
    pub batch: Option<usize>,
    /// `[height, width]` of a picture input.
    pub size: Option<[usize; 2]>,
}

/// Finds a bundle or bare model by what the configuration says: a path to a bundle directory or `.onnx` file, or the name
/// of a bundle in one of `dirs` (in order) or among the embedded ones.
pub fn locate(name: &str, dirs: &[PathBuf]) -> Option<PathBuf> {
    let direct = Path::new(name);
    if direct.exists() {
        return Some(direct.to_path_buf());
    }
    dirs.iter().map(|d| d.join(name)).find(|p| p.exists())
}
