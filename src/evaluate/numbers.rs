//! Readings of counters and meters by the right ones.

use serde::Serialize;

/// Readings beside the right ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Readings {
    /// Readings that were asked for.
    pub inputs: u64,
    /// Readings that are right to the last place.
    pub exact: u64,
    /// Readings that are right, or one of the lowest place off: it turns all the time.
    pub near: u64,
    /// Readings that were given and are neither.
    pub wrong: u64,
    /// Pictures that were not read.
    pub unread: u64,
    /// Places of the right readings.
    pub places: u64,
    /// Places that were read right.
    pub places_right: u64,
    /// Sum of the absolute errors of those that were read and are numbers, in the unit of the right one.
    pub error: f64,
    /// Number of them.
    pub errors: u64,
}

impl Readings {
    /// Adds a reading, `None` where there is none; returns whether it is exact. A decimal point and leading zeros count as they are written only
    /// where both have them.
    pub fn add(&mut self, truth: &str, read: Option<&str>) -> bool {
        let (wanted, behind) = parts(truth);
        self.inputs += 1;
        self.places += wanted.len() as u64;
        let Some(read) = read else {
            self.unread += 1;
            return false;
        };
        let (found, behind_found) = parts(read);
        // Aligned at the decimal point, as a number is; one without a point is of the same places.
        let behind_found = if read.contains('.') && truth.contains('.') { behind_found } else { behind };
        let at = |digits: &[char], behind: usize, place: i64| {
            let index = digits.len() as i64 - behind as i64 + place;
            usize::try_from(index).ok().and_then(|index| digits.get(index)).copied()
        };
        let from = -((wanted.len() - behind.min(wanted.len())) as i64);
        let right = (from..from + wanted.len() as i64)
            .filter(|&place| at(&wanted, behind, place) == Some(at(&found, behind_found, place).unwrap_or('0')))
            .count() as u64;
        self.places_right += right;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        let scale = 10_f64.powi(i32::try_from(behind).unwrap_or(0));
        let read_value =
            number(read).map(|value| if read.contains('.') { value } else { value / scale_of(truth, scale) });
        let error = number(truth).zip(read_value).map(|(truth, read)| (truth - read).abs());
        let lowest = 1.0 / scale;
        let exact = match error {
            Some(error) => error < lowest / 2.0,
            None => truth == read,
        };
        let round = 10_f64.powi(i32::try_from(wanted.len() - behind.min(wanted.len())).unwrap_or(0));
        let near = error.is_some_and(|error| error < 1.5 * lowest || (error - round).abs() < 1.5 * lowest);
        self.exact += u64::from(exact);
        self.near += u64::from(exact || near);
        self.wrong += u64::from(!exact && !near);
        if let Some(error) = error {
            self.error += error;
            self.errors += 1;
        }
        exact
    }

    /// Mean absolute error of the readings that are numbers, in the unit of the right ones; `None` where there are none.
    pub fn mean_error(&self) -> Option<f64> {
        (self.errors > 0).then(|| self.error / self.errors as f64)
    }
}

/// The scale of a reading without a decimal point: the same digits as the right one.
fn scale_of(truth: &str, scale: f64) -> f64 {
    if truth.contains('.') { scale } else { 1.0 }
}

/// The characters of a number without its point, and how many stand behind it.
fn parts(text: &str) -> (Vec<char>, usize) {
    let text = text.trim();
    let behind = text.split_once('.').map_or(0, |(_, behind)| behind.chars().count());
    (text.chars().filter(|c| *c != '.').collect(), behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, Option<&str>)]) -> Readings {
        let mut sum = Readings::default();
        pairs.iter().for_each(|(truth, read)| _ = sum.add(truth, *read));
        sum
    }

    #[test]
    fn places_are_counted_one_by_one() {
        let sum = of(&[("00412", Some("00412")), ("00412", Some("00472")), ("00412", None)]);
        assert_eq!((sum.exact, sum.near, sum.wrong, sum.unread), (1, 1, 1, 1));
        assert_eq!((sum.places, sum.places_right, sum.mean_error()), (15, 9, Some(30.0)));
    }

    #[test]
    fn zeros_and_points_are_no_difference() {
        for (truth, read) in [
            ("412", "00412"),
            ("00412", "412"),
            ("412.357", "00412.357"),
            ("412.357", "00412357"),
            ("412.5", "412.500"),
        ] {
            let sum = of(&[(truth, Some(read))]);
            assert_eq!((sum.exact, sum.places_right), (1, sum.places), "{truth} {read}");
        }
    }

    #[test]
    fn the_lowest_place_may_be_one_off() {
        for (truth, read) in [("00412", "00413"), ("412.357", "412.356"), ("99999", "00000"), ("9.9", "0.0")] {
            let sum = of(&[(truth, Some(read))]);
            assert_eq!((sum.exact, sum.near, sum.wrong), (0, 1, 0), "{truth} {read}");
        }
        assert_eq!(of(&[("00412", Some("00414"))]).wrong, 1);
        // A text that is no number is the same or not.
        assert_eq!(of(&[("AB 12", Some("AB 12")), ("AB 12", Some("AB 13"))]).exact, 1);
    }
}
