//! `mqtt`: pictures or numbers that others publish.
//!
//! The subscription is made by the caller; this end only makes frames of the messages. A message that the broker had kept is as
//! good as a new one: a meter that speaks once a day has its last reading retained.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Context, Next, Source, SourceError};
use super::files;
use super::kind::{Frames, SourceKind, Subscription};
use super::sensor::channels::Fault;
use super::sensor::config::{HOLD_S, MissingPolicy, missing};
use super::sensor::stream::{Settings, Stream};
use super::sensor::{json, window};
use crate::frame::diagnostic::{Diagnostic, quoted, unique};
use crate::frame::names::NameKind;
use crate::frame::{Frame, Incoming, PixelFormat};

/// Most topics whose readings are kept apart; of more, the one that was silent longest begins anew.
const MOST_TOPICS: usize = 16;

/// Longest wait inside `next`, so that its thread can be stopped.
const NAP: Duration = Duration::from_millis(200);

/// Input from MQTT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Topic filter to subscribe to (`+` and `#` allowed).
    #[schemars(length(min = 1))]
    pub topic: String,
    /// Content of a message: a `jpeg` picture, or `numbers` (a number, a JSON array or a JSON object of numbers).
    pub content: MqttContent,
    /// For `numbers`: channels to keep, in this order, as paths (`ENERGY.Power`, `phases[0].volts`; a dot within a key is written
    /// `\.`); empty = those that the model names, else the numbers of the first message on a topic.
    #[serde(default)]
    pub channels: Vec<String>,
    /// For `numbers`: a message without a value for one of the channels: leave it out, hold the last value, or pass the gap on; unset =
    /// `skip`, for the tasks `baseline` and `threshold` `nan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingPolicy>,
    /// For `missing = "hold"`: longest time for which a value is held, in s.
    #[serde(default = "hold_s")]
    #[schemars(range(min = 1, max = 86_400))]
    pub hold_s: u32,
    /// For `numbers`: readings in one window.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub window: u32,
    /// For `numbers`: readings from the start of one window to the start of the next.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub stride: u32,
}

/// Content of an MQTT message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MqttContent {
    /// A JPEG picture.
    Jpeg,
    /// A number, a JSON array or a JSON object of numbers.
    Numbers,
}

impl SourceKind for MqttConfig {
    /// Fatal without a subscription.
    fn open(&self, context: Context) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Mqtt::open(self, &context.channels, context.gaps, context.incoming)?))
    }

    fn describe(&self) -> String {
        "messages of the broker".into()
    }

    fn frames(&self) -> Frames<'_> {
        match self.content {
            MqttContent::Jpeg => Frames::Pictures { format: PixelFormat::Jpeg, size: None },
            MqttContent::Numbers => Frames::Windows { rows: self.window, channels: &self.channels },
        }
    }

    fn subscription(&self) -> Option<Subscription<'_>> {
        Some(Subscription { filter: &self.topic, key: "topic" })
    }

    fn passes_gaps(&self) -> Option<bool> {
        self.missing.map(|missing| missing == MissingPolicy::Nan)
    }

    fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if let Err(error) = NameKind::Filter.check(&self.topic) {
            let reason = error.reason;
            let diagnostic = Diagnostic::error("topic", format!("not an MQTT topic filter: {reason}"));
            found.push(diagnostic.found(quoted(&self.topic)));
        }
        found.extend(unique(&self.channels, "channels"));
        match self.content {
            MqttContent::Numbers => found.extend(window::check(self.window, self.stride)),
            MqttContent::Jpeg if self.window != 1 || self.stride != 1 || !self.channels.is_empty() => {
                let message = "window, stride and channels have no effect on pictures";
                found.push(Diagnostic::warning("content", message));
            }
            MqttContent::Jpeg => {}
        }
        found
    }
}

fn hold_s() -> u32 {
    HOLD_S
}

fn one() -> u32 {
    1
}

/// Frames from MQTT messages.
struct Mqtt {
    topic: String,
    content: MqttContent,
    incoming: Receiver<Incoming>,
    settings: Settings,
    /// Readings of each topic, since a window, a held value and what a name stands for belong to one device; the one that
    /// spoke last is the last.
    streams: Vec<(String, Stream)>,
}

