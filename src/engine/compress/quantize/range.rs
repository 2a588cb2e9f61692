//! Ranges of activations: which values the 256 bytes stand for, by what was seen of a tensor.

use super::observe::{BARS, Histogram};

/// Way in which a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// All values that were seen.
    MinMax,
    /// All but the outermost 0.01 %.
    Percentile,
    /// Least divergence between the distributions before and after rounding (Kullback and Leibler).
    Entropy,
    /// Least mean squared error of rounding and clipping together.
    #[default]
    Mse,
}

/// Share of values beyond each end of a range by percentile.
const BEYOND: f64 = 0.000_05;

/// Ends that are tried between nothing and the extreme.
const STEPS: usize = 64;

/// Greatest share of a range that is cut away by a search.
const MOST_CUT: f32 = 0.9;

/// Map from bytes to reals: `scale · (byte − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Step between two values; positive and finite.
    pub scale: f32,
    /// Byte of the value 0, from 0 to 255; 128 less where bytes have a sign.
    pub zero_point: u8,
}

impl Affine {
    /// The map whose values reach from `low` to `high`, 0 among them exactly.
    pub fn between(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = (high - low) / 255.0;
        // A tensor of zeros, or of values next to nothing, still needs a step.
        if !(scale.is_finite() && scale > f32::MIN_POSITIVE * 1024.0) {
            return Affine { scale: 1.0, zero_point: 0 };
        }
        Affine { scale, zero_point: (-low / scale).round().clamp(0.0, 255.0) as u8 }
    }

    /// The nearest value that a byte stands for.
    pub fn rounded(self, value: f32) -> f32 {
        let zero = f32::from(self.zero_point);
        let byte = ((value / self.scale).round_ties_even() + zero).clamp(0.0, 255.0);
        (byte - zero) * self.scale
    }
}

/// Functions that read a tensor, sampled: the error of rounding is measured behind them.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    /// Something reads the tensor itself.
    pub directly: bool,
    /// Values of each function in the middle of each bar.
    pub functions: Vec<Vec<f32>>,
}

/// Chooses a range by what was seen.
pub fn choose(method: Method, seen: &Histogram, readers: &Readers) -> Affine {
    let (low, high) = match method {
        Method::MinMax => (seen.low, seen.high),
        Method::Percentile => percentile(seen),
        Method::Entropy => least(seen, |range| divergence(seen, range)),
        Method::Mse => {
            let weights = weights(seen, readers);
            least(seen, |range| squared_error(seen, range, readers, &weights))
        }
    };
    Affine::between(low, high)
}

fn percentile(seen: &Histogram) -> (f32, f32) {
    let beyond = seen.counts.iter().sum::<f64>() * BEYOND;
    let reached = |counts: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        counts
            .take_while(|count| {
                sum += **count;
                sum <= beyond
            })
            .count()
    };
    let (first, last) = (reached(&mut seen.counts.iter()), reached(&mut seen.counts.iter().rev()));
    let width = (seen.high - seen.low) / BARS as f32;
    let low = if first == 0 { seen.low } else { seen.low + first as f32 * width };
    let high = if last == 0 { seen.high } else { seen.high - last as f32 * width };
    (low.min(0.0), high.max(0.0))
}

/// The ends of least error: each searched while the other stands, twice.
fn least(seen: &Histogram, error: impl Fn((f32, f32)) -> f64) -> (f32, f32) {
    let mut best = (seen.low, seen.high);
    let mut best_error = error(best);
    for _ in 0..2 {
        for upper in [true, false] {
            let whole = if upper { seen.high } else { seen.low };
            for step in 0..STEPS {
                let end = whole * (1.0 - MOST_CUT * step as f32 / STEPS as f32);
                let range = if upper { (best.0, end) } else { (end, best.1) };
                let found = error(range);
                // Equal errors (a tensor of few values) keep the wider range.
                if found < best_error * (1.0 - 1e-9) {
                    (best, best_error) = (range, found);
                }
            }
        }
    }
    best
}

/// Squared error of what reads the tensor.
fn squared_error(seen: &Histogram, (low, high): (f32, f32), readers: &Readers, weights: &[f64]) -> f64 {
    let affine = Affine::between(low, high);
    let scale = BARS as f32 / (seen.high - seen.low).max(f32::MIN_POSITIVE);
    let mut direct = 0.0f64;
    let mut behind = vec![0.0f64; readers.functions.len()];
    for (bar, &count) in seen.counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let value = seen.middle(bar);
        let rounded = affine.rounded(value);
        direct += count * f64::from(value - rounded).powi(2);
        for (error, function) in behind.iter_mut().zip(&readers.functions) {
            let at = ((rounded - seen.low) * scale - 0.5).clamp(0.0, (BARS - 1) as f32);
            let (index, part) = (at as usize, at.fract());
            let next = function[(index + 1).min(BARS - 1)];
            let there = function[index] + (next - function[index]) * part;
            *error += count * f64::from(function[bar] - there).powi(2);
        }
    }
    let direct = if readers.directly || readers.functions.is_empty() { direct } else { 0.0 };
    direct + behind.iter().zip(weights).map(|(error, weight)| error * weight).sum::<f64>()
}

