//! A build without work for other nodes and by them.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::turn::{Looked, Next};
use super::unseen::Seen;
use crate::config::{Config, PipelineConfig};
use crate::frame::status::Fleet;
use crate::frame::{NodeName, SharedFrame};
use crate::pipeline::{Planner, Stages};
use crate::runtime::DaemonError;
use crate::runtime::state::Shared;
use leptond_governor::Assignment;

/// No work by other nodes.
#[derive(Clone, Default)]
pub struct Offloading;

impl Offloading {
    /// Nothing begins.
    ///
    /// # Errors
    /// None.
    pub(in crate::runtime) fn start(_: &Config, _: &NodeName) -> Result<Offloading, DaemonError> {
        Ok(Offloading)
    }

    /// There is none.
    pub(in crate::runtime) fn seat(
        &self,
        _: &PipelineConfig,
        _: &Planner,
        _: &Stages,
        _: &Arc<Shared>,
    ) -> Option<(Away, Arc<Seen>)> {
        None
    }

    /// Nobody is told.
    pub(in crate::runtime) fn waits_too(&self, _: Instant) {}

    /// The state of the work for others, of which there is none.
    pub(in crate::runtime) fn status(&self, assisting: Option<Fleet>) -> Option<Fleet> {
        assisting
    }

    /// Nothing ends.
    pub(in crate::runtime) fn stop(&self, _: Instant) {}
}

/// The frames of a pipeline that others look at; there is none in this build.
pub(in crate::runtime) enum Away {}

impl Away {
    /// Never called.
    pub(in crate::runtime) fn is_waiting(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub(in crate::runtime) fn set_on(&mut self, _: bool, _: Instant) {
        match *self {}
    }

    /// Never called.
    pub(in crate::runtime) fn give(&mut self, _: &Arc<SharedFrame>, _: bool, _: &Assignment, _: Instant) -> bool {
        match *self {}
    }

    /// Never called.
    pub(in crate::runtime) fn put(&mut self, _: Looked) {
        match *self {}
    }

    /// Never called.
    pub(in crate::runtime) fn put_still(&mut self, _: Instant, _: SystemTime) {
        match *self {}
    }

    /// Never called.
    pub(in crate::runtime) fn next(&mut self, _: &Assignment, _: Instant) -> Next {
        match *self {}
    }
}
