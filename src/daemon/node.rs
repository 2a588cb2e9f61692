//! The connection to the broker, and who else sees what is published.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::DaemonError;
use super::pool::{self, Pool};
use super::prepare::{Places, Prepared, prepare};
use crate::config::{Config, PipelineConfig};
use crate::publish::broker::daemon_user;
use crate::publish::mqtt::Mqtt;
use crate::publish::topics::{self, Topics};
use crate::publish::{Message, Publisher, Stats};
use crate::sys::Roots;

/// Messages of a subscription that may wait for their pipeline; the newest ones win.
const INCOMING: usize = 4;

/// The connection to the broker and what hangs on it.
pub(super) struct Node {
    /// The connection.
    pub(super) mqtt: Arc<Mqtt>,
    /// Where messages go: the connection, and whoever looks on.
    pub(super) publisher: Arc<dyn Publisher>,
    /// This node's topics.
    pub(super) topics: Topics,
}

impl Node {
    /// Connects in the background: to the embedded broker at `broker`, else to the configured one.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when a name or setting cannot be used.
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
        let bad = |e: &dyn std::fmt::Display| DaemonError::Config(e.to_string());
        let topics = Topics::new(&config.mqtt.prefix, &name).map_err(|e| bad(&e))?;
        let mqtt = Arc::new(Mqtt::start(&mqtt, &name).map_err(|e| bad(&e))?);
        let publisher: Arc<dyn Publisher> = match tee {
            Some(second) => Arc::new(Tee { first: mqtt.clone(), second: second.clone() }),
            None => mqtt.clone(),
        };
        Ok(Node { mqtt, publisher, topics })
    }

    /// Makes pipelines ready, with their subscriptions on this connection.
    ///
    /// # Errors
    /// [`DaemonError::Config`] naming the pipeline.
    pub(super) fn prepare(
        &self,
        pipelines: &[PipelineConfig],
        places: &Places,
        roots: &Roots,
    ) -> Result<Vec<Prepared>, DaemonError> {
        let subscribe = |filter: &str| self.mqtt.subscribe(filter, INCOMING);
        // Only those that are made ready together share plans: what runs already goes on untouched.
        let pool = Arc::new(Pool::new(pipelines, pool::measure));
        let prepared = pipelines.iter().map(|p| prepare(p, places, roots, &pool, subscribe));
        prepared.collect::<Result<_, _>>().map_err(|e| DaemonError::Config(e.to_string()))
    }
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
