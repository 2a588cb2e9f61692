//! The running pipelines with the governor over them, and the requests in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DaemonError;
use super::context::PipelineContext;
use super::prepare::{PrepareError, Prepared, Unmade};
use super::running::Running;
use super::sources::{Sources, Supply};
use super::state::{PipelineStatus, Shared};
use super::waiting::Waiting;
use crate::frame::{PipelineName, SourceCounts};
use crate::pipeline::{PipelineError, Uncalibrated};
use leptond_governor::{Change, Governor, Load, Order, Overrides, PipelineLadder, Reading};

/// The running pipelines, in the order of the configuration; those that could be made only later stand last.
pub struct PipelineSet {
    running: Vec<Running>,
    /// The pipelines of the configuration that could not be made.
    pub(super) waiting: Waiting,
    governor: Governor,
    /// Names of the pipelines that are paused by request.
    paused: BTreeSet<Arc<str>>,
    sources: Sources,
    /// Readers of each source when the stop began.
    readers_at_stop: BTreeMap<String, usize>,
    started: Instant,
}

/// Requests in force, which outlast a restart inside the process. Times are on the clock of the whole process.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    orders: Overrides,
    paused: BTreeSet<Arc<str>>,
}

impl PipelineSet {
    /// Starts every prepared pipeline, with the requests that are in force.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] when the system gives no thread; what was started is stopped again.
    pub fn start(
        config: &leptond_governor::Config,
        prepared: Vec<Prepared>,
        requests: InForce,
        context: &PipelineContext,
        started: Instant,
    ) -> Result<Self, DaemonError> {
        let ladders = prepared.iter().map(|p| p.ladder.clone()).collect();
        let mut governor = Governor::new(config.clone(), ladders);
        let InForce { orders, paused } = requests;
        governor.resume(orders, started.elapsed());
        let mut set = PipelineSet {
            running: Vec::new(),
            waiting: Waiting::default(),
            governor,
            paused,
            sources: context.sources.clone(),
            readers_at_stop: BTreeMap::new(),
            started,
        };
        for pipeline in prepared {
            let paused = set.paused.contains(pipeline.pipeline.config.name.as_str());
            match Running::start(pipeline, paused, context) {
                Ok(running) => set.running.push(running),
                Err(error) => {
                    set.stop(Instant::now());
                    return Err(DaemonError::Failed(format!("no thread for a pipeline: {error}")));
                }
            }
        }
        set.running.iter().for_each(|running| set.apply(running));
        Ok(set)
    }

    /// The requests in force.
    pub(super) fn in_force(&self) -> InForce {
        InForce { orders: self.governor.orders().clone(), paused: self.paused.clone() }
    }

    /// Drops the requests for pipelines that are not configured any more.
    pub(super) fn retain_requests(&mut self, configured: &[PipelineName]) {
        let stays = |name: &str| configured.iter().any(|one| *one == *name);
        self.governor.retain_orders(stays);
        self.paused.retain(|name| stays(name));
    }

