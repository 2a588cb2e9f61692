//! Reasons for which a group cannot be worked with.

use std::path::PathBuf;

use super::version::{OLDEST, Version};

/// Reason for which nothing can be given to the group or taken from it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A setting cannot be used: change the configuration.
    #[error("{key}: {reason}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// The fault.
        reason: String,
    },
    /// A file of the configuration cannot be read or used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// No server answers: try again later.
    #[error("no server of {servers} can be reached: {reason}")]
    Unreachable {
        /// As configured.
        servers: String,
        /// The last reason.
        reason: String,
    },
    /// The server knows this user or key not: change the configuration, here or there.
    #[error("{servers}: the server refuses user, key or credentials: {reason}")]
    Login {
        /// As configured.
        servers: String,
        /// The server's words.
        reason: String,
    },
    /// The server is too old to be safe: install a newer one.
    #[error(
        "nats-server {found} is older than {OLDEST} and has holes that are known (CVE-2025-30215): install {OLDEST} or later, best 2.12.12 or 2.14.3"
    )]
    Version {
        /// Version of the server.
        found: Version,
    },
    /// The server does not tell a version: it is none that can be used.
    #[error("the server says that its version is {0:?}, which is none")]
    NoVersion(String),
    /// JetStream is off at the server, or for this account.
    #[error("the server has JetStream turned off{0}: add jetstream {{ store_dir: \"…\" }} to its configuration")]
    NoJetStream(String),
    /// The server refuses something that is needed: give this user the right.
    #[error("the server gives no right to {what}: {reason}")]
    Rights {
        /// The right.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// A stream is there and is no work queue of leptond: choose another group, or remove it.
    #[error("the stream {name} is another one than leptond makes: {reason}")]
    Stream {
        /// Its name.
        name: String,
        /// The difference.
        reason: String,
    },
    /// The server did not do something that may work later.
    #[error("{what}: {reason}")]
    Server {
        /// The request.
        what: String,
        /// The server's words, or that none came.
        reason: String,
    },
    /// The system gives no thread or random numbers.
    #[error("{0}")]
    System(String),
}

impl FleetError {
    /// True where the same may work later although nobody changes the configuration of this node.
    pub fn may_pass(&self) -> bool {
        !matches!(self, FleetError::Setting { .. } | FleetError::File { .. })
    }
}
