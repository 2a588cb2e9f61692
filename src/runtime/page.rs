//! The page of this process: started, changed and ended with the configuration; a sink beside the others.

mod backend;
mod doctor;
mod editor;

use std::net::SocketAddr;
use std::sync::Arc;

use backend::{Daemon, Known};

use super::command::desk::Desk;
use super::config_file::ConfigFile;
use super::set::PipelineSet;
use crate::config::Config;
use crate::frame::Sink;
use crate::page::{self, Feed, Server};
use crate::telemetry::RecentLog;

/// Told the address of the page when it listens; `None` where it cannot yet.
pub type OnPage = Box<dyn FnOnce(Option<SocketAddr>)>;

/// The page, which outlives a restart inside the process.
pub(super) struct Page {
    daemon: Arc<Daemon>,
    feed: Arc<Feed>,
    served: page::Config,
    server: Option<Server>,
    on_page: Option<OnPage>,
    /// Revision and changes of the rungs that the models' costs were taken over at.
    seen: (u64, u64),
}

impl Page {
    /// Not served yet. `file` is the configuration's, which is looked at and changed; `None` = there is none.
    pub(super) fn new(file: Option<ConfigFile>, log: Option<RecentLog>, on_page: Option<OnPage>) -> Page {
        let daemon = Arc::new(Daemon::new(file, log));
        let feed = Feed::new(daemon.clone());
        Page { daemon, feed, served: page::Config::default(), server: None, on_page, seen: (0, 0) }
    }

    /// The sink, which ignores everything while the page is not served.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        self.feed.clone()
    }

    /// The place where changes of the configuration are left for the control loop.
    pub(super) fn desk(&self) -> Arc<Desk> {
        self.daemon.desk().clone()
    }

    /// Takes over a configuration and its digest; where `[page]` is another one, the page begins anew.
    pub(super) fn configure(&mut self, config: &Config, digest: &str) {
        let (config_now, digest) = (Arc::new(config.clone()), digest.to_owned());
        self.daemon.know(Known { config: config_now, digest, ..self.daemon.known() });
        let wanted = &config.page;
        if *wanted == self.served && wanted.enabled == self.server.is_some() {
            return;
        }
        // Its port may be wanted again.
        self.server = None;
        self.served.clone_from(wanted);
        if !wanted.enabled {
            return;
        }
        let names = vec![host_name(), config.node.name.as_ref().map(ToString::to_string).unwrap_or_default()];
        match Server::start(wanted.clone(), names, self.feed.clone()) {
            Ok(server) => {
                if let Some(tell) = self.on_page.take() {
                    tell(server.address());
                }
                self.server = Some(server);
            }
            Err(error) => tracing::error!(%error, "no thread for the page"),
        }
    }

    /// Takes over the costs of the models where they may be others; `now` is the [revision](super::node_status::StatusMaker::revision).
    pub(super) fn observe(&mut self, now: (u64, u64), set: &PipelineSet) {
        if self.server.is_some() && self.seen != now {
            self.seen = now;
            self.daemon.know(Known { costs: backend::costs(set), ..self.daemon.known() });
        }
    }
}

/// The computer's name in its network; empty where it is not known.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