/// Variance of the values over that of each function of them: what an error behind the function counts.
fn weights(seen: &Histogram, readers: &Readers) -> Vec<f64> {
    let total: f64 = seen.counts.iter().sum();
    let variance = |value: &dyn Fn(usize) -> f32| {
        let moment = |power: i32| -> f64 {
            let bars = seen.counts.iter().enumerate();
            bars.map(|(bar, count)| count * f64::from(value(bar)).powi(power)).sum::<f64>() / total
        };
        (moment(2) - moment(1).powi(2)).max(f64::MIN_POSITIVE)
    };
    let own = variance(&|bar| seen.middle(bar));
    readers.functions.iter().map(|function| own / variance(&|bar| function[bar])).collect()
}

/// Divergence of what is left of a distribution after clipping to a range and rounding to bytes. Zeros are left out: they are exact in every
/// range, and behind a bound so many that nothing else would count.
fn divergence(seen: &Histogram, (low, high): (f32, f32)) -> f64 {
    let affine = Affine::between(low, high);
    let byte = |bar: usize| {
        let byte = (seen.middle(bar) / affine.scale).round_ties_even() + f32::from(affine.zero_point);
        byte.clamp(0.0, 255.0) as usize
    };
    let inside = |bar: usize| (low..=high).contains(&seen.middle(bar));
    let half = (seen.high - seen.low) / BARS as f32 / 2.0;
    let bars = || {
        let counted = |(bar, count): &(usize, &f64)| **count > 0.0 && seen.middle(*bar).abs() > half;
        seen.counts.iter().enumerate().filter(counted)
    };
    let total: f64 = bars().map(|(_, count)| count).sum();
    // Reference: what is outside is heaped on the outermost bars inside. Candidate: each byte's weight spread over its bars.
    let (mut weight, mut used) = ([0.0f64; 256], [0usize; 256]);
    let mut outside = [0.0f64; 256];
    for (bar, &count) in bars() {
        if inside(bar) {
            weight[byte(bar)] += count;
            used[byte(bar)] += 1;
        } else {
            outside[byte(bar)] += count;
        }
    }
    let kept: f64 = weight.iter().sum();
    let mut sum = 0.0;
    for (bar, &count) in bars().filter(|(bar, _)| inside(*bar)) {
        let at = byte(bar);
        let reference = (count + outside[at] / used[at] as f64) / total;
        let candidate = weight[at] / used[at] as f64 / kept;
        sum += reference * (reference / candidate).ln();
    }
    // Weight on bytes without a bar inside cannot be told at all.
    let lost: f64 = (0..256).filter(|&at| used[at] == 0).map(|at| outside[at]).sum();
    sum + lost / total.max(1.0) * f64::from(f32::MAX).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(low: f32, high: f32, counts: impl Fn(f32) -> f64) -> Histogram {
        let mut histogram = Histogram { low, high, counts: vec![0.0; BARS] };
        histogram.counts = (0..BARS).map(|bar| counts(histogram.middle(bar))).collect();
        histogram
    }

    #[test]
    fn zero_is_among_the_values_exactly() {
        for (low, high) in [(-1.0, 2.0), (0.0, 6.0), (-0.3, 0.0), (0.5, 3.0), (-3.0, -1.0), (-1e-3, 7e4)] {
            let affine = Affine::between(low, high);
            assert_eq!(affine.rounded(0.0), 0.0, "{low} {high}");
            assert!((affine.rounded(high.max(0.0)) - high.max(0.0)).abs() <= affine.scale, "{low} {high}");
            assert!((affine.rounded(low.min(0.0)) - low.min(0.0)).abs() <= affine.scale, "{low} {high}");
        }
        for nothing in [(0.0, 0.0), (0.0, 1e-42), (f32::NEG_INFINITY, f32::INFINITY)] {
            assert_eq!(Affine::between(nothing.0, nothing.1), Affine { scale: 1.0, zero_point: 0 });
        }
    }

    #[test]
    fn a_lone_outlier_is_cut_off_but_by_min_and_max() {
        let mut seen = histogram(-1.0, 100.0, |value| f64::from(1.0 - value.abs()).max(0.0) * 1e6);
        seen.counts[BARS - 1] = 1.0;
        let reach = |method| {
            let affine = choose(method, &seen, &Readers::default());
            affine.scale * (255.0 - f32::from(affine.zero_point))
        };
        assert!(reach(Method::MinMax) > 99.0);
        for method in [Method::Percentile, Method::Entropy, Method::Mse] {
            assert!(reach(method) < 40.0, "{method:?}: {}", reach(method));
        }
    }

    #[test]
    fn values_that_a_function_makes_nothing_of_get_no_bytes() {
        let seen = histogram(-8.0, 4.0, |_| 1.0);
        let relu: Vec<f32> = (0..BARS).map(|bar| seen.middle(bar).max(0.0)).collect();
        let behind = Readers { directly: false, functions: vec![relu] };
        let (plain, aware) = (choose(Method::Mse, &seen, &Readers::default()), choose(Method::Mse, &seen, &behind));
        assert!(aware.scale < plain.scale * 0.5, "{aware:?} {plain:?}");
        let read = Readers { directly: true, ..behind };
        assert!(choose(Method::Mse, &seen, &read).scale > plain.scale * 0.8);
    }

    #[test]
    fn even_distributions_keep_their_whole_range() {
        let seen = histogram(-1.0, 1.0, |_| 10.0);
        for method in [Method::MinMax, Method::Entropy, Method::Mse] {
            let affine = choose(method, &seen, &Readers::default());
            assert!((affine.scale - 2.0 / 255.0).abs() < 4e-4, "{method:?} {affine:?}");
        }
    }
}
