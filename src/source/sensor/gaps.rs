//! Readings without a value for a channel: left out, filled with the last value for a while, or passed on as they are.

use std::time::{Duration, Instant};

use super::config::MissingPolicy;

/// Applies a [`MissingPolicy`] to rows.
#[derive(Debug)]
pub struct Gaps {
    policy: MissingPolicy,
    /// Longest time for which a value stands in for missing ones.
    hold: Duration,
    /// Last value of each channel, and its time.
    held: Vec<Option<(f32, Instant)>>,
}

impl Gaps {
    /// Under `policy`, holding a value for `hold_s` seconds.
    pub fn new(policy: MissingPolicy, hold_s: u32) -> Self {
        Gaps { policy, hold: Duration::from_secs(hold_s.into()), held: Vec::new() }
    }

    /// True if a reading that cannot be used leaves a gap that no window may span.
    pub fn breaks_windows(&self) -> bool {
        self.policy == MissingPolicy::Skip
    }

    /// Fills the missing values of `row`, which was read at `now`.
    ///
    /// # Errors
    /// A message naming the channels without a value, when the reading is to be left out.
    pub fn fill(&mut self, row: &mut [f32], channels: &[String], now: Instant) -> Result<(), String> {
        let missing = |row: &[f32]| {
            let names = channels.iter().zip(row).filter(|(_, value)| !value.is_finite()).take(10);
            names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        if row.iter().all(|value| value.is_finite()) && self.policy != MissingPolicy::Hold {
            return Ok(());
        }
        match self.policy {
            MissingPolicy::Nan => Ok(()),
            MissingPolicy::Skip => Err(format!("no value of {}: the reading is left out", missing(row))),
            MissingPolicy::Hold => {
                self.held.resize(row.len(), None);
                for (value, held) in row.iter_mut().zip(&mut self.held) {
                    if value.is_finite() {
                        *held = Some((*value, now));
                    } else if let Some((last, at)) = held
                        && now.saturating_duration_since(*at) <= self.hold
                    {
                        *value = *last;
                    }
                }
                if row.iter().all(|value| value.is_finite()) {
                    return Ok(());
                }
                let hold = self.hold.as_secs();
                Err(format!("no value of {} for more than {hold} s: the reading is left out", missing(row)))
            }
        }
    }

    /// Forgets what is held: the source has begun anew.
    pub fn forget(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_says_or_does_what_it_promises() {
        let start = Instant::now();
        let names = ["a".to_owned(), "b".to_owned()];
        let rows = [(0, [1.0, 2.0]), (1, [f32::NAN, 3.0]), (3, [f32::NAN, f32::INFINITY]), (9, [f32::NAN, 4.0])];
        let check = |policy, expected: [&str; 4]| {
            let mut gaps = Gaps::new(policy, 5);
            for ((s, row), expected) in rows.iter().zip(expected) {
                let mut row = *row;
                let filled = gaps.fill(&mut row, &names, start + Duration::from_secs(*s));
                let found = filled.map_or_else(|reason| reason, |()| format!("{row:?}"));
                assert_eq!(found, expected, "{policy:?} at {s} s");
            }
        };
        let left_out = |names: &str| format!("no value of {names}: the reading is left out");
        check(MissingPolicy::Skip, ["[1.0, 2.0]", &left_out("a"), &left_out("a, b"), &left_out("a")]);
        check(MissingPolicy::Nan, ["[1.0, 2.0]", "[NaN, 3.0]", "[NaN, inf]", "[NaN, 4.0]"]);
        let over = "no value of a for more than 5 s: the reading is left out";
        check(MissingPolicy::Hold, ["[1.0, 2.0]", "[1.0, 3.0]", "[1.0, 3.0]", over]);
    }

    #[test]
    fn nothing_is_held_from_before_a_new_beginning() {
        let now = Instant::now();
        let mut gaps = Gaps::new(MissingPolicy::Hold, 3600);
        gaps.fill(&mut [1.0], &["a".to_owned()], now).unwrap();
        gaps.forget();
        assert!(gaps.fill(&mut [f32::NAN], &["a".to_owned()], now).is_err());
    }
}
