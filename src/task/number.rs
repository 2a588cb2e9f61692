//! The number that a counter shows, of as many decimal digits as it has drums.

use std::fmt;

/// Most digits of a [`Number`], so that its range is one of 64 bits.
pub(crate) const MAX_DIGITS: usize = 18;

/// A number of 1 to [`MAX_DIGITS`] decimal digits, with leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    value: u64,
    digits: u32,
}

impl Number {
    /// The number that these digits (0 to 9, left to right) make; `None` when one is missing or there are too few or too many.
    pub(super) fn of(digits: &[Option<u8>]) -> Option<Number> {
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let value = digits.iter().try_fold(0_u64, |value, digit| Some(value * 10 + u64::from((*digit)?)))?;
        Some(Number { value, digits: u32::try_from(digits.len()).ok()? })
    }

    /// Reads `00412`; `None` for anything but 1 to [`MAX_DIGITS`] ASCII digits.
    pub fn parse(text: &str) -> Option<Number> {
        let well_formed = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let digits = u32::try_from(text.len()).ok().filter(|_| well_formed)?;
        Some(Number { value: text.parse().ok()?, digits })
    }

    /// The number itself.
    pub fn value(self) -> u64 {
        self.value
    }

    /// Number of digits.
    pub fn digits(self) -> usize {
        self.digits as usize
    }

    /// 10 to the number of digits: one more than the largest number that the counter shows.
    pub(super) fn range(self) -> u64 {
        10_u64.pow(self.digits)
    }

    /// Counts from this number forward to `to`, over the end of the range where that is the way; `None` for a counter of another size.
    pub(super) fn step_to(self, to: Number) -> Option<u64> {
        let range = self.range();
        (self.digits == to.digits).then(|| (to.value + range - self.value) % range)
    }

    /// True if drums that show `seen` (left to right, `None` = nothing that can be read) stand between this number and a neighbour: each
    /// one's digit is that of either, or not readable where the two differ. The number itself and the next one are not between, since
    /// they are readings; the one before is, since drums that have just come to rest look like it now and then. Drums that mix it with this
    /// number and can all be read show one further on, which may be right (00209 after 00200).
    pub(super) fn is_beside(self, seen: &[Option<u8>]) -> bool {
        let range = self.range();
        let next = Number { value: (self.value + 1) % range, ..self };
        let before = Number { value: (self.value + range - 1) % range, ..self };
        let read = Number::of(seen);
        let mixes = |other: Number| {
            seen.len() == self.digits()
                && seen.iter().any(Option::is_some)
                && seen.iter().zip(self.each_digit().zip(other.each_digit())).all(|(seen, (own, others))| match seen {
                    Some(digit) => *digit == own || *digit == others,
                    None => own != others,
                })
        };
        match read {
            Some(read) => read == before || (read != self && read != next && mixes(next)),
            None => mixes(next) || mixes(before),
        }
    }

    fn each_digit(self) -> impl Iterator<Item = u8> {
        // A remainder of 10 fits.
        (0..self.digits).rev().map(move |place| (self.value / 10_u64.pow(place) % 10) as u8)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.value, width = self.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    /// `12?4` with `?` for a drum that cannot be read.
    fn seen(text: &str) -> Vec<Option<u8>> {
        text.bytes().map(|b| b.is_ascii_digit().then(|| b - b'0')).collect()
    }

    #[test]
    fn text_and_back() {
        for text in ["0", "00412", "999999999999999999"] {
            assert_eq!(number(text).to_string(), text);
            assert_eq!(Number::of(&seen(text)), Some(number(text)));
        }
        for wrong in ["", "12a", "-1", "+1", "1.5", "1none3", "１", "1000000000000000000"] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Number::of(&seen("1?3")), None);
        assert_eq!(Number::of(&[]), None);
    }

    #[test]
    fn steps_go_forward_and_over_the_end() {
        for (from, to, step) in [
            ("00424", "00924", Some(500)),
            ("00924", "00425", Some(99_501)),
            ("99999", "00000", Some(1)),
            ("999999999999999999", "000000000000000001", Some(2)),
            ("7", "7", Some(0)),
            ("123", "0123", None),
        ] {
            assert_eq!(number(from).step_to(number(to)), step, "{from} {to}");
        }
    }

    #[test]
    fn drums_between_two_numbers() {
        for (good, drums, between) in [
            // Only the last drum moves: without its digit it is on its way; any other digit is a reading.
            ("00423", "0042?", true),
            ("00423", "00425", false),
            ("00423", "0?423", false),
            ("00423", "?????", false),
            // One less: the drum that has come to rest looks like the number before.
            ("00424", "00423", true),
            ("00424", "00422", false),
            // A carry: every drum that moves may show either digit or none.
            ("00199", "00190", true),
            ("00199", "00299", true),
            ("00199", "002?0", true),
            ("00199", "00???", true),
            ("00199", "0????", false),
            ("00199", "00200", false),
            ("00199", "00199", false),
            ("00200", "00199", true),
            ("00200", "002?0", true),
            ("00200", "00???", true),
            // Nine counts on.
            ("00200", "00209", false),
            ("00200", "00201", false),
            ("99999", "?9999", true),
            ("99999", "?????", false),
            ("99999", "00000", false),
            ("9", "0", false),
            ("00424", "0042", false),
        ] {
            assert_eq!(number(good).is_beside(&seen(drums)), between, "{good} {drums}");
        }
    }
}
