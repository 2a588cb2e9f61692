//! Time that may be taken for others: pure rules over what is seen of this computer.

use std::time::{Duration, Instant};

use super::config::Use;

/// A smaller share of time is not worth a pull.
const LEAST_SHARE: f32 = 0.05;
/// Longest pause between two inferences.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Age of a reading after which it says nothing any more.
const STALE: Duration = Duration::from_secs(300);
/// Time that is averaged over, of what the work of others uses itself.
const MEMORY_S: f32 = 10.0;

/// A look at this computer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Processor use of the whole computer, 0 to 100; `None` = not known.
    pub cpu_percent: Option<f32>,
    /// Reason of the governor for which nothing may be taken: a pipeline below full work, heat, supply.
    pub held: Option<String>,
}

/// Share of time for the work of others, kept by one owner and asked by the worker.
#[derive(Clone, Debug)]
pub struct Spare {
    takes: Use,
    cores: f32,
    threads: f32,
    seen: Seen,
    at: Instant,
    /// Share of time in which the work of others was computed, 0 to 1.
    busy: f32,
    busy_at: Instant,
}

impl Spare {
    /// For work on `threads` of `cores`; nothing is known yet at `now`.
    pub fn new(takes: Use, threads: usize, cores: usize, now: Instant) -> Spare {
        let (cores, threads) = (cores.max(1) as f32, threads.max(1) as f32);
        Spare { takes, cores, threads: threads.min(cores), seen: Seen::default(), at: now, busy: 0.0, busy_at: now }
    }

    /// Takes over a new look.
    pub fn observe(&mut self, seen: Seen, now: Instant) {
        self.seen = seen;
        self.at = now;
    }

    /// Notes that work was computed for `took` until `now`.
    pub(super) fn computed(&mut self, took: Duration, now: Instant) {
        self.busy = self.busy_at(now) + took.as_secs_f32() / MEMORY_S;
        self.busy_at = now;
    }

    /// Share of time in which work is computed, 0 to 1.
    pub(super) fn busy_at(&self, now: Instant) -> f32 {
        let passed = now.saturating_duration_since(self.busy_at).as_secs_f32();
        (self.busy * (-passed / MEMORY_S).exp()).clamp(0.0, 1.0)
    }

    /// Share of time for which work may be computed, 0 to 1.
    ///
    /// # Errors
    /// The reason for which nothing may be taken.
    pub(super) fn share(&self, now: Instant) -> Result<f32, String> {
        if let Some(reason) = &self.seen.held {
            return Err(reason.clone());
        }
        let fresh = now.saturating_duration_since(self.at) < STALE;
        let (Use::Idle, Some(cpu), true) = (self.takes, self.seen.cpu_percent, fresh) else { return Ok(1.0) };
        // What the work of others uses itself is theirs already.
        let theirs = self.busy_at(now) * self.threads / self.cores;
        let others = (cpu / 100.0 - theirs).clamp(0.0, 1.0);
        let share = ((1.0 - others) * self.cores / self.threads).min(1.0);
        if share < LEAST_SHARE { Err(format!("this computer is busy ({cpu:.0} %)")) } else { Ok(share) }
    }

    /// Pause after an inference that took `took`, so that no more than the share is used.
    pub(super) fn pause(&self, took: Duration, now: Instant) -> Duration {
        match self.share(now) {
            Ok(share) if share >= 1.0 => Duration::ZERO,
            Ok(share) => took.mul_f32(1.0 / share - 1.0).min(LONGEST_PAUSE),
            Err(_) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(spare: &mut Spare, cpu: f32, now: Instant) -> Result<f32, String> {
        spare.observe(Seen { cpu_percent: Some(cpu), held: None }, now);
        spare.share(now)
    }

    #[test]
    fn a_share_of_what_is_idle_is_taken() {
        let now = Instant::now();
        let mut spare = Spare::new(Use::Idle, 1, 4, now);
        assert_eq!(spare.share(now), Ok(1.0), "nothing is known yet");
        assert_eq!(at(&mut spare, 50.0, now), Ok(1.0), "two cores are idle");
        assert!((at(&mut spare, 90.0, now).unwrap() - 0.4).abs() < 1e-3);
        assert!(at(&mut spare, 99.5, now).unwrap_err().contains("busy"));
        let pause = |spare: &mut Spare, cpu| {
            let _ = at(spare, cpu, now);
            spare.pause(Duration::from_millis(100), now)
        };
        assert_eq!(pause(&mut spare, 10.0), Duration::ZERO);
        assert!((pause(&mut spare, 90.0).as_secs_f32() - 0.15).abs() < 1e-3);
    }

    #[test]
    fn the_work_of_others_does_not_push_itself_away() {
        let start = Instant::now();
        let mut spare = Spare::new(Use::Idle, 4, 4, start);
        let mut now = start;
        for _ in 0..100 {
            now += Duration::from_millis(500);
            spare.computed(Duration::from_millis(500), now);
        }
        assert!(spare.busy_at(now) > 0.95);
        assert!(at(&mut spare, 100.0, now).unwrap() > 0.9, "all of it is theirs");
        let later = now + Duration::from_secs(60);
        assert!(spare.busy_at(later) < 0.01);
        assert!(at(&mut spare, 100.0, later).is_err(), "somebody else by now");
    }

    #[test]
    fn the_governor_holds_whatever_the_use() {
        let now = Instant::now();
        for takes in [Use::Idle, Use::Any] {
            let mut spare = Spare::new(takes, 1, 1, now);
            spare.observe(Seen { cpu_percent: Some(100.0), held: Some("heat".into()) }, now);
            assert_eq!(spare.share(now), Err("heat".into()));
        }
        let mut any = Spare::new(Use::Any, 1, 1, now);
        assert_eq!(at(&mut any, 100.0, now), Ok(1.0));
    }

    #[test]
    fn an_old_reading_says_nothing() {
        let now = Instant::now();
        let mut spare = Spare::new(Use::Idle, 1, 1, now);
        assert!(at(&mut spare, 100.0, now).is_err());
        assert_eq!(spare.share(now + STALE), Ok(1.0));
    }
}
