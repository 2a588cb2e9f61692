//! The gears of a meter with drums and dials, and the flow that turns them: pure functions of time.

use super::chance::Chance;
use super::counter::DIGITS;

/// Dials of a meter with dials.
pub const DIALS: usize = 4;
/// Counts of the lowest dial in one unit of the lowest drum.
const COUNTS: f64 = 10_000.0;
/// Part of the turn of a drum's lower neighbour in which the neighbour of a drum moves it: the last tenth.
const CARRY: f64 = 0.9;
/// Length of a time in which water runs at one rate, in s.
const SLOT_S: f64 = 300.0;

/// Gears between the lowest dial and the drums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gears {
    /// Part of the highest dial's turn after which the lowest drum begins to move; 0 = it moves all the time.
    pub begin: f64,
    /// Pointers are mounted this far off, in tenths of a turn.
    pub mounted: [f32; DIALS],
}

/// Positions of drums and dials, most significant first, in digits and tenths of a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Positions {
    /// The drums, 0 up to 10.
    pub drums: [f32; DIGITS],
    /// The pointers, 0 up to 10.
    pub dials: [f32; DIALS],
}

impl Gears {
    /// The gears of `seed`: the lowest drum begins after 0.8 to 0.95 of the turn, or moves all the time.
    pub fn new(seed: u64) -> Gears {
        let mut chance = Chance::new(seed, 21);
        let begin = if chance.often(0.15) { 0.0 } else { f64::from(chance.within(0.8, 0.95)) };
        Gears { begin, mounted: std::array::from_fn(|_| chance.within(-0.12, 0.12)) }
    }

    /// Positions at a count of the lowest dial (one for each tenth of its turn), 0 or more.
    pub fn at(&self, counts: f64) -> Positions {
        let turn = |counts: f64| counts.rem_euclid(10.0);
        let dials = std::array::from_fn(|i| {
            let place = 10_f64.powi(i32::try_from(DIALS - 1 - i).unwrap_or(0));
            let position = turn(counts / place) as f32 + self.mounted[i];
            position.rem_euclid(10.0)
        });
        let units = counts / COUNTS;
        let below = units.fract();
        let mut moved = ((below - self.begin) / (1.0 - self.begin)).clamp(0.0, 1.0);
        let mut rest = units.floor() as u64;
        let mut drums = [0.0; DIGITS];
        for drum in drums.iter_mut().rev() {
            let position = (rest % 10) as f64 + moved;
            *drum = position as f32;
            // The next drum is taken along while this one goes from 9 to 0.
            moved = ((position / 10.0 - CARRY) / (1.0 - CARRY)).clamp(0.0, 1.0);
            rest /= 10;
        }
        Positions { drums, dials }
    }
}

/// Water that a household takes: a count of the lowest dial over time.
#[derive(Clone, Debug)]
pub struct Household {
    seed: u64,
    start: f64,
    /// Counts at the begin of each slot so far.
    slots: Vec<f64>,
}

impl Household {
    /// The household of `seed`.
    pub fn new(seed: u64) -> Household {
        let mut chance = Chance::new(seed, 22);
        let start = f64::from(chance.below(90_000)) * COUNTS + f64::from(chance.below(10_000));
        Household { seed, start, slots: vec![0.0] }
    }

    /// Counts `time_s` seconds (0 or more) after the start.
    pub fn at(&mut self, time_s: f64) -> f64 {
        let slot = (time_s / SLOT_S).floor();
        let index = slot as usize;
        while self.slots.len() <= index {
            let last = self.slots.len() - 1;
            let more = self.slots[last] + self.rate(last) * SLOT_S;
            self.slots.push(more);
        }
        self.start + self.slots[index] + self.rate(index) * (time_s - slot * SLOT_S)
    }

    /// Counts per second in a slot: nothing at night and most of the day, else a tap, a shower or a bath.
    fn rate(&self, slot: usize) -> f64 {
        let mut chance = Chance::new(self.seed ^ (slot as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), 23);
        let hour = slot as f64 * SLOT_S / 3600.0 % 24.0;
        let often = if (6.0..23.0).contains(&hour) { 0.25 } else { 0.03 };
        if !chance.often(often) {
            return 0.0;
        }
        // A tenth of a litre is a count: 0.3 to 15 litres in a minute.
        f64::from(chance.within(0.05, 2.5))
    }
}

/// Counts of the lowest dial at an even flow that begins at a number of `seed`: what a camera shows to somebody who watches.
pub fn running(seed: u64, time_s: f64) -> f64 {
    let mut chance = Chance::new(seed, 24);
    // Early in the turn of the highest dial, where no drum moves for some time.
    let start = f64::from(chance.below(90_000)) * COUNTS + f64::from(chance.below(3_000));
    start + time_s * f64::from(chance.within(0.6, 2.0))
}

/// The number that a count shows, with leading zeros and without a decimal point.
pub fn truth(counts: f64) -> String {
    let range = 10_u64.pow((DIGITS + DIALS) as u32);
    format!("{:0width$}", counts as u64 % range, width = DIGITS + DIALS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drums_move_at_the_end_of_the_turn_below_them() {
        let gears = Gears { begin: 0.9, mounted: [0.0; DIALS] };
        let at = |counts: f64| gears.at(counts);
        assert_eq!(at(123_456_789.0).drums, [1.0, 2.0, 3.0, 4.0, 5.0]);
        let dials = at(123_456_789.0).dials;
        assert!((dials[0] - 6.789).abs() < 1e-3 && (dials[3] - 9.0).abs() < 1e-3, "{dials:?}");
        let carry = at(123_999_500.0).drums;
        assert!(
            (carry[4] - 9.5).abs() < 1e-3 && (carry[3] - 9.5).abs() < 1e-3 && (carry[2] - 3.5).abs() < 1e-2,
            "{carry:?}"
        );
        assert_eq!(truth(123_456_789.9), "123456789");
        let even = Gears { begin: 0.0, ..gears }.at(123_455_000.0).drums;
        assert!((even[4] - 5.5).abs() < 1e-3, "{even:?}");
    }

    #[test]
    fn a_household_takes_water_and_never_gives_it_back() {
        let mut household = Household::new(3);
        let day: Vec<f64> = (0..=1440).map(|minute| household.at(f64::from(minute) * 60.0)).collect();
        assert!(day.windows(2).all(|pair| pair[1] >= pair[0]));
        let litres = (day[1440] - day[0]) / 10.0;
        assert!((100.0..4000.0).contains(&litres), "{litres} litres in a day");
        assert_eq!(Household::new(3).at(86_400.0), day[1440]);
    }
}
