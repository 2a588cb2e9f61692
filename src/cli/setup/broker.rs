//! Looking for a broker, and trying one as the daemon would use it.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, Packet, QoS, SubscribeReasonCode};

use crate::publish::mqtt::link::Trouble;
use crate::publish::mqtt::setup;
use crate::publish::{self, topics};

/// Where a broker is usual.
const USUAL: [(&str, u16); 2] = [("localhost", 1883), ("homeassistant.local", 1883)];
/// How long a name may take to be found and a port to answer.
const LOOK: Duration = Duration::from_secs(2);
/// How long the whole test may take.
const TEST: Duration = Duration::from_secs(8);

/// Of the usual places, the first that answers; asked at the same time, in bounded time.
pub fn suggestion() -> Option<(String, u16)> {
    let (found, answers) = mpsc::channel();
    for (i, (host, port)) in USUAL.into_iter().enumerate() {
        let found = found.clone();
        // A resolver cannot be interrupted: a thread that outlives its answer only finds the channel closed.
        std::thread::spawn(move || {
            let addresses = (host, port).to_socket_addrs().into_iter().flatten();
            let open = addresses.take(4).any(|address| TcpStream::connect_timeout(&address, LOOK).is_ok());
            let _nobody_waits = found.send((i, open));
        });
    }
    drop(found);
    let end = Instant::now() + LOOK;
    let mut best: Option<usize> = None;
    while let Ok((i, open)) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if open {
            best = Some(best.map_or(i, |b| b.min(i)));
        }
        if best == Some(0) {
            break;
        }
    }
    best.and_then(|i| USUAL.get(i)).map(|(host, port)| ((*host).to_owned(), *port))
}

/// Connects with the credentials, subscribes to a topic of the node and publishes on it, not retained, under a client id
/// of its own so that a running daemon is not disturbed.
///
/// # Errors
/// What is wrong, for people.
pub fn test(config: &publish::Config, node: &str) -> Result<(), String> {
    let id = format!("leptond-setup-{}", std::process::id());
    let options = setup::options(config, &id, None).map_err(|error| error.to_string())?;
    let topic = format!("{}/{node}/setup", config.prefix);
    topics::check_node(node).map_err(|error| error.to_string())?;
    let (client, mut connection) = Client::new(options, 16);
    let end = Instant::now() + TEST;
    let mut stage = "no answer";
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let event = match connection.recv_timeout(left) {
            Err(_) => break,
            Ok(Err(error)) => return Err(Trouble::of(&error).words),
            Ok(Ok(event)) => event,
        };
        let sent = match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                stage = "connected, but the subscription was not answered";
                client.try_subscribe(&topic, QoS::AtLeastOnce)
            }
            Event::Incoming(Packet::SubAck(ack)) => {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return Err(format!("connected, but not allowed to subscribe to {topic} (the broker's ACL)"));
                }
                stage = "";
                client.try_publish(&topic, QoS::AtLeastOnce, false, "{\"setup\":\"test\"}")
            }
            Event::Incoming(Packet::Publish(message)) if message.topic == topic => {
                let _already_gone = client.try_disconnect();
                return Ok(());
            }
            _ => Ok(()),
        };
        sent.map_err(|error| error.to_string())?;
    }
    if stage.is_empty() {
        return Err(format!("connected, but a message on {topic} did not come back: the broker's ACL may forbid it"));
    }
    Err(format!("{stage} within {} s", TEST.as_secs()))
}
