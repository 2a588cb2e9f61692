//! The capture thread of one pipeline: calls the source, keeps to the governor's interval, fills the slot.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::running::{PipelineStatus, Shared};
use crate::frame::Frame;
use crate::source::{Next, Source, SourceError};
use crate::sys::landlock;
use crate::telemetry::{Heart, RateLimited, mark_of};

/// A source answers within 500 ms; one that is silent for this long hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Complaints of one kind are logged at most this often.
pub(super) const LOG_EVERY: Duration = Duration::from_secs(10);

/// A source that fails at once, again and again, is asked again after this, doubled each time up to 64-fold.
const BAD_PAUSE: Duration = Duration::from_millis(5);

/// Runs until told to stop or until the source has no more; then closes the slot.
pub(super) fn run(mut source: Box<dyn Source>, shared: &Shared, heart: &Heart) {
    let name = shared.name.as_str();
    tracing::info!(pipeline = name, source = source.describe(), "capturing");
    let mut log = RateLimited::new(LOG_EVERY);
    let mut frame = Frame::empty();
    let mut seq = 0_u64;
    let mut pace = Pace::default();
    let mut bad_in_a_row = 0_u32;
    let mut captured_at: Option<u32> = None;
    let life = loop {
        if shared.stopping() {
            break PipelineStatus::Stopped;
        }
        heart.beat(ANSWER_WITHIN, Instant::now());
        let wanted = shared.assignment().setpoint.capture;
        if wanted != captured_at {
            tracing::debug!(pipeline = name, side_pixels = wanted, "another capture size");
            source.set_capture(wanted);
            captured_at = wanted;
        }
        match source.next(&mut frame) {
            Ok(Next::Frame) => {
                if seq == 0 {
                    mark_of("first frame", name);
                }
                seq += 1;
                frame.seq = seq;
                bad_in_a_row = 0;
                shared.counters.frames.fetch_add(1, Relaxed);
                shared.set_status(PipelineStatus::Running);
                let interval = shared.assignment().setpoint.interval;
                let admitted = if source.live() {
                    !shared.paused() && pace.admits(frame.captured, interval)
                } else if patience(shared, heart, &pace) {
                    pace.admits(Instant::now(), interval)
                } else {
                    break PipelineStatus::Stopped;
                };
                if admitted {
                    let (next, overwritten) = shared.slot.put(frame);
                    frame = next;
                    shared.counters.overwritten.record(overwritten);
                    if overwritten {
                        shared.counters.dropped.fetch_add(1, Relaxed);
                    }
                } else {
                    shared.counters.skipped.fetch_add(1, Relaxed);
                }
            }
            Ok(Next::Idle(reason)) => {
                let reason = landlock::told(reason);
                heart.idle(&reason);
                shared.set_status(PipelineStatus::Idle(reason));
            }
            Ok(Next::End) => {
                tracing::info!(pipeline = name, frames = seq, "the source has ended");
                break PipelineStatus::Ended;
            }
            Err(SourceError::Bad { origin, reason }) => {
                let reason = landlock::told(reason);
                shared.counters.frames.fetch_add(1, Relaxed);
                shared.counters.errors.fetch_add(1, Relaxed);
                if let Some(suppressed) = log.admit("bad", Instant::now()) {
                    tracing::warn!(pipeline = name, origin, reason, suppressed, "unreadable frame, left out");
                }
                std::thread::sleep(BAD_PAUSE * (1 << bad_in_a_row.min(6)));
                bad_in_a_row += 1;
            }
            Err(SourceError::Lost { origin, reason }) => {
                let reason = landlock::told(reason);
                if let Some(suppressed) = log.admit("lost", Instant::now()) {
                    tracing::warn!(pipeline = name, origin, reason, suppressed, "the source went away, reopening");
                }
                shared.set_status(PipelineStatus::Idle(format!("{origin}: {reason}")));
            }
            Err(SourceError::Fatal { origin, reason }) => {
                let reason = landlock::told(reason);
                tracing::error!(pipeline = name, origin, reason, "the source cannot work");
                break PipelineStatus::Failed(format!("{origin}: {reason}"));
            }
        }
        for (kind, suppressed) in log.settle(Instant::now()) {
            tracing::warn!(pipeline = name, kind, suppressed, "more of the same");
        }
    };
    shared.set_status(life);
    shared.slot.close();
}

