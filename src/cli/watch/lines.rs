//! Messages as lines, for a pipe, a script or a terminal that shows no screen.

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;

use super::args::Args;
use super::messages::{Answer, Message, PipelineMessage, read};
use super::settings::{broker, client_id};
use super::signals::Asked;
use crate::cli::Failure;
use crate::cli::output::{tell, written};
use crate::frame::TopicFilter;
use crate::publish::mqtt::Mqtt;
use crate::publish::stdout::Printer;
use crate::publish::{Config, Publisher};

/// Messages waiting to be printed at most; a terminal is slower than a broker.
const WAITING: usize = 512;
/// Time between two looks at the clock and the signals.
const LOOK: Duration = Duration::from_millis(200);
/// Pipelines whose last result is remembered; those beyond are printed whole.
const MOST_PIPELINES: usize = 1024;

/// Prints what `filter` gives until a signal, the count or `deadline` ends it, or nobody reads it any more.
pub fn run(
    args: &Args,
    config: &Config,
    filter: &TopicFilter,
    asked: &Asked,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let client = Mqtt::listen(config, &client_id()).map_err(|e| Failure::Config(e.to_string()))?;
    let messages = client.subscribe(filter, WAITING).map_err(|e| Failure::Config(e.to_string()))?;
    let printer = Printer::for_stdout(args.json, &config.prefix);
    let mut changes = (!args.json && args.topic.is_none()).then(|| Changes::new(&config.prefix));
    let mut printed = 0;
    let mut stdout = std::io::stdout().lock();
    while !asked.stops() && args.count.is_none_or(|count| printed < count) {
        let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()).min(LOOK));
        match messages.recv_timeout(left) {
            Ok(message) => {
                if changes.as_mut().is_some_and(|changes| !changes.is_news(&message.topic, &message.payload)) {
                    continue;
                }
                let line = printer.line(&message.topic, &message.payload, message.retain, SystemTime::now());
                if !written(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))? {
                    break;
                }
                printed += 1;
            }
            Err(RecvTimeoutError::Timeout) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the connection to the broker ended").into()),
        }
    }
    let stats = client.stats();
    client.stop(Instant::now() + Duration::from_secs(1));
    if stats.received_dropped > 0 {
        let missing = stats.received_dropped;
        tell(&format!("{missing} messages came faster than they could be printed and are missing"));
    }
    if stats.connects == 0 && !asked.stops() {
        return Err(anyhow!("there was no connection to a broker at {} in that time", broker(config)).into());
    }
    if printed == 0 && !asked.stops() {
        return Err(anyhow!("nothing came on {} in that time", filter.as_str()).into());
    }
    Ok(())
}

/// Results that say the same as the one before are no news. Pure.
struct Changes {
    prefix: String,
    /// Labels of each pipeline's last result, by topic.
    said: HashMap<String, String>,
}

impl Changes {
    fn new(prefix: &str) -> Changes {
        Changes { prefix: prefix.into(), said: HashMap::new() }
    }

    /// `true` for everything but a result with the labels of the one before.
    fn is_news(&mut self, topic: &str, payload: &[u8]) -> bool {
        let Ok((_, Message::Pipeline(_, PipelineMessage::Result(answer)))) = read(&self.prefix, topic, payload) else {
            return true;
        };
        let says = essence(&answer);
        match self.said.get_mut(topic) {
            Some(said) if *said == says => false,
            Some(said) => {
                *said = says;
                true
            }
            None => {
                if self.said.len() < MOST_PIPELINES {
                    self.said.insert(topic.into(), says);
                }
                true
            }
        }
    }
}

/// The labels of an answer, without its scores and times, which move all the time.
fn essence(answer: &Answer) -> String {
    let Answer { task, label, quality, held, detections, anomalous, calibrating, .. } = answer;
    let mut found: Vec<&str> = detections.iter().map(|found| found.label.as_str()).collect();
    found.sort_unstable();
    let mut essence = format!("{task} {label:?} {quality:?} {held} {anomalous} {calibrating} {found:?}");
    essence.truncate(essence.floor_char_boundary(1024));
    essence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_news_when_its_labels_change() {
        let mut changes = Changes::new("leptond");
        let topic = "leptond/attic/door/result";
        for (payload, expected) in [
            (r#"{"task":"detect","detections":[{"label":"dog","score":0.5},{"label":"cat"}]}"#, true),
            (r#"{"task":"detect","detections":[{"label":"cat","score":0.9},{"label":"dog"}],"seq":2}"#, false),
            (r#"{"task":"detect","detections":[{"label":"cat"}]}"#, true),
            (r#"{"task":"detect","detections":[]}"#, true),
            (r#"{"task":"detect","detections":[]}"#, false),
            ("not json", true),
            ("not json", true),
        ] {
            assert_eq!(changes.is_news(topic, payload.as_bytes()), expected, "{payload}");
        }
        assert!(changes.is_news("leptond/attic/gate/result", br#"{"task":"detect","detections":[]}"#), "of its own");
        let event = br#"{"type":"update","label":"cat"}"#;
        assert!(
            changes.is_news("leptond/attic/door/event", event) && changes.is_news("leptond/attic/door/event", event)
        );
        for n in 0..5000 {
            changes.is_news(&format!("leptond/attic/p{n}/result"), br#"{"task":"raw"}"#);
        }
        assert_eq!(changes.said.len(), MOST_PIPELINES);
    }
}
