//! This node as a worker for others: which models it computes with, and what the governor leaves it.

use std::time::Instant;

use super::compute::opener;
use crate::config::Config;
use crate::fleet::{Assist, FleetError, Opener, Seen, Spare};
use crate::frame::NodeName;
use crate::frame::status::Fleet;
use crate::runtime::DaemonError;
use crate::runtime::set::PipelineSet;
use leptond_governor::{Reading, State};

/// Work for other nodes, where the configuration asks for it.
pub(in crate::runtime) struct Assisting(Option<Assist>);

impl Assisting {
    /// Begins, where `[fleet] assist` is set.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] without a thread.
    pub(in crate::runtime) fn start(config: &Config, node: &NodeName, now: Instant) -> Result<Assisting, DaemonError> {
        let Some(fleet) = config.fleet.as_ref().filter(|fleet| fleet.assist) else { return Ok(Assisting(None)) };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match (fleet.threads, config.pipelines.is_empty()) {
            (0, true) => cores,
            (0, false) => 1,
            (threads, _) => threads as usize,
        };
        let mut spare = Spare::new(fleet.takes, threads, cores, now);
        let unread = "this computer was not looked at yet".to_owned();
        spare.observe(Seen { cpu_percent: None, held: Some(unread) }, now);
        let openers = openers(config, threads, fleet.batch as usize);
        let started = Assist::start(fleet.clone(), node.clone(), openers, spare);
        let failed = |e: FleetError| DaemonError::Failed(e.to_string());
        started.map(|assist| Assisting(Some(assist))).map_err(failed)
    }

    /// No work for others.
    pub(in crate::runtime) fn none() -> Assisting {
        Assisting(None)
    }

    /// True where it works for others.
    pub(in crate::runtime) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it what this computer has to spare.
    pub(in crate::runtime) fn observe(&self, config: &Config, reading: &Reading, set: &PipelineSet, now: Instant) {
        let Some(assist) = &self.0 else { return };
        let held = held(config, reading, set);
        assist.observe(Seen { cpu_percent: reading.cpu_percent, held }, now);
    }

    /// True while it takes work of others.
    pub(in crate::runtime) fn takes(&self, now: Instant) -> bool {
        self.0.as_ref().is_some_and(|assist| assist.takes(now))
    }

    /// Counts and state; `None` where it does not work for others.
    pub(in crate::runtime) fn status(&self, now: Instant) -> Option<Fleet> {
        self.0.as_ref().map(|assist| assist.status(now))
    }

    /// Gives back what is unfinished, by `deadline`.
    pub(in crate::runtime) fn stop(&mut self, deadline: Instant) {
        if let Some(assist) = self.0.take()
            && !assist.stop(deadline)
        {
            tracing::warn!("an inference for another node did not end in time, left behind");
        }
    }
}

/// Each model of the pipelines and of `[fleet] models`, once.
fn openers(config: &Config, threads: usize, batch: usize) -> Vec<Opener> {
    let of_pipelines = config.pipelines.iter().flat_map(|pipeline| pipeline.models().map(|(_, model)| model));
    let named = config.fleet.iter().flat_map(|fleet| fleet.models.iter().map(String::as_str));
    let mut names: Vec<&str> = of_pipelines.chain(named).collect();
    names.sort_unstable();
    names.dedup();
    let dirs = &config.models.dirs;
    names.into_iter().map(|name| opener(name.to_owned(), dirs.clone(), threads, batch)).collect()
}

/// Reason for which nothing may be taken: a pipeline of this node has less than full work, is being measured, or the board is in trouble.
fn held(config: &Config, reading: &Reading, set: &PipelineSet) -> Option<String> {
    let lowered = set.iter().find_map(|running| {
        let setpoint = &running.shared.assignment().setpoint;
        let name = &running.config.name;
        let below =
            (setpoint.rung > 0 || setpoint.paused).then(|| format!("the pipeline {name} has less than full work"));
        below.or_else(|| setpoint.offload.then(|| format!("the pipeline {name} gives its own frames to others")))
    });
    if lowered.is_some() {
        return lowered;
    }
    if set.iter().next().is_some() && set.governor().state() == State::Calibrating {
        return Some("the pipelines are being measured".into());
    }
    if reading.throttled == Some(true) {
        return Some("the clock is lowered because of heat".into());
    }
    if reading.under_voltage == Some(true) {
        return Some("the supply is too low".into());
    }
    let kept = config.governor.limit_celsius - config.governor.margin_celsius;
    let hot = reading.soc_celsius.filter(|celsius| *celsius >= kept);
    hot.map(|celsius| format!("the board has {celsius:.0} °C, and {kept:.0} °C are kept"))
}
