//! The thread that touches the disk for the outbox, so that a slow card delays neither workers nor the connection.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::shared::Shared;
use crate::frame::status::OutboxFault;
use crate::publish::PublishError;
use crate::publish::outbox::{Clock, Notice, Outcome, Storage};
use crate::sys::proc::thread_written_bytes;

/// Earliest time that a clock can tell which was set, in s since 1970: boards without one start in 1970 or at the age of their file system.
const SET_AFTER_S: u64 = 1_735_689_600;

/// The time now.
pub(super) fn clock() -> Clock {
    let unix_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Clock { now: Instant::now(), unix_s: if unix_s < SET_AFTER_S { 0 } else { unix_s } }
}

/// Starts the thread, which ends when the queue's outbox has finished.
pub(super) fn spawn(shared: Arc<Shared>, mut storage: Box<dyn Storage>) -> Result<(), PublishError> {
    let run = move || {
        while work(&shared, storage.as_mut()) {}
        drop(storage);
        shared.lock().disk_ended = true;
        shared.changed.notify_all();
    };
    std::thread::Builder::new().name("leptond-outbox".into()).spawn(run)?;
    Ok(())
}

/// Waits for a job and does it. Returns `false` at the end.
fn work(shared: &Shared, storage: &mut dyn Storage) -> bool {
    let mut state = shared.lock();
    let job = loop {
        if let Some(job) = state.queue.next_job(clock()) {
            break job;
        }
        if state.queue.is_kept() {
            return false;
        }
        let pause = state.queue.job_pause(Instant::now());
        state = shared.wait_job(state, pause);
    };
    drop(state);
    let before = thread_written_bytes();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.perform(storage)));
    let written = before.and_then(|before| Some(thread_written_bytes()?.saturating_sub(before)));
    let outcome = done.unwrap_or_else(|_| {
        tracing::error!("the outbox panicked at its disk; events go on in memory");
        Outcome::Read(Vec::new())
    });
    let mut state = shared.lock();
    state.queue.job_done(outcome, written.unwrap_or(0), clock());
    let notices = state.queue.notices(Instant::now());
    drop(state);
    shared.wake.notify_one();
    shared.changed.notify_all();
    notices.iter().for_each(log);
    true
}

/// Logs what happened to the events on disk.
pub(super) fn log(notice: &Notice) {
    match notice {
        Notice::Opened { events, damaged_bytes: 0 } => {
            tracing::info!("{events} events of an earlier run are on disk and will be sent first");
        }
        Notice::Opened { events, damaged_bytes } => tracing::warn!(
            "{events} events of an earlier run are on disk and will be sent first; {damaged_bytes} bytes of an unfinished write were left out"
        ),
        Notice::Fault { fault: OutboxFault::BudgetSpent, .. } => tracing::warn!(
            "events stay in memory until midnight UTC: mqtt.outbox.write_bytes_per_day was written to disk today"
        ),
        Notice::Fault { fault: OutboxFault::Slow, .. } => {
            tracing::warn!("events stay in memory: the disk of mqtt.outbox does not answer");
        }
        Notice::Fault { words, .. } => tracing::warn!("events stay in memory: mqtt.outbox: {words}"),
        Notice::Recovered => tracing::info!("events are written to disk again"),
    }
}
