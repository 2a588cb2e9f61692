//! Objects that have not moved for long.

use std::time::Duration;

use crate::frame::overlap;

/// Overlap with where it was above which an object has not moved.
const SAME_PLACE: f32 = 0.6;
/// Frames elsewhere in a row that it takes to have moved: one may be a bad box.
const MOVED: u32 = 2;

/// One object's rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rest {
    /// Its place when it last moved.
    place: [f32; 4],
    since: Duration,
    /// Frames elsewhere in a row.
    elsewhere: u32,
    stationary: bool,
}

impl Rest {
    /// An object seen at `place` for the first time.
    pub(super) fn new(place: [f32; 4], now: Duration) -> Rest {
        Rest { place, since: now, elsewhere: 0, stationary: false }
    }

    /// The object was seen at `place`; after `long` (0 = never) without a movement it is stationary.
    pub(super) fn look(&mut self, place: [f32; 4], long: Duration, now: Duration) {
        if overlap(self.place, place) >= SAME_PLACE {
            self.elsewhere = 0;
        } else {
            self.elsewhere += 1;
        }
        if self.elsewhere >= MOVED {
            *self = Rest::new(place, now);
        }
        self.stationary = !long.is_zero() && now.saturating_sub(self.since) >= long;
    }

    /// It has not moved for long.
    pub(super) fn is_stationary(&self) -> bool {
        self.stationary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten times a second at a box whose left edge is at these places; gives the indices at which it is stationary.
    fn still(places: impl IntoIterator<Item = f32>, long_s: u64) -> Vec<usize> {
        let place = |x: f32| [x, 0.0, x + 1.0, 1.0];
        let mut rest: Option<Rest> = None;
        let mut found = Vec::new();
        for (i, x) in places.into_iter().enumerate() {
            let now = Duration::from_millis(i as u64 * 100);
            let rest = rest.get_or_insert_with(|| Rest::new(place(x), now));
            rest.look(place(x), Duration::from_secs(long_s), now);
            if rest.is_stationary() {
                found.push(i);
            }
        }
        found
    }

    #[test]
    fn a_parked_car_is_stationary_until_it_drives_off() {
        let parked = (0..60).map(|i| if i == 30 { 5.0 } else { 0.1 * f32::from(i % 2_u8) });
        let drives = (0..20).map(|i| 0.1 * f32::from(i as u8));
        let found = still(parked.chain(drives), 2);
        assert_eq!((found[0], found[found.len() - 1]), (20, 63), "a bad box in between does not matter");
        assert_eq!(found.len(), 44);
    }

    #[test]
    fn what_moves_or_is_never_to_be_stationary_is_not() {
        assert!(still((0..100).map(|i| f32::from(i as u8) * 0.05), 2).is_empty());
        assert!(still(vec![0.0; 100], 0).is_empty());
    }
}
