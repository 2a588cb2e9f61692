//! Classes by labels: top-1 and top-5, the confusion matrix, precision and recall of each class.

use std::collections::BTreeMap;

use serde::Serialize;

/// Classes that count for a top-5.
const FEW: usize = 5;

/// Answers of a classifier beside the right ones. A class is an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classes {
    inputs: u64,
    top1: u64,
    top5: u64,
    /// Inputs by `(right class, class that was said)`; `None` = no class was said.
    confusion: BTreeMap<(usize, Option<usize>), u64>,
}

/// Figures of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OneClass {
    /// Its index.
    pub class: usize,
    /// Inputs of it.
    pub inputs: u64,
    /// Inputs that were said to be of it.
    pub said: u64,
    /// Inputs of it that were said to be of it.
    pub right: u64,
    /// Share of those said to be of it that are, 0 to 1; `None` where none was said.
    pub precision: Option<f64>,
    /// Share of its inputs that were said to be of it, 0 to 1; `None` without any.
    pub recall: Option<f64>,
}

impl Classes {
    /// Adds an input of class `truth` for which the classes of `ranking` were said, the best first; returns whether the first is right.
    pub fn add(&mut self, truth: usize, ranking: &[usize]) -> bool {
        let best = ranking.first().copied();
        self.inputs += 1;
        self.top1 += u64::from(best == Some(truth));
        self.top5 += u64::from(ranking.iter().take(FEW).any(|class| *class == truth));
        *self.confusion.entry((truth, best)).or_default() += 1;
        best == Some(truth)
    }

    /// Inputs that were added.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// Inputs whose first class was right.
    pub fn right(&self) -> u64 {
        self.top1
    }

    /// Share of inputs whose first class was right, 0 to 1; `None` without inputs.
    pub fn top1(&self) -> Option<f64> {
        (self.inputs > 0).then(|| self.top1 as f64 / self.inputs as f64)
    }

    /// Share of inputs whose class was among the first five, 0 to 1; `None` without inputs.
    pub fn top5(&self) -> Option<f64> {
        (self.inputs > 0).then(|| self.top5 as f64 / self.inputs as f64)
    }

    /// Inputs of class `truth` for which `said` was the first class; `None` = no class was said.
    pub fn count(&self, truth: usize, said: Option<usize>) -> u64 {
        self.confusion.get(&(truth, said)).copied().unwrap_or(0)
    }

    /// Classes that inputs are of, or that were said, in order.
    pub fn classes(&self) -> Vec<usize> {
        let mut classes: Vec<usize> =
            self.confusion.keys().flat_map(|(truth, said)| [Some(*truth), *said]).flatten().collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Figures of each of [`Classes::classes`].
    pub fn each(&self) -> Vec<OneClass> {
        let mut sums: BTreeMap<usize, (u64, u64, u64)> = BTreeMap::new();
        for ((truth, said), count) in &self.confusion {
            sums.entry(*truth).or_default().0 += count;
            if let Some(said) = said {
                let sum = sums.entry(*said).or_default();
                sum.1 += count;
                sum.2 += if said == truth { *count } else { 0 };
            }
        }
        let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
        let one = |(class, (inputs, said, right)): (usize, (u64, u64, u64))| OneClass {
            class,
            inputs,
            said,
            right,
            precision: share(right, said),
            recall: share(right, inputs),
        };
        sums.into_iter().map(one).collect()
    }

    /// Mean recall of the classes that have inputs, each counted alike, 0 to 1 (balanced accuracy); `None` without inputs.
    pub fn balanced(&self) -> Option<f64> {
        let recalls: Vec<f64> = self.each().iter().filter_map(|one| one.recall).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Pairs of classes that are mistaken for each other most: `(right, said, inputs)`, the most first.
    pub fn mistakes(&self) -> Vec<(usize, Option<usize>, u64)> {
        let wrong = self.confusion.iter().filter(|((truth, said), _)| *said != Some(*truth));
        let mut wrong: Vec<_> = wrong.map(|((truth, said), count)| (*truth, *said, *count)).collect();
        wrong.sort_by(|a, b| b.2.cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_matrix_by_hand() {
        let mut classes = Classes::default();
        for (truth, ranking) in
            [(0, &[0, 1][..]), (0, &[1, 0]), (1, &[1, 2]), (2, &[1, 0, 3, 4, 2]), (2, &[1, 0, 3, 4, 5, 2]), (2, &[])]
        {
            classes.add(truth, ranking);
        }
        assert_eq!((classes.top1(), classes.top5()), (Some(2.0 / 6.0), Some(4.0 / 6.0)));
        assert_eq!(classes.count(2, Some(1)), 2);
        assert_eq!(classes.count(2, None), 1);
        let each = classes.each();
        assert_eq!(each.iter().map(|one| one.precision).collect::<Vec<_>>(), [Some(1.0), Some(0.25), None]);
        assert_eq!(each.iter().map(|one| one.recall).collect::<Vec<_>>(), [Some(0.5), Some(1.0), Some(0.0)]);
        assert_eq!(classes.balanced(), Some(0.5));
        assert_eq!(classes.mistakes()[0], (2, Some(1), 2));
        assert_eq!(Classes::default().top1(), None);
    }
}
