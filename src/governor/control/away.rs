//! Place of one pipeline's work: here, or at other nodes.

use std::time::Duration;

/// Share of its cost that a frame has here while another node computes it: it is packed, and its answer read.
const GIVING: f64 = 0.1;
/// Time to the next attempt after the others failed, first and longest; each failure doubles it.
const AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(300)];
/// Time away after which the others are trusted again.
const PROVEN: Duration = Duration::from_secs(60);

/// Place of a pipeline's work.
#[derive(Clone, Debug)]
pub(super) struct Away {
    /// Since when its frames are given to others; `None` = it works here.
    since: Option<Duration>,
    /// Level to come home to when the others fail.
    home: usize,
    /// Share of its frames that others compute.
    share: f64,
    /// Not before this time, after the others failed.
    not_before: Duration,
    wait: Duration,
    /// Since when the others have had enough for full work.
    enough_since: Option<Duration>,
}

impl Default for Away {
    fn default() -> Self {
        let not_before = Duration::ZERO;
        Away { since: None, home: 0, share: 0.0, not_before, wait: AGAIN[0], enough_since: None }
    }
}

impl Away {
    /// True while frames are given to others.
    pub(super) fn is(&self) -> bool {
        self.since.is_some()
    }

    /// Share of the cost of the work that is left here.
    pub(super) fn cost_left(&self) -> f64 {
        if self.is() { 1.0 - self.share * (1.0 - GIVING) } else { 1.0 }
    }

    /// Gives the work to others from `now` on; `home` is the level to come home to when they fail.
    pub(super) fn leave(&mut self, home: usize, now: Duration) {
        (self.since, self.home, self.share, self.enough_since) = (Some(now), home, 1.0, None);
    }

    /// Takes note, at `now`, that the others failed: the work is home again.
    pub(super) fn fail(&mut self, now: Duration) {
        self.not_before = now + self.wait;
        self.wait = (self.wait * 2).min(AGAIN[1]);
        self.since = None;
    }

    /// Takes note of the share of the latest frames that others computed in time, and whether they have `enough` for full work.
    pub(super) fn look(&mut self, in_time: Option<f32>, enough: bool, now: Duration) {
        self.enough_since = enough.then(|| self.enough_since.unwrap_or(now));
        if let Some(share) = in_time.filter(|share| (0.0..=1.0).contains(share)) {
            self.share = f64::from(share);
        }
        if self.since.is_some_and(|since| now.saturating_sub(since) >= PROVEN) {
            self.wait = AGAIN[0];
        }
    }

    /// True where nothing speaks against leaving: the work is here, and the last failure of the others is long ago.
    pub(super) fn may_go(&self, now: Duration) -> bool {
        !self.is() && now >= self.not_before
    }

    /// Time for which the others have had enough for full work.
    pub(super) fn had_enough(&self, now: Duration) -> Duration {
        self.enough_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Since when frames are given to others.
    pub(super) fn since(&self) -> Option<Duration> {
        self.since
    }

    /// Level to come home to when the others fail.
    pub(super) fn home(&self) -> usize {
        self.home
    }

    /// Takes the work home; `false` where it was.
    pub(super) fn end(&mut self) -> bool {
        self.since.take().is_some()
    }
}
