//! Everything between a start and the next stop or restart, and its turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DaemonError;
use super::assisting::Assisting;
use super::context::PipelineContext;
use super::node::Node;
use super::node_status::{StatusMaker, backlog};
use super::report::Report;
use super::set::PipelineSet;
use super::snapshots::Snapshots;
use crate::board::LinuxBoard;
use crate::config::Config;
use crate::frame::Emission;
use crate::frame::status::Totals;
use crate::publish::Publisher;
use crate::publish::home_assistant::HomeAssistant;
use crate::publish::sink::MqttSink;
use leptond_governor::Board;

/// Time that the pipelines may take to stop, out of the time for the whole stop; the rest is for the last messages.
const PIPELINES_WITHIN: Duration = Duration::from_millis(1000);

/// Pictures of events that have just ended are made in this time, before the last messages.
const PICTURES_WITHIN: Duration = Duration::from_millis(200);

/// Readings of meters are written in this time, after the last messages.
const READINGS_WITHIN: Duration = Duration::from_millis(1000);

/// The parts that run together.
pub(super) struct Session {
    pub(super) config: Config,
    /// Digest of `config`.
    pub(super) digest: String,
    pub(super) board: LinuxBoard,
    pub(super) maker: StatusMaker,
    pub(super) set: PipelineSet,
    pub(super) sink: Arc<MqttSink>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) home_assistant: Arc<HomeAssistant>,
    pub(super) node: Node,
    pub(super) context: PipelineContext,
    /// Work for other nodes.
    pub(super) assisting: Assisting,
}

impl Session {
    /// One turn: a reading of the board, the governor's answer, the status.
    pub(super) fn turn(&mut self) {
        let now = Instant::now();
        let stats = self.node.mqtt.stats();
        let mut reading = self.board.read();
        reading.link.connected = Some(stats.connected);
        reading.link.backlog = Some(backlog(&stats, self.config.mqtt.queue));
        reading.pipelines = self.set.loads(now);
        let changes = self.set.govern(&reading, now);
        self.assisting.observe(&self.config, &reading, &self.set, now);
        if self.assisting.takes(now) {
            self.context.offloading.waits_too(now);
        }
        self.maker.governed(&self.set, &changes, now);
        self.maker.observe(&reading, self.board.rss_bytes().unwrap_or(0));
        self.emit_status();
    }

    /// Emits the status as it is now, without another reading of the board.
    pub(super) fn emit_status(&self) {
        let mut status = self.maker.make(&self.set, self.node.mqtt.stats(), Instant::now());
        status.publisher.home_assistant = self.home_assistant.status();
        status.fleet = self.context.offloading.status(self.assisting.status(status.at));
        self.context.bus.emit(&Emission::Status(Arc::new(status)));
    }

    /// True where nothing can be done any more.
    pub(super) fn is_over(&self) -> bool {
        self.set.all_over() && !self.assisting.is_on()
    }

    /// Stops the pipelines first, then the connection after its last messages and `offline`.
    ///
    /// # Errors
    /// [`DaemonError::Failed`] when every pipeline is over, and one of them by a failure.
    pub(super) fn stop(mut self, within: Duration) -> Result<Report, DaemonError> {
        let now = Instant::now();
        let failure = self.set.failure();
        let fleet = self.context.offloading.status(self.assisting.status(now));
        self.assisting.stop(now + PIPELINES_WITHIN);
        for pipeline in self.set.stop(now + PIPELINES_WITHIN) {
            tracing::warn!(pipeline, "did not stop in time, left behind");
        }
        self.context.offloading.stop(now + PIPELINES_WITHIN);
        self.snapshots.finish(Instant::now() + PICTURES_WITHIN.min(within));
        let mqtt = &self.node.mqtt;
        let flushed = mqtt.stop(now + within);
        self.context.readings.finish(Instant::now() + READINGS_WITHIN.min(within));
        let stats = mqtt.stats();
        if !flushed {
            tracing::warn!(queued = stats.queued, "stopped before every message was acknowledged");
        }
        let overhead = mqtt.overhead();
        let totals = Totals {
            peak_rss_bytes: self.board.peak_rss_bytes().unwrap_or(0),
            delivery_ms: overhead.total_ms,
            overhead_ms: overhead.overhead_ms,
        };
        let mut status = self.maker.make_last(&self.set, stats, totals, Instant::now());
        status.fleet = fleet;
        let status = Arc::new(status);
        self.context.bus.emit(&Emission::Stopped(status.clone()));
        match failure {
            Some(reason) => Err(DaemonError::Failed(reason)),
            None => Ok(Report::of(&status)),
        }
    }
}
