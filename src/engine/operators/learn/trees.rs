//! `TreeEnsembleClassifier`, `TreeEnsembleRegressor`, and `TreeEnsemble` of opset 5.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::scores::{Labels, Transform, largest, samples};
use crate::onnx::{node, tensor};
use crate::operators::kernel::{Kernel, Known, Outputs};
use crate::operators::values::{doubles, of_doubles, of_floats, required};

/// Comparison of a feature with a node's value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Leaf,
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
    Member,
}

/// One node of a tree; children are indices of nodes.
#[derive(Debug)]
struct Branch {
    mode: Mode,
    feature: usize,
    value: f64,
    /// Members of the set, with [`Mode::Member`].
    members: Vec<f64>,
    yes: usize,
    no: usize,
    /// A missing value counts for yes.
    missing: bool,
    /// Target and weight that each leaf adds.
    weights: Vec<(usize, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Trees whose leaves add to targets.
#[derive(Debug)]
struct Forest {
    branches: Vec<Branch>,
    roots: Vec<usize>,
    targets: usize,
    base: Vec<f64>,
    aggregate: Aggregate,
    transform: Transform,
    /// Features that a sample must have.
    features: usize,
}

impl Forest {
    /// Checks that every way from a root ends in a leaf: children stand behind no cycle.
    fn checked(self) -> TractResult<Self> {
        let count = self.branches.len();
        let mut state = vec![0u8; count];
        for &root in &self.roots {
            let mut stack = vec![(root, false)];
            while let Some((index, done)) = stack.pop() {
                let Some(branch) = self.branches.get(index) else { bail!("one of its nodes is none of {count}") };
                if done {
                    state[index] = 2;
                    continue;
                }
                match state[index] {
                    0 => {}
                    1 => bail!("one of its trees runs in a circle"),
                    _ => continue,
                }
                state[index] = 1;
                stack.push((index, true));
                if branch.mode != Mode::Leaf {
                    stack.extend([(branch.yes, false), (branch.no, false)]);
                }
            }
        }
        let beyond = |branch: &Branch| branch.weights.iter().any(|(target, _)| *target >= self.targets);
        ensure!(!self.branches.iter().any(beyond), "a leaf adds to none of {} targets", self.targets);
        Ok(self)
    }

    /// Sums of one sample, before the transform; `counts` tells which targets a leaf added to.
    fn sums(&self, sample: &[f64], sums: &mut [f64], counts: &mut [bool]) {
        let start = match self.aggregate {
            Aggregate::Min => f64::INFINITY,
            Aggregate::Max => f64::NEG_INFINITY,
            _ => 0.0,
        };
        sums.fill(start);
        counts.fill(false);
        for &root in &self.roots {
            let mut at = root;
            while self.branches[at].mode != Mode::Leaf {
                let branch = &self.branches[at];
                let x = sample[branch.feature];
                let yes = match branch.mode {
                    Mode::Leq => x <= branch.value,
                    Mode::Lt => x < branch.value,
                    Mode::Gte => x >= branch.value,
                    Mode::Gt => x > branch.value,
                    Mode::Eq => x == branch.value,
                    Mode::Neq => x != branch.value,
                    _ => branch.members.contains(&x),
                };
                at = if yes || branch.missing && x.is_nan() { branch.yes } else { branch.no };
            }
            for &(target, weight) in &self.branches[at].weights {
                counts[target] = true;
                sums[target] = match self.aggregate {
                    Aggregate::Min => sums[target].min(weight),
                    Aggregate::Max => sums[target].max(weight),
                    _ => sums[target] + weight,
                };
            }
        }
        for (target, sum) in sums.iter_mut().enumerate() {
            if !counts[target] {
                *sum = 0.0;
            } else if self.aggregate == Aggregate::Average {
                *sum /= self.roots.len() as f64;
            }
            *sum += self.base.get(target).copied().unwrap_or(0.0);
        }
    }

    /// Features of all samples, checked.
    fn read(&self, x: &Tensor) -> TractResult<(usize, usize, Vec<f64>)> {
        let (count, features) = samples(x.shape())?;
        ensure!(features >= self.features, "its input has {features} features, its trees ask for {}", self.features);
        Ok((count, features.max(1), doubles(x)?))
    }
}

/// An attribute that is a list of numbers, or a tensor of them under the name `…_as_tensor`.
fn reals(node: &NodeProto, name: &str) -> TractResult<Vec<f64>> {
    if let Some(tensor) = node::tensor(node, &format!("{name}_as_tensor"))? {
        return numbers(tensor);
    }
    Ok(node::floats(node, name)?.unwrap_or_default().iter().map(|&v| f64::from(v)).collect())
}

fn numbers(proto: &tract_onnx::pb::TensorProto) -> TractResult<Vec<f64>> {
    doubles(&tensor::read(proto).with_context(|| format!("tensor {:?} cannot be read", proto.name))?)
}

fn indices(node: &NodeProto, name: &str) -> TractResult<Vec<usize>> {
    let values = node::ints(node, name)?.unwrap_or_default();
    values.iter().map(|&v| usize::try_from(v).map_err(|_| format_err!("one of its {name} is {v}"))).collect()
}

fn modes(node: &NodeProto) -> TractResult<Vec<Mode>> {
    let texts = node::attribute(node, "nodes_modes").map(|a| &a.strings[..]).unwrap_or_default();
    let mode = |text: &Vec<u8>| {
        Ok(match &text[..] {
            b"LEAF" => Mode::Leaf,
            b"BRANCH_LEQ" => Mode::Leq,
            b"BRANCH_LT" => Mode::Lt,
            b"BRANCH_GTE" => Mode::Gte,
            b"BRANCH_GT" => Mode::Gt,
            b"BRANCH_EQ" => Mode::Eq,
            b"BRANCH_NEQ" => Mode::Neq,
            other => bail!("one of its nodes_modes is {:?}", String::from_utf8_lossy(other)),
        })
    };
    texts.iter().map(mode).collect()
}

/// Trees of the older operators; `what` is `class` or `target`.
fn forest(node: &NodeProto, what: &str, targets: usize) -> TractResult<Forest> {
    let (trees, ids) = (indices(node, "nodes_treeids")?, indices(node, "nodes_nodeids")?);
    let (features, values) = (indices(node, "nodes_featureids")?, reals(node, "nodes_values")?);
    let (yes, no) = (indices(node, "nodes_truenodeids")?, indices(node, "nodes_falsenodeids")?);
    let modes = modes(node)?;
    let missing = node::ints(node, "nodes_missing_value_tracks_true")?.unwrap_or_default();
    let count = modes.len();
    let lengths = [trees.len(), ids.len(), features.len(), values.len(), yes.len(), no.len()];
    ensure!(lengths.iter().all(|&len| len == count), "its lists of nodes are not equally long");
    let place: HashMap<(usize, usize), usize> = trees.iter().copied().zip(ids).zip(0..).collect();
    ensure!(place.len() == count, "two of its nodes have the same number");
    let child = |tree: usize, id: usize| {
        place.get(&(tree, id)).copied().with_context(|| format!("its tree {tree} has no node {id}"))
    };
    let mut branches = Vec::with_capacity(count);
    let mut roots: Vec<usize> = Vec::new();
    let mut last_tree = None;
    for index in 0..count {
        if last_tree != Some(trees[index]) {
            roots.push(index);
            last_tree = Some(trees[index]);
        }
        let leaf = modes[index] == Mode::Leaf;
        branches.push(Branch {
            mode: modes[index],
            feature: features[index],
            value: values[index],
            members: Vec::new(),
            yes: if leaf { 0 } else { child(trees[index], yes[index])? },
            no: if leaf { 0 } else { child(trees[index], no[index])? },
            missing: missing.get(index).is_some_and(|&m| m != 0),
            weights: Vec::new(),
        });
    }
    let (leaf_trees, leaf_ids) =
        (indices(node, &format!("{what}_treeids"))?, indices(node, &format!("{what}_nodeids"))?);
    let (leaf_targets, weights) = (indices(node, &format!("{what}_ids"))?, reals(node, &format!("{what}_weights"))?);
    let leaves = leaf_ids.len();
    let equal = [leaf_trees.len(), leaf_targets.len(), weights.len()].iter().all(|&len| len == leaves);
    ensure!(equal, "its lists of leaves are not equally long");
    for leaf in 0..leaves {
        let index = child(leaf_trees[leaf], leaf_ids[leaf])?;
        branches[index].weights.push((leaf_targets[leaf], weights[leaf]));
    }
    let aggregate = match node::text(node, "aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => bail!("its aggregate_function is {other:?}"),
    };
    let features = branches.iter().filter(|b| b.mode != Mode::Leaf).map(|b| b.feature + 1).max().unwrap_or(0);
    let (base, transform) = (reals(node, "base_values")?, Transform::of(node)?);
    Forest { branches, roots, targets, base, aggregate, transform, features }.checked()
}

#[derive(Debug)]
struct Regressor {
    forest: Forest,
    /// The output has the type of the input (`TreeEnsemble`), else it is single precision.
    keeps_type: bool,
}

pub(in crate::operators) fn regressor(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let targets = usize::try_from(node::int(node, "n_targets", 1)?)?;
    ensure!((1..=1 << 16).contains(&targets), "its n_targets is {targets}");
    Ok(Arc::new(Regressor { forest: forest(node, "target", targets)?, keeps_type: false }))
}

impl Kernel for Regressor {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        let dtype = if self.keeps_type { x.dtype } else { DatumType::F32 };
        Ok(Some(vec![(dtype, vec![samples(&x.shape)?.0, self.forest.targets])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let (count, features, values) = self.forest.read(x)?;
        let targets = self.forest.targets;
        let (mut sums, mut counts) = (vec![0.0; targets], vec![false; targets]);
        let mut scores = Vec::with_capacity(count * targets);
        for sample in values.chunks(features).take(count) {
            self.forest.sums(sample, &mut sums, &mut counts);
            if self.forest.transform == Transform::None {
                scores.extend_from_slice(&sums);
                continue;
            }
            let mut row: Vec<f32> = sums.iter().map(|&sum| sum as f32).collect();
            self.forest.transform.apply(&mut row);
            scores.extend(row.into_iter().map(f64::from));
        }
        let dtype = if self.keeps_type { x.datum_type() } else { DatumType::F32 };
        Ok(vec![of_doubles(dtype, &[count, targets], &scores)?])
    }
}

#[derive(Debug)]
struct Classifier {
    forest: Forest,
    labels: Labels,
    /// All leaves add to one of two classes.
    binary: bool,
    /// No weight is below zero: they are probabilities already.
    positive: bool,
}

pub(in crate::operators) fn classifier(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::of(node, "classlabels_int64s", "classlabels_strings")?;
    let forest = forest(node, "class", labels.count)?;
    let weights = || forest.branches.iter().flat_map(|b| &b.weights);
    let first = weights().next().map_or(0, |(target, _)| *target);
    let binary = labels.count == 2 && weights().all(|(target, _)| *target == first);
    let positive = weights().all(|(_, weight)| *weight >= 0.0);
    Ok(Arc::new(Classifier { forest, labels, binary, positive }))
}

impl Kernel for Classifier {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (count, _) = samples(&required(inputs, 0)?.shape)?;
        Ok(Some(vec![(DatumType::I64, vec![count]), (DatumType::F32, vec![count, self.labels.count])]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let (count, features, values) = self.forest.read(required(inputs, 0)?)?;
        let classes = self.labels.count;
        let (mut sums, mut counts) = (vec![0.0; classes], vec![false; classes]);
        let (mut labels, mut scores) = (Vec::with_capacity(count), Vec::with_capacity(count * classes));
        for sample in values.chunks(features).take(count) {
            self.forest.sums(sample, &mut sums, &mut counts);
            let mut row: Vec<f32> = sums.iter().map(|&sum| sum as f32).collect();
            if self.binary {
                // One sum for two classes: a probability of the second, or a score that is above or below 0.
                let score = if counts[1] { row[1] } else { row[0] } as f64;
                let base = &self.forest.base;
                let score = if base.len() == 1 && counts[1] { score + base[0] } else { score } as f32;
                let class = usize::from(score > if self.positive { 0.5 } else { 0.0 });
                row = match (self.forest.transform, self.positive) {
                    (Transform::None | Transform::Probit, true) => vec![1.0 - score, score],
                    (Transform::Logistic, _) => {
                        let p = super::scores::logistic(score);
                        vec![1.0 - p, p]
                    }
                    _ => vec![-score, score],
                };
                if matches!(self.forest.transform, Transform::Softmax | Transform::SoftmaxZero) {
                    self.forest.transform.apply(&mut row);
                }
                labels.push(self.labels.get(class));
            } else {
                labels.push(self.labels.get(largest(&row)));
                self.forest.transform.apply(&mut row);
            }
            scores.extend(row);
        }
        Ok(vec![Tensor::from_shape(&[count], &labels)?, of_floats(&[count, classes], &scores)?])
    }
}

/// `TreeEnsemble` (opset 5): nodes and leaves in lists of their own.
pub(in crate::operators) fn ensemble(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let required = |name: &str| node::tensor(node, name)?.with_context(|| format!("it has no {name}"));
    let modes = doubles_of(required("nodes_modes")?)?;
    let values = numbers(required("nodes_splits")?)?;
    let features = indices(node, "nodes_featureids")?;
    let (yes, no) = (indices(node, "nodes_truenodeids")?, indices(node, "nodes_falsenodeids")?);
    let (yes_leaf, no_leaf) = (indices(node, "nodes_trueleafs")?, indices(node, "nodes_falseleafs")?);
    let missing = node::ints(node, "nodes_missing_value_tracks_true")?.unwrap_or_default();
    let members = node::tensor(node, "membership_values")?.map(numbers).transpose()?.unwrap_or_default();
    let (leaf_targets, weights) = (indices(node, "leaf_targetids")?, numbers(required("leaf_weights")?)?);
    let targets = usize::try_from(node::int(node, "n_targets", 1)?)?;
    ensure!((1..=1 << 16).contains(&targets), "its n_targets is {targets}");
    let count = modes.len();
    let lengths = [values.len(), features.len(), yes.len(), no.len(), yes_leaf.len(), no_leaf.len()];
    ensure!(lengths.iter().all(|&len| len == count), "its lists of nodes are not equally long");
    ensure!(leaf_targets.len() == weights.len(), "its lists of leaves are not equally long");
    // Sets of members follow one another, each ended by a NaN.
    let mut sets = members.split(|m| m.is_nan());
    let mut branches = Vec::with_capacity(count + weights.len());
    let at = |index: usize, leaf: usize| if leaf != 0 { count + index } else { index };
    for index in 0..count {
        let mode = match modes[index] as i64 {
            0 => Mode::Leq,
            1 => Mode::Lt,
            2 => Mode::Gte,
            3 => Mode::Gt,
            4 => Mode::Eq,
            5 => Mode::Neq,
            6 => Mode::Member,
            other => bail!("one of its nodes_modes is {other}"),
        };
        branches.push(Branch {
            mode,
            feature: features[index],
            value: values[index],
            members: if mode == Mode::Member { sets.next().unwrap_or_default().to_vec() } else { Vec::new() },
            yes: at(yes[index], yes_leaf[index]),
            no: at(no[index], no_leaf[index]),
            missing: missing.get(index).is_some_and(|&m| m != 0),
            weights: Vec::new(),
        });
    }
    branches.extend(leaf_targets.into_iter().zip(weights).map(|leaf| Branch {
        mode: Mode::Leaf,
        feature: 0,
        value: 0.0,
        members: Vec::new(),
        yes: 0,
        no: 0,
        missing: false,
        weights: vec![leaf],
    }));
    let aggregate = match node::int(node, "aggregate_function", 1)? {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => bail!("its aggregate_function is {other}"),
    };
    let transform = match node::int(node, "post_transform", 0)? {
        0 => Transform::None,
        1 => Transform::Softmax,
        2 => Transform::Logistic,
        3 => Transform::SoftmaxZero,
        4 => Transform::Probit,
        other => bail!("its post_transform is {other}"),
    };
    let features = branches.iter().filter(|b| b.mode != Mode::Leaf).map(|b| b.feature + 1).max().unwrap_or(0);
    let roots = indices(node, "tree_roots")?;
    // A tree of one leaf has a node whose two children are that leaf.
    let forest = Forest { branches, roots, targets, base: Vec::new(), aggregate, transform, features }.checked()?;
    Ok(Arc::new(Regressor { forest, keeps_type: true }))
}

fn doubles_of(proto: &tract_onnx::pb::TensorProto) -> TractResult<Vec<f64>> {
    numbers(proto)
}
