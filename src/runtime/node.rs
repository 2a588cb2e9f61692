//! The connection to the broker, and the pipelines that are made ready with it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::DaemonError;
use super::aside;
use super::context::PipelineContext;
use super::prepare::{Made, prepare};
use crate::config::Config;
use crate::frame::NodeName;
use crate::pipeline::pool::{self, Pool};
use crate::pipeline::{Places, Resolved};
use crate::publish::broker::daemon_user;
use crate::publish::home_assistant::{self, HomeAssistant};
use crate::publish::mqtt::{Keep, Kept, Mqtt};
use crate::publish::topics::Topics;
use crate::publish::{self, Protocol, PublishError, Transport};
use crate::sys::Roots;

/// Messages of a subscription that may wait for their pipeline; the newest ones win.
const INCOMING: usize = 4;

/// The connection to the broker and what hangs on it.
pub(super) struct Node {
    /// The connection.
    pub(super) mqtt: Arc<Mqtt>,
    /// The name of this node.
    pub(super) name: NodeName,
    /// Its topics.
    pub(super) topics: Topics,
}

impl Node {
    /// Connects in the background: to the embedded broker at `broker`, else to the configured one.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when a name or setting cannot be used, [`DaemonError::NotNow`] when a file of it cannot be read.
    pub(super) fn connect(config: &Config, broker: Option<SocketAddr>) -> Result<Self, DaemonError> {
        let mut mqtt = config.mqtt.clone();
        if let Some(address) = broker {
            (mqtt.host, mqtt.port) = (address.ip().to_string(), address.port());
            mqtt.username = daemon_user().to_owned();
            (mqtt.protocol, mqtt.transport, mqtt.path) = (Protocol::V311, Transport::Tcp, String::new());
        }
        let name = config.node.name_or_default(Path::new("/"));
        let topics = Topics::new(&config.mqtt.prefix, &name).map_err(|e| DaemonError::Config(e.to_string()))?;
        // The broker in the process goes and comes with it.
        let outbox = config.outbox_dir().filter(|_| broker.is_none());
        let pipelines = config.pipelines.iter().map(|pipeline| pipeline.name.to_string()).collect();
        let retained = config.node.state_dir().map(|dir| Keep { file: dir.join("retained.json"), pipelines });
        let kept = Kept { retained, outbox: outbox.as_deref() };
        let mqtt = Arc::new(Mqtt::start_keeping(&mqtt, &name, kept).map_err(|e| because(&e))?);
        Ok(Node { mqtt, name, topics })
    }

    /// The sink that makes this node known to Home Assistant.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when a topic of it cannot be subscribed to.
    pub(super) fn home_assistant(&self, config: &publish::Config) -> Result<HomeAssistant, DaemonError> {
        let settings = &config.home_assistant;
        let subscribe = |topic: &str| self.mqtt.subscribe(topic, home_assistant::WAITING).map_err(|e| because(&e));
        let incoming = [subscribe(&settings.topic(&self.name))?, subscribe(&settings.birth_topic())?];
        let (mqtt, topics) = (self.mqtt.clone(), self.topics.clone());
        Ok(HomeAssistant::new(mqtt, settings, &self.name, topics, &config.requests, incoming))
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
        context: &PipelineContext,
    ) -> Result<oneshot::Receiver<Made>, DaemonError> {
        let (mqtt, roots, context) = (self.mqtt.clone(), roots.clone(), context.clone());
        aside::begin("prepare", move || {
            // Only those that are made ready together share plans: what runs already goes on untouched.
            let pool = Arc::new(Pool::new(&pipelines, pool::measure));
            let subscribe = |filter: &str| mqtt.subscribe(filter, INCOMING);
            prepare(pipelines, &places, &roots, &pool, &context, &subscribe)
        })
    }
}

/// The daemon's error for one of the connection: what may pass, and what the configuration has to change.
pub(super) fn because(error: &PublishError) -> DaemonError {
    if error.may_pass() { DaemonError::NotNow(error.to_string()) } else { DaemonError::Config(error.to_string()) }
}
