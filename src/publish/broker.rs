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

    /// Where it listens, with the port that was chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
