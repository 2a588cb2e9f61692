//! State of one connection, and the work on it whenever something is due.

use std::time::Instant;

use super::shared::State;
use super::sweep::{Action, Sweep};
use super::wire::{Client, Origin, Publication, RequestQueueFull};
use crate::publish::queue::Packet;

/// One connection, from the attempt to its end.
#[derive(Default)]
pub(super) struct Session {
    pub(super) connected: Option<Instant>,
    /// A message was acknowledged.
    pub(super) acknowledged: bool,
    /// The answers to the first subscriptions are there, or were waited for.
    pub(super) open: bool,
    /// `offline` was queued as the last message.
    pub(super) offline_queued: bool,
    /// DISCONNECT was submitted.
    pub(super) disconnecting: bool,
    /// Filters with a SUBSCRIBE on this connection.
    pub(super) filters: Vec<String>,
    /// Filters without an answer yet, with the time of their SUBSCRIBE.
    pub(super) asked: Vec<(String, Instant)>,
    pub(super) sweep: Option<Sweep>,
}

/// Delivers messages to readers with room, and ends the subscriptions of dropped readers.
pub(super) fn pass_on(state: &mut State, client: &Client, session: &mut Session) {
    let mut gone = Vec::new();
    state.inboxes.retain_mut(|inbox| {
        let read = inbox.pass_on();
        if !read {
            gone.push(inbox.filter().to_string());
        }
        read
    });
    for filter in gone {
        if !state.inboxes.iter().any(|inbox| inbox.filter() == filter) {
            session.filters.retain(|asked| *asked != filter);
            session.asked.retain(|(asked, _)| *asked != filter);
            state.granted.retain(|granted| *granted != filter);
            // Without it, unwanted messages arrive until the next connection, which is harmless.
            let _ = client.unsubscribe(&filter);
        }
    }
}

/// Subscribes to every inbox's filter. A repeated SUBSCRIBE would deliver retained messages again, so a connection sends it only
/// for new filters.
pub(super) fn subscribe(
    state: &mut State,
    client: &Client,
    session: &mut Session,
    now: Instant,
) -> Result<(), RequestQueueFull> {
    for inbox in &state.inboxes {
        if !session.filters.iter().any(|filter| filter == inbox.filter()) {
            client.subscribe(inbox.filter())?;
            session.filters.push(inbox.filter().to_string());
            session.asked.push((inbox.filter().to_string(), now));
        }
    }
    state.subscribed = true;
    Ok(())
}

/// Clears retained messages that are no longer this node's.
pub(super) fn sweep(
    state: &mut State,
    client: &Client,
    session: &mut Session,
    now: Instant,
) -> Result<(), RequestQueueFull> {
    let Some(sweep) = &mut session.sweep else { return Ok(()) };
    for action in sweep.next(&mut state.retained, now) {
        match action {
            Action::Subscribe(filter) => client.subscribe(&filter)?,
            // An inbox may want the same.
            Action::Unsubscribe(filter) if session.filters.contains(&filter) => {}
            Action::Unsubscribe(filter) => client.unsubscribe(&filter)?,
            Action::Clear(topic) => {
                let empty = Publication { topic, acknowledged: true, retain: true, ..Publication::default() };
                client.publish(empty, Origin::Housekeeping)?;
            }
        }
    }
    Ok(())
}

/// A packet of the queue with the type of its content.
pub(super) fn publication(packet: Packet) -> Publication {
    let Packet { topic, payload, acknowledged, retain, mut properties } = packet;
    if properties.content_type.is_none() {
        properties.content_type = match payload.as_slice() {
            [b'{', ..] => Some("application/json"),
            [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
            _ => None,
        };
    }
    Publication { topic, payload, acknowledged, retain, properties }
}
