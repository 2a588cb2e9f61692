//! The parts of a run that are no configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Loaded;
use crate::frame::Sink;
use crate::runtime::command::Recovered;
use crate::runtime::config_file::ConfigFile;
use crate::runtime::page::OnPage;
use crate::sys::Roots;
use crate::telemetry::LogHandle;

/// Loads the configuration anew, for SIGHUP; its error is a whole explanation.
pub type Reload = Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>;

/// Options of a run beside its configuration.
#[derive(Default)]
pub struct Options {
    /// Places of `/proc`, `/sys` and `/dev`.
    pub roots: Roots,
    /// Stop by itself after this time.
    pub run_for: Option<Duration>,
    /// Loads the configuration at SIGHUP; `None` = SIGHUP does nothing.
    pub reload: Option<Reload>,
    /// The configuration file; `None` = no request can change it.
    pub config_file: Option<ConfigFile>,
    /// A change of the configuration that was taken back before this start.
    pub recovered: Option<Recovered>,
    /// Sinks beside the broker, for as long as the process lives.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// The running log, whose level a reload may change.
    pub log: Option<LogHandle>,
    /// Waits for things that are not there yet (a model, a certificate, the port of the embedded broker); else they end the run.
    pub waits: bool,
    /// Told the address of the page once it is served.
    pub on_page: Option<OnPage>,
    /// Told the address of the embedded broker once it listens.
    pub on_broker: Option<Box<dyn FnOnce(SocketAddr)>>,
}
