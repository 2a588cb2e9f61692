//! Choice among forms of one model: those that no other one beats, and the few of them that are worth keeping.

/// Worth and cost of one form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tradeoff {
    /// Accuracy, 0 to 1.
    pub worth: f64,
    /// Time of one inference in milliseconds.
    pub cost_ms: f64,
}

/// Bounds on the forms that are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Worth that the first form may lose against the best one.
    pub first_loss: f64,
    /// Worth that any form may lose against the best one.
    pub most_loss: f64,
    /// Cost of a form over that of the one before, at most.
    pub step: f64,
    /// Forms at most.
    pub most: usize,
}

/// Indices of the forms that no other one beats (no worse in both, and better in one), the dearest first. Of two that are alike the first one
/// counts.
pub fn front(forms: &[Tradeoff]) -> Vec<usize> {
    let beaten = |index: usize| {
        let this = &forms[index];
        forms.iter().enumerate().any(|(other, form)| {
            let no_worse = form.worth >= this.worth && form.cost_ms <= this.cost_ms;
            let better = form.worth > this.worth || form.cost_ms < this.cost_ms;
            other != index && no_worse && (better || other < index)
        })
    };
    let mut left: Vec<usize> = (0..forms.len()).filter(|index| !beaten(*index)).collect();
    left.sort_by(|a, b| forms[*b].cost_ms.total_cmp(&forms[*a].cost_ms));
    left
}

/// Indices of the forms to keep, the dearest first: the cheapest that is about as good as the best one, then those on the [`front`] that are
/// clearly cheaper than the one before. Where these are too many, they are thinned out evenly; first and last stay.
pub fn ladder(forms: &[Tradeoff], bounds: &Bounds) -> Vec<usize> {
    let front = front(forms);
    let best = forms.iter().map(|form| form.worth).fold(f64::NEG_INFINITY, f64::max);
    let within = |index: &&usize, loss: f64| forms[**index].worth >= best - loss;
    let Some(first) = front.iter().rev().find(|index| within(index, bounds.first_loss)) else { return Vec::new() };
    let mut kept = vec![*first];
    let mut last = forms[*first].cost_ms;
    for index in front.iter().filter(|index| within(index, bounds.most_loss)) {
        if forms[*index].cost_ms <= bounds.step * last {
            last = forms[*index].cost_ms;
            kept.push(*index);
        }
    }
    let (count, most) = (kept.len(), bounds.most.max(1));
    if count <= most {
        return kept;
    }
    (0..most).map(|at| kept[if most == 1 { 0 } else { at * (count - 1) / (most - 1) }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(pairs: &[(f64, f64)]) -> Vec<Tradeoff> {
        pairs.iter().map(|&(worth, cost_ms)| Tradeoff { worth, cost_ms }).collect()
    }

    const BOUNDS: Bounds = Bounds { first_loss: 0.005, most_loss: 0.1, step: 0.8, most: 4 };

    #[test]
    fn the_front_holds_what_nothing_beats() {
        let all = forms(&[(0.84, 10.0), (0.84, 3.0), (0.82, 4.0), (0.80, 2.0), (0.80, 2.0), (0.85, 12.0)]);
        assert_eq!(front(&all), [5, 1, 3]);
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn the_first_form_is_the_cheapest_that_is_as_good_and_the_others_are_clearly_cheaper() {
        // Bytes lose a little against floats, which the first form may.
        let all =
            forms(&[(0.842, 10.0), (0.840, 3.0), (0.838, 2.9), (0.835, 2.5), (0.83, 2.0), (0.80, 1.0), (0.6, 0.5)]);
        assert_eq!(ladder(&all, &BOUNDS), [2, 4, 5]);
        let strict = Bounds { first_loss: 0.0, ..BOUNDS };
        assert_eq!(ladder(&all, &strict), [0, 1, 4, 5]);
    }

    #[test]
    fn too_many_are_thinned_out_between_first_and_last() {
        let all: Vec<Tradeoff> =
            (0..9).map(|i| Tradeoff { worth: 0.9 - 0.01 * i as f64, cost_ms: 100.0 * 0.7_f64.powi(i) }).collect();
        let kept = ladder(&all, &Bounds { first_loss: 0.0, ..BOUNDS });
        assert_eq!((kept.len(), kept[0], kept[3]), (4, 0, 8));
        assert_eq!(ladder(&all, &Bounds { first_loss: 0.0, most: 1, ..BOUNDS }), [0]);
    }
}
