//! The inference thread of one pipeline: newest frame → preprocess → model → task → message.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use super::cascade::Cascades;
use super::gate::Gatekeeper;
use super::learnt::Learnt;
use super::offload::{Away, Looked, Next};
use super::readings::Place;
use super::slot::Taken;
use super::state::Shared;
use crate::frame::{Bus, Emission, Event, Output, PipelineName, SharedFrame, Stamp, Timing};
use crate::pipeline::Stages;
use crate::pipeline::batch_deadline::BatchDeadline;
use crate::task::TaskOutput;
use crate::telemetry::{Heart, RateLimited, mark_of};

/// One frame through preprocess, model and task takes no longer than this on the slowest board with the largest model;
/// beyond it the thread is taken for hung.
pub(super) const FRAME_WITHIN: Duration = Duration::from_secs(30);

/// An idle worker looks at its stop flag this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The same of one whose source has ended, while a frame is awaited.
const LOOK_CLOSED: Duration = Duration::from_millis(2);

/// Frames further apart than this, and than so many intervals of the pipeline, are of two streams: the source was away.
const BREAK: Duration = Duration::from_secs(1);
const BREAK_INTERVALS: u32 = 8;

/// Complaints of one kind are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The time of an inference is expected to be that of the latest, if there are this many in this time.
const LEAST_TIMES: usize = 3;
const JUDGED_BY: Duration = Duration::from_secs(60);

/// A frame in the model's input that waits for the rest of its batch.
struct Gathered {
    stamp: Stamp,
    /// The frame itself, where a sink wants it.
    frame: Option<Arc<SharedFrame>>,
}

