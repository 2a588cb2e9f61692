//! Cuts what was found into partitions that can run as one node each, and says of every node where it is computed.
//!
//! A partition must not depend on itself through nodes that stay in tract. So every item has a level: that of its operands,
//! and one more where an operand comes out of a partition through such nodes. Items of one level that share tensors are an
//! partition. A partition that computes nothing is not worth its copies and stays in tract, which changes what the others can
//! read, so the cut is made again until all are worth it.

use std::collections::{HashMap, HashSet};

use super::search::{Origin, Role, Search, View};
use crate::int8::graph::{Format, TensorId};
use crate::onnx::{captured_names, node};

/// Treatment of partitions that only move bytes or look them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::int8) enum Idle {
    /// They stay in tract: not worth their copies.
    Drop,
    /// They are partitions like others, so that tests can run every operator by itself.
    #[cfg(test)]
    Keep,
}

/// One attempt.
pub(super) struct Cut<'s, 'a> {
    pub search: &'s Search<'a>,
    /// Items that stay in tract.
    dropped: &'s [bool],
    /// Nodes that stay in tract.
    pub stays: Vec<bool>,
    /// Names that are read outside of partitions.
    needed: HashSet<&'a str>,
    /// Names that partitions hand to one another.
    handed: HashSet<&'a str>,
    pub levels: Vec<usize>,
    /// For each item, the first item of its partition.
    pub groups: Vec<usize>,
}

impl<'s, 'a> Cut<'s, 'a> {
    pub fn new(search: &'s Search<'a>, dropped: &'s [bool]) -> Self {
        let count = search.items.len();
        let mut cut = Cut {
            search,
            dropped,
            stays: vec![true; search.roles.len()],
            needed: HashSet::new(),
            handed: HashSet::new(),
            levels: vec![0; count],
            groups: (0..count).collect(),
        };
        cut.settle();
        cut.rank();
        cut.group();
        cut.hand_over();
        cut
    }

    /// True if an item is part of a partition.
    pub fn is_live(&self, item: usize) -> bool {
        self.dropped.get(item) == Some(&false)
    }

    pub fn live(&self) -> Vec<usize> {
        (0..self.search.items.len()).filter(|&i| self.is_live(i)).collect()
    }

    /// The item in a partition that makes a tensor.
    pub fn made_by(&self, tensor: TensorId) -> Option<usize> {
        match self.search.tensors[tensor].origin {
            Origin::Item(item) => Some(item).filter(|&i| self.is_live(i)),
            _ => None,
        }
    }

    /// The tensor that a partition exports as a name, and its format: where bytes have been made floats, the bytes, if there are any.
    fn exported(&self, name: &str) -> Option<(TensorId, Format)> {
        let (tensor, format) = match self.search.views.get(name)? {
            View::Bytes { tensor, unsigned } => (*tensor, bytes(*unsigned)),
            View::Real { tensor } | View::Floats { tensor } => (*tensor, Format::F32),
            View::Function { .. } => (*self.search.floats.get(name)?, Format::F32),
        };
        if self.made_by(tensor).is_some() {
            return Some((tensor, format));
        }
        let floats = self.search.floats.get(name).filter(|&&floats| self.made_by(floats).is_some())?;
        Some((*floats, Format::F32))
    }

    /// Operands of an item that it does not make itself.
    pub fn operands(&self, item: usize) -> impl Iterator<Item = TensorId> {
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
        // What partitions read of items that are in no partition must exist outside.
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
                Some(Role::Folded) if net.is_asking(index) => false,
                Some(Role::View) => node.output.iter().any(|o| wanted(o) && self.exported(o).is_none()),
                _ => true,
            };
            self.stays[index] = stays;
            if stays {
                self.needed.extend(node::inputs(node));
                captured_names(node, &mut |name| _ = self.needed.insert(name));
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
                captured_names(node, &mut read);
                levels.extend(node.output.iter().map(|o| (o.as_str(), level)));
            }
        }
    }

    /// The level of a name for a reader outside of partitions.
    fn outer_level(&self, levels: &HashMap<&str, usize>, name: &str) -> usize {
        match self.exported(name).and_then(|(tensor, _)| self.made_by(tensor)) {
            Some(item) => self.levels[item] + 1,
            None => levels.get(name).copied().unwrap_or(0),
        }
    }

    /// Under which name, and as what, a tensor that the reader's partition does not make comes in.
    pub fn outer(&self, tensor: TensorId) -> Option<(&'a str, Format)> {
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

    fn root(&mut self, mut item: usize) -> usize {
        while self.groups[item] != item {
            // Halves the way for the next who asks.
            self.groups[item] = self.groups[self.groups[item]];
            item = self.groups[item];
        }
        item
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.groups[a.max(b)] = a.min(b);
    }

    /// Items of partitions that compute nothing, or nothing that is read.
    pub fn idle(&self, keep: Idle) -> Vec<usize> {
        let live = || self.live().into_iter();
        let computes = |item: &usize| keep != Idle::Drop || self.search.items[*item].computes;
        let busy: HashSet<usize> = live().filter(computes).map(|i| self.groups[i]).collect();
        let read = self.outputs();
        live().filter(|i| !busy.contains(&self.groups[*i]) || !read.contains_key(&self.groups[*i])).collect()
    }

    /// Tensors that partitions hand out, in the order of the nodes of the file that make them, by the partition's first item.
    pub fn outputs(&self) -> HashMap<usize, Vec<(TensorId, &'a str, Format)>> {
        let mut outputs: HashMap<usize, Vec<(TensorId, &str, Format)>> = HashMap::new();
        let net = &self.search.net;
        for &index in &net.order {
            for name in net.node(index).output.iter().map(String::as_str) {
                let read = net.is_kept(name) || self.needed.contains(name) || self.handed.contains(name);
                let Some((tensor, format)) = self.exported(name).filter(|_| read) else { continue };
                if let Some(item) = self.made_by(tensor) {
                    outputs.entry(self.groups[item]).or_default().push((tensor, name, format));
                }
            }
        }
        outputs
    }

    /// Names under which a partition reads what another makes.
    fn hand_over(&mut self) {
        for item in self.live() {
            for tensor in self.operands(item).collect::<Vec<_>>() {
                let other = self.made_by(tensor).is_some_and(|maker| self.groups[maker] != self.groups[item]);
                if other && let Some(name) = self.search.tensors[tensor].name {
                    self.handed.insert(name);
                }
            }
        }
    }
}

/// The format of bytes.
pub(super) fn bytes(unsigned: bool) -> Format {
    if unsigned { Format::U8 } else { Format::I8 }
}
