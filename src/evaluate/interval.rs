//! Sureness of a figure and of a difference between two models that saw the same inputs.

use serde::Serialize;

/// Quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A figure with its interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson's interval of a share, `right` of `all`; `None` of nothing. It holds near 0 and 1, and for few inputs, where the usual one does not.
pub fn share(right: u64, all: u64) -> Option<Interval> {
    if all == 0 {
        return None;
    }
    let (n, p) = (all as f64, right as f64 / all as f64);
    let (middle, scale) = (p + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let (low, high) = ((middle - half) / scale, (middle + half) / scale);
    Some(Interval { value: p, low: low.clamp(0.0, p), high: high.clamp(p, 1.0) })
}

/// Answers of two models on the same inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Paired {
    /// Inputs that both got right.
    pub both: u64,
    /// Inputs that the first alone got right.
    pub first: u64,
    /// Inputs that the second alone got right.
    pub second: u64,
    /// Inputs that neither got right.
    pub neither: u64,
}

impl Paired {
    /// Adds an input.
    pub fn add(&mut self, first: bool, second: bool) {
        *match (first, second) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.first,
            (false, true) => &mut self.second,
            (false, false) => &mut self.neither,
        } += 1;
    }

    /// Share that the first gets right less that of the second, with its interval by Newcombe's hybrid score method for pairs (his
    /// method 10): it takes the pairing into account and holds where hardly any answers differ. `None` without inputs.
    pub fn difference(&self) -> Option<Interval> {
        let all = self.both + self.first + self.second + self.neither;
        let one = share(self.both + self.first, all)?;
        let two = share(self.both + self.second, all)?;
        let [a, b, c, d] = [self.both, self.first, self.second, self.neither].map(|count| count as f64);
        let scale = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
        let crossed = a * d - b * c;
        let crossed = if crossed > 0.0 { (crossed - all as f64 / 2.0).max(0.0) } else { crossed };
        let phi = if scale > 0.0 { crossed / scale } else { 0.0 };
        let side = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
        let value = (b - c) / all as f64;
        let low = value - side(one.value - one.low, two.high - two.value);
        let high = value + side(one.high - one.value, two.value - two.low);
        Some(Interval { value, low, high })
    }

    /// McNemar's exact test: the chance of answers that differ at least as one-sidedly, were both models equally good.
    pub fn p_value(&self) -> f64 {
        let (few, all) = (self.first.min(self.second), self.first + self.second);
        // Chance of `few` or fewer heads of `all` tosses, twice; in logarithms, since a single one may be too small for a number.
        let mut log = -(all as f64) * std::f64::consts::LN_2;
        let mut sum = 0.0;
        for k in 0..=few {
            sum += log.exp();
            log += ((all - k) as f64).ln() - ((k + 1) as f64).ln();
        }
        (2.0 * sum).min(1.0)
    }
}

/// Interval of a figure of `inputs` inputs by the bootstrap: `figure` of inputs drawn with replacement, `draws` times, and the quantiles of
/// what comes. `figure` is given how often each input is taken; the figure of all is `value`. The draws are the same in every run. `None`
/// where no draw has a figure.
pub fn bootstrap(
    value: f64,
    inputs: usize,
    draws: usize,
    mut figure: impl FnMut(&[u32]) -> Option<f64>,
) -> Option<Interval> {
    let mut state = 0x5eed_u64;
    let mut weights = vec![0; inputs];
    let mut figures = Vec::with_capacity(draws);
    for _ in 0..draws {
        weights.fill(0);
        for _ in 0..inputs {
            let drawn = (u128::from(random(&mut state)) * inputs as u128) >> 64;
            weights[drawn as usize] += 1;
        }
        figures.extend(figure(&weights));
    }
    figures.sort_by(f64::total_cmp);
    let quantile =
        |q: f64| figures.get(((figures.len() as f64 * q) as usize).min(figures.len().saturating_sub(1))).copied();
    Some(Interval { value, low: quantile(0.025)?, high: quantile(0.975)? })
}

/// The next number of SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(interval: Interval, low: f64, high: f64) {
        assert!((interval.low - low).abs() < 6e-4 && (interval.high - high).abs() < 6e-4, "{interval:?}");
    }

    #[test]
    fn intervals_of_shares_are_wilsons() {
        // Newcombe 1998, table I, of one sample: 81/263, 15/148, 0/20, 1/29.
        near(share(81, 263).unwrap(), 0.2553, 0.3662);
        near(share(15, 148).unwrap(), 0.0624, 0.1605);
        near(share(0, 20).unwrap(), 0.0, 0.1611);
        near(share(1, 29).unwrap(), 0.0061, 0.1718);
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn differences_of_pairs_are_newcombes() {
        // Airway reactivity before and after a transplantation (Bentur 2009), as Fagerland and others give its interval.
        let paired = Paired { both: 1, first: 1, second: 7, neither: 12 };
        near(paired.difference().unwrap(), -0.507, -0.026);
        assert!((paired.p_value() - 0.0703).abs() < 1e-4, "{}", paired.p_value());
        let same = Paired { both: 90, neither: 10, ..Paired::default() };
        let of_none = same.difference().unwrap();
        assert!(of_none.value == 0.0 && of_none.low < 0.0 && of_none.high > 0.0 && of_none.high < 0.04, "{of_none:?}");
        assert_eq!(same.p_value(), 1.0);
        assert_eq!(Paired::default().difference(), None);
    }

    #[test]
    fn a_difference_beyond_doubt_has_a_tiny_chance() {
        let paired = Paired { both: 0, first: 4000, second: 1000, neither: 0 };
        assert!(paired.p_value() < 1e-12 && paired.difference().unwrap().low > 0.57);
        assert!(Paired { first: 2500, second: 2500, ..Paired::default() }.p_value() > 0.99);
    }

    #[test]
    fn the_bootstrap_of_a_mean_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(u32::from(i % 2 == 0))).collect();
        let mean = |weights: &[u32]| {
            Some(values.iter().zip(weights).map(|(v, w)| v * f64::from(*w)).sum::<f64>() / values.len() as f64)
        };
        let interval = bootstrap(0.5, values.len(), 2000, mean).unwrap();
        assert!((interval.low - 0.451).abs() < 0.006 && (interval.high - 0.549).abs() < 0.006, "{interval:?}");
        assert_eq!(bootstrap(0.5, values.len(), 2000, mean), Some(interval), "the same in every run");
        assert_eq!(bootstrap(0.5, 3, 10, |_| None), None);
    }
}