impl Mqtt {
    /// Takes messages from `incoming`, for a model that names the channels `model` (or none).
    ///
    /// # Errors
    /// [`SourceError::Fatal`] without a subscription.
    fn open(
        config: &MqttConfig,
        model: &[String],
        gaps: bool,
        incoming: Option<Receiver<Incoming>>,
    ) -> Result<Self, SourceError> {
        let fatal = || SourceError::Fatal {
            origin: config.topic.clone(),
            reason: "an mqtt source works only in the daemon, which subscribes for it".into(),
        };
        Ok(Mqtt {
            topic: config.topic.clone(),
            content: config.content,
            incoming: incoming.ok_or_else(fatal)?,
            settings: Settings {
                channels: config.channels.clone(),
                model: model.to_vec(),
                window: config.window,
                stride: config.stride,
                missing: missing(config.missing, gaps),
                hold_s: config.hold_s,
            },
            streams: Vec::new(),
        })
    }

    /// Takes the numbers of a message; gives the readings of its topic where they complete a window.
    fn numbers(&mut self, topic: &str, payload: &[u8], now: Instant) -> Result<Option<&Stream>, String> {
        let values = json::read(payload);
        let mut stream = match self.streams.iter().position(|(known, _)| known == topic) {
            Some(place) => self.streams.remove(place),
            // What cannot be read takes no place.
            None if values.is_err() => return values.map(|_| None),
            None => {
                if self.streams.len() >= MOST_TOPICS {
                    self.streams.remove(0);
                }
                (topic.to_owned(), Stream::new(&self.settings))
            }
        };
        let complete = match &values {
            Ok(values) => stream.1.take(values, now).map_err(Fault::into_reason),
            Err(reason) => {
                stream.1.gap();
                Err(reason.clone())
            }
        };
        self.streams.push(stream);
        let complete = complete?;
        Ok(self.streams.last().map(|(_, stream)| stream).filter(|_| complete))
    }
}

