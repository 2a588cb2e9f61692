//! A message on a request's topic, understood. Pure: bytes in, a [`Request`] or a clear error out.

use serde_json::Value;

use super::config_get::ConfigGet;
use super::config_set::ConfigSet;
use super::fields::{Fields, kind};
use super::governor_set::GovernorSet;
use super::pause::Pause;
use super::reading::Reading;
use super::snapshot::Snapshot;
use crate::publish::requests::{Requests, Verb};

/// A longer payload is no request of ours.
const MOST_BYTES: usize = 16 << 10;

/// A longer verb is not answered: no topic of ours is that long.
const MOST_VERB_BYTES: usize = 64;

/// A longer transaction is refused, since it comes back in the answer.
const MOST_TRANSACTION_BYTES: usize = 256;

/// The content of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `config/get`.
    ConfigGet(ConfigGet),
    /// `config/set`.
    ConfigSet(ConfigSet),
    /// `config/schema`.
    ConfigSchema,
    /// `governor/set`.
    Governor(GovernorSet),
    /// `pipeline/pause`, `pipeline/resume`.
    Pause(Pause),
    /// `snapshot`.
    Snapshot(Snapshot),
    /// `reading`.
    Reading(Reading),
    /// `model/list`.
    ModelList,
    /// `restart`.
    Restart,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The verb of the topic that it came on, to which the answer goes.
    pub verb: String,
    /// The sender's identifier, which comes back in the answer.
    pub transaction: Option<String>,
    /// The content, or the error to answer with.
    pub request: Result<Request, String>,
}

/// Reads a request; `pipelines` are the names of those that there are, `allowed` the requests that the configuration permits. `None` for
/// a verb that cannot be answered, since no topic of ours is like it.
pub fn read(verb: &str, payload: &[u8], pipelines: &[&str], allowed: &Requests) -> Option<Asked> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
    if verb.len() > MOST_VERB_BYTES || !verb.bytes().all(plain) {
        return None;
    }
    let permitted = permitted(verb, allowed);
    let (transaction, request) = match Fields::read(payload, MOST_BYTES) {
        Ok(fields) => match fields.get("transaction", transaction) {
            Ok(transaction) => (transaction, permitted.and_then(|verb| understand(verb, &fields, pipelines))),
            Err(why) => (None, permitted.and(Err(why))),
        },
        Err(why) => (None, permitted.and(Err(why))),
    };
    Some(Asked { verb: verb.to_owned(), transaction, request })
}

fn transaction(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.len() > MOST_TRANSACTION_BYTES => {
            Err(format!("transaction: found {} bytes, at most {MOST_TRANSACTION_BYTES} come back", text.len()))
        }
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("transaction: found {}, allowed is a string", kind(other))),
    }
}

/// Refuses an unknown verb, and one that the configuration does not allow.
fn permitted(verb: &str, allowed: &Requests) -> Result<Verb, String> {
    let Some(known) = Verb::named(verb) else {
        return Err(format!("unknown verb {verb:?}; known are {}", Verb::known()));
    };
    if allowed.allow(known) {
        return Ok(known);
    }
    let why = format!("{verb} is not allowed: mqtt.requests = {} in the configuration of this node", allowed.shown());
    // "all" looks as if it were allowed.
    let named = if known == Verb::ConfigSet { "; a list that names it allows it" } else { "" };
    Err(format!("{why}{named}"))
}

fn understand(verb: Verb, fields: &Fields, pipelines: &[&str]) -> Result<Request, String> {
    let nothing_else = || fields.only(&[]);
    match verb {
        Verb::ConfigGet => ConfigGet::read(fields).map(Request::ConfigGet),
        Verb::ConfigSet => ConfigSet::read(fields).map(Request::ConfigSet),
        Verb::ConfigSchema => nothing_else().map(|()| Request::ConfigSchema),
        Verb::GovernorSet => GovernorSet::read(fields, pipelines).map(Request::Governor),
        Verb::PipelinePause => Pause::read(fields, pipelines, true).map(Request::Pause),
        Verb::PipelineResume => Pause::read(fields, pipelines, false).map(Request::Pause),
        Verb::DetectSet => Err("detect/set is no request: publish ON or OFF on <pipeline>/detect/set".into()),
        Verb::Snapshot => Snapshot::read(fields, pipelines).map(Request::Snapshot),
        Verb::Reading => Reading::read(fields, pipelines).map(Request::Reading),
        Verb::ModelList => nothing_else().map(|()| Request::ModelList),
        Verb::ModelUpdate => Err("model/update: not yet; on the board: sudo leptond model add NAME --replace".into()),
        Verb::Restart => nothing_else().map(|()| Request::Restart),
    }
}

#[cfg(test)]
mod tests;
