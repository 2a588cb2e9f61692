//! The messages: work and answers, written and read. Nothing that is read is trusted: sizes, versions, names, ids and digests are checked here.

mod text;

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::compute::{Computed, Content, Picture, Refusal, RefusalKind, SETTINGS_BYTES};
use super::digest::ModelDigest;
use crate::frame::{NodeName, PipelineName};
use crate::sys::random::is_word;

/// Version of the messages. Another one is refused.
const SCHEMA: &str = "1";
/// Longest side of a picture, in pixels.
const LONGEST_SIDE: u32 = 65_535;
/// Longest reason of a refusal that is believed, in bytes.
const REASON_BYTES: usize = 1024;
/// Room for the headers of a message, in bytes.
pub(super) const HEADER_BYTES: usize = 1024 + SETTINGS_BYTES;

const H_SCHEMA: &str = "Leptond-Schema";
const H_ID: &str = "Leptond-Id";
const H_ANSWER: &str = "Leptond-Answer";
const H_FROM: &str = "Leptond-From";
const H_MODEL: &str = "Leptond-Model";
const H_PIPELINE: &str = "Leptond-Pipeline";
const H_TASK: &str = "Leptond-Task";
const H_SOURCE: &str = "Leptond-Source-Size";
const H_DEADLINE: &str = "Leptond-Deadline-Ms";
const H_CONTENT: &str = "Content-Type";
const H_NODE: &str = "Leptond-Node";
const H_RUNG: &str = "Leptond-Rung";
const H_INFER: &str = "Leptond-Infer-Us";
const H_QUEUE: &str = "Leptond-Queue-Us";
const H_REFUSED: &str = "Leptond-Refused";

/// One piece of work.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Its id, 32 hex digits that nobody can guess.
    pub(super) id: String,
    /// Last level of the subject on which its answer is awaited.
    pub(super) answer: String,
    /// The node that gives it.
    pub(super) from: NodeName,
    /// Digest of the model.
    pub(super) model: ModelDigest,
    /// The pipeline that it is of.
    pub(super) pipeline: Option<PipelineName>,
    /// Time from its arrival at the server after which nobody waits for it.
    pub(super) deadline: Option<Duration>,
    /// The picture.
    pub(super) picture: Picture,
}

impl Job {
    /// The headers of the message.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(H_SCHEMA, SCHEMA);
        headers.insert(H_ID, self.id.as_str());
        headers.insert(H_ANSWER, self.answer.as_str());
        headers.insert(H_FROM, &*self.from);
        headers.insert(H_MODEL, self.model.as_str());
        headers.insert(H_CONTENT, self.picture.content.word());
        if let Some(pipeline) = &self.pipeline {
            headers.insert(H_PIPELINE, &**pipeline);
        }
        if let Some([width, height]) = self.picture.full {
            headers.insert(H_SOURCE, format!("{width}x{height}").as_str());
        }
        if let Some(settings) = &self.picture.settings {
            headers.insert(H_TASK, &**settings);
        }
        if let Some(deadline) = self.deadline {
            headers.insert(H_DEADLINE, deadline.as_millis().to_string().as_str());
        }
        headers
    }
}

/// A message that is no work for this node.
#[derive(Debug)]
pub(super) struct NoJob {
    /// The reason.
    pub(super) refusal: Refusal,
    /// Id and last level of the subject of the answer, where the message says so.
    pub(super) to: Option<(String, String)>,
}

/// Limits of a worker.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Model whose queue it is.
    pub(super) model: ModelDigest,
    /// Largest payload, in bytes.
    pub(super) payload_bytes: usize,
}

/// Reads a message as work.
///
/// # Errors
/// [`NoJob`] with the first fault.
pub(super) fn read_job(headers: Option<&HeaderMap>, payload: &Bytes, limits: &Limits) -> Result<Job, Box<NoJob>> {
    let id = text::of(headers, H_ID).filter(|id| is_word(id));
    let answer = text::of(headers, H_ANSWER).filter(|token| is_word(token));
    let from = text::of(headers, H_FROM).and_then(|name| NodeName::new(name).ok());
    let to = id.zip(answer).map(|(id, answer)| (id.to_owned(), answer.to_owned()));
    let refuse = |kind, reason: String| Err(Box::new(NoJob { refusal: Refusal::new(kind, reason), to: to.clone() }));
    match text::of(headers, H_SCHEMA) {
        Some(SCHEMA) => {}
        Some(other) => {
            let reason = format!("version {} of the messages, this node speaks {SCHEMA}", text::shown(other));
            return refuse(RefusalKind::Schema, reason);
        }
        None => return refuse(RefusalKind::Malformed, format!("{H_SCHEMA} is missing")),
    }
    let (Some((id, answer)), Some(from)) = (to.clone(), from) else {
        return refuse(RefusalKind::Malformed, format!("{H_ID}, {H_ANSWER} or {H_FROM} is missing or wrong"));
    };
    let Some(model) = text::of(headers, H_MODEL).and_then(ModelDigest::new) else {
        return refuse(RefusalKind::Malformed, format!("{H_MODEL} is missing or no digest"));
    };
    if model != limits.model {
        return refuse(
            RefusalKind::WrongModel,
            format!("it is for the model {}, this queue is of {}", model.as_str(), limits.model.as_str()),
        );
    }
    if payload.len() > limits.payload_bytes {
        let reason = format!("{} bytes, and fleet.max_payload_bytes is {}", payload.len(), limits.payload_bytes);
        return refuse(RefusalKind::TooLarge, reason);
    }
    let content = text::of(headers, H_CONTENT).and_then(|word| Content::ALL.into_iter().find(|c| c.word() == word));
    let Some(content) = content else {
        return refuse(RefusalKind::Malformed, format!("{H_CONTENT} is missing or of no picture"));
    };
    let Ok(full) = text::optional(headers, H_SOURCE, size) else {
        return refuse(RefusalKind::Malformed, format!("{H_SOURCE} is no WIDTHxHEIGHT"));
    };
    let Ok(deadline) = text::optional(headers, H_DEADLINE, |text| text.parse().ok().map(Duration::from_millis)) else {
        return refuse(RefusalKind::Malformed, format!("{H_DEADLINE} is no number"));
    };
    let Ok(pipeline) = text::optional(headers, H_PIPELINE, |text| PipelineName::new(text).ok()) else {
        return refuse(RefusalKind::Malformed, format!("{H_PIPELINE} is no name"));
    };
    let Ok(settings) = text::settings(headers, H_TASK, SETTINGS_BYTES) else {
        return refuse(
            RefusalKind::Malformed,
            format!("{H_TASK} is given twice or has more than {SETTINGS_BYTES} bytes"),
        );
    };
    let picture = Picture { content, bytes: payload.clone(), full, settings: settings.map(Arc::from) };
    Ok(Job { id, answer, from, model, pipeline, deadline, picture })
}