impl Source for Mqtt {
    fn describe(&self) -> String {
        format!("mqtt {}", self.topic)
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let message = match self.incoming.recv_timeout(NAP) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => {
                return Ok(Next::Idle(format!("waiting for a message on {}", self.topic)));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
        };
        let now = Instant::now();
        let Incoming { topic, payload, retain: _ } = message;
        let bad = |reason: String| SourceError::Bad { origin: topic.clone(), reason };
        match self.content {
            MqttContent::Jpeg => {
                files::check_jpeg(&payload).map_err(bad)?;
                let image = frame.image_mut();
                (image.format, image.width, image.height, image.stride) = (PixelFormat::Jpeg, 0, 0, 0);
                image.data = payload;
            }
            MqttContent::Numbers => {
                let Some(stream) = self.numbers(&topic, &payload, now).map_err(bad)? else {
                    return Ok(Next::Idle("the window is not full yet".into()));
                };
                stream.fill(frame.window_mut());
            }
        }
        (frame.captured, frame.time, frame.truth) = (now, SystemTime::now(), None);
        frame.origin = topic;
        Ok(Next::Frame)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn config(topic: &str, content: MqttContent, window: u32) -> MqttConfig {
        let missing = Some(MissingPolicy::Nan);
        MqttConfig { topic: topic.into(), content, channels: Vec::new(), missing, hold_s: 60, window, stride: 1 }
    }

    /// Checks the result of each message.
    #[track_caller]
    fn check(content: MqttContent, window: u32, messages: &[(&str, &[u8])], expected: &[&str]) {
        check_for(&[], content, window, messages, expected);
    }

    /// Checks the result of each message, for a model that names these channels.
    #[track_caller]
    fn check_for(model: &[String], content: MqttContent, window: u32, messages: &[(&str, &[u8])], expected: &[&str]) {
        let (send, receive) = sync_channel(messages.len());
        for (topic, payload) in messages {
            send.send(Incoming { topic: (*topic).into(), payload: payload.to_vec(), retain: true }).unwrap();
        }
        drop(send);
        let mut source = Mqtt::open(&config("house/#", content, window), model, false, Some(receive)).unwrap();
        let mut frame = Frame::empty();
        let found: Vec<String> = (0..=messages.len())
            .map(|_| match source.next(&mut frame) {
                Ok(Next::Frame) if content == MqttContent::Numbers => {
                    format!("{} {:?}", frame.origin.clone(), frame.window_mut().data)
                }
                Ok(Next::Frame) => format!("{} {} bytes", frame.origin.clone(), frame.image_mut().data.len()),
                Ok(other) => format!("{other:?}"),
                Err(SourceError::Bad { origin, reason }) => format!("{origin}: {reason}"),
                Err(error) => panic!("{error:?}"),
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_become_windows() {
        let messages: [(&str, &[u8]); 5] = [
            ("house/a", b"{\"t\": 20.5, \"name\": \"a\"}"),
            ("house/a", b"{\"t\": \"21\"}"),
            ("house/b", b"\xff\xfe"),
            ("house/a", b""),
            ("house/a", b"{\"t\": null}"),
        ];
        let expected = [
            "Idle(\"the window is not full yet\")",
            "house/a [20.5, 21.0]",
            "house/b: expected value at line 1 column 1",
            "house/a: EOF while parsing a value at line 1 column 0",
            "house/a [21.0, NaN]",
            "End",
        ];
        check(MqttContent::Numbers, 2, &messages, &expected);
    }

    #[test]
    fn a_model_s_channels_are_found_in_nested_messages() {
        let names = ["Voltage".to_owned(), "Power".to_owned()];
        let messages: [(&str, &[u8]); 2] = [
            (
                "tele/plug/SENSOR",
                br#"{"Time":"2024-07-27T10:51:55","ENERGY":{"Power":143,"Voltage":230,"Current":0.78}}"#,
            ),
            ("tele/plug/STATE", br#"{"Time":"2024-07-27T10:51:56","Wifi":{"RSSI":100}}"#),
        ];
        let expected = [
            "tele/plug/SENSOR [230.0, 143.0]",
            "tele/plug/STATE: none of Voltage, Power among its values: Time, Wifi.RSSI",
            "End",
        ];
        check_for(&names, MqttContent::Numbers, 1, &messages, &expected);
    }

    #[test]
    fn windows_of_two_devices_are_not_mixed() {
        let messages: [(&str, &[u8]); 4] = [("a", b"1"), ("b", b"10"), ("a", b"2"), ("b", b"20")];
        let idle = "Idle(\"the window is not full yet\")";
        check(MqttContent::Numbers, 2, &messages, &[idle, idle, "a [1.0, 2.0]", "b [10.0, 20.0]", "End"]);
        // More than are kept apart: the one that was silent longest begins anew.
        let topics: Vec<String> = (0..=MOST_TOPICS).map(|i| i.to_string()).chain(["1".into(), "0".into()]).collect();
        let messages: Vec<(&str, &[u8])> = topics.iter().map(|topic| (topic.as_str(), &b"5"[..])).collect();
        let mut expected = vec![idle; MOST_TOPICS + 1];
        expected.extend(["1 [5.0, 5.0]", idle, "End"]);
        check(MqttContent::Numbers, 2, &messages, &expected);
    }

    #[test]
    fn pictures_are_looked_at_before_they_are_passed_on() {
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
        encoder.encode(&[7; 64], 8, 8, jpeg_encoder::ColorType::Luma).unwrap();
        let size = format!("cam {} bytes", jpeg.len());
        let messages: [(&str, &[u8]); 4] =
            [("cam", &jpeg), ("cam", &jpeg[..jpeg.len() - 3]), ("cam", b""), ("cam", b"{\"a\":1}")];
        let expected = [&size, "cam: truncated JPEG", "cam: the message is empty", "cam: not a JPEG picture", "End"];
        check(MqttContent::Jpeg, 1, &messages, &expected);
    }

    #[test]
    fn without_a_subscription_it_can_never_work() {
        let config = config("a/b", MqttContent::Jpeg, 1);
        assert!(
            matches!(Mqtt::open(&config, &[], false, None), Err(SourceError::Fatal { origin, .. }) if origin == "a/b")
        );
    }

    #[test]
    fn silence_is_idle() {
        let (send, receive) = sync_channel(1);
        let config = config("a/b", MqttContent::Numbers, 1);
        let mut source = Mqtt::open(&config, &[], false, Some(receive)).unwrap();
        let begun = Instant::now();
        let idle = source.next(&mut Frame::empty()).unwrap();
        assert_eq!(idle, Next::Idle("waiting for a message on a/b".into()));
        assert!(begun.elapsed() < Duration::from_millis(500));
        drop(send);
    }
}
