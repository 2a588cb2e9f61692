//! Cuts what was found into islands that can run as one node each, and says of every node where it is computed.
//!
//! An island must not depend on itself through nodes that stay in tract. So every item has a level: that of its operands,
//! and one more where an operand comes out of an island through such nodes. Items of one level that share tensors are an
//! island. An island that computes nothing is not worth its copies and stays in tract, which changes what the others can
//! read, so the cut is made again until all are worth it.

use std::collections::{HashMap, HashSet};

use super::flow::{Origin, Role, Search, View};
use super::net;
use super::{Found, Idle, Island, Verdict};
use crate::int8::graph::{Format, Graph, Node, Port, TensorId};

/// How often a cut is made again before the rest is taken as it is.
const MAX_ROUNDS: usize = 64;

/// Cuts.
pub(super) fn islands(search: Search, keep: Idle) -> Found {
    let mut dropped = vec![false; search.items.len()];
    for round in 1.. {
        let cut = Cut::new(&search, &dropped);
        let idle = cut.idle();
        if idle.is_empty() || round == MAX_ROUNDS || keep != Idle::Drop {
            return cut.found();
        }
        idle.into_iter().for_each(|item| dropped[item] = true);
    }
    Found::default()
}

/// One attempt.
struct Cut<'s, 'a> {
    search: &'s Search<'a>,
    /// Items that stay in tract.
    dropped: &'s [bool],
    /// Nodes that stay in tract.
    stays: Vec<bool>,
    /// Names that are read outside of islands, or that islands hand to one another.
    needed: HashSet<&'a str>,
    levels: Vec<usize>,
    /// For each item, the first item of its island.
    groups: Vec<usize>,
}

impl<'s, 'a> Cut<'s, 'a> {
    fn new(search: &'s Search<'a>, dropped: &'s [bool]) -> Self {
        let count = search.items.len();
        let mut cut = Cut {
            search,
            dropped,
            stays: vec![true; search.roles.len()],
            needed: HashSet::new(),
            levels: vec![0; count],
            groups: (0..count).collect(),
        };
        cut.settle();
        cut.rank();
        cut.group();
        cut
    }

    /// Whether an item is part of an island.
    fn is_live(&self, item: usize) -> bool {
        self.dropped.get(item) == Some(&false)
    }

    fn live(&self) -> Vec<usize> {
        (0..self.search.items.len()).filter(|&i| self.is_live(i)).collect()
    }

    /// The item in an island that makes a tensor.
    fn made_by(&self, tensor: TensorId) -> Option<usize> {
        match self.search.tensors[tensor].origin {
            Origin::Item(item) => Some(item).filter(|&i| self.is_live(i)),
            _ => None,
        }
    }

    /// Whether an island can give a name to the outside.
    fn is_exported(&self, name: &str) -> bool {
        match self.search.views.get(name) {
            Some(View::Bytes { tensor, .. } | View::Real { tensor }) => self.made_by(*tensor).is_some(),
            _ => false,
        }
    }

    /// Operands of an item that it does not make itself.
    fn operands(&self, item: usize) -> impl Iterator<Item = TensorId> {
        let steps = self.search.items[item].steps.iter();
        steps.flat_map(|s| &s.inputs).copied().filter(move |&t| match self.search.tensors[t].origin {
            Origin::Item(maker) => maker != item,
            Origin::Constant => false,
            _ => true,
        })
    }

    /// Decides which nodes stay and which names they need, readers before makers.
    fn settle(&mut self) {
        let search = self.search;
        let net = &search.net;
        // What islands read of items that are in no island must exist outside.
        for item in self.live() {
            for tensor in self.operands(item).collect::<Vec<_>>() {
                let flowing = &search.tensors[tensor];
                if let (Origin::Item(maker), Some(name)) = (flowing.origin, flowing.name)
                    && !self.is_live(maker)
                {
                    self.needed.insert(name);
                }
            }
        }
        for &index in net.order.iter().rev() {
            let node = net.node(index);
            let wanted = |name: &String| net.is_kept(name) || self.needed.contains(name.as_str());
            let stays = match &search.roles[index] {
                Some(Role::Item(item)) => !self.is_live(*item),
                Some(Role::View) => node.output.iter().any(|o| wanted(o) && !self.is_exported(o)),
                _ => true,
            };
            self.stays[index] = stays;
            if stays {
                self.needed.extend(node.input.iter().map(String::as_str).filter(|i| !i.is_empty()));
                net::captured(node, &mut |name| _ = self.needed.insert(name));
            }
        }
    }

