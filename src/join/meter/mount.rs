//! Displacement of a drum or pointer by its mounting, learnt from what was read.

/// Sightings from which on a place is known.
const ENOUGH: u32 = 20;
/// Positions of an unknown place are off by this, in digits; of a known one by this.
const SPREAD: f32 = 0.2;
const KNOWN_SPREAD: f32 = 0.12;
/// The same where a position is known to the whole digit only.
const WHOLE_SPREAD: f32 = 0.35;
/// Weight of the newest sighting, and the largest displacement that is believed.
const WEIGHT: f32 = 0.05;
const MOST: f32 = 0.35;

/// Displacement of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mount {
    off: f32,
    times: u32,
    /// Its position is known to the whole digit only.
    whole: bool,
}

impl Mount {
    /// A place whose position is known to the whole digit only.
    pub(super) const WHOLE: Mount = Mount { off: 0.0, times: 0, whole: true };

    /// The position without the displacement.
    pub(super) fn corrected(&self, position: f32) -> f32 {
        position - self.off
    }

    /// Squared distance in parts of what is usual.
    pub(super) fn squared(&self, distance: f32) -> f32 {
        let spread = match (self.whole, self.times >= ENOUGH) {
            (true, _) => WHOLE_SPREAD,
            (false, true) => KNOWN_SPREAD,
            (false, false) => SPREAD,
        };
        (distance / spread).powi(2)
    }

    /// Cost of taking the drum for one that moves all the time. Most do not, and a network takes a drum that has moved a little for one at
    /// rest.
    pub(super) fn even_cost(&self) -> f32 {
        if self.whole { 1.0 } else { 1.5 }
    }

    /// Learns from a corrected position that is `distance` further on than it should be.
    pub(super) fn learn(&mut self, distance: f32) {
        if self.whole {
            return;
        }
        let weight = WEIGHT.max(1.0 / (self.times as f32 + 1.0));
        self.off = (self.off + distance * weight).clamp(-MOST, MOST);
        self.times = self.times.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_displacement_is_learnt_and_bounded() {
        let mut mount = Mount::default();
        let far = mount.squared(0.3);
        (0..30).for_each(|_| mount.learn(mount.corrected(4.2) - 4.0));
        assert!((mount.corrected(7.2) - 7.0).abs() < 0.01 && mount.squared(0.3) > 2.0 * far, "{mount:?}");
        (0..100).for_each(|_| mount.learn(0.9));
        assert!(mount.corrected(1.0) >= 1.0 - MOST - 1e-6);
    }
}
