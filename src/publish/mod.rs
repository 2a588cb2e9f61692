//! The bus's sinks and their ways out: topics and payloads for MQTT, lines for a terminal, the embedded broker.

pub mod broker;
pub mod home_assistant;
pub mod inbox;
pub mod latency;
mod log_limit;
pub mod mqtt;
pub mod outbox;
pub mod payload;
pub mod queue;
pub mod requests;
pub mod sink;
pub mod stdout;
pub mod terminal;
#[cfg(test)]
mod testing;
mod throttle;
pub mod topics;
pub mod wording;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::NameError;
use crate::frame::status::Outbox;
use outbox::OutboxConfig;
use requests::Requests;

/// `[mqtt]`: the broker.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name or address of the broker.
    #[schemars(length(min = 1))]
    pub host: String,
    /// Port of the broker; 8883 is usual with TLS.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Version of MQTT: `auto` = 5, or 3.1.1 where the broker does not speak that.
    pub protocol: Protocol,
    /// Way to the broker.
    pub transport: Transport,
    /// Path of the WebSocket, or the Unix socket; empty = `/mqtt` for a WebSocket.
    pub path: String,
    /// User name; empty = none.
    pub username: String,
    /// Password; prefer `password_file`.
    #[schemars(extend("writeOnly" = true))]
    pub password: String,
    /// File whose first line is the password (systemd: `LoadCredential`).
    pub password_file: Option<PathBuf>,
    /// Client id at the broker; empty = made from the node's name.
    pub client_id: String,
    /// First level of every topic.
    #[schemars(length(min = 1))]
    pub prefix: String,
    /// Time without traffic after which the connection is probed, in s.
    #[schemars(range(min = 5, max = 3600))]
    pub keep_alive_s: u16,
    /// Results and events waiting for the broker at most; when full the oldest result is dropped and counted.
    #[schemars(range(min = 1, max = 100_000))]
    pub queue: usize,
    /// Largest packet in bytes, in and out.
    #[schemars(range(min = 10_240, max = 268_435_455))]
    pub max_packet_bytes: usize,
    /// Publish `result` of each inference (QoS 0); events and states are published anyway.
    pub results: bool,
    /// Which requests over MQTT are done: `all`, `read` (those that change nothing), `off`, or a list of verbs.
    pub requests: Requests,
    /// Discovery by Home Assistant.
    pub home_assistant: home_assistant::Config,
    /// Encryption; absent = none.
    pub tls: Option<TlsConfig>,
    /// Events kept on disk while the broker is away.
    pub outbox: OutboxConfig,
}

/// `[mqtt] protocol`: the version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// MQTT 5, and 3.1.1 where the broker refuses it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
}

/// `[mqtt] transport`: the way to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// WebSocket over TCP.
    WebSocket,
    /// Unix socket.
    Unix,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "localhost".into(),
            port: 1883,
            protocol: Protocol::default(),
            transport: Transport::default(),
            path: String::new(),
            username: String::new(),
            password: String::new(),
            password_file: None,
            client_id: String::new(),
            prefix: "leptond".into(),
            keep_alive_s: 30,
            queue: 1024,
            max_packet_bytes: 1 << 20,
            results: true,
            requests: Requests::default(),
            home_assistant: home_assistant::Config::default(),
            tls: None,
            outbox: OutboxConfig::default(),
        }
    }
}

impl Config {
    /// The client id of `node`.
    pub fn client_id(&self, node: &str) -> String {
        if self.client_id.is_empty() { topics::client_id(node) } else { self.client_id.clone() }
    }

    /// `true` where messages to the broker pass no network.
    pub fn is_local(&self) -> bool {
        self.transport == Transport::Unix || is_this_computer(&self.host)
    }
}

impl fmt::Debug for Config {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config {
            host,
            port,
            protocol,
            transport,
            path,
            username,
            password,
            password_file,
            client_id,
            prefix,
            keep_alive_s,
            queue,
            max_packet_bytes,
            results,
            requests,
            home_assistant,
            tls,
            outbox,
        } = self;
        f.debug_struct("Config")
            .field("host", host)
            .field("port", port)
            .field("protocol", protocol)
            .field("transport", transport)
            .field("path", path)
            .field("username", username)
            .field("password", if password.is_empty() { &"" } else { &"***" })
            .field("password_file", password_file)
            .field("client_id", client_id)
            .field("prefix", prefix)
            .field("keep_alive_s", keep_alive_s)
            .field("queue", queue)
            .field("max_packet_bytes", max_packet_bytes)
            .field("results", results)
            .field("requests", requests)
            .field("home_assistant", home_assistant)
            .field("tls", tls)
            .field("outbox", outbox)
            .finish()
    }
}

