//! `pipeline/pause` and `pipeline/resume`.

use std::sync::Arc;

use super::fields::Fields;

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// Name of the pipeline; `None` = all.
    pub pipeline: Option<Arc<str>>,
    /// `true` = pause.
    pub paused: bool,
}

impl Pause {
    /// Reads it; `pipelines` are the names that there are.
    pub(super) fn read(fields: &Fields, pipelines: &[&str], paused: bool) -> Result<Pause, String> {
        fields.only(&["pipeline"])?;
        Ok(Pause { pipeline: fields.pipeline(pipelines)?, paused })
    }
}
