//! Values of two tensors beside each other.

use serde::{Serialize, Serializer};

/// Difference of values from those of a reference, summed over any number of tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Values that were compared, those of [`Difference::broken`] left out.
    pub values: u64,
    /// Sum of the squares of the reference.
    pub signal: f64,
    /// Sum of the squares of the differences.
    pub noise: f64,
    /// Largest absolute difference.
    pub largest: f64,
    /// Largest absolute value of the reference.
    pub range: f64,
    /// Values of which one side alone is finite, or that are infinite with other signs.
    pub broken: u64,
}

impl Difference {
    /// Difference of `other` from `reference`, value by value; what one has more than the other counts as broken.
    pub fn of(reference: &[f32], other: &[f32]) -> Difference {
        let mut sum = Difference::default();
        for (&reference, &other) in reference.iter().zip(other) {
            let (reference, other) = (f64::from(reference), f64::from(other));
            if reference.is_finite() && other.is_finite() {
                let difference = reference - other;
                sum.values += 1;
                sum.signal += reference * reference;
                sum.noise += difference * difference;
                sum.largest = sum.largest.max(difference.abs());
                sum.range = sum.range.max(reference.abs());
            } else if !(reference == other || reference.is_nan() && other.is_nan()) {
                sum.broken += 1;
            }
        }
        sum.broken += reference.len().abs_diff(other.len()) as u64;
        sum
    }

    /// Adds the values of `more`.
    pub fn add(&mut self, more: &Difference) {
        self.values += more.values;
        self.signal += more.signal;
        self.noise += more.noise;
        self.largest = self.largest.max(more.largest);
        self.range = self.range.max(more.range);
        self.broken += more.broken;
    }

    /// Ratio of signal to noise (SQNR) in dB: infinite for equal values, negative where the noise is the larger. `None` where nothing can be
    /// said: no values, broken ones, or noise over a reference of zeros.
    pub fn sqnr_db(&self) -> Option<f64> {
        match (self.values, self.broken) {
            (0, _) | (_, 1..) => None,
            _ if self.noise == 0.0 => Some(f64::INFINITY),
            _ if self.signal == 0.0 => None,
            _ => Some(10.0 * (self.signal / self.noise).log10()),
        }
    }

    /// Root of noise over signal, 0 for equal values; `None` as for [`Difference::sqnr_db`].
    pub fn relative(&self) -> Option<f64> {
        self.sqnr_db().map(|db| 10_f64.powf(-db / 20.0))
    }

    /// Share of the signal's energy that is kept: 1 less noise over signal, 0 to 1. 0 where values are broken, `None` without values.
    pub fn kept(&self) -> Option<f64> {
        match (self.values + self.broken, self.relative()) {
            (0, _) => None,
            (_, Some(relative)) => Some((1.0 - relative * relative).max(0.0)),
            (_, None) => Some(0.0),
        }
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = serializer.serialize_struct("Difference", 6)?;
        object.serialize_field("values", &self.values)?;
        // JSON has no infinity: equal values say so by themselves.
        object.serialize_field("sqnr_db", &self.sqnr_db().filter(|db| db.is_finite()))?;
        object.serialize_field("equal", &(self.noise == 0.0 && self.broken == 0))?;
        object.serialize_field("largest", &self.largest)?;
        object.serialize_field("range", &self.range)?;
        object.serialize_field("broken", &self.broken)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_told_in_db() {
        let difference = Difference::of(&[10.0, 0.0, -10.0], &[10.0, 1.0, -10.0]);
        let db = difference.sqnr_db().unwrap();
        assert!((db - 10.0 * 200_f64.log10()).abs() < 1e-12, "{db}");
        assert_eq!((difference.largest, difference.range, difference.broken), (1.0, 10.0, 0));
        assert!((difference.kept().unwrap() - (1.0 - 1.0 / 200.0)).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        assert_eq!(Difference::of(&[1.0], &[1.0]).sqnr_db(), Some(f64::INFINITY));
        assert_eq!(Difference::of(&[0.0], &[1.0]).sqnr_db(), None);
        assert_eq!(Difference::of(&[], &[]).kept(), None);
        for (reference, other) in [(1.0, f32::NAN), (f32::NAN, 1.0), (f32::INFINITY, f32::NEG_INFINITY)] {
            let broken = Difference::of(&[1.0, reference], &[1.0, other]);
            assert_eq!((broken.broken, broken.sqnr_db(), broken.kept()), (1, None, Some(0.0)), "{reference} {other}");
        }
        let same = Difference::of(&[f32::NAN, f32::INFINITY, 2.0], &[f32::NAN, f32::INFINITY, 2.0]);
        assert_eq!((same.broken, same.sqnr_db()), (0, Some(f64::INFINITY)));
        assert_eq!(Difference::of(&[1.0, 2.0], &[1.0]).broken, 1);
    }

    #[test]
    fn sums_are_those_of_the_whole() {
        let (a, b) = ([1.0, 2.0, -3.0, 0.5], [1.5, 2.0, -2.0, 0.25]);
        let mut sum = Difference::of(&a[..2], &b[..2]);
        sum.add(&Difference::of(&a[2..], &b[2..]));
        assert_eq!(sum, Difference::of(&a, &b));
    }
}