    /// Replaces what changed: pipelines that are gone or configured otherwise stop, `prepared` ones start (where the system has no thread
    /// for one, it waits), the rest goes on untouched. Requests stay in force for every name of `order`, the new configuration's list.
    pub(super) fn replace(
        &mut self,
        config: &leptond_governor::Config,
        prepared: Vec<Prepared>,
        order: &[PipelineName],
        context: &PipelineContext,
        now: Instant,
    ) {
        let stays = |r: &Running| {
            order.contains(&r.config.name) && !prepared.iter().any(|p| p.pipeline.config.name == r.config.name)
        };
        let (keep, go): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running).into_iter().partition(stays);
        go.iter().for_each(Running::request_stop);
        go.into_iter().for_each(Running::stop);
        self.running = keep;
        self.retain_requests(order);
        // A shared source goes on for those that are about to read it; a device must be free for who opens it anew.
        let wanted = prepared.iter().filter_map(|one| match &one.supply {
            Supply::Running(name) => Some(name.as_str()),
            Supply::Opened(_) => None,
        });
        self.sources.close_unread(&wanted.collect::<Vec<_>>());
        let ladders = prepared.iter().map(|p| p.ladder.clone()).collect();
        for pipeline in prepared {
            self.begin(pipeline, context, now);
        }
        self.sources.close_unread(&[]);
        self.running.sort_by_key(|r| order.iter().position(|name| *name == r.config.name));
        let names: Vec<&str> = self.running.iter().map(|r| r.config.name.as_str()).collect();
        self.governor.reload(config.clone(), names, ladders);
        self.running.iter().for_each(|running| self.apply(running));
    }

    /// A pipeline that was tried again runs beside the others, which go on untouched, or waits on.
    pub(super) fn take(&mut self, made: Result<Prepared, Unmade>, context: &PipelineContext, now: Instant) {
        let prepared = match made {
            Ok(prepared) => prepared,
            Err(unmade) => return self.waiting.put(unmade, now),
        };
        let ladder = prepared.ladder.clone();
        if self.begin(prepared, context, now) {
            self.governor.add(ladder);
            self.running.last().into_iter().for_each(|running| self.apply(running));
        }
    }

    /// Starts a pipeline, which then waits no more, or puts it with those that wait; `true` if it runs.
    fn begin(&mut self, prepared: Prepared, context: &PipelineContext, now: Instant) -> bool {
        let resolved = prepared.pipeline.clone();
        let config = &resolved.config;
        let paused = self.paused.contains(config.name.as_str());
        match Running::start(prepared, paused, context) {
            Ok(running) => {
                if self.waiting.has(&config.name) {
                    tracing::info!(pipeline = config.name.as_str(), "can be started by now");
                    self.waiting.retain(|one| one.config.name != config.name);
                }
                self.running.push(running);
                true
            }
            Err(error) => {
                let error = PrepareError::from(PipelineError::Thread(config.name.to_string(), error));
                self.waiting.put(Unmade::new(resolved, error), now);
                false
            }
        }
    }

    /// The pipelines whose ladder waits for measurements that have not begun; they are given once.
    pub(super) fn uncalibrated(&mut self) -> Vec<(Arc<Shared>, Uncalibrated)> {
        let one = |r: &mut Running| Some((r.shared.clone(), r.uncalibrated.take()?));
        self.running.iter_mut().filter_map(one).collect()
    }

    /// Hands the governor the ladder of a pipeline that has been measured; `false` if that pipeline is gone, or another one has
    /// its name by now.
    pub(super) fn learn(&mut self, shared: &Arc<Shared>, ladder: PipelineLadder) -> bool {
        let Some(running) = self.running.iter().find(|r| Arc::ptr_eq(&r.shared, shared)) else { return false };
        self.governor.learn(ladder);
        self.apply(running);
        true
    }

    /// Hands a pipeline its assignment.
    fn apply(&self, running: &Running) {
        if let Some(assignment) = self.governor.assignment(&running.config.name) {
            running.apply(assignment);
        }
    }

    fn named(&self, name: &str) -> Option<&Running> {
        self.running.iter().find(|r| r.config.name == name)
    }

    /// The pipelines.
    pub fn iter(&self) -> impl Iterator<Item = &Running> {
        self.running.iter()
    }

    /// The governor over the pipelines.
    pub fn governor(&self) -> &Governor {
        &self.governor
    }

    /// One step of the governor; its changes are applied and returned, each with the rung before it.
    pub fn govern(&mut self, reading: &Reading, now: Instant) -> Vec<(usize, Change)> {
        let changes = self.governor.step(reading, now.saturating_duration_since(self.started));
        let apply = |change: Change| {
            let running = self.named(&change.pipeline)?;
            let before = running.shared.assignment().setpoint.rung;
            self.apply(running);
            Some((before, change))
        };
        changes.into_iter().filter_map(apply).collect()
    }

    /// Hands a person's order to the governor, from `now` on for `for_` (`None` = until the next one). Its next step obeys.
    pub fn order(&mut self, order: &Order, for_: Option<Duration>, now: Instant) {
        self.governor.order(order, for_, now.saturating_duration_since(self.started));
    }

    /// Remaining time of the orders in force; `None` without any or without an end.
    pub(super) fn orders_end_in(&self, now: Instant) -> Option<Duration> {
        Some(self.governor.until()?.saturating_sub(now.saturating_duration_since(self.started)))
    }

    /// Counts of each source, by name.
    pub fn sources(&self) -> BTreeMap<String, SourceCounts> {
        let mut counts = self.sources.counts();
        for (name, readers) in &self.readers_at_stop {
            if let Some(source) = counts.get_mut(name) {
                source.readers = *readers;
            }
        }
        counts
    }

    /// Names of the pipelines that there are, also of those that wait to be started.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(|r| r.config.name.as_str()).chain(self.waiting.iter().map(|(name, _)| name.as_str()))
    }

    /// Each pipeline that there is, with `false` where it is paused by request.
    pub(super) fn switches(&self) -> impl Iterator<Item = (&str, bool)> {
        self.names().map(|name| (name, !self.paused.contains(name)))
    }

    /// Asks for the next frame of a pipeline now.
    pub(super) fn read_now(&self, pipeline: &str) {
        let running = self.running.iter().filter(|running| running.config.name == *pipeline);
        running.for_each(|running| running.shared.read_now());
    }

    /// Pauses a pipeline, or all (`None`), by request, or lets it go on; one that waits begins paused.
    pub(super) fn pause(&mut self, pipeline: Option<&str>, paused: bool) {
        let is_meant = |name: &str| pipeline.is_none_or(|wanted| wanted == name);
        for running in self.running.iter().filter(|r| is_meant(&r.config.name)) {
            running.shared.pause(paused);
        }
        let names: Vec<Arc<str>> = self.names().filter(|name| is_meant(name)).map(Arc::from).collect();
        for name in names {
            if paused {
                self.paused.insert(name)
            } else {
                self.paused.remove(&name)
            };
        }
    }

    /// The load of each pipeline, by name.
    pub fn loads(&self, now: Instant) -> BTreeMap<Arc<str>, Load> {
        self.running.iter().filter_map(|r| r.shared.light.get()).for_each(|light| light.turn(now));
        self.running.iter().map(|r| (r.config.name.as_str().into(), r.shared.load(now))).collect()
    }

    /// No pipeline can give anything any more.
    pub fn all_over(&self) -> bool {
        self.waiting.next().is_none() && self.running.iter().all(Running::finished)
    }

    /// The reason of a failed run: every pipeline is over and at least one of them by a failure.
    pub fn failure(&self) -> Option<String> {
        let reason = |r: &Running| match r.shared.life() {
            PipelineStatus::Failed(reason) => Some(format!("pipeline {:?}: {reason}", r.config.name)),
            _ => None,
        };
        if !self.all_over() {
            return None;
        }
        self.running.iter().find_map(reason).or_else(|| self.waiting.failure())
    }

    /// One line for `systemctl status`.
    pub fn status_line(&self) -> String {
        let names: Vec<&str> = self.running.iter().map(|r| r.config.name.as_str()).collect();
        let runs = format!("{} pipeline{}: {}", names.len(), if names.len() == 1 { "" } else { "s" }, names.join(", "));
        let waits: Vec<String> = self.waiting.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
        if waits.is_empty() { runs } else { format!("{runs}; not running: {}", waits.join(", ")) }
    }

    /// Tells all threads to stop and waits for them until `deadline`; the names of those that had not ended by then.
    pub fn stop(&mut self, deadline: Instant) -> Vec<String> {
        self.readers_at_stop = self.sources.counts().into_iter().map(|(name, counts)| (name, counts.readers)).collect();
        self.running.iter().for_each(Running::request_stop);
        self.sources.request_stop();
        let late = |r: &mut Running| (!r.join_by(deadline)).then(|| r.config.name.to_string());
        let mut late: Vec<String> = self.running.iter_mut().filter_map(late).collect();
        late.extend(self.sources.join_by(deadline));
        late.dedup();
        late
    }
}
