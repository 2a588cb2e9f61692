//! The connection to the broker, and who else sees what is published.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::DaemonError;
use super::aside;
use super::prepare::{Made, prepare};
use super::sources::Sources;
use crate::config::Config;
use crate::pipeline::pool::{self, Pool};
use crate::pipeline::{Places, Resolved};
use crate::publish::broker::daemon_user;
use crate::publish::mqtt::Mqtt;
use crate::publish::topics::{self, Topics};
use crate::publish::{Message, PublishError, Publisher, Stats};
use crate::sys::Roots;

/// Messages of a subscription that may wait for their pipeline; the newest ones win.
const INCOMING: usize = 4;

/// The connection to the broker and what hangs on it.
pub(super) struct Node {
    /// The connection.
    pub(super) mqtt: Arc<Mqtt>,
    /// Takes messages: the connection, and a second publisher where there is one.
    pub(super) publisher: Arc<dyn Publisher>,
    /// This node's topics.
    pub(super) topics: Topics,
}

impl Node {
    /// Connects in the background: to the embedded broker at `broker`, else to the configured one.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when a name or setting cannot be used, [`DaemonError::NotNow`] when a file of it cannot be read.
    pub(super) fn connect(
        config: &Config,
        broker: Option<SocketAddr>,
        tee: Option<&Arc<dyn Publisher>>,
    ) -> Result<Self, DaemonError> {
        let mut mqtt = config.mqtt.clone();
        if let Some(address) = broker {
            (mqtt.host, mqtt.port) = (address.ip().to_string(), address.port());
            mqtt.username = daemon_user().to_owned();
        }
        let name = match config.node.name.as_str() {
            "" => topics::default_node(Path::new("/")),
            name => name.to_string(),
        };
        let topics = Topics::new(&config.mqtt.prefix, &name).map_err(|e| DaemonError::Config(e.to_string()))?;
        let mqtt = Arc::new(Mqtt::start(&mqtt, &name).map_err(|e| because(&e))?);
        let publisher: Arc<dyn Publisher> = match tee {
            Some(second) => Arc::new(Tee { first: mqtt.clone(), second: second.clone() }),
            None => mqtt.clone(),
        };
        Ok(Node { mqtt, publisher, topics })
    }

    /// Makes pipelines ready, with their subscriptions on this connection, on a thread of its own: to read and compile a large model takes
    /// seconds that nothing can cut short, and whoever waits for it may be told to stop meanwhile.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] without a thread.
    pub(super) fn prepare(
        &self,
        pipelines: Vec<Resolved>,
        places: Places,
        roots: &Roots,
        sources: &Sources,
    ) -> Result<oneshot::Receiver<Made>, DaemonError> {
        let (mqtt, roots, sources) = (self.mqtt.clone(), roots.clone(), sources.clone());
        aside::begin("prepare", move || {
            // Only those that are made ready together share plans: what runs already goes on untouched.
            let pool = Arc::new(Pool::new(&pipelines, pool::measure));
            let subscribe = |filter: &str| mqtt.subscribe(filter, INCOMING);
            prepare(pipelines, &places, &roots, &pool, &sources, &subscribe)
        })
    }
}

/// The error as the daemon's: a fault of the configuration, or one that may pass.
pub(super) fn because(error: &PublishError) -> DaemonError {
    if error.may_pass() { DaemonError::NotNow(error.to_string()) } else { DaemonError::Config(error.to_string()) }
}

/// Every message to two publishers; the first one's word counts.
struct Tee {
    first: Arc<Mqtt>,
    second: Arc<dyn Publisher>,
}

impl Publisher for Tee {
    fn publish(&self, message: Message) {
        self.second.publish(message.clone());
        self.first.publish(message);
    }

    fn stats(&self) -> Stats {
        self.first.stats()
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.second.flush(deadline) && self.first.flush(deadline)
    }
}
