//! Silence: a time without any frame, after which nothing is known any more.

use std::time::Duration;

/// Without a frame for this long, and for [`GAP_FRAMES`] times the usual, nothing is known any more.
const GAP: Duration = Duration::from_secs(60);
/// See [`GAP`].
const GAP_FRAMES: u32 = 10;

/// Time of the last frame, and the usual time between two.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    last: Option<Duration>,
    interval: Option<Duration>,
}

impl Silence {
    /// A frame came.
    pub(super) fn frame(&mut self, now: Duration) {
        if let Some(last) = self.last.replace(now) {
            self.interval = Some(now.saturating_sub(last));
        }
    }

    /// It is silent for so long that nothing is known; `memory`: a time for which things are remembered in any case.
    pub(super) fn is_long(&self, now: Duration, memory: Duration) -> bool {
        let Some(last) = self.last else { return false };
        let silence = now.saturating_sub(last);
        let usual = self.interval.unwrap_or(silence).saturating_mul(GAP_FRAMES);
        silence > GAP.max(memory) && silence > usual
    }
}
