//! Rules of the protocol on one connection: packet ids, acknowledgements, subscriptions, pings. Pure.
//!
//! An acknowledgement that nothing waits for is passed over: it can do no harm, and brokers send such after a fault of their own.

use std::collections::{HashMap, HashSet};

use super::error::WireError;
use super::packets::{Granted, Incoming, Outgoing, Publication, Received};

/// QoS 1 messages in flight at most; more than a [`Queue`](crate::publish::queue::Queue) has.
const INFLIGHT: usize = 256;

/// Origin of a message to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The queue.
    Queue,
    /// The connection's own house-keeping.
    Housekeeping,
}

/// Request of a user of the connection.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publication, Origin),
    Subscribe(String),
    Unsubscribe(String),
    Disconnect,
}

/// A message that the broker acknowledged and did not take (MQTT 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its topic.
    pub(crate) topic: String,
    /// The broker's reason.
    pub(crate) reason: String,
}

/// Consequence of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Message(Received),
    Acknowledged { id: u16, refused: Option<Refused> },
    Subscribed { filter: String, refused: Option<String> },
    Nothing,
}

/// State of the protocol.
#[derive(Debug, Default)]
pub(super) struct Session {
    granted: Granted,
    last_id: u16,
    /// Topics of messages without acknowledgement, by packet id.
    in_flight: HashMap<u16, String>,
    /// Filters with a SUBSCRIBE and without its answer.
    asked: HashMap<u16, String>,
    /// Packet ids of UNSUBSCRIBE without answer.
    leaving: HashSet<u16>,
    /// Packet ids of QoS 2 messages that were delivered and not released.
    delivered: HashSet<u16>,
    awaiting_ping: bool,
}

impl Session {
    pub(super) fn new(granted: Granted) -> Self {
        Session { granted, ..Session::default() }
    }

    /// The broker takes another message.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < INFLIGHT.min(usize::from(self.granted.receive_maximum))
    }

    /// The packet of a request.
    pub(super) fn request(&mut self, request: Request) -> Outgoing {
        match request {
            Request::Publish(mut publication, _) => {
                publication.retain &= self.granted.retains;
                let id = if publication.acknowledged { self.next_id() } else { 0 };
                if id > 0 {
                    self.in_flight.insert(id, publication.topic.clone());
                }
                Outgoing::Publish(publication, id)
            }
            Request::Subscribe(filter) => {
                let id = self.next_id();
                self.asked.insert(id, filter.clone());
                Outgoing::Subscribe(filter, id)
            }
            Request::Unsubscribe(filter) => {
                let id = self.next_id();
                self.leaving.insert(id);
                Outgoing::Unsubscribe(filter, id)
            }
            Request::Disconnect => Outgoing::Disconnect,
        }
    }

    /// Takes a packet from the broker, and gives what it means and the answer to it.
    ///
    /// # Errors
    /// [`WireError`] where the connection is at its end.
    pub(super) fn take(&mut self, packet: Incoming) -> Result<(Happened, Option<Outgoing>), WireError> {
        let mut answer = None;
        let happened = match packet {
            Incoming::Publish { message, qos, id } => match qos {
                0 => Happened::Message(message),
                1 => {
                    answer = Some(Outgoing::PubAck(id));
                    Happened::Message(message)
                }
                _ => {
                    answer = Some(Outgoing::PubRec(id));
                    if self.delivered.insert(id) { Happened::Message(message) } else { Happened::Nothing }
                }
            },
            Incoming::PubRel { id } => {
                self.delivered.remove(&id);
                answer = Some(Outgoing::PubComp(id));
                Happened::Nothing
            }
            Incoming::PubAck { id, refused } => {
                if let Some(topic) = self.in_flight.remove(&id) {
                    Happened::Acknowledged { id, refused: refused.map(|reason| Refused { topic, reason }) }
                } else {
                    tracing::debug!("the broker acknowledges message {id}, which does not wait for it");
                    Happened::Nothing
                }
            }
            Incoming::SubAck { id, refused } => match self.asked.remove(&id) {
                None => {
                    tracing::debug!("the broker acknowledges subscription {id}, which does not wait for it");
                    Happened::Nothing
                }
                // One filter was asked for.
                Some(filter) => {
                    let [refused] = <[_; 1]>::try_from(refused).map_err(|answers| {
                        WireError::Protocol(format!("a SUBACK of {} answers to one filter", answers.len()))
                    })?;
                    Happened::Subscribed { filter, refused }
                }
            },
            Incoming::UnsubAck { id } => {
                self.leaving.remove(&id);
                Happened::Nothing
            }
            Incoming::Ping => {
                self.awaiting_ping = false;
                Happened::Nothing
            }
            Incoming::Disconnect { code, reason } => return Err(WireError::Disconnected { code, reason }),
        };
        Ok((happened, answer))
    }

    /// A ping; `heard` = something came since the last one, which proves as much as its answer: a large message may delay that.
    ///
    /// # Errors
    /// [`WireError::Silent`] where the last one has no answer.
    pub(super) fn ping(&mut self, heard: bool) -> Result<Outgoing, WireError> {
        if self.awaiting_ping && !heard {
            return Err(WireError::Silent);
        }
        self.awaiting_ping = true;
        Ok(Outgoing::Ping)
    }

    /// The next packet id that nothing uses. A broker that answers no subscription at all can only use up those.
    fn next_id(&mut self) -> u16 {
        for _ in 0..u16::MAX {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = self.last_id;
            if !self.in_flight.contains_key(&id) && !self.asked.contains_key(&id) && !self.leaving.contains(&id) {
                break;
            }
        }
        self.last_id
    }
}

#[cfg(test)]
mod tests;