    /// Levels of items and of what stays, makers before readers.
    fn rank(&mut self) {
        let search = self.search;
        let net = &search.net;
        let mut at_head: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, item) in search.items.iter().enumerate().filter(|(i, _)| !self.dropped[*i]) {
            at_head.entry(item.head).or_default().push(index);
        }
        let mut levels: HashMap<&str, usize> = HashMap::new();
        for &index in &net.order {
            for &item in at_head.get(&index).map_or(&[][..], Vec::as_slice) {
                let level = self.operands(item).map(|t| match search.tensors[t].origin {
                    Origin::Item(maker) if self.is_live(maker) => self.levels[maker],
                    _ => self.outer(t).map_or(0, |(name, _)| self.outer_level(&levels, name)),
                });
                self.levels[item] = level.max().unwrap_or(0);
            }
            if self.stays[index] {
                let node = net.node(index);
                let mut level = 0;
                let mut read = |name: &str| level = level.max(self.outer_level(&levels, name));
                node.input.iter().for_each(|i| read(i));
                net::captured(node, &mut read);
                levels.extend(node.output.iter().map(|o| (o.as_str(), level)));
            }
        }
    }

    /// The level of a name for a reader outside of islands.
    fn outer_level(&self, levels: &HashMap<&str, usize>, name: &str) -> usize {
        match self.search.views.get(name) {
            Some(view) if self.is_exported(name) => match self.made_by(view.tensor()) {
                Some(item) => self.levels[item] + 1,
                None => 0,
            },
            _ => levels.get(name).copied().unwrap_or(0),
        }
    }

    /// Under which name, and as what, a tensor that the reader's island does not make comes in.
    fn outer(&self, tensor: TensorId) -> Option<(&'a str, Format)> {
        let bytes = |unsigned: bool| if unsigned { Format::U8 } else { Format::I8 };
        let flowing = &self.search.tensors[tensor];
        Some(match flowing.origin {
            Origin::Outside { name, unsigned } => (name, bytes(unsigned)),
            Origin::Floats { name } => (name, Format::F32),
            Origin::Quantised { node, bytes: name, unsigned, .. } if self.stays[node] => (name, bytes(unsigned)),
            Origin::Quantised { floats, .. } => (floats, Format::F32),
            Origin::Constant => return None,
            Origin::Item(_) => {
                let name = flowing.name?;
                match self.search.views.get(name)? {
                    View::Bytes { unsigned, .. } => (name, bytes(*unsigned)),
                    _ => (name, Format::F32),
                }
            }
        })
    }

    /// Joins items of one level that share tensors.
    fn group(&mut self) {
        let mut first_reader: HashMap<(TensorId, usize), usize> = HashMap::new();
        for item in self.live() {
            for tensor in self.operands(item).collect::<Vec<_>>() {
                let level = self.levels[item];
                if let Some(maker) = self.made_by(tensor).filter(|&m| self.levels[m] == level) {
                    self.join(item, maker);
                }
                let other = *first_reader.entry((tensor, level)).or_insert(item);
                self.join(item, other);
            }
        }
        for item in 0..self.groups.len() {
            self.groups[item] = self.root(item);
        }
    }

    fn root(&self, mut item: usize) -> usize {
        while self.groups[item] != item {
            item = self.groups[item];
        }
        item
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.groups[a.max(b)] = a.min(b);
    }

    /// Items of islands that compute nothing.
    fn idle(&self) -> Vec<usize> {
        let live = || self.live().into_iter();
        let busy: HashSet<usize> = live().filter(|&i| self.search.items[i].computes).map(|i| self.groups[i]).collect();
        live().filter(|&i| !busy.contains(&self.groups[i])).collect()
    }

    /// The islands as graphs, and a verdict for each node.
    fn found(mut self) -> Found {
        let mut roots: Vec<usize> = self.live().into_iter().map(|i| self.groups[i]).collect();
        roots.sort_unstable_by_key(|&root| (self.levels[root], root));
        roots.dedup();
        let number: HashMap<usize, usize> = roots.iter().enumerate().map(|(n, &root)| (root, n)).collect();
        let island_of = |item: usize| number.get(&self.groups[item]).copied();

        // What one island makes and another reads goes through a name.
        let mut handed: HashSet<&str> = HashSet::new();
        let mut first_reader: HashMap<TensorId, usize> = HashMap::new();
        for item in self.live() {
            for tensor in self.operands(item) {
                first_reader.entry(tensor).or_insert(item);
                let other = self.made_by(tensor).is_some_and(|maker| self.groups[maker] != self.groups[item]);
                if other && let Some(name) = self.search.tensors[tensor].name {
                    handed.insert(name);
                }
            }
        }
        let mut islands: Vec<Island> =
            roots.iter().map(|_| Island { graph: Graph::default(), nodes: Vec::new() }).collect();
        let mut verdicts = Vec::with_capacity(self.search.roles.len());
        for (index, role) in self.search.roles.iter().enumerate() {
            let island = match role {
                Some(Role::Item(item)) if self.is_live(*item) => island_of(*item),
                Some(Role::View) if !self.stays[index] => {
                    let tensor = self.viewed(index);
                    let item = tensor.and_then(|t| self.made_by(t).or_else(|| first_reader.get(&t).copied()));
                    item.and_then(island_of)
                }
                _ => None,
            };
            verdicts.push(match (island, role) {
                (Some(island), _) => {
                    islands[island].nodes.push(index);
                    Verdict::Integer { island }
                }
                (None, Some(Role::Folded)) => Verdict::Folded,
                (None, Some(Role::Float(why))) => Verdict::Float { why: why.clone() },
                (None, Some(Role::View)) if self.stays[index] => {
                    Verdict::Float { why: "its result is read in floats".into() }
                }
                (None, Some(_)) => Verdict::Float { why: "no operator around it computes in integers".into() },
                (None, None) => Verdict::Float { why: "it is part of a circle".into() },
            });
        }
        self.needed.extend(handed);
        for (island, root) in islands.iter_mut().zip(&roots) {
            island.graph = self.graph(*root);
        }
        Found { islands, verdicts }
    }

    /// The tensor that a node gives another name to.
    fn viewed(&self, index: usize) -> Option<TensorId> {
        let names = self.search.net.node(index).output.iter();
        names.filter_map(|o| self.search.views.get(o.as_str())).map(View::tensor).next()
    }

    /// The graph of the island that begins with item `root`.
    fn graph(&self, root: usize) -> Graph {
        let search = self.search;
        let members: Vec<usize> = self.live().into_iter().filter(|&i| self.groups[i] == root).collect();
        let own: HashSet<usize> = members.iter().copied().collect();
        let is_own = |tensor: TensorId| self.made_by(tensor).is_some_and(|item| own.contains(&item));
        // Outputs in the order of the nodes of the file that make them.
        let mut outputs: Vec<(TensorId, &str, Format)> = Vec::new();
        for &index in &search.net.order {
            for name in search.net.node(index).output.iter().map(String::as_str) {
                let read = search.net.is_kept(name) || self.needed.contains(name);
                match search.views.get(name) {
                    Some(View::Bytes { tensor, unsigned }) if read && is_own(*tensor) => {
                        outputs.push((*tensor, name, if *unsigned { Format::U8 } else { Format::I8 }));
                    }
                    Some(View::Real { tensor }) if read && is_own(*tensor) => {
                        outputs.push((*tensor, name, Format::F32))
                    }
                    _ => {}
                }
            }
        }
        // Steps that nothing reads (parts of a Split) are left out.
        let mut read: HashSet<TensorId> = outputs.iter().map(|(tensor, ..)| *tensor).collect();
        let mut steps: Vec<&Node> = Vec::new();
        for step in members.iter().rev().flat_map(|&i| search.items[i].steps.iter().rev()) {
            if read.contains(&step.output) {
                read.extend(&step.inputs);
                steps.push(step);
            }
        }
        steps.reverse();

        let mut graph = Graph::default();
        let mut ids: HashMap<TensorId, TensorId> = HashMap::new();
        let mut local = |graph: &mut Graph, tensor: TensorId| -> TensorId {
            *ids.entry(tensor).or_insert_with(|| {
                graph.tensors.push(search.tensors[tensor].tensor.clone());
                let id = graph.tensors.len() - 1;
                if !is_own(tensor)
                    && let Some((name, format)) = self.outer(tensor)
                {
                    graph.inputs.push(Port { tensor: id, name: name.to_owned(), format });
                }
                id
            })
        };
        for step in steps {
            let inputs = step.inputs.iter().map(|&t| local(&mut graph, t)).collect();
            let output = local(&mut graph, step.output);
            graph.nodes.push(Node { name: step.name.clone(), op: step.op.clone(), inputs, output });
        }
        for (tensor, name, format) in outputs {
            let tensor = local(&mut graph, tensor);
            graph.outputs.push(Port { tensor, name: name.to_owned(), format });
        }
        graph
    }
}