/// Waits for a frame of a source that can wait: until the governor's interval is over, the slot is empty and no pause is on.
/// False when told to stop meanwhile.
fn patience(shared: &Shared, heart: &Heart, pace: &Pace) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(400);
    loop {
        if shared.stopping() {
            return false;
        }
        let due = pace.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
        let left = if shared.paused() { LOOK_EVERY } else { due };
        if left.is_zero() && shared.slot.wait_empty(LOOK_EVERY) {
            return true;
        }
        heart.beat(ANSWER_WITHIN, Instant::now());
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

/// Lets frames through no faster than an interval, without drifting: a frame up to a tenth of the interval early counts as
/// due, so that a camera at exactly the interval loses nothing to jitter.
#[derive(Default)]
struct Pace {
    due: Option<Instant>,
}

impl Pace {
    fn admits(&mut self, captured: Instant, interval: Duration) -> bool {
        if interval.is_zero() {
            return true;
        }
        match self.due {
            Some(due) if captured + interval / 10 < due => return false,
            // On time: the next is due one interval after this one *was*. Late by more than that: start afresh.
            Some(due) if captured < due + interval => self.due = Some(due + interval),
            _ => self.due = Some(captured + interval),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::PipelineConfig;
    use crate::frame::{Bus, PixelFormat};
    use crate::model::Engine;
    use crate::pipeline::{Planner, Resolved, open_bundle};
    use crate::runtime::prepare::Prepared;
    use crate::runtime::running::Running;
    use crate::runtime::set::PipelineContext;
    use crate::telemetry::Heartbeats;
    use leptond_governor::{Candidate, Cost, PipelineLadder, Setpoint};

    /// Frames admitted out of `count` that come every `every_ms`, at `interval_ms`.
    fn admitted(count: u64, every_ms: f64, interval_ms: u64) -> usize {
        let start = Instant::now();
        let mut pace = Pace::default();
        (0..count)
            .filter(|i| {
                let at = start + Duration::from_secs_f64(*i as f64 * every_ms / 1e3);
                pace.admits(at, Duration::from_millis(interval_ms))
            })
            .count()
    }

    #[test]
    fn keeps_to_the_interval_on_average() {
        assert_eq!(admitted(150, 66.67, 0), 150, "no interval: everything");
        assert_eq!(admitted(150, 66.67, 66), 150, "an interval of the camera's own period loses nothing");
        let tenth = admitted(1500, 66.67, 1000);
        assert!((98..=102).contains(&tenth), "100 s at one a second gave {tenth}");
        let third = admitted(1500, 66.67, 200);
        assert!((495..=505).contains(&third), "100 s at five a second gave {third}");
    }

    /// A camera that notes the sizes it is asked for.
    struct Camera(Arc<Mutex<Vec<Option<u32>>>>);

    impl Source for Camera {
        fn describe(&self) -> String {
            "test".into()
        }

        fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
            std::thread::sleep(Duration::from_millis(1));
            let image = frame.image_mut();
            (image.format, image.width, image.height) = (PixelFormat::Gray8, 8, 8);
            image.data.resize(64, 0);
            frame.captured = Instant::now();
            Ok(Next::Frame)
        }

        fn set_capture(&mut self, side: Option<u32>) {
            self.0.lock().unwrap().push(side);
        }
    }

    #[test]
    fn the_setpoints_size_reaches_the_source_between_two_frames() {
        let asked: Arc<Mutex<Vec<Option<u32>>>> = Arc::default();
        let bundle = open_bundle("leptonnet-digits", &[]).unwrap();
        let (fit, task) = (crate::preprocess::Config::default(), crate::task::Config::default());
        let planner = Planner::new(bundle, Engine::Int8, 1, fit, &task).unwrap();
        let cost = Cost { infer_ms: 1.0, cpu_ms: 1.0, accuracy: None };
        let only = Candidate { capture: None, resolution: None, batch: 1, variant: 0, threads: 1, cost };
        let config: PipelineConfig =
            toml_edit::de::from_str("name = 'a'\nmodel = 'leptonnet-digits'\nsource = { type = 'synthetic' }").unwrap();
        let ladder = PipelineLadder::new("a", &config.governor, Duration::ZERO, &[only]);
        let first = ladder.clone();
        let prepared = Prepared {
            ladder,
            pipeline: Resolved::inline(config).unwrap(),
            stages: planner.stages(&Setpoint::full()).unwrap(),
            planner: Arc::new(planner),
            source: Box::new(Camera(asked.clone())),
            uncalibrated: None,
        };
        let context = PipelineContext {
            bus: Bus::default(),
            heartbeats: Heartbeats::new(Instant::now()),
            turn: Arc::default(),
            readings: Arc::default(),
            wake: Arc::new(|| ()),
        };
        let running = Running::start(prepared, false, &context).unwrap();
        let mut expected = Vec::new();
        for side in [Some(320), Some(160), None] {
            let setpoint = Setpoint { capture: side, ..Setpoint::full() };
            running.apply(first.assignment(setpoint.clone()));
            running.apply(first.assignment(Setpoint { interval: Duration::from_millis(1), ..setpoint }));
            expected.push(side);
            let deadline = Instant::now() + Duration::from_secs(20);
            while *asked.lock().unwrap() != expected {
                assert!(Instant::now() < deadline, "{:?} instead of {expected:?}", asked.lock().unwrap());
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        running.stop();
    }

    #[test]
    fn a_pause_of_the_source_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let interval = Duration::from_millis(100);
        assert!(pace.admits(start, interval));
        let later = start + Duration::from_secs(60);
        assert!(pace.admits(later, interval));
        assert!(!pace.admits(later + Duration::from_millis(10), interval), "no burst after a pause");
    }
}
