//! Labels of channels: two places of two tensors with the same label are kept or removed together.

use std::collections::HashMap;

/// Name of a set of places that go together.
pub type Label = u32;

/// The label of places that stay.
pub const FIXED: Label = 0;

/// Labels along one axis of a tensor, one for each index; `None` where all stay.
pub type AxisLabels = Option<Vec<Label>>;

/// Sets of labels that were united (union-find). [`FIXED`] is always the head of its set.
#[derive(Clone, Debug)]
pub struct Labels {
    parent: Vec<Label>,
}

impl Default for Labels {
    fn default() -> Self {
        Labels { parent: vec![FIXED] }
    }
}

impl Labels {
    /// `count` new labels, each a set of its own.
    pub fn fresh(&mut self, count: usize) -> Vec<Label> {
        let first = self.parent.len() as Label;
        self.parent.extend(first..first + count as Label);
        (first..first + count as Label).collect()
    }

    /// Head of the set that a label is in.
    pub fn head(&self, label: Label) -> Label {
        let mut label = label;
        while self.parent[label as usize] != label {
            label = self.parent[label as usize];
        }
        label
    }

    /// Heads along an axis.
    pub fn heads(&self, labels: &[Label]) -> Vec<Label> {
        labels.iter().map(|&label| self.head(label)).collect()
    }

    /// Puts two labels into one set.
    pub fn unite(&mut self, a: Label, b: Label) {
        let (a, b) = (self.head(a), self.head(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high as usize] = low;
    }

    /// Puts the labels of two axes of the same size into one set, index by index.
    pub fn unite_all(&mut self, a: &[Label], b: &[Label]) {
        a.iter().zip(b).for_each(|(&a, &b)| self.unite(a, b));
    }

    /// Makes labels stay.
    pub fn fix(&mut self, labels: &[Label]) {
        labels.iter().for_each(|&label| self.unite(label, FIXED));
    }

    /// Number of different sets along an axis that may be removed.
    pub fn free(&self, labels: &[Label]) -> usize {
        let mut heads = self.heads(labels);
        heads.sort_unstable();
        heads.dedup();
        heads.len() - usize::from(heads.first() == Some(&FIXED))
    }

    /// Test for axes that lose the same indices whatever is removed.
    pub fn same(&self, a: &[Label], b: &[Label]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.head(a) == self.head(b))
    }
}

/// Labels of one axis when a row-major block of axes `from`, of which axis `at` has `labels`, is read as axes `to`.
///
/// Gives the axis of `to` that the labels come to lie on, with its labels. Labels that meet on one index are united; of several axes
/// that would do, the one with the most sets is taken. `None` where nothing is left to remove: `labels` are fixed then.
pub fn regroup(
    labels: &mut Labels,
    own: &[Label],
    from: &[usize],
    at: usize,
    to: &[usize],
) -> Option<(usize, Vec<Label>)> {
    let inner: usize = from[at + 1..].iter().product();
    let total: usize = from.iter().product();
    let heads = labels.heads(own);
    let mut best: Option<(usize, usize, Labels)> = None;
    for (axis, &size) in to.iter().enumerate().filter(|(_, size)| **size > 1) {
        let mut united = labels.clone();
        let mut on_axis: Vec<Option<Label>> = vec![None; size];
        let step: usize = to[axis + 1..].iter().product();
        for place in 0..total {
            let label = heads[place / inner % own.len()];
            match &mut on_axis[place / step % size] {
                Some(first) if *first != label => united.unite(*first, label),
                Some(_) => {}
                empty => *empty = Some(label),
            }
        }
        let free = united.free(own);
        if free > 0 && best.as_ref().is_none_or(|(_, most, _)| free >= *most) {
            best = Some((axis, free, united));
        }
    }
    let Some((axis, _, united)) = best else {
        labels.fix(own);
        return None;
    };
    *labels = united;
    let step: usize = to[axis + 1..].iter().product();
    let mut result = vec![FIXED; to[axis]];
    for place in 0..total {
        result[place / step % to[axis]] = heads[place / inner % own.len()];
    }
    Some((axis, result))
}

/// Sets that stand in the same places of the same axes, and so can take each other's place: the members of a family differ in nothing
/// but their index.
#[derive(Clone, Debug, Default)]
pub struct Families {
    /// Heads of the members, family by family.
    pub members: Vec<Vec<Label>>,
}

impl Families {
    /// Families of all sets along some axes that may be removed.
    pub fn new<'a>(labels: &Labels, axes: impl Iterator<Item = &'a [Label]>) -> Self {
        let mut places: HashMap<Label, Vec<(usize, usize)>> = HashMap::new();
        for (axis, own) in axes.enumerate() {
            for head in labels.heads(own) {
                let places = places.entry(head).or_default();
                match places.last_mut() {
                    Some((last, count)) if *last == axis => *count += 1,
                    _ => places.push((axis, 1)),
                }
            }
        }
        places.remove(&FIXED);
        let mut by_places: HashMap<Vec<(usize, usize)>, Vec<Label>> = HashMap::new();
        for (head, places) in places {
            by_places.entry(places).or_default().push(head);
        }
        let mut members: Vec<Vec<Label>> = by_places.into_values().collect();
        members.iter_mut().for_each(|family| family.sort_unstable());
        members.sort_unstable();
        Families { members }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_united_with_something_fixed_stays() {
        let mut labels = Labels::default();
        let own = labels.fresh(4);
        labels.unite(own[3], own[2]);
        labels.unite(own[1], own[0]);
        assert_eq!(labels.free(&own), 2);
        labels.fix(&own[2..3]);
        assert_eq!((labels.head(own[3]), labels.free(&own)), (FIXED, 1));
        assert!(labels.same(&own[..2], &[own[1], own[1]]) && !labels.same(&own[..1], &own[2..3]));
    }

    fn regrouped(count: usize, from: &[usize], at: usize, to: &[usize]) -> (usize, Option<(usize, Vec<Label>)>) {
        let mut labels = Labels::default();
        let own = labels.fresh(count);
        let found = regroup(&mut labels, &own, from, at, to);
        (labels.free(&own), found.map(|(axis, found)| (axis, labels.heads(&found))))
    }

    #[test]
    fn channels_through_a_reshape() {
        // Flattened: each channel is a run of pixels.
        assert_eq!(regrouped(2, &[2, 3], 0, &[6]), (2, Some((0, vec![1, 1, 1, 2, 2, 2]))));
        // Two halves, as before a shuffle: the same channel of both.
        assert_eq!(regrouped(6, &[6], 0, &[2, 3]), (3, Some((1, vec![1, 2, 3]))));
        // Pairs: both of a pair.
        assert_eq!(regrouped(6, &[6], 0, &[3, 2]), (3, Some((0, vec![1, 3, 5]))));
        // Nothing but all of them together.
        assert_eq!(regrouped(3, &[3, 4], 0, &[2, 6]), (1, Some((1, vec![1; 6]))));
        assert_eq!(regrouped(1, &[1], 0, &[1]), (0, None));
    }

    #[test]
    fn families_are_sets_in_the_same_places() {
        let mut labels = Labels::default();
        let (a, b) = (labels.fresh(4), labels.fresh(2));
        labels.unite_all(&a[..2], &b);
        labels.fix(&a[3..]);
        let families = Families::new(&labels, [&a[..], &b[..]].into_iter());
        assert_eq!(families.members, [vec![1, 2], vec![3]]);
    }
}
