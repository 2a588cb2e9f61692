//! Why a pipeline cannot be made, or a frame gives no result.

use super::misfit::Misfit;
use crate::model::ModelError;
use crate::preprocess::PreprocessError;
use crate::task::TaskError;

/// Why one frame gave no result; the pipeline goes on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The frame could not become a model input.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The model failed on it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The outputs made no sense.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Why a pipeline's stages cannot be made; found before anything runs.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No bundle or file of that name.
    #[error(
        "model {name:?}: neither a file, nor a bundle in {dirs}, nor one of the shipped models ({shipped}); leptond model list shows more"
    )]
    NoModel {
        /// As configured.
        name: String,
        /// Places that were searched.
        dirs: String,
        /// Names of the models embedded in the program.
        shipped: String,
        /// Whether it may be there later: it is named by a path, or a directory for models is not there or empty, as before a disk is
        /// mounted.
        may_come: bool,
    },
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The task's settings do not fit the model.
    #[error("{0}")]
    Task(String),
    /// Its pictures cannot be looked at in tiles.
    #[error("{path}: {reason}")]
    Tiles {
        /// The model.
        path: String,
        /// Reason, with the key that is to be changed.
        reason: String,
    },
    /// The marks of a meter cannot be taken from their reference picture.
    #[error("{path}: {reason}")]
    Marks {
        /// The picture.
        path: String,
        /// It is not there.
        missing: bool,
        /// Reason, naming the mark.
        reason: String,
    },
    /// A resolution that this variant of the model does not have.
    #[error("model {model:?}, variant {variant:?}: no input of {resolution} pixels, only {sizes:?} ([height, width])")]
    Resolution {
        /// The model's name.
        model: String,
        /// The variant's name.
        variant: String,
        /// Resolution asked for, longer side in pixels.
        resolution: u32,
        /// Resolutions there are.
        sizes: Vec<[usize; 2]>,
    },
}

impl PlanError {
    /// True where the same may work later although nobody changes the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            PlanError::NoModel { may_come, .. } => *may_come,
            PlanError::Model(error) => matches!(error, ModelError::Unavailable { .. }),
            PlanError::Marks { missing, .. } => *missing,
            PlanError::Task(_) | PlanError::Tiles { .. } | PlanError::Resolution { .. } => false,
        }
    }

    /// True where the model's files were written over since they were opened.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, PlanError::Model(ModelError::Changed { .. }))
    }
}

/// Why a pipeline cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Its model cannot be used.
    #[error("pipeline {0:?}: {1}")]
    Model(String, PlanError),
    /// Source and model do not fit together.
    #[error("pipeline {0:?}: {1}")]
    Fit(String, Misfit),
    /// The system has no thread to make it on.
    #[error("pipeline {0:?}: no thread: {1}")]
    Thread(String, std::io::Error),
}

impl PipelineError {
    /// True where the same may work later although nobody changes the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            PipelineError::Model(_, error) => error.may_pass(),
            PipelineError::Thread(..) => true,
            PipelineError::Fit(..) => false,
        }
    }
}
