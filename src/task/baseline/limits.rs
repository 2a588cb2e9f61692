//! Limits of single channels: a value, the value where it ends, and for how long it must last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::Trouble;
use crate::frame::diagnostic::Diagnostic;

/// A value that a channel must not go above, or below.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Name of the channel.
    #[schemars(length(min = 1))]
    pub channel: String,
    /// Begins above this value, in the channel's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f32>,
    /// Begins below this value, in the channel's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f32>,
    /// Ends at this value: no higher than `above`, no lower than `below`; unset = the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<f32>,
    /// Time for which it must be beyond before it begins, in s.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 604_800.0))]
    pub for_s: f64,
}

impl LimitConfig {
    /// Mistakes of a list of limits.
    pub(super) fn check(limits: &[LimitConfig]) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (i, limit) in limits.iter().enumerate() {
            let key = |name: &str| format!("limit[{i}].{name}");
            let wrong = match (limit.above, limit.below, limit.until) {
                (None, None, _) => Some(("above", "missing: neither above nor below is set")),
                (Some(_), Some(_), _) => Some(("below", "a limit has above or below: write two limits")),
                (Some(above), None, Some(until)) if until > above => {
                    Some(("until", "it never ends: higher than above"))
                }
                (None, Some(below), Some(until)) if until < below => Some(("until", "it never ends: lower than below")),
                _ => None,
            };
            if let Some((name, message)) = wrong {
                found
                    .push(Diagnostic::error(key(name), message).allowed("above or below, and until on its other side"));
            }
        }
        found
    }
}

/// A limit over time.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    config: LimitConfig,
    /// Time at which the value went beyond it, in s.
    beyond_since: Option<f64>,
    broken: bool,
}

impl Limit {
    pub(super) fn new(config: LimitConfig) -> Limit {
        Limit { config, beyond_since: None, broken: false }
    }

    pub(super) fn channel(&self) -> &str {
        &self.config.channel
    }

    /// The value that begins it.
    pub(super) fn value(&self) -> f32 {
        self.config.above.or(self.config.below).unwrap_or_default()
    }

    /// Takes the value at `time`, in s; NaN changes nothing. Gives the way in which it is beyond, while it is.
    pub(super) fn take(&mut self, time: f64, value: f32) -> Option<Trouble> {
        let LimitConfig { above, below, until, for_s, .. } = &self.config;
        let kind = if above.is_some() { Trouble::Above } else { Trouble::Below };
        if !value.is_nan() {
            let is_beyond = |limit: Option<f32>| match kind {
                Trouble::Above => limit.is_some_and(|limit| value > limit),
                _ => limit.is_some_and(|limit| value < limit),
            };
            let begins = is_beyond(above.or(*below));
            if self.broken {
                self.broken = begins || is_beyond(*until);
            } else if begins {
                let since = *self.beyond_since.get_or_insert(time);
                self.broken = time - since >= *for_s;
            }
            if !begins {
                self.beyond_since = None;
            }
        }
        self.broken.then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_after_its_time_and_ends_at_its_own_value() {
        let config = LimitConfig {
            channel: "t".into(),
            above: Some(30.0),
            until: Some(28.0),
            for_s: 60.0,
            ..Default::default()
        };
        let mut limit = Limit::new(config);
        let nan = f32::NAN;
        let rows = [(0.0, 31.0), (30.0, 29.0), (60.0, 31.0), (100.0, nan), (119.0, 32.0), (120.0, 30.5)];
        assert!(rows[..5].iter().all(|(time, value)| limit.take(*time, *value).is_none()));
        assert_eq!(limit.take(120.0, 30.5), Some(Trouble::Above));
        assert_eq!(limit.take(130.0, 28.5), Some(Trouble::Above), "it ends at 28");
        assert_eq!(limit.take(140.0, nan), Some(Trouble::Above));
        assert_eq!(limit.take(150.0, 28.0), None);
        let mut below = Limit::new(LimitConfig { channel: "t".into(), below: Some(0.0), ..Default::default() });
        assert_eq!([1.0, 0.0, -0.5, 0.0].map(|v| below.take(0.0, v)), [None, None, Some(Trouble::Below), None]);
    }
}
