//! Errors of logging and of the service manager's socket.

/// Why the daemon cannot be watched as asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TelemetryError {
    /// `log.level` makes no sense: the configuration is wrong, what was in force stays.
    #[error("log.level: found {found:?}: {reason}")]
    Level {
        /// What was configured.
        found: String,
        /// What is wrong with it and what is allowed.
        reason: String,
    },
    /// A log was set up before in this process: a defect in the caller, the first one stays.
    #[error("the log is set up already")]
    AlreadySet,
    /// The service manager's socket cannot be used: the daemon can run, but unwatched.
    #[error("cannot notify the service manager at {address}: {reason}")]
    Notify {
        /// Value of `NOTIFY_SOCKET`.
        address: String,
        /// The system's words.
        reason: String,
    },
}
