//! Transition zones: where in the turn of the place below a drum begins to move.

/// A drum begins to move when the place below has come this far, 0 to 1: `low` at the earliest, `high` at the latest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Zone {
    low: f32,
    high: f32,
    /// Drums that move all the time are known too, and a little less likely.
    even: bool,
    learnt: Option<Learnt>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Learnt {
    begin: f32,
    times: u32,
}

/// Sightings from which on a zone is known.
const ENOUGH: u32 = 4;
/// A known zone may be off by this.
const SLACK: f32 = 0.06;
/// Weight of the newest sighting.
const WEIGHT: f32 = 0.2;

impl Zone {
    /// A drum over another drum, which takes it along between 9 and 0.
    pub(super) const OVER_DIGIT: Zone = Zone { low: 0.86, high: 0.96, even: false, learnt: None };
    /// A drum over a dial: gears differ.
    pub(super) const OVER_DIAL: Zone = Zone { low: 0.8, high: 0.97, even: true, learnt: None };

    /// Cost of a drum's being `ahead` of its digit (in digits, may be negative) while the place below has come `below` of its turn;
    /// `even` is the cost of taking it for one that moves all the time, `cost` that of a distance.
    /// True beside it: it was taken for one that moves all the time, of which nothing is known.
    pub(super) fn cost(&self, ahead: f32, below: f32, even: f32, cost: impl Fn(f32) -> f32) -> (f32, bool) {
        let (low, high, may_be_even) = match self.learnt {
            Some(learnt) if learnt.times >= ENOUGH => {
                ((learnt.begin - SLACK).max(0.0), (learnt.begin + SLACK).min(0.98), false)
            }
            _ => (self.low, self.high, self.even),
        };
        let outside = |least: f32, most: f32| (least - ahead).max(ahead - most).max(0.0);
        let usual = cost(outside(moved(below, high), moved(below, low)));
        let even = even + cost((ahead - below).abs());
        if may_be_even && even < usual { (even, true) } else { (usual, false) }
    }

    /// Learns from a drum that is `ahead` of its digit, which is certain, while the place below has come `below` of its turn.
    pub(super) fn learn(&mut self, ahead: f32, below: f32) {
        // Only a drum on its way says where it began.
        if !(0.25..=0.75).contains(&ahead) || below <= ahead {
            return;
        }
        let begin = ((below - ahead) / (1.0 - ahead)).clamp(0.0, 0.98);
        let learnt = self.learnt.get_or_insert(Learnt { begin, times: 0 });
        learnt.begin += (begin - learnt.begin) * WEIGHT;
        learnt.times = learnt.times.saturating_add(1);
    }
}

/// Part of the way to its next digit that a drum has made when the place below has come `below` of its turn and it begins at `begin`.
fn moved(below: f32, begin: f32) -> f32 {
    ((below - begin) / (1.0 - begin)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: f32 = 1.5;

    fn square(distance: f32) -> f32 {
        (distance / 0.2).powi(2)
    }

    #[test]
    fn a_zone_is_learnt_from_drums_on_their_way() {
        let mut zone = Zone::OVER_DIAL;
        // At rest early in the turn, moving only from 0.92 on: told apart once that was seen.
        let early = |zone: &Zone| zone.cost(0.9, 0.92, EVEN, square).0;
        assert!(early(&zone) < 3.0, "{}", early(&zone));
        for below in [0.94, 0.95, 0.96, 0.97, 0.94, 0.95] {
            zone.learn(moved(below, 0.92), below);
        }
        assert!(early(&zone) > 4.0, "{}", early(&zone));
        assert!(zone.cost(moved(0.97, 0.92), 0.97, EVEN, square).0 < 0.1);
        assert!(zone.cost(0.0, 0.5, EVEN, square).0 < 0.1);
    }

    #[test]
    fn a_drum_that_moves_all_the_time_is_learnt_as_well() {
        let mut zone = Zone::OVER_DIAL;
        assert_eq!(zone.cost(0.5, 0.5, EVEN, square), (EVEN, true));
        (3..8).for_each(|tenth| zone.learn(tenth as f32 / 10.0 + 0.01, tenth as f32 / 10.0));
        (3..8).for_each(|tenth| zone.learn(tenth as f32 / 10.0 - 0.01, tenth as f32 / 10.0));
        assert!(zone.cost(0.5, 0.5, EVEN, square).0 < 0.1, "{zone:?}");
        assert!(zone.cost(0.0, 0.5, EVEN, square).0 > 3.0, "{zone:?}");
    }
}
