//! Pipelines that cannot be made: those that are tried again, and those that wait for a person.

use std::time::{Duration, Instant};

use super::prepare::{PrepareError, Unmade};
use crate::frame::PipelineName;
use crate::pipeline::{PipelineError, Resolved};

/// Time to the first attempt after one that failed …
const FIRST: Duration = Duration::from_secs(1);

/// … which doubles up to this: a disk that is mounted late is noticed within it.
const MOST: Duration = Duration::from_secs(30);

/// The pipelines of the configuration that do not run.
#[derive(Default)]
pub(super) struct Waiting(Vec<One>);

struct One {
    pipeline: Resolved,
    reason: String,
    /// `None` = only a reload tries it again.
    again: Option<Again>,
}

#[derive(Clone, Copy)]
struct Again {
    due: Instant,
    wait: Duration,
}

impl Waiting {
    /// A pipeline could not be made. The first time, and whenever the reason is another one, that is logged.
    pub(super) fn put(&mut self, unmade: Unmade, now: Instant) {
        let Unmade { pipeline, error } = unmade;
        let name = pipeline.config.name.clone();
        let reason = reason(&error);
        let before = self.0.iter().position(|one| one.pipeline.config.name == name);
        let before = before.map(|index| self.0.swap_remove(index));
        let first = Again { due: now + FIRST, wait: FIRST };
        let again = error.may_pass().then(|| before.as_ref().and_then(|one| one.again).unwrap_or(first));
        if before.is_none_or(|one| one.reason != reason) {
            let pipeline = name.as_str();
            match again {
                Some(_) => tracing::warn!(pipeline, reason, "cannot be started now, and is tried again until it can"),
                None => {
                    tracing::error!(pipeline, reason, "cannot be started; the others go on without it until a reload")
                }
            }
        }
        self.0.push(One { pipeline: *pipeline, reason, again });
    }

    /// The pipelines whose next attempt is due. The one after it is due twice as much later, whatever comes of this one.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Resolved> {
        let mut due = Vec::new();
        for One { pipeline, again, .. } in &mut self.0 {
            if let Some(again) = again.as_mut().filter(|again| again.due <= now) {
                again.wait = (again.wait * 2).min(MOST);
                again.due = now + again.wait;
                due.push(pipeline.clone());
            }
        }
        due
    }

    /// Time of the next attempt, if there is one.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|one| Some(one.again?.due)).min()
    }

    /// Keeps those for which `stays` holds.
    pub(super) fn retain(&mut self, stays: impl Fn(&Resolved) -> bool) {
        self.0.retain(|one| stays(&one.pipeline));
    }

    /// A pipeline of this name waits.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|one| one.pipeline.config.name == name)
    }

    /// Name of each, with the reason that it does not run.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PipelineName, &str)> {
        self.0.iter().map(|one| (&one.pipeline.config.name, one.reason.as_str()))
    }

    /// The reason of one that waits for a person.
    pub(super) fn failure(&self) -> Option<String> {
        let failed = self.0.iter().find(|one| one.again.is_none())?;
        Some(format!("pipeline {:?}: {}", failed.pipeline.config.name, failed.reason))
    }
}

/// The error without the pipeline's name, which stands beside it.
fn reason(error: &PrepareError) -> String {
    match error {
        PrepareError::Pipeline(PipelineError::Model(_, error)) => error.to_string(),
        PrepareError::Source(_, error) => error.to_string(),
        PrepareError::Pipeline(PipelineError::Fit(_, misfit)) => misfit.to_string(),
        PrepareError::Pipeline(PipelineError::Thread(_, error)) => format!("no thread: {error}"),
        PrepareError::Topic(_, error) => error.to_string(),
        PrepareError::Channels { .. } => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelError;
    use crate::pipeline::{PlanError, open_bundle};

    fn unmade(name: &str, error: ModelError) -> Unmade {
        let text = format!("name = '{name}'\nmodel = 'm'\nsource = {{ type = 'synthetic' }}");
        let pipeline = Resolved::inline(toml_edit::de::from_str(&text).unwrap()).unwrap();
        Unmade::new(pipeline, PipelineError::Model(name.into(), PlanError::Model(error)).into())
    }

    fn absent(name: &str) -> Unmade {
        unmade(name, ModelError::Unavailable { path: "/x".into(), reason: "there is no such file".into() })
    }

    #[test]
    fn a_model_may_come_with_the_disk_that_it_is_on() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("models/another")).unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        let usual = crate::config::ModelsConfig::default().dirs;
        for (name, dirs, may_come) in [
            ("/no/such/model.onnx", vec![at("models")], true),
            ("m", vec![at("models")], false),
            ("m", vec![at("models"), at("empty")], true),
            ("m", vec![at("nowhere"), at("models")], true),
            ("m", usual, false),
        ] {
            let error = open_bundle(name, &dirs).unwrap_err();
            assert_eq!(error.may_pass(), may_come, "{name} in {dirs:?}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_ever_more_rarely() {
        let start = Instant::now();
        let mut waiting = Waiting::default();
        waiting.put(absent("a"), start);
        waiting.put(unmade("b", ModelError::Changed { path: "/y".into() }), start);
        assert!(waiting.take_due(start).is_empty());
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let next = waiting.next().unwrap();
            waits.push((next - now).as_secs());
            now = next;
            let due = waiting.take_due(now);
            assert_eq!(due.iter().map(|c| c.config.name.as_str()).collect::<Vec<_>>(), ["a"]);
            waiting.put(absent("a"), now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert!(waiting.failure().unwrap().contains("\"b\""));
        waiting.retain(|c| c.config.name != "a");
        assert!(!waiting.has("a") && waiting.has("b"));
        assert_eq!(waiting.next(), None, "only a person can mend it");
    }
}
