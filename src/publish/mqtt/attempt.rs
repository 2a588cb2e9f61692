//! One detailed attempt to use the configured broker, as the daemon would, for setup and diagnosis.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::link::{Failure, FailureKind, TlsFailure};
use super::wire::{Client, Event, Origin, Publication, Version, Wire};
use super::{peer, setup};
use crate::frame::NodeName;
use crate::publish::topics::{Topics, guest_id, short_client_id};
use crate::publish::{Config, PublishError};

/// Most requests waiting for the connection: two subscriptions, a message and the disconnect.
const CHANNEL: usize = 8;
/// Longest time for a published message to come back.
const ECHO: Duration = Duration::from_secs(3);

/// Result of an attempt; each variant has its own remedy.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// The broker accepts the connection and all requests.
    Works {
        /// Time from the first step to the broker's CONNACK, in ms.
        connect_ms: f64,
        /// A message published below the node's topics came back. `false`: this client may not read there, so it is unknown
        /// whether the broker drops messages.
        published: bool,
    },
    /// No connection; the remedy depends on the kind.
    Failed(Failure),
    /// The broker refuses the subscription to requests (SUBACK 0x80): its access list needs a change.
    RequestsDenied {
        /// The refused filter.
        filter: String,
    },
    /// A published message did not come back: this client may not publish below the node's topics, or may not read there; the two
    /// cannot be distinguished. MQTT 3.1.1 has no answer for a refused message, so brokers acknowledge and drop it (MQTT 5 has one,
    /// which not all give), and mosquitto even grants subscriptions whose messages it then withholds.
    NotReturned {
        /// Its topic.
        topic: String,
    },
}

/// Tries the broker of `config` once for `node`, within `limit`. Uses its own client id, no will, and retains nothing, so a
/// running daemon is not disturbed.
///
/// # Errors
/// [`PublishError`] naming the unusable file or setting; nothing was tried then.
pub fn attempt(config: &Config, node: &str, limit: Duration) -> Result<Attempt, PublishError> {
    let topics = Topics::new(&config.prefix, &NodeName::new(node)?)?;
    let own = std::process::id();
    let id = guest_id(&config.client_id(node), own);
    let mut options = setup::options(config, &id, None)?;
    options.timeout = limit;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let deadline = Instant::now() + limit;
    let mut short = config.client_id.is_empty().then(|| short_client_id(&id));
    let result = loop {
        let (client, mut wire) = Wire::new(options.clone(), CHANNEL);
        let echo = format!("{}/{node}/try/{own}", config.prefix);
        let id = options.client_id.clone();
        // The daemon does not subscribe where it takes no requests.
        let requests = (!config.requests.permitted().is_empty()).then(|| topics.requests());
        let tried = Probe { client, client_id: id, requests, echo, deadline, connected: false };
        let (result, connected) = runtime.block_on(tried.run(&mut wire));
        // The daemon also falls back to a short id when its generated one is refused, and to MQTT 3.1.1.
        match result.as_ref().err().map(|failure| failure.kind) {
            Some(FailureKind::ClientId) if short.is_some() => options.client_id = short.take().unwrap_or_default(),
            Some(FailureKind::Version | FailureKind::Closed | FailureKind::Reset | FailureKind::Protocol)
                if options.may_fall_back && options.version == Version::V5 && !connected =>
            {
                options.version = Version::V311
            }
            _ => break result,
        }
    };
    // A name look-up may still be blocking a helper thread, which is abandoned.
    runtime.shutdown_background();
    Ok(result.unwrap_or_else(|failure| Attempt::Failed(refine(config, failure))))
}

/// Refines an ambiguous failure by probing the protocol at the port.
fn refine(config: &Config, failure: Failure) -> Failure {
    let (host, port) = (config.host.as_str(), config.port);
    match (failure.kind, &config.tls) {
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
        _ => failure,
    }
}

struct Probe {
    client: Client,
    client_id: String,
    /// Filter of the node's requests, where it takes some.
    requests: Option<String>,
    /// A private topic below the node's.
    echo: String,
    deadline: Instant,
    connected: bool,
}

impl Probe {
    /// Returns the outcome, and `true` when there was a connection.
    async fn run(mut self, wire: &mut Wire) -> (Result<Attempt, Failure>, bool) {
        let result = self.work(wire).await;
        (result, self.connected)
    }

    async fn work(&mut self, wire: &mut Wire) -> Result<Attempt, Failure> {
        let start = Instant::now();
        self.connect(wire).await?;
        self.connected = true;
        let connect_ms = start.elapsed().as_secs_f64() * 1e3;
        let refused = match &self.requests {
            Some(filter) if !self.subscribe(wire, filter).await? => Some(filter.clone()),
            _ => None,
        };
        let outcome = if let Some(filter) = refused {
            Attempt::RequestsDenied { filter }
        } else if !self.subscribe(wire, &self.echo).await? {
            Attempt::Works { connect_ms, published: false }
        } else if self.publish(wire).await? {
            Attempt::Works { connect_ms, published: true }
        } else {
            Attempt::NotReturned { topic: self.echo.clone() }
        };
        // The result is known, and the broker handles a connection that just ends.
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

    /// The next event of the connection.
    async fn next(&self, wire: &mut Wire, deadline: Instant) -> Result<Event, Failure> {
        match timeout_at(deadline.into(), wire.poll()).await {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(failure)) => Err(Failure::of(&failure, &self.client_id)),
            Err(_) => Err(Failure::new(FailureKind::Silent, "no answer in time")),
        }
    }

    /// Subscribes. Returns `false` when the broker refuses.
    async fn subscribe(&self, wire: &mut Wire, filter: &str) -> Result<bool, Failure> {
        self.client.subscribe(filter).map_err(|_| queue_full())?;
        loop {
            if let Event::Subscribed(_, refused) = self.next(wire, self.deadline).await? {
                return Ok(refused.is_none());
            }
        }
    }

    /// Publishes a message. Returns `true` when it comes back.
    async fn publish(&self, wire: &mut Wire) -> Result<bool, Failure> {
        let message = Publication {
            topic: self.echo.clone(),
            payload: b"try".to_vec(),
            acknowledged: true,
            ..Publication::default()
        };
        self.client.publish(message, Origin::Queue).map_err(|_| queue_full())?;
        let until = self.deadline.min(Instant::now() + ECHO);
        loop {
            match self.next(wire, until).await {
                Ok(Event::Message(message)) if message.topic == self.echo => return Ok(true),
                Ok(Event::Acknowledged(_, Some(_))) => return Ok(false),
                Ok(_) => {}
                Err(failure) if failure.kind == FailureKind::Silent => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
    }
}

fn queue_full() -> Failure {
    Failure::new(FailureKind::Silent, "the connection takes no more requests")
}
