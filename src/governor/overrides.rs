//! Requests of a person that override the configuration, and their end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Mode;

/// A request of a person.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Another mode than the configured one.
    Mode(Mode),
    /// A fixed rung for one pipeline, or for all.
    Fix {
        /// Name of the pipeline; `None` = all that there are.
        pipeline: Option<Arc<str>>,
        /// The rung; beyond the ladder = its last one.
        rung: usize,
    },
    /// Back to the configuration.
    Release,
}

/// The requests in force; a newer one replaces those that it contradicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    mode: Option<Mode>,
    /// Fixed rungs by pipeline.
    fixed: BTreeMap<Arc<str>, usize>,
    until: Option<Duration>,
}

impl Overrides {
    /// Takes an order that ends at `until` (`None` = with the next one). A rung for all is one for each of `pipelines`.
    pub(crate) fn take<'a>(
        &mut self,
        order: &Order,
        until: Option<Duration>,
        mut pipelines: impl Iterator<Item = &'a Arc<str>>,
    ) {
        match order {
            Order::Mode(mode) => *self = Overrides { mode: Some(*mode), ..Overrides::default() },
            Order::Fix { pipeline: None, rung } => self.fixed.extend(pipelines.map(|name| (name.clone(), *rung))),
            Order::Fix { pipeline: Some(wanted), rung } => {
                if pipelines.any(|name| name == wanted) {
                    self.fixed.insert(wanted.clone(), *rung);
                }
            }
            Order::Release => *self = Overrides::default(),
        }
        self.until = until.filter(|_| !self.is_empty());
    }

    /// Drops everything once its time is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        if self.until.is_some_and(|until| now >= until) {
            *self = Overrides::default();
        }
    }

    /// Keeps the rungs of the pipelines for which `stays` holds.
    pub(crate) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.fixed.retain(|name, _| stays(name));
        if self.is_empty() {
            self.until = None;
        }
    }

    /// The ordered mode.
    pub(crate) fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// The ordered rung of a pipeline.
    pub(crate) fn fixed(&self, pipeline: &str) -> Option<usize> {
        self.fixed.get(pipeline).copied()
    }

    /// End of the orders in force; `None` without any or without an end.
    pub(crate) fn until(&self) -> Option<Duration> {
        self.until
    }

    fn is_empty(&self) -> bool {
        self.mode.is_none() && self.fixed.is_empty()
    }
}
