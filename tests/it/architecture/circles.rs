//! Circles in a graph of files: its strongly connected components of more than one file (Tarjan 1972).

use std::collections::{BTreeMap, BTreeSet};

use super::house::Uses;

/// Each set of files of which every one leads to every other.
pub fn circles<'a>(uses: &Uses<'a>) -> Vec<BTreeSet<&'a str>> {
    let mut search =
        Search { uses, order: BTreeMap::new(), low: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for file in uses.keys() {
        if !search.order.contains_key(file) {
            search.visit(file);
        }
    }
    search.found
}

struct Search<'a, 'b> {
    uses: &'b Uses<'a>,
    order: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<&'a str>>,
}

impl<'a> Search<'a, '_> {
    fn visit(&mut self, file: &'a str) {
        let number = self.order.len();
        self.order.insert(file, number);
        self.stack.push(file);
        let mut low = number;
        for &next in self.uses.get(file).into_iter().flat_map(BTreeMap::keys) {
            if !self.order.contains_key(next) {
                self.visit(next);
                low = low.min(self.low[next]);
            } else if self.stack.contains(&next) {
                low = low.min(self.order[next]);
            }
        }
        self.low.insert(file, low);
        if low == number {
            let start = self.stack.iter().position(|f| *f == file).unwrap();
            let component: BTreeSet<_> = self.stack.drain(start..).collect();
            if component.len() > 1 {
                self.found.push(component);
            }
        }
    }
}

/// Edges inside a circle, one a line: `a.rs -> b.rs: names`.
pub fn described(circle: &BTreeSet<&str>, uses: &Uses) -> String {
    let mut lines = Vec::new();
    for from in circle {
        for (to, names) in uses.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(*to)) {
            lines.push(format!("  {from} -> {to}: {}", names.iter().cloned().collect::<Vec<_>>().join(", ")));
        }
    }
    lines.join("\n")
}
