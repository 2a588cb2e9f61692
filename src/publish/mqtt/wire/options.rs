//! Options of a connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

/// Version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V311 => "MQTT 3.1.1",
            Version::V5 => "MQTT 5",
        })
    }
}

/// Way to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// TCP.
    Tcp,
    /// WebSocket over TCP, at this path.
    WebSocket(String),
    /// Unix socket with this path; host and port mean nothing.
    Unix(PathBuf),
}

/// Options of a connection.
#[derive(Clone)]
pub(crate) struct Options {
    /// Name or address of the broker.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Way to it.
    pub(crate) way: Way,
    /// Version to speak.
    pub(crate) version: Version,
    /// MQTT 3.1.1 is spoken where the broker does not speak MQTT 5.
    pub(crate) may_fall_back: bool,
    /// Client id.
    pub(crate) client_id: String,
    /// User name and password.
    pub(crate) login: Option<(String, String)>,
    /// Topic and payload of the will: QoS 1, retained.
    pub(crate) will: Option<(String, Vec<u8>)>,
    /// Interval of pings.
    pub(crate) keep_alive: Duration,
    /// Largest packet in bytes, in and out.
    pub(crate) packet_bytes: usize,
    /// Encryption.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Timeout of the connection attempt, and of the socket taking a packet.
    pub(crate) timeout: Duration,
}

impl Options {
    /// The broker, for logs and files: `host:port`, or with its transport before it.
    pub(crate) fn broker(&self) -> String {
        let address = authority(&self.host, self.port);
        match &self.way {
            Way::Tcp => address,
            Way::WebSocket(path) => format!("{}://{address}{path}", if self.tls.is_some() { "wss" } else { "ws" }),
            Way::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// Host and port as a URL has them (RFC 3986, section 3.2).
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
