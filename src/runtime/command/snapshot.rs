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
        match (fields.pipeline(pipelines)?, pipelines) {
            (Some(pipeline), _) => Ok(Snapshot { pipeline }),
            (None, [only]) => Ok(Snapshot { pipeline: Arc::from(*only) }),
            (None, _) => Err(format!("pipeline is needed; there are {}", pipelines.join(", "))),
        }
    }
}
