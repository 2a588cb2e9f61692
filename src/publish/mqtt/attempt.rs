//! One try of the configured broker, as the daemon would connect, told in full: for people who set a board up.

use std::time::{Duration, Instant};

use rumqttc::{Packet, QoS, SubscribeReasonCode};
use tokio::time::timeout_at;

use super::link::{Failure, FailureKind, TlsFailure};
use super::wire::{Client, Event, Wire};
use super::{peer, setup};
use crate::frame::NodeName;
use crate::publish::topics::{Topics, guest_id, short_client_id};
use crate::publish::{Config, PublishError};

/// Requests that wait for the connection at most: two subscriptions, a message and the farewell.
const CHANNEL: usize = 8;
/// How long a published message may take to come back, at most.
const ECHO: Duration = Duration::from_secs(3);

/// What came of it; each variant is something else for the caller to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// The broker let us in and takes what the daemon does.
    Works {
        /// From the first step to the broker's ConnAck, in ms.
        connect_ms: f64,
        /// Whether a message published below the node's topics came back. `false`: this client may not read there, so
        /// that nobody can tell from here whether the broker drops what is published.
        published: bool,
    },
    /// No connection: mend what the kind says.
    Failed(Failure),
    /// The broker refuses the subscription to requests (SubAck 0x80): mend its access list.
    RequestsDenied {
        /// The filter that it refuses.
        filter: String,
    },
    /// A message was published and did not come back: this client may not publish below the node's topics, or may not
    /// read there; which of the two cannot be told. MQTT 3.1.1 has no word for a refused message, so brokers
    /// acknowledge it and drop it, and mosquitto also grants subscriptions whose messages it then holds back.
    NotReturned {
        /// Its topic.
        topic: String,
    },
}

/// Tries the broker of `config` once for `node`, within `limit`. It has a client id of its own, no will, and retains
/// nothing, so that a running daemon is not disturbed.
///
/// # Errors
/// [`PublishError`] naming the file or setting that cannot be used; nothing was tried then.
pub fn attempt(config: &Config, node: &str, limit: Duration) -> Result<Attempt, PublishError> {
    let topics = Topics::new(&config.prefix, &NodeName::new(node)?)?;
    let own = std::process::id();
    let id = guest_id(&config.client_id(node), own);
    let mut options = setup::options(config, &id, None)?;
    options.timeout = limit;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let deadline = Instant::now() + limit;
    let mut ids = vec![id];
    // As the daemon does, which takes a short one where its own was not given to it.
    if config.client_id.is_empty() {
        ids.push(short_client_id(&ids[0]));
    }
    let mut result = Ok(Attempt::NotReturned { topic: String::new() });
    for id in ids {
        options.client_id.clone_from(&id);
        let (client, mut wire) = Wire::new(options.clone(), CHANNEL);
        let echo = format!("{}/{node}/try/{own}", config.prefix);
        let tried = Probe { client, client_id: id, requests: topics.requests(), echo, deadline };
        result = runtime.block_on(tried.run(&mut wire));
        if !matches!(&result, Err(trouble) if trouble.kind == FailureKind::ClientId) {
            break;
        }
    }
    // A name look-up may still be blocking a helper thread: it is left behind.
    runtime.shutdown_background();
    Ok(result.unwrap_or_else(|trouble| Attempt::Failed(told_apart(config, trouble))))
}

