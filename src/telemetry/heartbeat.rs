//! Progress promised by each thread, and the threads that are overdue.
//!
//! ```text
//!            beat(within)                     now > due
//! register ─────────────▶ working ───────────────────────▶ overdue ──▶ the watchdog is not fed any more
//!                          │  ▲                              │
//!             idle(reason) ▼  │ beat(within)                 │ beat(within)
//!                         idle ◀──────────── idle(reason) ───┘
//!                          │
//!        the thread ends   ▼   normally: forgotten; by a panic: overdue until another thread registers the name
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const IDLE: u64 = u64::MAX;

/// The register of all threads that must make progress. Cloning gives another handle on the same register.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    epoch: Instant,
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
}

/// One thread's handle: promises the next beat. Dropping it withdraws the promise, unless the thread is panicking.
#[derive(Debug)]
pub struct Heart {
    epoch: Instant,
    slot: Arc<Slot>,
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
}

/// A thread that broke its promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("thread {thread} {}", if *.panicked { "panicked".to_owned() } else { format!("is {} ms late", .late_by.as_millis()) })]
pub struct Overdue {
    /// Its name.
    pub thread: String,
    /// Time since the promised beat.
    pub late_by: Duration,
    /// It ended by a panic and was not replaced.
    pub panicked: bool,
}

/// One registered thread, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// Its name.
    pub thread: String,
    /// Reason for idling; `None` = working.
    pub idle: Option<String>,
}

#[derive(Debug)]
struct Slot {
    name: String,
    /// Deadline of the next beat in milliseconds after the epoch; [`IDLE`] = no promise.
    due_ms: AtomicU64,
    detail: Mutex<Detail>,
}

#[derive(Debug, Default)]
struct Detail {
    idle: String,
    panicked: bool,
}

impl Heartbeats {
    /// An empty register with `now` as its epoch.
    pub fn new(now: Instant) -> Self {
        Heartbeats { epoch: now, slots: Arc::default() }
    }

    /// Adds a thread whose first beat is due `within` from `now`. A panicked thread of the same name is replaced.
    pub fn register(&self, name: &str, within: Duration, now: Instant) -> Heart {
        let slot = Arc::new(Slot { name: name.to_owned(), due_ms: AtomicU64::new(IDLE), detail: Mutex::default() });
        let heart = Heart { epoch: self.epoch, slot: Arc::clone(&slot), slots: Arc::clone(&self.slots) };
        heart.beat(within, now);
        let mut slots = lock(&self.slots);
        slots.retain(|s| s.name != name || !lock(&s.detail).panicked);
        slots.push(slot);
        heart
    }

    /// The thread that has been overdue the longest.
    pub fn overdue(&self, now: Instant) -> Option<Overdue> {
        let now_ms = millis(self.epoch, now);
        let slots = lock(&self.slots);
        let late = |s: &&Arc<Slot>| now_ms.checked_sub(s.due_ms.load(Relaxed)).filter(|&ms| ms > 0);
        let (slot, late_ms) = slots.iter().filter_map(|s| Some((s, late(&s)?))).max_by_key(|(_, ms)| *ms)?;
        let panicked = lock(&slot.detail).panicked;
        Some(Overdue { thread: slot.name.clone(), late_by: Duration::from_millis(late_ms), panicked })
    }

    /// All threads in the order of registration.
    pub fn threads(&self) -> Vec<ThreadState> {
        let state = |s: &Arc<Slot>| ThreadState {
            thread: s.name.clone(),
            idle: (s.due_ms.load(Relaxed) == IDLE).then(|| lock(&s.detail).idle.clone()),
        };
        lock(&self.slots).iter().map(state).collect()
    }
}

impl Heart {
    /// Reports progress, and promises the next report `within` from `now`.
    pub fn beat(&self, within: Duration, now: Instant) {
        self.slot.due_ms.store(millis(self.epoch, now + within).min(IDLE - 1), Relaxed);
    }

    /// Reports an indefinite pause with its reason: a paused pipeline, an unplugged camera.
    pub fn idle(&self, reason: &str) {
        let mut detail = lock(&self.slot.detail);
        if detail.idle != reason {
            detail.idle.clear();
            detail.idle.push_str(reason);
        }
        self.slot.due_ms.store(IDLE, Relaxed);
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.slot.detail).panicked = true;
            self.slot.due_ms.store(0, Relaxed);
        } else {
            lock(&self.slots).retain(|s| !Arc::ptr_eq(s, &self.slot));
        }
    }
}

fn millis(epoch: Instant, at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(epoch).as_millis()).unwrap_or(IDLE - 1)
}

/// Ignores poisoning, so that a panic elsewhere does not stop the watchdog: the values behind these locks are valid at every
/// step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_longest_overdue_thread_is_named() {
        let start = Instant::now();
        let hearts = Heartbeats::new(start);
        let source = hearts.register("source door", s(5), start);
        let model = hearts.register("model door", s(2), start);
        assert_eq!(hearts.overdue(start + s(2)), None, "due is not yet overdue");
        let late = hearts.overdue(start + s(3)).unwrap();
        assert_eq!((late.thread.as_str(), late.late_by), ("model door", s(1)));
        assert_eq!(late.to_string(), "thread model door is 1000 ms late");
        model.beat(s(3), start + s(3));
        assert_eq!(hearts.overdue(start + s(5)), None);
        assert_eq!(hearts.overdue(start + s(9)).unwrap().thread, "source door", "4 s late against 3 s: {source:?}");
    }

    #[test]
    fn idle_is_not_a_hang_and_says_why() {
        let start = Instant::now();
        let hearts = Heartbeats::new(start);
        let heart = hearts.register("source yard", s(1), start);
        heart.idle("/dev/video0 is not there");
        assert_eq!(hearts.overdue(start + s(86_400)), None);
        let idle = Some("/dev/video0 is not there".to_owned());
        assert_eq!(hearts.threads(), [ThreadState { thread: "source yard".into(), idle }]);
        heart.beat(s(1), start + s(86_400));
        assert_eq!(hearts.threads(), [ThreadState { thread: "source yard".into(), idle: None }]);
        assert!(hearts.overdue(start + s(86_402)).is_some());
    }

    #[test]
    fn a_finished_thread_is_forgotten_and_a_panicked_one_is_not() {
        let start = Instant::now();
        let hearts = Heartbeats::new(start);
        drop(hearts.register("demo", s(1), start));
        assert_eq!(hearts.overdue(start + s(10)), None);

        let heart = hearts.register("model door", s(60), start);
        let thread = std::thread::Builder::new().name("dies".into());
        let died = thread.spawn(move || {
            let _heart = heart;
            std::panic::resume_unwind(Box::new("as asked"));
        });
        assert!(died.unwrap().join().is_err());
        let late = hearts.overdue(start + s(1)).unwrap();
        assert_eq!(late.to_string(), "thread model door panicked");

        let heart = hearts.register("model door", s(60), start + s(1));
        assert_eq!(hearts.overdue(start + s(2)), None, "a restarted thread takes its place");
        drop(heart);
        assert_eq!(hearts.threads(), []);
    }
}
