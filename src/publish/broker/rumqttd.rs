//! The inner broker: rumqttd with small buffers on a port of the loopback interface.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ::rumqttd::{self, ConnectionSettings, RouterConfig, ServerSettings};

use crate::publish::PublishError;

/// Largest packet in bytes.
pub(super) const PACKET_BYTES: usize = 4 << 20;
/// Clients at one time, besides the daemon.
pub(super) const CLIENTS: usize = 32;
/// Time for rumqttd to listen.
const START: Duration = Duration::from_secs(5);

/// Starts a rumqttd on a free port of the loopback interface and waits until it listens.
pub(super) fn start() -> Result<SocketAddr, PublishError> {
    let failed = |reason: String| PublishError::Listen { address: "127.0.0.1".into(), reason };
    let mut reason = String::new();
    // Another program may take the free port before rumqttd does: try again.
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

/// Small buffers; slow readers lose messages. Each subscription has a message log of at most 3 × 128 KiB (a single message may be
/// larger), and all messages have one more.
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
            // Connections that were just closed still count for a moment.
            max_connections: 2 * CLIENTS,
            max_outgoing_packet_count: 100,
            max_segment_size: 128 << 10,
            max_segment_count: 3,
            custom_segment: None,
            // Without a log for all topics, rumqttd disconnects a client that publishes to a topic without subscriber.
            initialized_filters: Some(vec!["#".into()]),
            shared_subscriptions_strategy: rumqttd::Strategy::default(),
        },
        v4: Some(HashMap::from([("leptond".to_string(), server)])),
        ..rumqttd::Config::default()
    }
}