fn size(text: &str) -> Option<[u32; 2]> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| (1..=LONGEST_SIDE).contains(side));
    Some([side(width)?, side(height)?])
}

/// An answer to one piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Id of the work.
    pub(super) id: String,
    /// The node that computed it.
    pub node: NodeName,
    /// Digest of the model that it was computed with.
    pub model: ModelDigest,
    /// Time that it waited at that node before it was computed.
    pub queue: Duration,
    /// The result, or why there is none.
    pub result: Result<Computed, Refusal>,
}

impl Answer {
    /// Headers and payload of the message.
    pub(super) fn message(&self) -> (HeaderMap, Bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(H_SCHEMA, SCHEMA);
        headers.insert(H_ID, self.id.as_str());
        headers.insert(H_NODE, &*self.node);
        headers.insert(H_MODEL, self.model.as_str());
        headers.insert(H_QUEUE, self.queue.as_micros().to_string().as_str());
        match &self.result {
            Ok(Computed { outcome, infer, rung }) => {
                headers.insert(H_INFER, infer.as_micros().to_string().as_str());
                headers.insert(H_RUNG, rung.to_string().as_str());
                (headers, Bytes::from(outcome.clone().into_bytes()))
            }
            Err(Refusal { kind, reason }) => {
                headers.insert(H_REFUSED, kind.word());
                (headers, Bytes::from(text::cut(reason, REASON_BYTES).to_owned().into_bytes()))
            }
        }
    }
}

/// Reads a message as an answer; of which work is for the reader to see.
///
/// # Errors
/// The first fault.
pub(super) fn read_answer(headers: Option<&HeaderMap>, payload: &[u8], most_bytes: usize) -> Result<Answer, String> {
    if text::of(headers, H_SCHEMA) != Some(SCHEMA) {
        return Err(format!("{H_SCHEMA} is not {SCHEMA}"));
    }
    let Some(id) = text::of(headers, H_ID).filter(|id| is_word(id)) else { return Err(format!("{H_ID} is no id")) };
    let node = text::of(headers, H_NODE).and_then(|name| NodeName::new(name).ok());
    let Some(node) = node else { return Err(format!("{H_NODE} is no name")) };
    let model = text::of(headers, H_MODEL).and_then(ModelDigest::new);
    let Some(model) = model else { return Err(format!("{node}: {H_MODEL} is no digest")) };
    let micros = |name: &str| {
        let number = text::of(headers, name).and_then(|text| text.parse::<u64>().ok());
        number.map(Duration::from_micros).ok_or_else(|| format!("{node}: {name} is no number"))
    };
    let queue = micros(H_QUEUE)?;
    if payload.len() > most_bytes {
        return Err(format!("{node}: an answer of {} bytes, and {most_bytes} are taken", payload.len()));
    }
    let words = std::str::from_utf8(payload).map_err(|_| format!("{node}: the answer is no text"))?;
    let result = match text::of(headers, H_REFUSED) {
        Some(word) => {
            let kind = RefusalKind::ALL.into_iter().find(|kind| kind.word() == word);
            let kind = kind.ok_or_else(|| format!("{node}: {H_REFUSED} is no reason"))?;
            if words.len() > REASON_BYTES {
                return Err(format!("{node}: a reason of {} bytes", words.len()));
            }
            Err(Refusal::new(kind, text::plain(words)))
        }
        None => {
            let infer = micros(H_INFER)?;
            let rung = text::of(headers, H_RUNG).and_then(|text| text.parse::<u32>().ok());
            let rung = rung.ok_or_else(|| format!("{node}: {H_RUNG} is no number"))?;
            text::check_outcome(words).map_err(|reason| format!("{node}: {reason}"))?;
            Ok(Computed { outcome: words.to_owned(), infer, rung })
        }
    };
    Ok(Answer { id: id.to_owned(), node, model, queue, result })
}

#[cfg(test)]
mod tests;
