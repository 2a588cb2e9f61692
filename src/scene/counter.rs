//! The counter's value: a pure function of time.

use super::chance::Chance;

/// Digits on the counter.
pub const DIGITS: usize = 5;

/// Up to which part of the way to the next digit a drum still shows its digit: four fifths of the digit or more are then behind the
/// window. From there to the same distance before the next digit there is none to be read.
pub const ROLLED: f32 = 0.29;

/// A counter that goes up by one at an even rate. Its last drum rests on a digit and then rolls to the next, taking along
/// every drum that stands at 9, as the carry of a mechanical counter does.
#[derive(Clone, Debug)]
pub struct Counter {
    start: u32,
    period_s: f64,
    roll_s: f64,
}

/// The counter at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The number that the drums are leaving, or rest on, 0 to 99999.
    pub value: u32,
    /// Progress of the rolling drums towards the next number, 0.0 up to 1.0.
    pub roll: f32,
}

impl Counter {
    /// The counter of `seed`: one count takes 2 s to 4 s, 0.3 s to 0.6 s of it rolling.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 2);
        Counter {
            start: chance.below(90_000),
            period_s: f64::from(chance.within(2.0, 4.0)),
            roll_s: f64::from(chance.within(0.3, 0.6)),
        }
    }

    /// The state `time_s` seconds (0 or more) after the start.
    pub fn at(&self, time_s: f64) -> Shown {
        let counts = (time_s / self.period_s).floor();
        let into_roll_s = time_s - counts * self.period_s - (self.period_s - self.roll_s);
        let t = (into_roll_s / self.roll_s).clamp(0.0, 1.0) as f32;
        let value = ((u64::from(self.start) + counts as u64) % 100_000) as u32;
        Shown { value, roll: t * t * (3.0 - 2.0 * t) }
    }
}

impl Shown {
    /// The five digits. While drums roll, the number counts whose digits show more: the old one up to half way, from there on
    /// the next.
    pub fn truth(&self) -> String {
        format!("{:05}", self.nearest())
    }

    /// The digit that shows most on each drum.
    pub fn digits(&self) -> [u8; DIGITS] {
        split(self.nearest())
    }

    /// Position of each drum in digits: 3.25 is a quarter of the way from 3 to 4.
    pub fn drums(&self) -> [f32; DIGITS] {
        let digits = split(self.value);
        let mut rolling = true;
        let mut drums = [0.0; DIGITS];
        for (drum, digit) in drums.iter_mut().zip(digits).rev() {
            *drum = f32::from(digit) + if rolling { self.roll } else { 0.0 };
            rolling = rolling && digit == 9;
        }
        drums
    }

    fn nearest(&self) -> u32 {
        if self.roll < 0.5 { self.value } else { (self.value + 1) % 100_000 }
    }
}

fn split(value: u32) -> [u8; DIGITS] {
    let mut rest = value;
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = (rest % 10) as u8;
        rest /= 10;
    }
    digits
}
