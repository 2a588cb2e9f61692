//! Errors of logging and of the service manager's socket.

/// The log or the service manager's socket cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TelemetryError {
    /// `log.level` is invalid: the configuration is wrong, the old level stays.
    #[error("log.level: found {found:?}: {reason}")]
    Level {
        /// Configured level.
        found: String,
        /// Description of the error and of the allowed values.
        reason: String,
    },
    /// The log was set up before in this process: a defect in the caller, the first log stays.
    #[error("the log is set up already")]
    AlreadySet,
    /// The service manager's socket cannot be used: the daemon can run, but unwatched.
    #[error("cannot notify the service manager at {address}: {reason}")]
    Notify {
        /// Value of `NOTIFY_SOCKET`.
        address: String,
        /// The system's error.
        reason: String,
    },
}
