//! This node as one that gives frames to others.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::away::{Away, Terms};
use super::seen::Seen;
use crate::config::{Config, PipelineConfig};
use crate::fleet::{FleetError, Live, Overdue};
use crate::frame::NodeName;
use crate::frame::status::Fleet;
use crate::pipeline::{Planner, Stages};
use crate::runtime::DaemonError;
use crate::runtime::state::Shared;

/// Work given to other nodes, where the configuration asks for it.
#[derive(Clone, Default)]
pub struct Offloading(Option<Arc<Inner>>);

struct Inner {
    live: Live,
    policy: Overdue,
}

impl Offloading {
    /// Begins, where `[fleet] offload` is set.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] without a thread.
    pub(in crate::runtime) fn start(config: &Config, node: &NodeName) -> Result<Offloading, DaemonError> {
        let Some(fleet) = config.fleet.as_ref().filter(|fleet| fleet.offload) else { return Ok(Offloading(None)) };
        let failed = |e: FleetError| DaemonError::Failed(e.to_string());
        let live = Live::start(fleet.clone(), node.clone()).map_err(failed)?;
        Ok(Offloading(Some(Arc::new(Inner { live, policy: fleet.overdue }))))
    }

    /// The way for the frames of a pipeline; `None` where they are not given away.
    pub(in crate::runtime) fn seat(
        &self,
        config: &PipelineConfig,
        planner: &Planner,
        stages: &Stages,
        shared: &Arc<Shared>,
    ) -> Option<(Away, Arc<Seen>)> {
        let Inner { live, policy } = &**self.0.as_ref().filter(|_| config.offload)?;
        let terms = match Terms::of(config, planner, stages) {
            Ok(terms) => terms,
            Err(reason) => {
                tracing::info!(pipeline = config.name.as_str(), reason, "its frames are not given to other nodes");
                return None;
            }
        };
        let pipeline: Weak<Shared> = Arc::downgrade(shared);
        let wake = move || pipeline.upgrade().into_iter().for_each(|shared| shared.slot.wake());
        let seen = Arc::new(Seen::new(live.seat(config.name.clone(), terms.model.clone(), wake)));
        Some((Away::new(seen.clone(), terms, *policy), seen))
    }

    /// Tells that this node waits for work of others at `now`.
    pub(in crate::runtime) fn waits_too(&self, now: Instant) {
        if let Some(inner) = &self.0 {
            inner.live.waits_too(now);
        }
    }

    /// The state of the work for others, `assisting`, with that of the work by others.
    pub(in crate::runtime) fn status(&self, assisting: Option<Fleet>) -> Option<Fleet> {
        let Some(inner) = &self.0 else { return assisting };
        let given = inner.live.status();
        let base = assisting.unwrap_or_else(|| Fleet {
            group: inner.live.group().to_owned(),
            connected: given.connected,
            server: given.server.clone(),
            fault: given.fault.clone(),
            ..Fleet::default()
        });
        Some(Fleet { given: Some(given), ..base })
    }

    /// Ends the connection by `deadline`.
    pub(in crate::runtime) fn stop(&self, deadline: Instant) {
        if let Some(inner) = &self.0
            && !inner.live.stop(deadline)
        {
            tracing::warn!("the connection to the group did not end in time, left behind");
        }
    }
}
