//! Scores: how well they part two kinds of inputs (ROC AUC), and whether they mean what they say (ECE).

/// Bins of a calibration, of equal width.
const BINS: usize = 15;

/// Area under the ROC curve, 0 to 1: the chance that an input that is one has a higher score than one that is none, equal scores counted half.
/// Each of `scores` is `(score, is one)`, taken as often as `weights` says, once without. `None` without inputs of both kinds, or where a score
/// is not a number.
pub fn auc(scores: &[(f64, bool)], weights: Option<&[u32]>) -> Option<f64> {
    if scores.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].0.total_cmp(&scores[b].0));
    let weight = |index: usize| weights.map_or(1.0, |weights| f64::from(weights[index]));
    let (mut below, mut pairs, mut positives) = (0.0, 0.0, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a].0 == scores[b].0) {
        let sum = |wanted: bool| equal.iter().filter(|&&i| scores[i].1 == wanted).map(|&i| weight(i)).sum::<f64>();
        let (ones, others) = (sum(true), sum(false));
        pairs += ones * (below + others / 2.0);
        positives += ones;
        below += others;
    }
    (positives > 0.0 && below > 0.0).then(|| pairs / (positives * below))
}

/// Calibration of scores: how often an answer of a score is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    bins: [Bin; BINS],
}

/// Answers with scores of one range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Answers.
    pub count: u64,
    /// Sum of their scores.
    pub scores: f64,
    /// Right ones of them.
    pub right: u64,
}

impl Calibration {
    /// Adds an answer with `score`, 0 to 1; a score that is not a number counts as 0.
    pub fn add(&mut self, score: f64, is_right: bool) {
        let score = if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) };
        // A range has its upper end, as in (0, 1/15], (1/15, 2/15].
        let bin = ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let bin = &mut self.bins[bin];
        bin.count += 1;
        bin.scores += score;
        bin.right += u64::from(is_right);
    }

    /// Expected calibration error, 0 to 1: the mean distance between score and share of right answers in 15 bins of equal width, each
    /// weighted by its answers. `None` without answers.
    pub fn error(&self) -> Option<f64> {
        let all: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let off: f64 = self.bins.iter().map(|bin| (bin.scores - bin.right as f64).abs()).sum();
        (all > 0).then(|| off / all as f64)
    }

    /// Mean score less share of right answers: above 0 where the scores say too much. `None` without answers.
    pub fn bias(&self) -> Option<f64> {
        let all: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let sum: f64 = self.bins.iter().map(|bin| bin.scores - bin.right as f64).sum();
        (all > 0).then(|| sum / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_and_ties_by_half() {
        let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(auc(&scores, None), Some(0.75));
        assert_eq!(auc(&[(1.0, true), (1.0, false)], None), Some(0.5));
        assert_eq!(auc(&[(1.0, true)], None), None);
        assert_eq!(auc(&[(f64::NAN, true), (1.0, false)], None), None);
        // 0.35 twice, 0.8 left out: above one of two, twice.
        assert_eq!(auc(&scores, Some(&[1, 1, 2, 0])), Some(0.5));
    }

    #[test]
    fn a_score_of_a_bin_is_compared_with_what_came() {
        let mut scores = Calibration::default();
        for right in [true, true, true, false] {
            scores.add(0.95, right);
        }
        scores.add(0.5, true);
        // |0.95 - 0.75| × 4/5 + |0.5 - 1| × 1/5
        assert!((scores.error().unwrap() - 0.26).abs() < 1e-12);
        assert!((scores.bias().unwrap() - 0.06).abs() < 1e-12);
        assert_eq!(Calibration::default().error(), None);
    }

    #[test]
    fn ends_of_bins_belong_below() {
        let mut scores = Calibration::default();
        [0.0, 1.0 / 15.0, 1.0, 2.0, f64::NAN].into_iter().for_each(|score| scores.add(score, true));
        assert_eq!((scores.bins[0].count, scores.bins[BINS - 1].count), (3, 2));
    }
}
