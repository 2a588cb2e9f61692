//! Failures of subcommands, by the exit code that they mean.

/// Failure of a subcommand.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration (or a model that it names) is wrong: exit code 78.
    #[error("{0}")]
    Config(String),
    /// Arguments that clap accepts but that make no sense together: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Anything else: exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}
