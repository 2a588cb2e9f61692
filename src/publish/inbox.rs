//! Messages that come in: from the connection to whoever subscribed, bounded, without ever waiting for the reader.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::frame::Incoming;

/// Tells a reader that waits for other things too that something came; must not block.
pub type Wake = Box<dyn Fn() + Send>;

/// The connection's end of one subscription. The reader's channel and the backlog behind it hold `capacity` messages
/// each; when both are full the oldest of the backlog is dropped and counted, so the newest are always kept.
pub struct Inbox {
    filter: String,
    reader: SyncSender<Incoming>,
    /// Called when the reader was given something.
    wake: Option<Wake>,
    backlog: VecDeque<Incoming>,
    capacity: usize,
}

impl Inbox {
    /// An inbox for what matches `filter`, and the channel to read it from.
    pub fn new(filter: &str, capacity: usize, wake: Option<Wake>) -> (Self, Receiver<Incoming>) {
        let capacity = capacity.max(1);
        let (reader, receiver) = sync_channel(capacity);
        (Inbox { filter: filter.into(), reader, wake, backlog: VecDeque::new(), capacity }, receiver)
    }

    /// The topic filter.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Something waits for the reader to make room.
    pub fn waiting(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Takes a message that matched; how many older ones were dropped for it.
    pub fn put(&mut self, message: Incoming) -> u64 {
        let full = self.backlog.len() >= self.capacity;
        if full {
            self.backlog.pop_front();
        }
        self.backlog.push_back(message);
        u64::from(full)
    }

    /// Passes on what the reader has room for; `false` when there is no reader any more.
    pub fn pass_on(&mut self) -> bool {
        while let Some(message) = self.backlog.pop_front() {
            match self.reader.try_send(message) {
                Ok(()) => {
                    if let Some(wake) = &self.wake {
                        wake();
                    }
                }
                Err(TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8) -> Incoming {
        Incoming { topic: "t".into(), payload: vec![n], retain: false }
    }

    #[test]
    fn a_slow_reader_gets_the_newest_in_order() {
        let (mut inbox, reader) = Inbox::new("t", 2, None);
        let mut dropped = 0;
        for n in 0..9 {
            dropped += inbox.put(message(n));
            assert!(inbox.pass_on());
        }
        assert_eq!(dropped, 5);
        let mut read = Vec::new();
        while let Ok(m) = reader.try_recv() {
            read.push(m.payload[0]);
            assert!(inbox.pass_on());
        }
        assert_eq!(read, [0, 1, 7, 8], "what was in the reader's hands already, then the newest");
        assert!(!inbox.waiting());
    }

    #[test]
    fn a_reader_is_woken_for_what_it_was_given() {
        let woken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = woken.clone();
        let wake = move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let (mut inbox, _reader) = Inbox::new("t", 2, Some(Box::new(wake)));
        for n in 0..5 {
            inbox.put(message(n));
            inbox.pass_on();
        }
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 2, "not for what waits behind a full channel");
    }

    #[test]
    fn a_reader_that_went_away_is_noticed() {
        let (mut inbox, reader) = Inbox::new("t", 1, None);
        drop(reader);
        inbox.put(message(0));
        assert!(!inbox.pass_on());
    }
}
