//! The thread that captures one source: calls it, gives each frame to the readers that are due.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::hub::{Hub, Reader};
use super::state::PipelineStatus;
use crate::source::{Next, Source, SourceError};
use crate::sys::landlock;
use crate::telemetry::{Heart, RateLimited, mark_of};

/// A source answers within 500 ms; one that is silent for this long hangs.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Complaints of one kind are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A source that fails at once, again and again, is asked again after this, doubled each time up to 64-fold.
const BAD_PAUSE: Duration = Duration::from_millis(5);

/// Runs until told to stop or until the source has no more; then its readers are ended.
pub(super) fn run(mut source: Box<dyn Source>, hub: &Hub, heart: &Heart) {
    // A source of a pipeline's own goes by the pipeline's name.
    let (pipeline, shared) = if hub.named { (None, Some(hub.name.as_str())) } else { (Some(hub.name.as_str()), None) };
    tracing::info!(pipeline, name = shared, source = source.describe(), "capturing");
    let mut log = RateLimited::new(LOG_EVERY);
    let mut frame = hub.pool.take();
    let mut admitted: Vec<Arc<Reader>> = Vec::new();
    let mut seq = 0_u64;
    let mut bad_in_a_row = 0_u32;
    let mut captured_at: Option<u32> = None;
    let mut idle = false;
    let end = loop {
        if hub.stopping() {
            break PipelineStatus::Stopped;
        }
        heart.beat(ANSWER_WITHIN, Instant::now());
        let readers = hub.readers();
        if let Some(wanted) = Hub::wanted_capture(&readers).filter(|wanted| *wanted != captured_at) {
            tracing::debug!(pipeline, name = shared, side_pixels = wanted, "another capture size");
            source.set_capture(wanted);
            captured_at = wanted;
        }
        let gated = Hub::is_idle(&readers);
        if gated != std::mem::replace(&mut idle, gated) {
            source.set_idle(gated);
        }
        match source.next(&mut frame) {
            Ok(Next::Frame) => {
                seq += 1;
                frame.seq = seq;
                bad_in_a_row = 0;
                hub.count();
                let readers = if source.live() {
                    hub.readers()
                } else {
                    match patience(hub, heart) {
                        Some(readers) => {
                            readers.iter().for_each(|reader| reader.shared.set_lossless());
                            readers
                        }
                        None => break PipelineStatus::Stopped,
                    }
                };
                let at = if source.live() { frame.captured } else { Instant::now() };
                for reader in readers.iter() {
                    let counters = &reader.shared.counters;
                    if counters.frames.fetch_add(1, Relaxed) == 0 {
                        mark_of("first frame", &reader.shared.name);
                    }
                    reader.shared.set_status(PipelineStatus::Running);
                    if !reader.shared.paused() && reader.admits(at) {
                        admitted.push(reader.clone());
                    } else {
                        counters.skipped.fetch_add(1, Relaxed);
                    }
                }
                frame = hub.hand(frame, &admitted);
                admitted.clear();
            }
            Ok(Next::Idle(reason)) => {
                let reason = landlock::told(reason);
                heart.idle(&reason);
                hub.set_status(&PipelineStatus::Idle(reason));
            }
            Ok(Next::End) => {
                tracing::info!(pipeline, name = shared, frames = seq, "the source has ended");
                break PipelineStatus::Ended;
            }
            Err(SourceError::Bad { origin, reason }) => {
                let reason = landlock::told(reason);
                hub.count();
                for reader in readers.iter() {
                    reader.shared.counters.frames.fetch_add(1, Relaxed);
                    reader.shared.counters.errors.fetch_add(1, Relaxed);
                }
                if let Some(suppressed) = log.admit("bad", Instant::now()) {
                    tracing::warn!(pipeline, name = shared, origin, reason, suppressed, "unreadable frame, left out");
                }
                std::thread::sleep(BAD_PAUSE * (1 << bad_in_a_row.min(6)));
                bad_in_a_row += 1;
            }
            Err(SourceError::Lost { origin, reason }) => {
                let reason = landlock::told(reason);
                if let Some(suppressed) = log.admit("lost", Instant::now()) {
                    tracing::warn!(
                        pipeline,
                        name = shared,
                        origin,
                        reason,
                        suppressed,
                        "the source went away, reopening"
                    );
                }
                hub.set_status(&PipelineStatus::Idle(format!("{origin}: {reason}")));
            }
            Err(SourceError::Fatal { origin, reason }) => {
                let reason = landlock::told(reason);
                tracing::error!(pipeline, name = shared, origin, reason, "the source cannot work");
                break PipelineStatus::Failed(format!("{origin}: {reason}"));
            }
        }
        let replaced = source.take_replaced();
        for reader in readers.iter().filter(|_| replaced > 0) {
            reader.shared.counters.frames.fetch_add(replaced, Relaxed);
            reader.shared.counters.dropped.fetch_add(replaced, Relaxed);
        }
        for (kind, suppressed) in log.settle(Instant::now()) {
            tracing::warn!(pipeline, name = shared, kind, suppressed, "more of the same");
        }
    };
    hub.end(end);
}

/// Waits with a frame of a source that can wait: until every reader that is not paused is due and has an empty slot, and there is at
/// least one. Gives the readers; `None` when told to stop meanwhile.
fn patience(hub: &Hub, heart: &Heart) -> Option<Arc<[Arc<Reader>]>> {
    const LOOK_EVERY: Duration = Duration::from_millis(400);
    loop {
        if hub.stopping() {
            return None;
        }
        let readers = hub.readers();
        let awake = || readers.iter().filter(|reader| !reader.shared.paused());
        let now = Instant::now();
        match awake().map(|reader| reader.due_in(now)).max() {
            Some(due) if due.is_zero() => {
                if awake().all(|reader| reader.shared.slot.wait_empty(LOOK_EVERY)) {
                    return Some(readers);
                }
            }
            due => std::thread::sleep(due.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)),
        }
        heart.beat(ANSWER_WITHIN, Instant::now());
    }
}
