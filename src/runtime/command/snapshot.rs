//! `snapshot`: the next picture of a pipeline.

use std::sync::Arc;

use super::fields::Fields;

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
}

impl Snapshot {
    /// Reads it; `pipelines` are the names that there are. The name may be left out where there is one.
    pub(super) fn read(fields: &Fields, pipelines: &[&str]) -> Result<Snapshot, String> {
        fields.only(&["pipeline"])?;
        fields.pipeline_or_only(pipelines).map(|pipeline| Snapshot { pipeline })
    }
}
