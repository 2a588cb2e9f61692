//! Failures of a subcommand, each with its exit code.

/// Reason for which a subcommand did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration (or a model that it names) is wrong: exit code 78.
    #[error("{0}")]
    Config(String),
    /// Arguments that clap accepts but that make no sense together: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A request asked for another start, which systemd makes of exit code 75.
    #[error("stopped to be started again")]
    Restart,
    /// Anything else: exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}
