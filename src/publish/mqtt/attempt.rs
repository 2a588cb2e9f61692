//! One try of the configured broker, as the daemon would connect, told in full: for people who set a board up.

use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, NetworkOptions, Packet, QoS, SubscribeReasonCode};
use tokio::time::timeout_at;

use super::link::{Kind, Trouble};
use super::{peer, setup};
use crate::publish::topics::{Topics, client_id};
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
    Failed(Trouble),
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
    let topics = Topics::new(&config.prefix, node)?;
    let own = std::process::id();
    let id = format!("{}-try-{own}", client_id(node));
    let options = setup::options(config, &id, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (client, mut events) = AsyncClient::new(options, CHANNEL);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(limit.as_secs().max(1));
    events.set_network_options(network);
    let echo = format!("{}/{node}/try/{own}", config.prefix);
    let tried = Tried { client, requests: topics.requests(), echo, deadline: Instant::now() + limit };
    let result = runtime.block_on(tried.run(&mut events));
    // A name look-up may still be blocking a helper thread: it is left behind.
    runtime.shutdown_background();
    Ok(result.unwrap_or_else(|trouble| Attempt::Failed(told_apart(config, trouble))))
}

/// Trouble that a port of the other kind makes looks like many another: what really speaks there is asked for.
fn told_apart(config: &Config, trouble: Trouble) -> Trouble {
    let (host, port) = (config.host.as_str(), config.port);
    match (trouble.kind, &config.tls) {
        (Kind::Closed | Kind::Protocol | Kind::Silent, None) if peer::speaks_tls(host, port) => {
            Trouble::new(Kind::Tls, "the broker speaks TLS on this port, but the connection is not configured for it")
        }
        (Kind::Tls | Kind::Closed | Kind::Protocol | Kind::Silent, Some(_)) if peer::speaks_plain(host, port) => {
            Trouble::new(Kind::Tls, "no TLS there: the broker speaks plain MQTT on this port")
        }
        (Kind::Unreachable | Kind::Silent, _) if peer::listens(host, port) => {
            Trouble::new(Kind::Silent, "something listens there, but does not answer as a broker does")
        }
        _ => trouble,
    }
}

struct Tried {
    client: AsyncClient,
    /// The filter of the node's requests.
    requests: String,
    /// A topic below the node's that nobody else uses.
    echo: String,
    deadline: Instant,
}

impl Tried {
    async fn run(self, events: &mut EventLoop) -> Result<Attempt, Trouble> {
        let start = Instant::now();
        loop {
            if let Packet::ConnAck(_) = next(events, self.deadline).await? {
                break;
            }
        }
        let connect_ms = start.elapsed().as_secs_f64() * 1e3;
        let outcome = if !self.subscribe(events, &self.requests).await? {
            Attempt::RequestsDenied { filter: self.requests.clone() }
        } else if !self.subscribe(events, &self.echo).await? {
            Attempt::Works { connect_ms, published: false }
        } else if self.publish(events).await? {
            Attempt::Works { connect_ms, published: true }
        } else {
            Attempt::NotReturned { topic: self.echo.clone() }
        };
        // What counts is known; the broker also copes with a connection that only ends.
        let _ = self.client.try_disconnect();
        let farewell = Instant::now() + Duration::from_millis(500);
        while next(events, farewell).await.is_ok() {}
        Ok(outcome)
    }

    /// Whether the broker grants it.
    async fn subscribe(&self, events: &mut EventLoop, filter: &str) -> Result<bool, Trouble> {
        self.client.try_subscribe(filter, QoS::AtMostOnce).map_err(|_| stuck())?;
        loop {
            if let Packet::SubAck(ack) = next(events, self.deadline).await? {
                return Ok(!ack.return_codes.contains(&SubscribeReasonCode::Failure));
            }
        }
    }

    /// Whether a message comes back.
    async fn publish(&self, events: &mut EventLoop) -> Result<bool, Trouble> {
        self.client.try_publish(&self.echo, QoS::AtLeastOnce, false, "try").map_err(|_| stuck())?;
        let until = self.deadline.min(Instant::now() + ECHO);
        loop {
            match next(events, until).await {
                Ok(Packet::Publish(message)) if message.topic == self.echo => return Ok(true),
                Ok(_) => {}
                Err(trouble) if trouble.kind == Kind::Silent => return Ok(false),
                Err(trouble) => return Err(trouble),
            }
        }
    }
}

/// The next packet from the broker.
async fn next(events: &mut EventLoop, deadline: Instant) -> Result<Packet, Trouble> {
    loop {
        match timeout_at(deadline.into(), events.poll()).await {
            Ok(Ok(Event::Incoming(packet))) => return Ok(packet),
            Ok(Ok(Event::Outgoing(_))) => {}
            Ok(Err(error)) => return Err(Trouble::of(&error)),
            Err(_) => return Err(Trouble::new(Kind::Silent, "no answer in time")),
        }
    }
}

fn stuck() -> Trouble {
    Trouble::new(Kind::Silent, "the client library takes no more requests")
}
