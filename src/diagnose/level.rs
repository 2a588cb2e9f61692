//! Severity of a finding.

use serde::Serialize;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing need be done.
    Note,
    /// Could not be found out.
    Unknown,
    /// Works, but less well than it could, or not for long.
    Warning,
    /// Does not work, or is about to do harm.
    Trouble,
}
