//! One running pipeline: its worker thread, and the source that it reads.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::context::PipelineContext;
use super::gate::{GateState, Gatekeeper};
use super::hub::Hub;
use super::learnt::Learnt;
use super::light::Light;
use super::prepare::Prepared;
use super::readings::Place;
use super::sources::{Sources, join};
use super::state::Shared;
use super::worker::{self, Worker};
use crate::config::PipelineConfig;
use crate::frame::TaskKind;
use crate::frame::status::About;
use crate::pipeline::plans::Plans;
use crate::pipeline::{Feed, Planner, Resolved, Uncalibrated};
use leptond_governor::Assignment;

/// A pipeline at work.
pub struct Running {
    /// As configured.
    pub config: PipelineConfig,
    /// Its input, looked up.
    pub feed: Feed,
    /// Compiles the stages anew for another setpoint.
    pub planner: Arc<Planner>,
    /// The arithmetic that runs.
    pub engine: &'static str,
    /// Facts that do not change while it runs.
    pub about: Arc<About>,
    /// Shared with its threads.
    pub shared: Arc<Shared>,
    /// The measurements that its ladder waits for, until they begin.
    pub(super) uncalibrated: Option<Uncalibrated>,
    sources: Sources,
    hub: Option<Arc<Hub>>,
    worker: Option<JoinHandle<()>>,
}

/// The motion gate that a pipeline is to have, with its state.
fn gate_of(config: &PipelineConfig, feed: &Feed, kind: TaskKind) -> Option<(Arc<GateState>, Gatekeeper)> {
    let state = Arc::<GateState>::default();
    feed.is_gated(&config.motion, kind).then(|| (state.clone(), Gatekeeper::new(&config.name, &config.motion, state)))
}

impl Running {
    /// Starts the worker and makes it a reader of its source; `paused`: no frame is let through until a request resumes it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(prepared: Prepared, paused: bool, context: &PipelineContext) -> std::io::Result<Running> {
        let Prepared { pipeline, planner, mut stages, supply, ladder, uncalibrated } = prepared;
        let PipelineContext { bus, heartbeats, sources, cascades, turn, readings, offloading, dev, wake } =
            context.clone();
        let place = readings.place(&pipeline);
        if let Some(memory) = place.as_ref().and_then(Place::recall) {
            stages.restore(memory);
        }
        let keeps = planner.kind() == TaskKind::Baseline && !pipeline.feed.source().kind().begins_anew();
        let learnt = readings.dir().filter(|_| keeps).map(|dir| Learnt::new(&dir, &pipeline.config.name));
        if let Some(text) = learnt.as_ref().and_then(Learnt::recall) {
            stages.recall(&text);
        }
        let Resolved { config, feed } = pipeline;
        let plans = Plans::new(&config.name, planner.clone(), stages.key());
        let gate = gate_of(&config, &feed, planner.kind());
        let (state, gate) = gate.unzip();
        let shared = Shared::new(&config.name, plans, turn, ladder.first(), state, wake);
        shared.pause(paused);
        if let Some(light) = config.meter.as_ref().and_then(|meter| meter.light.as_ref()) {
            let light = Light::start(&config.name, light, &dev)?;
            shared.light.get_or_init(|| light);
        }
        let (away, seen) = offloading.seat(&config, &planner, &stages, &shared).unzip();
        seen.into_iter().for_each(|seen| drop(shared.seen.set(seen)));
        let engine = stages.engine();
        let about = Arc::new(About {
            subject: planner.subject(&stages),
            zones: config.zones.iter().map(|zone| zone.name.clone()).collect(),
            lines: config.lines.iter().map(|line| line.name.clone()).collect(),
            snapshot: config.event.snapshot,
            camera: matches!(&feed, Feed::Source { source, .. } if source.kind().is_camera()),
        });
        let kept = (place, learnt);
        let worker = Worker::new(shared.clone(), config.name.clone(), stages, bus, cascades, kept, (gate, away));
        let heart = heartbeats.register(&format!("infer {}", shared.name), worker::FRAME_WITHIN, Instant::now());
        let thread = std::thread::Builder::new().name(format!("infer {}", shared.name));
        let worker = Some(thread.spawn(move || worker.run(&heart))?);
        let mut running =
            Running { config, feed, planner, engine, about, shared, uncalibrated, sources, hub: None, worker };
        match running.sources.read(&supply, &running.shared, &heartbeats) {
            Ok(hub) => {
                running.hub = Some(hub);
                Ok(running)
            }
            Err(error) => {
                running.shared.slot.close();
                running.stop();
                Err(error)
            }
        }
    }

    /// Applies an assignment: the interval and a pause at once; another variant, resolution, batch or number of threads when its
    /// plan is there.
    pub fn apply(&self, assignment: Assignment) {
        self.shared.apply(assignment);
    }

    /// Tells the worker to stop, for which nothing is captured any more; returns at once.
    pub fn request_stop(&self) {
        self.shared.request_stop();
        if let Some(hub) = &self.hub {
            self.sources.leave(hub, &self.shared);
        }
    }

    /// True once the worker has ended.
    pub fn finished(&self) -> bool {
        self.worker.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the worker and waits for it. A source of its own is closed by [`Sources`].
    pub fn stop(mut self) {
        self.request_stop();
        if let Some(worker) = self.worker.take() {
            join(worker);
        }
    }

    /// Waits for the worker, which was told to stop, until `deadline`; whether it had ended by then.
    pub fn join_by(&mut self, deadline: Instant) -> bool {
        while !self.finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Some(worker) = self.worker.take() {
            join(worker);
        }
        true
    }
}
