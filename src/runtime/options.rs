//! Options of one run of the daemon, beside its configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Loaded;
use crate::publish::Publisher;
use crate::sys::Roots;
use crate::telemetry::LogHandle;

/// Loads the configuration anew, for SIGHUP; its error is a whole explanation.
pub type Reload = Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>;

/// Options of a run, beside the configuration.
#[derive(Default)]
pub struct Options {
    /// Roots of `/proc`, `/sys` and `/dev`.
    pub roots: Roots,
    /// Stop by itself after this time.
    pub run_for: Option<Duration>,
    /// Called on SIGHUP; `None` = nothing is loaded again.
    pub reload: Option<Reload>,
    /// Sees every message besides the broker (`demo` prints them).
    pub tee: Option<Arc<dyn Publisher>>,
    /// The running log, whose level a reload may change.
    pub log: Option<LogHandle>,
    /// Wait for a model, a certificate or the embedded broker's port that is not there yet; else its absence ends the run.
    pub waits: bool,
    /// Told the address of the embedded broker once it listens.
    pub on_broker: Option<Box<dyn FnOnce(SocketAddr)>>,
}