/// Failure that a port of the other kind makes looks like many another: what really speaks there is asked for.
fn told_apart(config: &Config, trouble: Failure) -> Failure {
    let (host, port) = (config.host.as_str(), config.port);
    match (trouble.kind, &config.tls) {
        (
            FailureKind::Closed
            | FailureKind::Reset
            | FailureKind::Protocol
            | FailureKind::Silent
            | FailureKind::Unreachable,
            None,
        ) if peer::speaks_tls(host, port) => Failure::new(
            FailureKind::Tls(TlsFailure::TlsPort),
            "the broker speaks TLS on this port, but the connection is not configured for it",
        ),
        (
            FailureKind::Tls(_)
            | FailureKind::Closed
            | FailureKind::Reset
            | FailureKind::Protocol
            | FailureKind::Silent
            | FailureKind::Unreachable,
            Some(_),
        ) if peer::speaks_plain(host, port) => Failure::new(
            FailureKind::Tls(TlsFailure::PlainPort),
            "no TLS there: the broker speaks plain MQTT on this port",
        ),
        (FailureKind::Unreachable | FailureKind::Silent, _) if peer::listens(host, port) => {
            Failure::new(FailureKind::Silent, "something listens there, but does not answer as a broker does")
        }
        _ => trouble,
    }
}

struct Probe {
    client: Client,
    client_id: String,
    /// The filter of the node's requests.
    requests: String,
    /// A topic below the node's that nobody else uses.
    echo: String,
    deadline: Instant,
}

impl Probe {
    async fn run(self, wire: &mut Wire) -> Result<Attempt, Failure> {
        let start = Instant::now();
        self.connect(wire).await?;
        let connect_ms = start.elapsed().as_secs_f64() * 1e3;
        let outcome = if !self.subscribe(wire, &self.requests).await? {
            Attempt::RequestsDenied { filter: self.requests.clone() }
        } else if !self.subscribe(wire, &self.echo).await? {
            Attempt::Works { connect_ms, published: false }
        } else if self.publish(wire).await? {
            Attempt::Works { connect_ms, published: true }
        } else {
            Attempt::NotReturned { topic: self.echo.clone() }
        };
        // What counts is known; the broker also copes with a connection that only ends.
        let _ = self.client.disconnect();
        let farewell = Instant::now() + Duration::from_millis(500);
        while self.next(wire, farewell).await.is_ok() {}
        Ok(outcome)
    }

    async fn connect(&self, wire: &mut Wire) -> Result<(), Failure> {
        match timeout_at(self.deadline.into(), wire.poll()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => Err(Failure::of(&failure, &self.client_id)),
            Err(_) => Err(Failure::new(FailureKind::Unreachable, "no answer in time")),
        }
    }

    /// The next packet from the broker.
    async fn next(&self, wire: &mut Wire, deadline: Instant) -> Result<Packet, Failure> {
        loop {
            match timeout_at(deadline.into(), wire.poll()).await {
                Ok(Ok(Event::Incoming(packet))) => return Ok(packet),
                Ok(Ok(_)) => {}
                Ok(Err(failure)) => return Err(Failure::of(&failure, &self.client_id)),
                Err(_) => return Err(Failure::new(FailureKind::Silent, "no answer in time")),
            }
        }
    }

    /// Whether the broker grants it.
    async fn subscribe(&self, wire: &mut Wire, filter: &str) -> Result<bool, Failure> {
        self.client.subscribe(filter).map_err(|_| queue_full())?;
        loop {
            if let Packet::SubAck(ack) = self.next(wire, self.deadline).await? {
                return Ok(!ack.return_codes.contains(&SubscribeReasonCode::Failure));
            }
        }
    }

    /// Whether a message comes back.
    async fn publish(&self, wire: &mut Wire) -> Result<bool, Failure> {
        self.client.publish(self.echo.clone(), QoS::AtLeastOnce, false, b"try".to_vec()).map_err(|_| queue_full())?;
        let until = self.deadline.min(Instant::now() + ECHO);
        loop {
            match self.next(wire, until).await {
                Ok(Packet::Publish(message)) if message.topic == self.echo => return Ok(true),
                Ok(_) => {}
                Err(trouble) if trouble.kind == FailureKind::Silent => return Ok(false),
                Err(trouble) => return Err(trouble),
            }
        }
    }
}

fn queue_full() -> Failure {
    Failure::new(FailureKind::Silent, "the connection takes no more requests")
}
