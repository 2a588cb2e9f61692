//! `reading`: the next picture of a meter now, whatever its interval.

use std::sync::Arc;

use super::fields::Fields;

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Name of the pipeline or meter.
    pub pipeline: Arc<str>,
}

impl Reading {
    /// Reads it; `pipelines` are the names that there are. The name may be left out where there is one.
    pub(super) fn read(fields: &Fields, pipelines: &[&str]) -> Result<Reading, String> {
        fields.only(&["pipeline"])?;
        fields.pipeline_or_only(pipelines).map(|pipeline| Reading { pipeline })
    }
}
