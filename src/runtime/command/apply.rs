//! A change of the configuration by a request: written, applied as by SIGHUP, and taken back where it does not work.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use serde_json::json;

use super::config_set::ConfigSet;
use super::desk::Asker;
use super::plan::plan;
use super::stored::Stored;
use super::trial::{Before, RARE, Seen, TRIAL, Watch};
use crate::runtime::aside::{self, Awaited, Signals};
use crate::runtime::options::Options;
use crate::runtime::reload::{Reloaded, reload};
use crate::runtime::running::Running;
use crate::runtime::session::Session;
use crate::runtime::set::PipelineSet;
use crate::runtime::state::PipelineStatus;

/// Cause of a reload, for the log.
const CAUSE: &str = "config/set";

/// A change on trial.
#[derive(Debug)]
pub(super) struct Trial {
    /// The one who asked for it.
    pub(super) asker: Asker,
    /// The keys that it changed.
    pub(super) keys: Vec<String>,
    pub(super) watch: Watch,
    pub(super) stored: Stored,
}

/// The outcome of a change.
pub(super) enum Change {
    /// It applies, and is on trial.
    Applied(Box<Applied>),
    /// Every value was so already.
    Nothing,
    /// Nothing was changed, for this reason.
    Refused(String),
    /// The daemon is to stop, by this signal.
    Stop(&'static str),
}

/// A change that applies.
pub(super) struct Applied {
    /// The keys that it changed.
    pub(super) keys: Vec<String>,
    pub(super) watch: Watch,
    pub(super) stored: Stored,
    /// Data of the answer.
    pub(super) data: serde_json::Value,
}

/// The outcome of taking a change back.
pub(super) enum Return {
    /// The former configuration applies.
    Done,
    /// It does not, for this reason.
    Failed(String),
    /// The daemon is to stop, by this signal.
    Stop(&'static str),
}

/// Changes the configuration file and applies it.
pub(super) async fn change(
    session: &mut Session,
    options: &Options,
    signals: &mut Signals,
    wanted: ConfigSet,
    transaction: Option<String>,
) -> Change {
    let Some(file) = options.config_file.clone() else {
        return Change::Refused("this run has no configuration file that could be changed".into());
    };
    // Models are opened to check a configuration, which may take long.
    let (running, digest, looked_at) = (session.config.clone(), session.digest.clone(), file.clone());
    let planning = aside::begin("change", move || plan(&looked_at, &running, &digest, &wanted));
    let plan = match planning {
        Ok(planning) => match aside::finish(planning, signals).await {
            Ok(Awaited::Done(Ok(Some(plan)))) => plan,
            Ok(Awaited::Done(Ok(None))) => return Change::Nothing,
            Ok(Awaited::Done(Err(why))) => return Change::Refused(why),
            Ok(Awaited::Stop(signal)) => return Change::Stop(signal),
            Err(error) => return Change::Refused(error.to_string()),
        },
        Err(error) => return Change::Refused(error.to_string()),
    };
    let stored = match Stored::write(&file.path, &plan.text, transaction) {
        Ok(stored) => stored,
        Err(error) => return Change::Refused(error.to_string()),
    };
    let before = before(&session.set, Instant::now());
    let why = match reload(session, options, signals, CAUSE).await {
        Reloaded::Applied => {
            let now = Instant::now();
            let data = json!({
                "changed": plan.keys, "file": file.path, "previous": stored.previous(), "watched_s": TRIAL.as_secs(),
            });
            let watch = Watch::new(before, &seen(&session.set), now);
            return Change::Applied(Box::new(Applied { keys: plan.keys, watch, stored, data }));
        }
        // What was written stays on trial: the next start takes it back.
        Reloaded::Stop(signal) => return Change::Stop(signal),
        Reloaded::Refused(why) => why,
        Reloaded::Restart(_) => "the file has another connection by now".to_owned(),
    };
    match stored.restore() {
        Ok(()) => Change::Refused(why),
        Err(error) => Change::Refused(format!("{why}; and it cannot be taken back: {error}")),
    }
}

/// Puts the former file back and applies it.
pub(super) async fn roll_back(
    session: &mut Session,
    options: &Options,
    signals: &mut Signals,
    trial: &Trial,
) -> Return {
    if let Err(error) = trial.stored.restore() {
        return Return::Failed(error.to_string());
    }
    match reload(session, options, signals, CAUSE).await {
        Reloaded::Applied => Return::Done,
        Reloaded::Refused(why) => Return::Failed(why),
        Reloaded::Restart(_) => Return::Failed("the former file has another connection".into()),
        Reloaded::Stop(signal) => Return::Stop(signal),
    }
}

/// Each pipeline before a change.
fn before(set: &PipelineSet, now: Instant) -> BTreeMap<String, Before> {
    let one = |running: &Running| {
        let shared = &running.shared;
        let ran = matches!(shared.life(), PipelineStatus::Running | PipelineStatus::Idle(_));
        let gave = ran && shared.counters.inferences.load(Relaxed) > 0 && shared.idle(now).is_none();
        (running.config.name.to_string(), Before { ran, gave })
    };
    set.iter().map(one).collect()
}

/// Each pipeline now.
pub(super) fn seen(set: &PipelineSet) -> BTreeMap<String, Seen> {
    let one = |running: &Running| {
        let shared = &running.shared;
        let assignment = shared.assignment();
        let (fault, ended) = match shared.life() {
            PipelineStatus::Failed(reason) => (Some(reason), false),
            PipelineStatus::Ended | PipelineStatus::Stopped => (None, true),
            PipelineStatus::Running | PipelineStatus::Idle(_) => (None, false),
        };
        let pace = assignment.setpoint.interval.max(assignment.frame_interval);
        // Behind a closed gate nothing is looked at, so that nothing is missed.
        let excused = ended || shared.paused() || shared.is_gated() || pace >= RARE;
        let inferences = shared.counters.inferences.load(Relaxed);
        (running.config.name.to_string(), Seen { inferences, fault, excused })
    };
    let waits = |(name, reason): (&crate::frame::PipelineName, &str)| {
        (name.to_string(), Seen { fault: Some(reason.to_owned()), ..Seen::default() })
    };
    set.iter().map(one).chain(set.waiting.iter().map(waits)).collect()
}
