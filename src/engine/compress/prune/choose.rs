//! Choice of what is removed: the least that is said for each multiplication saved, over the whole net.

use std::collections::{HashMap, HashSet};

use super::labels::{Families, Label};
use super::trace::Trace;

/// Channels that are taken away together, so that kernels that work by lanes lose no time.
pub const STEP: usize = 4;

/// Layers with the number of inputs and outputs that they have left.
#[derive(Clone, Debug)]
struct Counts<'t> {
    trace: &'t Trace,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl<'t> Counts<'t> {
    fn new(trace: &'t Trace) -> Self {
        let inputs = trace.layers.iter().map(|layer| layer.inputs).collect();
        Counts { trace, inputs, outputs: trace.layers.iter().map(|layer| layer.output.len()).collect() }
    }

    fn macs(&self, layer: usize) -> u64 {
        self.trace.layers[layer].macs(self.inputs[layer], self.outputs[layer])
    }

    fn all(&self) -> u64 {
        (0..self.inputs.len()).map(|layer| self.macs(layer)).sum()
    }
}

/// Channels of one member of a family in a layer: layer, inputs and outputs of it.
type Shares = Vec<(usize, usize, usize)>;

/// A choice of sets to be removed.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Heads of the sets.
    pub removed: HashSet<Label>,
    /// Multiplications and additions of the whole model.
    pub before: u64,
    /// The same once they are gone.
    pub after: u64,
    /// Number of families that lose something.
    pub families: usize,
}

/// The candidates of a net.
#[derive(Debug)]
pub struct Candidates<'t> {
    trace: &'t Trace,
    families: Families,
    shares: Vec<Shares>,
    step: usize,
}

impl<'t> Candidates<'t> {
    /// All sets that may be removed, `step` of a family at once.
    pub fn new(trace: &'t Trace, step: usize) -> Self {
        let layers = trace.layers.iter().flat_map(|layer| layer.input.iter().chain([&layer.output]));
        let tensors: std::collections::BTreeMap<_, _> = trace.axes.iter().collect();
        let tensors = tensors.into_values().flatten().flatten();
        let families = Families::new(&trace.labels, layers.chain(tensors).map(Vec::as_slice));
        let mut at: HashMap<Label, usize> = HashMap::new();
        for (family, members) in families.members.iter().enumerate() {
            at.extend(members.first().map(|first| (*first, family)));
        }
        let mut shares: Vec<Shares> = vec![vec![]; families.members.len()];
        for (index, layer) in trace.layers.iter().enumerate() {
            let mut found: HashMap<usize, (usize, usize)> = HashMap::new();
            for head in trace.labels.heads(layer.input.as_deref().unwrap_or_default()) {
                at.get(&head).into_iter().for_each(|family| found.entry(*family).or_default().0 += 1);
            }
            for head in trace.labels.heads(&layer.output) {
                at.get(&head).into_iter().for_each(|family| found.entry(*family).or_default().1 += 1);
            }
            found.into_iter().for_each(|(family, (inputs, outputs))| shares[family].push((index, inputs, outputs)));
        }
        Candidates { trace, families, shares, step }
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.families.members.iter().map(Vec::len).sum()
    }

    /// Test for nothing to be removed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Families of sets that can take each other's place.
    pub fn families(&self) -> &[Vec<Label>] {
        &self.families.members
    }

    /// Multiplications and additions of the whole model.
    pub fn macs(&self) -> u64 {
        Counts::new(self.trace).all()
    }

    /// Fewest multiplications that can be left.
    pub fn least(&self) -> u64 {
        self.choose(&|_| 1.0, 0, true).after
    }

    /// Removes what `score` says the least of until at most `target` multiplications are left, or nothing more can go. With `by_macs`, scores are
    /// held against the multiplications that each saves.
    pub fn choose(&self, score: &dyn Fn(Label) -> f64, target: u64, by_macs: bool) -> Choice {
        let mut counts = Counts::new(self.trace);
        let before = counts.all();
        let mut choice = Choice { before, after: before, ..Choice::default() };
        let mut waiting: Vec<Vec<(f64, Label)>> = self.families.members.iter().map(|f| sorted(f, score)).collect();
        let mut begun = HashSet::new();
        while choice.after > target {
            let best = (0..waiting.len())
                .filter_map(|family| {
                    let size = self.next(waiting[family].len())?;
                    let saved = self.saved(&counts, family, size);
                    let lost: f64 = waiting[family].iter().rev().take(size).map(|(score, _)| score).sum();
                    let worth = if by_macs { lost / saved as f64 } else { lost / size as f64 };
                    (saved > 0).then_some((worth, family, size, saved))
                })
                .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let Some((_, family, size, saved)) = best else { break };
            for _ in 0..size {
                choice.removed.extend(waiting[family].pop().map(|(_, label)| label));
            }
            for &(layer, inputs, outputs) in &self.shares[family] {
                counts.inputs[layer] -= inputs * size;
                counts.outputs[layer] -= outputs * size;
            }
            choice.after -= saved;
            begun.insert(family);
        }
        choice.families = begun.len();
        choice
    }

    /// Number of members that go next of a family of `count`: down to a multiple of the step, and one step stays.
    fn next(&self, count: usize) -> Option<usize> {
        let step = if count > self.step { self.step } else { 1 };
        let size = if count.is_multiple_of(step) { step } else { count % step };
        // A family that began smaller than the step goes down to one, a larger one to the step.
        (count > size && (count > self.step || self.step == 1)).then_some(size)
    }

    fn saved(&self, counts: &Counts<'_>, family: usize, size: usize) -> u64 {
        let saved = self.shares[family].iter().map(|&(layer, inputs, outputs)| {
            let (i, o) = (counts.inputs[layer], counts.outputs[layer]);
            let layer = &counts.trace.layers[layer];
            layer.macs(i, o) - layer.macs(i - inputs * size, o - outputs * size)
        });
        saved.sum()
    }
}

/// Members with the least score last.
fn sorted(family: &[Label], score: &dyn Fn(Label) -> f64) -> Vec<(f64, Label)> {
    let mut members: Vec<(f64, Label)> = family.iter().map(|&label| (score(label), label)).collect();
    members.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    members
}
