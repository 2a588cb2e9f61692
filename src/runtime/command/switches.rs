//! `<pipeline>/detect/state`: the positions of the switches, told when they change. Pure.

use std::collections::BTreeMap;

/// The positions that were told.
#[derive(Debug, Default)]
pub(super) struct Switches(BTreeMap<String, bool>);

/// A position to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turned {
    /// Name of the pipeline.
    pub(super) pipeline: String,
    /// `None` = the pipeline is gone, and with it what the broker keeps.
    pub(super) on: Option<bool>,
}

impl Switches {
    /// The positions that are other than those that were told; `positions` are all that there are.
    pub(super) fn turned<'a>(&mut self, positions: impl Iterator<Item = (&'a str, bool)>) -> Vec<Turned> {
        let mut told = std::mem::take(&mut self.0);
        let mut turned = Vec::new();
        for (name, on) in positions {
            if told.remove(name) != Some(on) {
                turned.push(Turned { pipeline: name.to_owned(), on: Some(on) });
            }
            self.0.insert(name.to_owned(), on);
        }
        turned.extend(told.into_keys().map(|pipeline| Turned { pipeline, on: None }));
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_told_once() {
        let mut switches = Switches::default();
        let mut told = |positions: &[(&'static str, bool)]| -> Vec<(String, Option<bool>)> {
            let turned = switches.turned(positions.iter().copied());
            turned.into_iter().map(|turned| (turned.pipeline, turned.on)).collect()
        };
        assert_eq!(told(&[("a", true), ("b", true)]), [("a".into(), Some(true)), ("b".into(), Some(true))]);
        assert_eq!(told(&[("a", true), ("b", true)]), []);
        assert_eq!(told(&[("a", false), ("b", true)]), [("a".into(), Some(false))]);
        assert_eq!(told(&[("a", false)]), [("b".into(), None)]);
        assert_eq!(told(&[("a", false), ("b", false)]), [("b".into(), Some(false))]);
    }
}