/// `[mqtt.tls]`: encryption to the broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate authority that signed the broker's certificate; absent = those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// PEM file with our own certificate, where the broker asks for one.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

/// `[broker]`: a broker inside the process, for boards that have none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerConfig {
    /// Run it; `[mqtt]` `host` and `port` are then ignored.
    pub enabled: bool,
    /// Address and port it listens on.
    pub listen: String,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        BrokerConfig { enabled: false, listen: "127.0.0.1:1883".into() }
    }
}

/// `true` where `host` is this computer, so that messages to it pass no network.
pub fn is_this_computer(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Kind of a message; decides its fate while the broker is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Only the newest of each topic matters: coalesced, retained, QoS 1.
    State,
    /// One inference: QoS 0, not retained; the oldest is dropped (and counted) when the queue is full.
    Result,
    /// A change: QoS 1, not retained; on disk while the broker is away. Dropped (and counted) only when the queue holds nothing but events
    /// and the disk takes none.
    Event,
    /// A request, or the answer to one: QoS 1, not retained, never on disk; of many the newest are kept.
    Response,
    /// A picture: only the newest of each topic matters; retained, QoS 0, never on disk. When there is no room, the one that has
    /// waited longest is dropped (and counted).
    Picture,
}

/// One message on its way.
#[derive(Clone, Debug)]
pub struct Message {
    /// Full topic.
    pub topic: String,
    /// JSON, or the bytes of a picture.
    pub payload: Vec<u8>,
    /// Its kind; QoS and retain follow from it.
    pub class: Class,
    /// For results: the parts of the latency from capture to the broker's socket.
    pub timing: Option<Timing>,
}

/// Parts of a result's latency.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time of capture of the frame.
    pub captured: Instant,
    /// Time spent in the model itself.
    pub infer: Duration,
}

/// A way out for messages. Never blocks and never spins.
pub trait Publisher: Send + Sync {
    /// Takes a message; what cannot be held is dropped and counted.
    fn publish(&self, message: Message);

    /// Counters since start.
    fn stats(&self) -> Stats;

    /// Waits until everything taken has been acknowledged (or, for QoS 0, written), or until `deadline`; `true` where it was.
    fn flush(&self, deadline: Instant) -> bool;
}

/// Counters of a publisher since its start. At every moment `taken = published + dropped + replaced + queued`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Connected right now.
    pub connected: bool,
    /// Messages taken from the rest of the program.
    pub taken: u64,
    /// Messages waiting that were never written to the broker's socket.
    pub queued: u64,
    /// Messages written to the broker's socket (each counted once, however often it was sent again).
    pub published: u64,
    /// QoS 1 messages that the broker acknowledged (each counted once).
    pub acknowledged: u64,
    /// QoS 1 messages written and waiting for their acknowledgement.
    pub unacknowledged: u64,
    /// Copies sent again after a reconnect.
    pub resent: u64,
    /// Messages given up before they were written: results that were too old or for which there was no room, events for
    /// which there was no room, anything too large for a packet.
    pub dropped: u64,
    /// Events among `dropped` that were lost because there was no room for them, or the disk failed.
    pub dropped_events: u64,
    /// States and pictures replaced by a newer one of the same topic before they were sent.
    pub replaced: u64,
    /// Messages given up after they were written, because the broker hung up on them again and again.
    pub abandoned: u64,
    /// Messages that the broker acknowledged and did not take (MQTT 5).
    pub refused: u64,
    /// Events in memory and on disk, where they are kept on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<Outbox>,
    /// Connections made.
    pub connects: u64,
    /// Messages received on subscriptions.
    pub received: u64,
    /// Received messages dropped because the subscriber was slower than they came.
    pub received_dropped: u64,
}

/// Reasons for which publishing cannot start. Once it runs, trouble with the broker is logged and retried.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file is not there or cannot be read now.
    #[error("{path}: {reason}")]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// A setting cannot be used.
    #[error("{key}: {reason}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// The fault.
        reason: String,
    },
    /// A name or filter that topics cannot have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing can listen on an address.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address as configured.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl PublishError {
    /// `true` where the same configuration may work later.
    pub fn may_pass(&self) -> bool {
        match self {
            PublishError::Unavailable { .. } | PublishError::Listen { .. } | PublishError::Thread(_) => true,
            PublishError::File { .. } | PublishError::Setting { .. } | PublishError::Name(_) => false,
        }
    }
}
