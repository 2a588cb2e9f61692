//! The work of one pipeline that other nodes do: frames out, what they show back, in the order of their capture.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use leptond_governor::Assignment;

use super::answer;
use super::order::{Order, Overdue};
use super::picture;
use super::seen::{Seen, fraction};
use super::settings::Settings;
use super::turn::{Looked, Next};
use super::window::Window;
use crate::config::PipelineConfig;
use crate::fleet::{Computed, ModelDigest, Overdue as Policy, Returned, SETTINGS_BYTES};
use crate::frame::{Label, SharedFrame, Spec, TaskKind};
use crate::pipeline::{Planner, Stages};
use crate::{preprocess, task};

/// Time that an answer is waited for where the pipeline has no deadline; else it is half of that.
const WAIT: Duration = Duration::from_millis(500);
/// While others do the work one frame is looked at here this often, so that it is known how long that takes by now.
const PROBE: Duration = Duration::from_secs(10);
/// Time of rest after the work has come home, at most.
const REST: Duration = Duration::from_secs(10);

/// Facts about a pipeline that can give its frames away.
pub(in crate::runtime) struct Terms {
    pub(super) model: ModelDigest,
    settings: Arc<str>,
    kind: TaskKind,
    labels: Vec<Label>,
    /// `[width, height]` of the model's input.
    size: [u32; 2],
}

impl Terms {
    /// Those of a pipeline at full work.
    ///
    /// # Errors
    /// The reason for which its frames are not given away.
    pub(super) fn of(config: &PipelineConfig, planner: &Planner, stages: &Stages) -> Result<Terms, String> {
        let kind = planner.kind();
        let Spec::Image(spec) = stages.spec() else { return Err("it looks at readings".into()) };
        if config.meter.is_some() || !answer::is_readable(kind) {
            return Err(format!("the task {} is not done by other nodes", kind.word()));
        }
        if config.preprocess != preprocess::Config::default() {
            return Err("its pictures are prepared in a way of its own ([pipeline.preprocess])".into());
        }
        if stages.keeps_state() {
            return Err("its model keeps something between two pictures".into());
        }
        let manifest = planner.bundle.manifest();
        let own = task::Config::default().over(manifest.task, &manifest.defaults).map_err(|e| e.to_string())?;
        if own.kind() != kind {
            return Err(format!("its task is {}, and its model's bundle says {}", kind.word(), own.kind().word()));
        }
        let Some(model) = ModelDigest::new(planner.bundle.digest()) else {
            return Err("its model has no digest".into());
        };
        let wish = Settings { task: (&planner.task).into(), least_score: stages.least_score() };
        let settings = serde_json::to_string(&wish).map_err(|e| e.to_string())?;
        if settings.len() > SETTINGS_BYTES {
            return Err(format!("the settings of its task have more than {SETTINGS_BYTES} bytes"));
        }
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let size = [side(spec.width), side(spec.height)];
        Ok(Terms { model, settings: settings.into(), kind, labels: stages.task_spec().labels.clone(), size })
    }
}

/// The frames of one pipeline that others look at.
pub(in crate::runtime) struct Away {
    seen: Arc<Seen>,
    terms: Terms,
    policy: Policy,
    order: Order,
    number: u64,
    probed: Option<Instant>,
}

impl Away {
    pub(super) fn new(seen: Arc<Seen>, terms: Terms, policy: Policy) -> Away {
        Away { seen, terms, policy, order: Order::default(), number: 0, probed: None }
    }

    /// True where a frame waits for its turn.
    pub(in crate::runtime) fn is_waiting(&self) -> bool {
        !self.order.is_empty()
    }

    /// Takes over from the governor, at `now`, where the work is done.
    pub(in crate::runtime) fn set_on(&mut self, on: bool, now: Instant) {
        let mut inner = self.seen.lock();
        if inner.on == on {
            return;
        }
        inner.on = on;
        inner.window = Window::default();
        inner.rest_until = (!on).then(|| now + REST.mul_f32(fraction()));
        self.probed = on.then_some(now);
    }

    /// Gives a frame to others, where they take it; `wanted`: a sink wants it. `false`: it is looked at here.
    pub(in crate::runtime) fn give(
        &mut self,
        frame: &Arc<SharedFrame>,
        wanted: bool,
        assignment: &Assignment,
        now: Instant,
    ) -> bool {
        if !assignment.setpoint.offload || !self.seen.seat.is_open() {
            return false;
        }
        if self.probed.is_none_or(|at| now.saturating_duration_since(at) >= PROBE) && self.order.is_empty() {
            self.probed = Some(now);
            return false;
        }
        let wait = if assignment.deadline.is_zero() { WAIT } else { assignment.deadline / 2 };
        let until = frame.captured + wait;
        let away = self.order.away();
        if now >= until || !self.seen.lock().window.has_room(away) {
            self.seen.lock().window.kept();
            return false;
        }
        let picture = match picture::of(frame, self.terms.size, self.seen.seat.most_bytes()) {
            Ok(picture) => crate::fleet::Picture { settings: Some(self.terms.settings.clone()), ..picture },
            Err(reason) => {
                tracing::debug!(reason, "a frame is not given to other nodes");
                self.seen.lock().window.kept();
                return false;
            }
        };
        self.number += 1;
        let given = self.seen.seat.give(self.number, picture, until.saturating_duration_since(now));
        if given {
            self.order.give(self.number, frame.clone(), wanted, until);
        } else {
            self.seen.lock().window.kept();
        }
        given
    }

    /// A frame was looked at here, behind others that are awaited.
    pub(in crate::runtime) fn put(&mut self, looked: Looked) {
        self.order.put(looked);
    }

    /// Nothing has moved in a frame, behind others that are awaited.
    pub(in crate::runtime) fn put_still(&mut self, captured: Instant, time: SystemTime) {
        self.order.put_still(captured, time);
    }

    /// The frame whose turn it is at `now`.
    pub(in crate::runtime) fn next(&mut self, assignment: &Assignment, now: Instant) -> Next {
        for Returned { frame, answer } in self.seen.seat.returned() {
            let fault = match answer.result {
                Ok(Computed { outcome, infer, .. }) => {
                    match answer::read(&outcome, self.terms.kind, &self.terms.labels) {
                        Ok(output) => {
                            if self.order.answer(frame, Some((output, infer, answer.node.clone()))) {
                                self.seen.seat.accepted(&answer.node);
                                let mut inner = self.seen.lock();
                                inner.window.back();
                                inner.inferred(infer);
                            }
                            continue;
                        }
                        Err(fault) => {
                            self.seen.seat.distrusted();
                            fault
                        }
                    }
                }
                Err(refusal) => refusal.to_string(),
            };
            tracing::debug!(node = %answer.node, fault, "another node gave no result for a frame");
            self.order.answer(frame, None);
        }
        let overdue =
            Overdue { compute: self.policy == Policy::Compute, deadline: assignment.deadline, infer: assignment.infer };
        let next = self.order.next(now, overdue);
        if matches!(next, Next::Here(..) | Next::Lost) {
            self.seen.lock().window.missed(self.order.away());
        }
        next
    }
}
