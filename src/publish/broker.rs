//! An embedded broker for boards without one: rumqttd with small buffers, behind a gate.
//!
//! rumqttd 0.20 dies of some mistakes of clients: a duplicate client id, a topic that begins with a letter beyond ASCII. It
//! stores retained messages, topics and filters without bound, and its threads cannot be stopped. It therefore listens on a
//! private port, and the gate in front of it owns the configured address: it checks every packet, renames clients, limits what is
//! stored, and replaces a dead rumqttd a few times at most. Clients then reconnect, and leptond sends its states again.
//!
//! MQTT 3.1.1 only, without passwords, TLS or persistence: for a trusted local network. Use mosquitto otherwise.

mod complaints;
mod daemon_user;
mod gate;
mod ids;
mod inner;
mod ledger;
pub(in crate::publish) mod packet;
mod rumqttd;

use std::net::{SocketAddr, TcpListener};

pub use daemon_user::daemon_user;

use super::{BrokerConfig, PublishError};

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
        let inner = rumqttd::start()?;
        gate::spawn(listener, inner)?;
        Ok(Broker { address })
    }

    /// Address it listens on, with the chosen port in place of port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
