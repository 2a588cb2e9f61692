//! A meter's part of its pipeline, beside the model that the pipeline itself runs.

use std::path::PathBuf;

use crate::join::Settings;
use crate::preprocess::{self, Region};

/// A meter's part of its pipeline: the dials, and how both are joined.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterJoin {
    /// Their model; `None` where the pipeline's own model reads them, or there are none.
    pub model: Option<String>,
    /// Their regions.
    pub preprocess: preprocess::Config,
    /// Marks that the regions follow.
    pub marks: Option<MarksConfig>,
    /// How the places are joined.
    pub settings: Settings,
}

/// Marks of a reference picture.
#[derive(Clone, Debug, PartialEq)]
pub struct MarksConfig {
    /// The picture, of the same size as the frames.
    pub reference: PathBuf,
    /// Patches of it that are found again.
    pub marks: Vec<Region>,
}
