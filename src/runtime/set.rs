//! All running pipelines and the governor over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DaemonError;
use super::prepare::{PrepareError, Prepared, Unmade};
use super::running::{PipelineContext, Running};
use super::sources::{Sources, Supply};
use super::state::{PipelineStatus, Shared};
use super::waiting::Waiting;
use crate::frame::SourceCounts;
use crate::pipeline::{PipelineError, Uncalibrated};
use leptond_governor::{Change, Governor, Load, Order, PipelineLadder, Reading};

/// The running pipelines, in the order of the configuration; those that could be made only later stand last.
pub struct PipelineSet {
    running: Vec<Running>,
    /// The pipelines of the configuration that could not be made.
    pub(super) waiting: Waiting,
    governor: Governor,
    sources: Sources,
    /// Readers of each source when the stop began.
    readers_at_stop: BTreeMap<String, usize>,
    started: Instant,
}

impl PipelineSet {
    /// Starts every prepared pipeline.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] when the system gives no thread; what was started is stopped again.
    pub fn start(
        config: &leptond_governor::Config,
        prepared: Vec<Prepared>,
        context: &PipelineContext,
        started: Instant,
    ) -> Result<Self, DaemonError> {
        let ladders = prepared.iter().map(|p| p.ladder.clone()).collect();
        let governor = Governor::new(config.clone(), ladders);
        let mut set = PipelineSet {
            running: Vec::new(),
            waiting: Waiting::default(),
            governor,
            sources: context.sources.clone(),
            readers_at_stop: BTreeMap::new(),
            started,
        };
        for pipeline in prepared {
            match Running::start(pipeline, context) {
                Ok(running) => set.running.push(running),
                Err(error) => {
                    set.stop(Instant::now());
                    return Err(DaemonError::Failed(format!("no thread for a pipeline: {error}")));
                }
            }
        }
        Ok(set)
    }

    /// Replaces what changed: pipelines that are gone or configured otherwise stop, `prepared` ones start (where the system has no thread
    /// for one, it waits), the rest goes on untouched. `order` is the new configuration's list of names.
    pub(super) fn replace(
        &mut self,
        config: &leptond_governor::Config,
        prepared: Vec<Prepared>,
        order: &[String],
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
        self.governor.reload(config.clone(), &names, ladders);
        (0..self.running.len()).for_each(|index| self.apply(index));
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
        }
    }

    /// Starts a pipeline, which then waits no more; or puts it with those that wait. Whether it runs.
    fn begin(&mut self, prepared: Prepared, context: &PipelineContext, now: Instant) -> bool {
        let resolved = prepared.pipeline.clone();
        let config = &resolved.config;
        match Running::start(prepared, context) {
            Ok(running) => {
                if self.waiting.has(&config.name) {
                    tracing::info!(pipeline = config.name, "can be started by now");
                    self.waiting.retain(|one| one.config.name != config.name);
                }
                self.running.push(running);
                true
            }
            Err(error) => {
                let error = PrepareError::from(PipelineError::Thread(config.name.clone(), error));
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

    /// The pipeline of `shared` has been measured. Whether it is still there.
    pub(super) fn learn(&mut self, shared: &Arc<Shared>, ladder: PipelineLadder) -> bool {
        let Some(index) = self.running.iter().position(|r| Arc::ptr_eq(&r.shared, shared)) else { return false };
        self.governor.learn(index, ladder);
        self.apply(index);
        true
    }

    /// Hands pipeline `index` what the governor assigns to it.
    fn apply(&self, index: usize) {
        if let (Some(running), Some(assignment)) = (self.running.get(index), self.governor.assignment(index)) {
            running.apply(assignment);
        }
    }

    /// The pipelines.
    pub fn iter(&self) -> impl Iterator<Item = &Running> {
        self.running.iter()
    }

    /// Name of pipeline `index` of the governor.
    pub fn name(&self, index: usize) -> &str {
        self.running.get(index).map_or("?", |r| r.config.name.as_str())
    }

    /// The governor and what it says of each pipeline.
    pub fn governor(&self) -> &Governor {
        &self.governor
    }

    /// One step of the governor; its changes are applied and returned, each with the rung before it.
    pub fn govern(&mut self, reading: &Reading, now: Instant) -> Vec<(usize, Change)> {
        let changes = self.governor.step(reading, now.saturating_duration_since(self.started));
        let apply = |change: Change| {
            let before = self.running.get(change.pipeline)?.shared.assignment().setpoint.rung;
            self.apply(change.pipeline);
            Some((before, change))
        };
        changes.into_iter().filter_map(apply).collect()
    }

    /// Hands a person's wish to the governor, from `now` on for `for_` (`None` = until the next one). Its next step answers.
    pub fn order(&mut self, order: &Order, for_: Option<Duration>, now: Instant) {
        self.governor.order(order, for_, now.saturating_duration_since(self.started));
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

    /// Load of each pipeline.
    pub fn loads(&self, now: Instant) -> Vec<Load> {
        self.running.iter().map(|r| r.shared.load(now)).collect()
    }

    /// True once no pipeline can give a result any more.
    pub fn all_over(&self) -> bool {
        self.waiting.next().is_none() && self.running.iter().all(Running::finished)
    }

    /// Reason for which the daemon failed: every pipeline is over and at least one of them by a failure.
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
        let late = |r: &mut Running| (!r.join_by(deadline)).then(|| r.config.name.clone());
        let mut late: Vec<String> = self.running.iter_mut().filter_map(late).collect();
        late.extend(self.sources.join_by(deadline));
        late.dedup();
        late
    }
}
