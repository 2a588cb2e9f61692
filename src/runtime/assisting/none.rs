//! A build without work for other nodes.

use std::time::Instant;

use crate::config::Config;
use crate::frame::NodeName;
use crate::frame::status::Fleet;
use crate::runtime::DaemonError;
use crate::runtime::set::PipelineSet;
use leptond_governor::Reading;

/// No work for other nodes.
pub(in crate::runtime) struct Assisting;

impl Assisting {
    /// Nothing begins.
    ///
    /// # Errors
    /// None.
    pub(in crate::runtime) fn start(_: &Config, _: &NodeName, _: Instant) -> Result<Assisting, DaemonError> {
        Ok(Assisting)
    }

    /// The same.
    pub(in crate::runtime) fn none() -> Assisting {
        Assisting
    }

    /// False.
    pub(in crate::runtime) fn is_on(&self) -> bool {
        false
    }

    /// Nobody is told.
    pub(in crate::runtime) fn observe(&self, _: &Config, _: &Reading, _: &PipelineSet, _: Instant) {}

    /// False.
    pub(in crate::runtime) fn takes(&self, _: Instant) -> bool {
        false
    }

    /// There is none.
    pub(in crate::runtime) fn status(&self, _: Instant) -> Option<Fleet> {
        None
    }

    /// Nothing ends.
    pub(in crate::runtime) fn stop(&mut self, _: Instant) {}
}
