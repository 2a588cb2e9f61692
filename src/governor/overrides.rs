//! What a person wished, and for how long.

use std::time::Duration;

use super::{Mode, Order};

/// The wishes that apply; a newer one replaces what it contradicts.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    mode: Option<Mode>,
    /// A fixed rung for each pipeline.
    fixed: Vec<Option<usize>>,
    until: Option<Duration>,
}

impl Overrides {
    /// Takes a wish that ends at `until` (`None` = with the next one); there are so many pipelines.
    pub fn take(&mut self, order: &Order, until: Option<Duration>, pipelines: usize) {
        self.fixed.resize(pipelines, None);
        match order {
            Order::Mode(mode) => *self = Overrides { mode: Some(*mode), ..Overrides::default() },
            Order::Fix { pipeline: None, rung } => self.fixed.fill(Some(*rung)),
            Order::Fix { pipeline: Some(index), rung } => {
                if let Some(fixed) = self.fixed.get_mut(*index) {
                    *fixed = Some(*rung);
                }
            }
            Order::Release => *self = Overrides::default(),
        }
        self.until = until;
    }

    /// Forgets everything when its time is over.
    pub fn expire(&mut self, now: Duration) {
        if self.until.is_some_and(|until| now >= until) {
            *self = Overrides::default();
        }
    }

    /// The mode that was wished.
    pub fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// The rung that was wished for a pipeline.
    pub fn fixed(&self, pipeline: usize) -> Option<usize> {
        self.fixed.get(pipeline).copied().flatten()
    }

    /// Until when; `None` without a wish or without an end.
    pub fn until(&self) -> Option<Duration> {
        self.until
    }
}
