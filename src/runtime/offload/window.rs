//! Frames that may be awaited at once: few at first, more while they come back in time, half as many when one does not. So many givers share
//! the nodes that there are without knowing of each other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use leptond_governor::Group;

/// Frames at first, and at most.
const FIRST: f32 = 2.0;
const MOST: f32 = 16.0;
/// Latest frames that the share is taken of, and the fewest that say something.
const JUDGED: usize = 16;
const LEAST: usize = 3;

/// Time for which a group that is too small for all that is given is borne at most.
const PATIENCE: Duration = Duration::from_secs(4);

/// The window, with what became of the latest frames.
#[derive(Clone, Debug)]
pub(super) struct Window {
    size: f32,
    /// Frames that must end before the window may shrink again: they were given before it did.
    given_before: usize,
    in_time: VecDeque<bool>,
    /// Time until which a share that is too small is not told.
    borne_until: Option<Instant>,
}

impl Default for Window {
    fn default() -> Self {
        Window { size: FIRST, given_before: 0, in_time: VecDeque::new(), borne_until: None }
    }
}

impl Window {
    /// True where another frame may be given beside `away` that are awaited.
    pub(super) fn has_room(&self, away: usize) -> bool {
        away < self.size as usize
    }

    /// A frame came back in time.
    pub(super) fn back(&mut self) {
        self.given_before = self.given_before.saturating_sub(1);
        self.size = (self.size + 1.0 / self.size.max(1.0)).min(MOST);
        self.note(true);
    }

    /// A frame did not come back in time, and `away` others are awaited.
    pub(super) fn missed(&mut self, away: usize) {
        if self.given_before == 0 {
            self.size = (self.size / 2.0).max(1.0);
            self.given_before = away;
        } else {
            self.given_before -= 1;
        }
        self.note(false);
    }

    /// A frame was not given for want of room.
    pub(super) fn kept(&mut self) {
        self.note(false);
    }

    fn note(&mut self, in_time: bool) {
        if self.in_time.len() >= JUDGED {
            self.in_time.pop_front();
        }
        self.in_time.push_back(in_time);
    }

    /// [`Window::share`], as it is told at `now`. A share that is too small, where some frames come back, is borne for a part of 4 s, which
    /// `roll`, from 0 to 1, decides: were all that give too much to stop at once, nobody would give anything.
    pub(super) fn told(&mut self, waits: bool, now: Instant, roll: impl FnOnce() -> f32) -> Option<f32> {
        let share = self.share(waits);
        if !share.is_some_and(|share| share > 0.0 && share < Group::LEAST_IN_TIME) {
            self.borne_until = None;
            return share;
        }
        let until = *self.borne_until.get_or_insert_with(|| now + PATIENCE.mul_f32(roll()));
        share.filter(|_| now >= until)
    }

    /// Share of the latest frames that came back in time; 0 where none of the last three did, or the last one did not and no node waits
    /// for work (`waits`); `None` while there are too few.
    pub(super) fn share(&self, waits: bool) -> Option<f32> {
        let telling = if waits { LEAST } else { 1 };
        let mut latest = self.in_time.iter().rev().take(telling);
        if latest.len() == telling && latest.all(|in_time| !in_time) {
            return Some(0.0);
        }
        if self.in_time.len() < LEAST {
            return None;
        }
        let back = self.in_time.iter().filter(|in_time| **in_time).count();
        Some(back as f32 / self.in_time.len() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_with_answers_and_halves_once_for_frames_given_together() {
        let mut window = Window::default();
        assert!(window.has_room(1) && !window.has_room(2));
        (0..400).for_each(|_| window.back());
        assert!(window.has_room(15) && !window.has_room(16));
        window.missed(5);
        (0..5).for_each(|_| window.missed(0));
        assert!(window.has_room(7) && !window.has_room(8), "one halving for all that were given before it");
        window.missed(0);
        assert!(!window.has_room(4));
        (0..50).for_each(|_| window.missed(0));
        assert!(window.has_room(0), "one is always tried");
    }

    #[test]
    fn a_share_that_is_too_small_is_borne_for_a_while() {
        let (mut window, start) = (Window::default(), Instant::now());
        (0..16).for_each(|number| if number % 2 == 0 { window.missed(0) } else { window.back() });
        let s = Duration::from_secs;
        assert_eq!(window.told(true, start, || 0.5), None);
        assert_eq!(window.told(true, start + s(1), || 0.0), None, "decided once");
        assert_eq!(window.told(true, start + s(2), || 0.0), Some(0.5));
        (0..16).for_each(|_| window.back());
        assert_eq!(window.told(true, start + s(2), || 0.0), Some(1.0), "well again");
        (0..3).for_each(|_| window.missed(0));
        assert_eq!(window.told(true, start + s(3), || 1.0), Some(0.0), "nothing comes: told at once");
    }

    #[test]
    fn the_share_is_of_the_latest_frames_and_falls_at_once_when_none_comes() {
        let mut window = Window::default();
        window.back();
        assert_eq!(window.share(true), None);
        (0..20).for_each(|_| window.back());
        assert_eq!(window.share(true), Some(1.0));
        window.missed(0);
        window.kept();
        assert_eq!((window.share(true), window.share(false)), (Some(14.0 / 16.0), Some(0.0)));
        window.missed(0);
        assert_eq!(window.share(true), Some(0.0));
        window.back();
        assert_eq!((window.share(true), window.share(false)), (Some(13.0 / 16.0), Some(13.0 / 16.0)));
    }
}
