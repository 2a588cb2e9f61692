//! Messages on their way from the connection into what is known of the nodes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::watched::Watched;
use crate::frame::{Incoming, TopicFilter};
use crate::publish::PublishError;
use crate::publish::mqtt::Mqtt;

/// Messages of one filter that wait to be taken in, and as many behind them; when both are full the oldest is dropped and counted.
/// They wait for a processor only: a terminal that stands still holds nobody up.
const WAITING: usize = 64;

/// The watched nodes, kept up to date by a thread of its own.
pub struct Feed {
    watched: Arc<Mutex<Watched>>,
}

impl Feed {
    /// Subscribes to `filters` and takes in what comes.
    ///
    /// # Errors
    /// [`PublishError`] for a filter that is none, or without a thread.
    pub fn start(client: &Mqtt, filters: &[TopicFilter], watched: Watched) -> Result<Feed, PublishError> {
        let watched = Arc::new(Mutex::new(watched));
        let (wake, woken) = sync_channel::<()>(1);
        let mut inboxes = Vec::with_capacity(filters.len());
        for filter in filters {
            let wake = wake.clone();
            // Where one already waits, it is for all.
            let wake = Box::new(move || _ = wake.try_send(()));
            inboxes.push(client.subscribe_with(filter, WAITING, Some(wake))?);
        }
        drop(wake);
        let theirs = watched.clone();
        std::thread::Builder::new().name("feed".into()).spawn(move || run(&theirs, &woken, &inboxes))?;
        Ok(Feed { watched })
    }

    /// The nodes as they are known right now.
    pub fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }
}

/// Takes in what comes until the connection is stopped.
fn run(watched: &Mutex<Watched>, woken: &Receiver<()>, inboxes: &[Receiver<Incoming>]) {
    for () in woken {
        for inbox in inboxes {
            while let Ok(message) = inbox.try_recv() {
                lock(watched).take(&message, Instant::now(), SystemTime::now());
            }
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}
