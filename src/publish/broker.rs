//! A broker inside the process, for boards that have none: rumqttd with small buffers, behind a gate.
//!
//! rumqttd 0.20 dies for ever of some things that a client may do by mistake: a client id that comes twice, a topic that
//! begins with a letter beyond ASCII. It keeps without bound what clients make it keep, and its threads cannot be stopped.
//! So it listens on a port of its own, and the gate in front of it owns the configured address: it checks every packet,
//! gives clients names of its own, counts what is kept, and starts another rumqttd should it die all the same, a few times
//! at most. Clients then connect anew, and leptond sends its states again.
//!
//! MQTT 3.1.1 only, no passwords, no TLS, nothing kept on disk: for a local network that is trusted. Otherwise use mosquitto.

mod complaints;
mod gate;
mod ids;
mod inner;
mod ledger;
pub(in crate::publish) mod packet;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rumqttd::{ConnectionSettings, RouterConfig, ServerSettings};

use super::{BrokerConfig, PublishError};

/// Largest packet that the broker takes, in bytes.
const PACKET_BYTES: usize = 4 << 20;
/// Clients at one time, beside the daemon.
const CLIENTS: usize = 32;
/// How long rumqttd may take to listen.
const START: Duration = Duration::from_secs(5);

/// The user name by which the gate knows the daemon's own connection: drawn at random in each process. No other client is
/// asked for one.
pub fn daemon_user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    // Each RandomState has keys of its own, the first ones from the system's random numbers.
    USER.get_or_init(|| {
        let drawn = || RandomState::new().hash_one(std::process::id());
        format!("leptond-{:016x}{:016x}", drawn(), drawn())
    })
}

/// A running broker; it ends with the process.
#[derive(Clone, Copy, Debug)]
pub struct Broker {
    address: SocketAddr,
}

impl Broker {
    /// Listens on `config.listen` (port 0 = a free one) and serves in the background.
    ///
    /// # Errors
    /// [`PublishError::Listen`] naming the address when nothing can listen there.
    pub fn start(config: &BrokerConfig) -> Result<Self, PublishError> {
        let listen = |reason: String| PublishError::Listen { address: config.listen.clone(), reason };
        let listener = TcpListener::bind(&config.listen).map_err(|e| {
            listen(match e.kind() {
                std::io::ErrorKind::AddrInUse => "the address is in use; is another broker running?".into(),
                std::io::ErrorKind::InvalidInput => format!("not an address and port, such as 127.0.0.1:1883: {e}"),
                _ => e.to_string(),
            })
        })?;
        let address = listener.local_addr().map_err(|e| listen(e.to_string()))?;
        listener.set_nonblocking(true).map_err(|e| listen(e.to_string()))?;
        let inner = start_inner()?;
        gate::spawn(listener, inner)?;
        Ok(Broker { address })
    }

    /// Where it listens, with the port that was chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Starts a rumqttd on a free port of the loopback interface, and waits until it listens.
fn start_inner() -> Result<SocketAddr, PublishError> {
    let failed = |reason: String| PublishError::Listen { address: "127.0.0.1".into(), reason };
    let mut reason = String::new();
    // Another program may take the free port before rumqttd does: then once more.
    for _ in 0..3 {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
        let address = free.map_err(|e| failed(e.to_string()))?;
        let config = rumqttd_config(address);
        let server = std::thread::Builder::new().name("leptond-broker".into()).spawn(move || {
            let mut broker = rumqttd::Broker::new(config);
            broker.start().map_err(|e| e.to_string())
        })?;
        let deadline = Instant::now() + START;
        while Instant::now() < deadline && !server.is_finished() {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(address);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        reason = format!("rumqttd did not listen on {address}");
    }
    Err(failed(reason))
}

/// Small: what is not read soon is dropped. A log of each subscription's messages of at most 3 × 128 KiB (a single
/// message may be larger), and one of all messages.
fn rumqttd_config(listen: SocketAddr) -> rumqttd::Config {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: PACKET_BYTES,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: false,
    };
    let server =
        ServerSettings { name: "leptond-rumqttd".into(), listen, tls: None, next_connection_delay_ms: 1, connections };
    rumqttd::Config {
        id: 0,
        router: RouterConfig {
            // Connections that were just given up still count for a moment.
            max_connections: 2 * CLIENTS,
            max_outgoing_packet_count: 100,
            max_segment_size: 128 << 10,
            max_segment_count: 3,
            custom_segment: None,
            // Without a log that takes everything, rumqttd throws out a client whose topic nobody subscribed to.
            initialized_filters: Some(vec!["#".into()]),
            shared_subscriptions_strategy: rumqttd::Strategy::default(),
        },
        v4: Some(HashMap::from([("leptond".to_string(), server)])),
        ..rumqttd::Config::default()
    }
}
