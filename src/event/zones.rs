//! Zones: which objects are inside, with inertia at the border, and which have been for long.

use std::time::Duration;

use super::config::{ZoneConfig, time};
use super::geometry::{Point, contains};
use crate::frame::{Label, ZoneName};

/// A zone, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) name: ZoneName,
    corners: Vec<Point>,
    labels: Vec<String>,
    inertia: Duration,
    /// Zero = nothing loiters.
    loiter: Duration,
}

/// One object and one zone.
///
/// ```text
///   ┌─────────┐ inside for `inertia`, in 2 frames  ┌────────┐ for `loiter` ┌───────────┐
///   │ outside │ ─────────────────────────────────▶ │ inside │ ───────────▶ │ loitering │
///   └─────────┘ ◀───────────────────────────────── └────────┘              └───────────┘
///                 the same outside; from there, too
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Visit {
    inside: bool,
    /// Time of the entry.
    entered: Duration,
    loiters: bool,
    /// Start of the frames in a row on the other side, and their number.
    other: Option<(Duration, u32)>,
}

impl Zone {
    /// The zone of a configuration that was checked.
    pub(super) fn new(config: &ZoneConfig) -> Zone {
        Zone {
            name: config.name.clone(),
            corners: config.polygon.clone(),
            labels: config.labels.clone(),
            inertia: time(config.inertia_s),
            loiter: time(config.loiter_s),
        }
    }

    fn wants(&self, label: &Label) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|wanted| **wanted == **label)
    }
}

impl Visit {
    /// An object with `label` was seen at `anchor`, in shares of the picture's sides.
    pub(super) fn look(&mut self, zone: &Zone, label: &Label, anchor: Point, now: Duration) {
        let here = zone.wants(label) && contains(&zone.corners, anchor);
        if here == self.inside {
            self.other = None;
        } else {
            let (since, frames) = self.other.map_or((now, 1), |(since, frames)| (since, frames + 1));
            self.other = Some((since, frames));
            let least = if zone.inertia.is_zero() { 1 } else { 2 };
            if frames >= least && now.saturating_sub(since) >= zone.inertia {
                *self = Visit { inside: here, entered: since, loiters: false, other: None };
            }
        }
        if self.inside && !zone.loiter.is_zero() && now.saturating_sub(self.entered) >= zone.loiter {
            self.loiters = true;
        }
    }

    /// The object is inside.
    pub(super) fn is_inside(&self) -> bool {
        self.inside
    }

    /// The object has been inside for long.
    pub(super) fn loiters(&self) -> bool {
        self.loiters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(inertia_s: f32, loiter_s: f32, labels: &[&str]) -> Zone {
        Zone::new(&ZoneConfig {
            name: ZoneName::new("left").unwrap(),
            polygon: vec![[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]],
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            loiter_s,
            inertia_s,
        })
    }

    /// Ten looks a second, by letters: `i` inside, `o` outside. Gives `I` inside, `L` loitering, `.` outside.
    fn looks(zone: &Zone, letters: &str) -> String {
        let mut visit = Visit::default();
        let look = |(i, letter): (usize, char)| {
            let anchor = if letter == 'i' { [0.49, 0.5] } else { [0.51, 0.5] };
            visit.look(zone, &"person".into(), anchor, Duration::from_millis(i as u64 * 100));
            match (visit.is_inside(), visit.loiters()) {
                (true, true) => 'L',
                (true, false) => 'I',
                (false, _) => '.',
            }
        };
        letters.chars().enumerate().map(look).collect()
    }

    #[test]
    fn inertia_holds_in_and_out() {
        let zone = zone(0.3, 0.0, &[]);
        assert_eq!(looks(&zone, "oiioiiiiiioiioooooo"), ".......IIIIIIIII...");
        assert_eq!(looks(&zone, &"io".repeat(20)), ".".repeat(40), "on the border it never comes in");
    }

    #[test]
    fn without_inertia_each_frame_counts() {
        assert_eq!(looks(&zone(0.0, 0.0, &[]), "oioi"), ".I.I");
    }

    #[test]
    fn loitering_counts_from_the_entry_and_starts_anew() {
        let zone = zone(0.1, 0.5, &[]);
        assert_eq!(looks(&zone, "oiiiiiiiiooiiioo"), "..IIIILLLL..III.");
    }

    #[test]
    fn other_labels_are_never_inside() {
        assert_eq!(looks(&zone(0.0, 0.0, &["car"]), "iiii"), "....");
        assert_eq!(looks(&zone(0.0, 0.0, &["car", "person"]), "iiii"), "IIII");
    }
}