/// A worker with its stages and its way out.
pub(super) struct Worker {
    shared: Arc<Shared>,
    stages: Stages,
    bus: Bus,
    cascades: Arc<Cascades>,
    name: PipelineName,
    /// Where what the task knows of a meter is kept.
    place: Option<Place>,
    /// Place of the task's memory.
    learnt: Option<Learnt>,
    gate: Option<Gatekeeper>,
    /// Frames that other nodes look at.
    away: Option<Away>,
    /// Time at which nobody waits any longer for the first of them.
    turn_at: Option<Instant>,
    log: RateLimited,
    started: Instant,
    /// The rung whose plan runs.
    rung: usize,
    /// Frames gathered in the model's input; no more than the batch, which runs when it is full.
    gathered: Vec<Gathered>,
    /// Time spent on preprocessing them.
    prepared: Duration,
    /// Number and capture of the latest frame that the model took.
    latest: Option<(u64, Instant)>,
    /// Parts of the latest frame that had room for fewer tiles than are configured.
    narrow: Option<usize>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        name: PipelineName,
        stages: Stages,
        bus: Bus,
        cascades: Arc<Cascades>,
        (place, learnt): (Option<Place>, Option<Learnt>),
        (gate, away): (Option<Gatekeeper>, Option<Away>),
    ) -> Self {
        Worker {
            name,
            shared,
            stages,
            bus,
            cascades,
            place,
            learnt,
            gate,
            away,
            turn_at: None,
            log: RateLimited::new(LOG_EVERY),
            started: Instant::now(),
            rung: 0,
            gathered: Vec::new(),
            prepared: Duration::ZERO,
            latest: None,
            narrow: None,
        }
    }

    /// Runs until the slot is closed and empty, or until told to stop. What was gathered is finished in any case.
    pub(super) fn run(mut self, heart: &Heart) {
        self.shared.colour.store(self.stages.needs_colour(), Relaxed);
        loop {
            heart.idle("waiting for a frame");
            let taken = self.shared.slot.take(self.patience(Instant::now()));
            heart.beat(FRAME_WITHIN * self.stages.most_runs(), Instant::now());
            match taken {
                Taken::Closed if self.awaits() => std::thread::sleep(LOOK_CLOSED),
                Taken::Closed => break,
                Taken::Nothing => self.swap_stages(),
                Taken::Frame(frame) => {
                    self.swap_stages();
                    let turn = self.shared.turn.clone();
                    let _until_its_result = turn.work();
                    self.work(&frame);
                }
            }
            self.take_turns();
            if !self.gathered.is_empty() && (self.shared.paused() || self.patience(Instant::now()).is_zero()) {
                let turn = self.shared.turn.clone();
                let _until_its_results = turn.work();
                self.infer();
            }
            // Also where frames come that give no result.
            let ended = self.stages.idle(self.started.elapsed());
            self.send_events(ended);
            self.notice_silence();
            if let Some(learnt) = &mut self.learnt {
                learnt.turn(Instant::now(), || self.stages.learnt());
            }
            if self.shared.stopping() {
                break;
            }
            if self.shared.lossless() {
                self.settle_cascades(heart);
            }
            for (kind, suppressed) in self.log.settle(Instant::now()) {
                tracing::warn!(pipeline = self.shared.name, kind, suppressed, "more of the same");
            }
        }
        // Where windows are gathered none is lost, also not the one that came during the last inference.
        if self.stages.frames() > 1
            && let Taken::Frame(last) = self.shared.slot.take(Duration::ZERO)
        {
            self.work(&last);
        }
        if !self.gathered.is_empty() {
            self.infer();
        }
        // What has begun is not left open: after a restart it would begin again under another id.
        if let Some(text) = self.learnt.as_ref().and_then(|_| self.stages.learnt())
            && let Some(learnt) = &self.learnt
        {
            learnt.write(&text);
        }
        let ended = self.stages.end(self.started.elapsed());
        self.send_events(ended);
        if !self.shared.stopping() {
            self.cascades.close(&self.name);
        }
    }

    /// Emits what the task says of nothing having come for long, unless nothing was let through.
    fn notice_silence(&mut self) {
        let now = Instant::now();
        if self.shared.paused() {
            return;
        }
        if let Some(output) = self.stages.silence(now.saturating_duration_since(self.started), SystemTime::now()) {
            let seq = self.latest.map_or(0, |(seq, _)| seq);
            let stamp =
                Stamp { seq, captured: now, time: SystemTime::now(), truth: None, origin: String::new(), parent: None };
            let timing = Timing { infer: Duration::ZERO, rung: self.rung, computed_by: None };
            self.tell(stamp, None, output, timing, false);
        }
    }

    /// Waits until the pipelines that read this one have taken what it gave them: its source can wait, and nothing is to be lost.
    fn settle_cascades(&self, heart: &Heart) {
        heart.idle("waiting for the pipelines that read this one");
        self.cascades.settle(&self.name, &|| self.shared.stopping());
        heart.beat(FRAME_WITHIN, Instant::now());
    }

    /// Time to wait for another frame from `now` on: until what is gathered has to run.
    fn patience(&self, now: Instant) -> Duration {
        let turn = self.turn_at.map_or(LOOK_EVERY, |at| at.saturating_duration_since(now).min(LOOK_EVERY));
        let Some(oldest) = self.gathered.first() else { return turn };
        let assignment = self.shared.assignment();
        let measured = self.shared.counters.recent_infer.p95(JUDGED_BY, LEAST_TIMES, now);
        let deadline = BatchDeadline {
            deadline: assignment.deadline,
            infer: measured.unwrap_or(assignment.infer).min(FRAME_WITHIN),
            interval: assignment.setpoint.interval.max(assignment.frame_interval),
            batch: self.stages.frames(),
        };
        deadline.until(oldest.stamp.captured).saturating_duration_since(now).min(turn)
    }

    /// A frame boundary: a plan that was compiled for a new setpoint takes over. What was gathered for the old one is run
    /// first, so that no window is lost.
    fn swap_stages(&mut self) {
        // Frames that are awaited were given for the present plan, which looks at them where no answer comes.
        if !self.awaits()
            && let Some(stages) = self.shared.plans.take_next()
        {
            if !self.gathered.is_empty() {
                self.infer();
            }
            self.shared.plans.keep(self.stages.replace_with(stages));
            self.shared.colour.store(self.stages.needs_colour(), Relaxed);
            self.shared.restart(Instant::now());
        }
        let assignment = self.shared.assignment();
        if let Some(away) = &mut self.away {
            away.set_on(assignment.setpoint.offload, Instant::now());
        }
        if self.shared.plans.settled() {
            self.rung = assignment.setpoint.rung;
        }
    }

    /// True if something moves in the frame, is followed, or nothing was looked at for long.
    fn is_worth_a_look(&mut self, frame: &SharedFrame) -> bool {
        let Some(gate) = &mut self.gate else { return true };
        let now = frame.captured.saturating_duration_since(self.started);
        if gate.admits(frame, self.stages.is_unsettled(), now) {
            return true;
        }
        match self.away.as_mut().filter(|away| away.is_waiting()) {
            Some(away) => away.put_still(frame.captured, frame.time),
            None => self.stages.unchanged(now, frame.time),
        }
        // Luminance is enough to see whether anything moves.
        self.shared.colour.store(false, Relaxed);
        false
    }

    /// One frame: into the model's input, and once the batch is full through the model.
    fn work(&mut self, frame: &Arc<SharedFrame>) {
        if !self.is_worth_a_look(frame) {
            return;
        }
        self.notice_break(frame);
        if self.give(frame) {
            return;
        }
        let start = Instant::now();
        let prepared = self.stages.prepare_shared(frame, self.gathered.len());
        self.prepared += start.elapsed();
        if let Err(error) = prepared {
            self.fail("preprocess", &frame.origin, frame.seq, &error);
            return;
        }
        self.notice_narrow_frame();
        let wanted = self.bus.wants_frames(&self.name);
        self.shared.colour.store(wanted || self.stages.needs_colour(), Relaxed);
        let kept = wanted.then(|| frame.clone());
        self.gathered.push(Gathered { stamp: Stamp::of(frame), frame: kept });
        if self.gathered.len() >= self.stages.frames() {
            self.infer();
        }
    }

    /// Gives a frame to other nodes, where the governor wants that and they take it.
    fn give(&mut self, frame: &Arc<SharedFrame>) -> bool {
        let assignment = self.shared.assignment();
        let Some(away) = self.away.as_mut().filter(|_| self.stages.frames() == 1) else { return false };
        let wanted = self.bus.wants_frames(&self.name);
        let given = away.give(frame, wanted, &assignment, Instant::now());
        if given {
            self.shared.colour.store(wanted || self.stages.needs_colour(), Relaxed);
        }
        given
    }

    /// True while a frame waits for its turn behind one that another node looks at.
    fn awaits(&self) -> bool {
        self.away.as_ref().is_some_and(Away::is_waiting)
    }

    /// Goes on with the frames whose turn it is, in the order of their capture.
    fn take_turns(&mut self) {
        loop {
            let assignment = self.shared.assignment();
            let Some(away) = &mut self.away else { return };
            match away.next(&assignment, Instant::now()) {
                Next::Wait(until) => {
                    self.turn_at = until;
                    return;
                }
                Next::Looked(looked) => self.follow(*looked),
                Next::Still(captured, time) => {
                    self.stages.unchanged(captured.saturating_duration_since(self.started), time);
                }
                Next::Lost => {
                    self.shared.counters.dropped.fetch_add(1, Relaxed);
                }
                Next::Here(frame, wanted) => {
                    let turn = self.shared.turn.clone();
                    let _until_its_result = turn.work();
                    self.look_here(&frame, wanted);
                }
            }
        }
    }

    /// Looks at a frame whose turn it is, and that no other node answered for.
    fn look_here(&mut self, frame: &Arc<SharedFrame>, wanted: bool) {
        let start = Instant::now();
        if let Err(error) = self.stages.prepare_shared(frame, 0) {
            return self.fail("preprocess", &frame.origin, frame.seq, &error);
        }
        let ran = self.stages.infer_captured(frame.captured);
        let now = frame.captured.saturating_duration_since(self.started);
        let looked = ran.and_then(|infer| Ok((infer, self.stages.look(0, now, frame.time)?)));
        match looked {
            Err(error) => self.fail("model", &frame.origin, frame.seq, &error),
            Ok((infer, output)) => {
                self.shared.counters.infer.record(infer);
                self.shared.counters.recent_infer.record(start.elapsed(), Instant::now());
                let (stamp, frame) = (Stamp::of(frame), wanted.then(|| frame.clone()));
                self.follow(Looked { stamp, frame, output, infer, node: None, counts: true });
            }
        }
    }

    /// Puts what a frame shows behind those before it, and emits it.
    fn follow(&mut self, looked: Looked) {
        let Looked { stamp, frame, output, infer, node, counts } = looked;
        self.cascades.take_news(&self.name).into_iter().for_each(|track| self.stages.touch(track));
        let now = stamp.captured.saturating_duration_since(self.started);
        let output = self.stages.follow(output, now, stamp.time);
        self.tell(stamp, frame, output, Timing { infer, rung: self.rung, computed_by: node }, counts);
    }

    /// Logs, once for each number of them, that frames have room for fewer tiles than are configured.
    fn notice_narrow_frame(&mut self) {
        let (parts, most) = (self.stages.tiles().len(), self.stages.most_runs() as usize);
        if parts > 0 && parts < most && self.narrow.replace(parts) != Some(parts) {
            let (tiles, of) = (parts - 1, most - 1);
            tracing::info!(
                pipeline = self.shared.name,
                tiles,
                of,
                "frames have room for fewer tiles than are configured: smaller ones would be enlarged for the model"
            );
        }
    }

    /// A model that keeps something between its runs begins anew where the stream does.
    fn notice_break(&mut self, frame: &SharedFrame) {
        let assignment = self.shared.assignment();
        let interval = assignment.setpoint.interval.max(assignment.frame_interval);
        let most = BREAK.max(interval * BREAK_INTERVALS);
        let latest = self.latest.replace((frame.seq, frame.captured));
        let broken = latest.is_none_or(|(seq, captured)| {
            frame.seq <= seq || frame.captured.saturating_duration_since(captured) > most
        });
        if broken {
            if !self.gathered.is_empty() {
                self.infer();
            }
            self.stages.reset_state();
        }
    }

    /// Runs the model over what was gathered and publishes one result for each frame.
    fn infer(&mut self) {
        let ran =
            self.stages.infer_captured(self.gathered.first().map_or_else(Instant::now, |oldest| oldest.stamp.captured));
        let mut gathered = std::mem::take(&mut self.gathered);
        let prepared = std::mem::take(&mut self.prepared);
        // Frames of a plan that is about to go say nothing of the setpoint that waits for its own.
        let counts = self.shared.plans.settled();
        match ran {
            Err(error) => {
                if let Some(Gathered { stamp, .. }) = gathered.first() {
                    self.fail("model", &stamp.origin, stamp.seq, &error);
                }
            }
            Ok(infer) => {
                self.shared.counters.infer.record(infer);
                if counts {
                    self.shared.counters.recent_infer.record(prepared + infer, Instant::now());
                }
                for (index, Gathered { stamp, frame }) in gathered.drain(..).enumerate() {
                    let now = stamp.captured.saturating_duration_since(self.started);
                    match self.stages.look(index, now, stamp.time) {
                        Ok(output) => self.pass(Looked { stamp, frame, output, infer, node: None, counts }),
                        Err(error) => self.fail("task", &stamp.origin, stamp.seq, &error),
                    }
                }
            }
        }
        // Emptied, with its room kept.
        gathered.clear();
        self.gathered = gathered;
    }

    /// Goes on with what a frame shows, or puts it behind those that are awaited.
    fn pass(&mut self, looked: Looked) {
        match self.away.as_mut().filter(|away| away.is_waiting()) {
            Some(away) => away.put(looked),
            None => self.follow(looked),
        }
    }

    /// Counts and logs what went wrong with one frame; the pipeline goes on.
    fn fail(&mut self, stage: &str, origin: &str, seq: u64, error: &dyn std::fmt::Display) {
        self.shared.counters.errors.fetch_add(1, Relaxed);
        if let Some(suppressed) = self.log.admit(stage, Instant::now()) {
            tracing::warn!(
                pipeline = self.shared.name, stage, origin, seq, %error, suppressed, "no result for this frame"
            );
        }
    }

    /// Emits the result with its events. `counts`: it is by the plan that is wanted.
    fn tell(
        &mut self,
        stamp: Stamp,
        frame: Option<Arc<SharedFrame>>,
        output: TaskOutput,
        timing: Timing,
        counts: bool,
    ) {
        if let Some(place) = &self.place
            && let Some(memory) = self.stages.memory()
        {
            place.keep(memory);
        }
        let counters = &self.shared.counters;
        let first = counters.inferences.fetch_add(1, Relaxed) == 0;
        let TaskOutput { outcome, mut events, .. } = output;
        self.cascades.annotate(&self.name, &mut events);
        if let Some(truth) = &stamp.truth {
            self.shared.truth.count(truth, &outcome);
        }
        self.shared.note_reading(&outcome);
        self.log_events(&events);
        let captured = stamp.captured;
        let output = Output { pipeline: self.name.clone(), stamp, frame, outcome, events, timing };
        self.bus.emit(&Emission::Output(Arc::new(output)));
        if first {
            mark_of("first result", &self.shared.name);
        }
        let handed = Instant::now();
        let latency = handed.saturating_duration_since(captured);
        counters.latency.record(latency);
        if counts {
            counters.recent.record(latency, handed);
            self.shared.worked_on(captured);
        }
    }

    /// Emits events that come without a frame.
    fn send_events(&self, mut events: Vec<Event>) {
        if !events.is_empty() {
            self.cascades.annotate(&self.name, &mut events);
            self.log_events(&events);
            self.bus.emit(&Emission::Events { pipeline: self.name.clone(), events });
        }
    }

    fn log_events(&self, events: &[Event]) {
        for event in events {
            tracing::debug!(pipeline = self.shared.name, kind = ?event.kind, label = event.label, "event");
        }
    }
}
