//! Objects that pass in front of the camera, and what a detector with a tracker makes of them.

use super::scenario::EventsSpec;

/// Sightings that make an event: one is taken for a mistake of the model.
const CONFIRMED_BY: u32 = 2;
/// An object that was not seen for this long, in two looks at least, has gone: its event ends, and another begins when it is seen
/// again.
const GONE_AFTER_S: f64 = 2.0;
/// Objects stay between these shares of the mean time.
const STAYS: [f64; 2] = [0.5, 1.5];

/// Outcome of the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventTally {
    /// Objects that came and went.
    pub objects: u64,
    /// Of which an event told.
    pub found: u64,
    /// Events that began for an object that had one already.
    pub again: u64,
    /// Sum of the times from the coming of an object to its event, in s.
    pub delay_s: f64,
}

impl EventTally {
    /// Share of the objects that an event told of; 1 without any.
    pub fn recall(&self) -> f64 {
        if self.objects == 0 { 1.0 } else { self.found as f64 / self.objects as f64 }
    }

    /// Further events for each object that was found: identities that were lost.
    pub fn churn(&self) -> f64 {
        if self.found == 0 { 0.0 } else { self.again as f64 / self.found as f64 }
    }

    /// Mean time from the coming of an object to its event, in s; 0 without any.
    pub fn mean_delay_s(&self) -> f64 {
        if self.found == 0 { 0.0 } else { self.delay_s / self.found as f64 }
    }
}

/// Every object of a run, in order of their coming.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: Vec<Object>,
    /// Those before have gone.
    gone: usize,
    chance: Chance,
    tally: EventTally,
}

#[derive(Clone, Debug)]
struct Object {
    from_s: f64,
    to_s: f64,
    /// Sightings since it was last lost.
    seen: u32,
    /// Looks since it was seen last.
    missed: u32,
    last_s: f64,
    /// An event of it is going on; one has told of it.
    told: bool,
    found: bool,
}

impl Objects {
    /// Objects that come at random (Poisson) for `duration_s`; the same for the same `spec`.
    pub fn new(spec: Option<&EventsSpec>, duration_s: f64) -> Objects {
        let Some(spec) = spec else { return Objects::default() };
        let mut chance = Chance(spec.seed);
        let (mut all, mut at_s) = (Vec::new(), 0.0);
        loop {
            at_s += -(1.0 - chance.next()).max(1e-12).ln() * 3600.0 / spec.per_hour;
            let to_s = at_s + spec.dwell_s * (STAYS[0] + (STAYS[1] - STAYS[0]) * chance.next());
            if to_s >= duration_s {
                break;
            }
            let (seen, missed, last_s) = (0, 0, at_s);
            all.push(Object { from_s: at_s, to_s, seen, missed, last_s, told: false, found: false });
        }
        Objects { tally: EventTally { objects: all.len() as u64, ..EventTally::default() }, all, gone: 0, chance }
    }

    /// Their outcome so far.
    pub fn tally(&self) -> EventTally {
        self.tally
    }

    /// Number of objects that are there at `at_s`.
    pub fn count(&self, at_s: f64) -> usize {
        self.there(at_s).count()
    }

    /// Takes the answer for a frame of `frame_s` by a model that finds each object with this probability; it comes at `now_s`.
    pub fn look(&mut self, frame_s: f64, now_s: f64, accuracy: f64) {
        // Objects that went before the frame are in no later one either: frames are worked on in order.
        while self.all.get(self.gone).is_some_and(|object| object.to_s < frame_s) {
            self.gone += 1;
        }
        let there = self.all.iter_mut().skip(self.gone).take_while(|object| object.from_s <= frame_s);
        for object in there.filter(|object| frame_s <= object.to_s) {
            if self.chance.next() >= accuracy {
                object.missed += 1;
                let is_gone = object.missed >= CONFIRMED_BY && frame_s - object.last_s >= GONE_AFTER_S;
                if is_gone {
                    (object.told, object.seen) = (false, 0);
                }
                continue;
            }
            (object.seen, object.missed, object.last_s) = (object.seen + 1, 0, frame_s);
            if object.seen >= CONFIRMED_BY && !object.told {
                object.told = true;
                if object.found {
                    self.tally.again += 1;
                } else {
                    object.found = true;
                    self.tally.found += 1;
                    self.tally.delay_s += now_s - object.from_s;
                }
            }
        }
    }

    fn there(&self, at_s: f64) -> impl Iterator<Item = &Object> {
        let came = self.all.partition_point(|object| object.from_s <= at_s);
        self.all[self.gone.min(came)..came].iter().filter(move |object| at_s <= object.to_s)
    }
}

/// Numbers from 0 to 1 (SplitMix64).
#[derive(Clone, Debug, Default)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(per_s: f64, accuracy: f64) -> EventTally {
        let spec = EventsSpec { per_hour: 120.0, dwell_s: 6.0, seed: 3 };
        let mut objects = Objects::new(Some(&spec), 36_000.0);
        for frame in 0..(36_000.0 * per_s) as u64 {
            let at_s = frame as f64 / per_s;
            objects.look(at_s, at_s + 0.1, accuracy);
        }
        objects.tally()
    }

    #[test]
    fn whoever_is_looked_at_often_is_found_once() {
        let often = watched(5.0, 1.0);
        assert!((1100..1300).contains(&often.objects), "{often:?}");
        assert_eq!((often.recall(), often.churn()), (1.0, 0.0));
        assert!((0.2..0.6).contains(&often.mean_delay_s()), "{often:?}");
    }

    #[test]
    fn rare_looks_lose_objects_and_weak_models_lose_them_on_the_way() {
        let [often, rarely, hardly] = [5.0, 0.5, 0.1].map(|per_s| watched(per_s, 0.8).recall());
        assert!(often > 0.99 && (0.5..0.95).contains(&rarely) && hardly < 0.1, "{often} {rarely} {hardly}");
        assert!(watched(2.0, 0.4).churn() > 5.0 * watched(2.0, 0.9).churn().max(0.01), "{:?}", watched(2.0, 0.4));
        assert!(watched(5.0, 0.8).churn() < 0.02);
    }

    #[test]
    fn nothing_passes_where_nothing_is_said() {
        assert_eq!((Objects::new(None, 60.0).tally().recall(), Objects::default().count(1.0)), (1.0, 0));
    }
}
