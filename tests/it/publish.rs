//! The publisher against a real mosquitto: delivery, faults, credentials, encryption.

mod attacks;
mod attempt;
mod client_ids;
mod embedded;
mod faults;
mod hostile_broker;
mod large;
mod retained;
pub mod scripted;
mod secure;
mod sessions;
mod transports;
mod versions;
mod watch;

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use leptond::publish::mqtt::Mqtt;
use leptond::publish::{Class, Config, Message, Protocol, PublishError, Publisher, Timing, TlsConfig, Transport};

use crate::mosquitto::{Mosquitto, Received, SOON, wait_until};
use crate::{logs, mosquitto};

fn config(port: u16) -> Config {
    logs::collect();
    Config { host: "127.0.0.1".into(), port, ..Config::default() }
}

fn soon() -> Instant {
    Instant::now() + SOON
}

fn message(class: Class, topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    Message { topic: topic.into(), payload: payload.into(), class, timing: None }
}

fn payloads(messages: &[Received], topic: &str) -> Vec<String> {
    let of_topic = messages.iter().filter(|m| m.topic == topic);
    of_topic.map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
}

/// Publishes three states and five events; each state arrives at `broker` once, and nothing is given up. Returns the events that it has.
fn states_and_events_arrive(mqtt: &Mqtt, broker: &scripted::Scripted) -> Vec<String> {
    const STATES: [&str; 3] = ["info", "governor", "health"];
    for topic in STATES {
        mqtt.publish(message(Class::State, &format!("leptond/attic/{topic}"), topic));
    }
    for n in 0..5 {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
    }
    assert!(mqtt.flush(Instant::now() + 4 * SOON), "{:?}", mqtt.stats());
    let stats = mqtt.stats();
    assert_eq!((stats.abandoned, stats.dropped, stats.unacknowledged), (0, 0, 0), "{stats:?}");
    for topic in STATES {
        assert_eq!(broker.on(&format!("leptond/attic/{topic}")), [topic]);
    }
    broker.on("leptond/attic/p/event")
}

#[test]
fn every_class_arrives_as_promised_and_is_counted() {
    let Some(broker) = Mosquitto::start("every_class_arrives") else { return };
    let listener = broker.listen("leptond/#");
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let began = Instant::now();
    let timing = Timing { captured: began, infer: Duration::from_micros(10) };
    mqtt.publish(message(Class::State, "leptond/attic/info", "i"));
    for n in 0..20 {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
        mqtt.publish(Message {
            timing: Some(timing),
            ..message(Class::Result, "leptond/attic/p/result", n.to_string())
        });
    }
    assert!(mqtt.flush(soon()));
    let stats = mqtt.stats();
    assert_eq!((stats.published, stats.acknowledged, stats.dropped, stats.queued), (42, 22, 0, 0));
    let all = listener.wait_for("42 messages", |m| m.len() >= 42);
    assert_eq!(all[0].topic, "leptond/attic/state", "the birth comes first");
    assert_eq!(all[0].json()["state"], "online");
    let twenty: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(payloads(&all, "leptond/attic/p/event"), twenty);
    assert_eq!(payloads(&all, "leptond/attic/p/result"), twenty);
    for m in &all {
        assert_eq!(m.qos, if m.topic.ends_with("result") { 0 } else { 1 }, "{}", m.topic);
    }
    // Only states are retained.
    let late = broker.listen("leptond/#").wait_for("retained states", |m| m.len() >= 2);
    let mut topics: Vec<_> = late.iter().map(|m| (m.topic.as_str(), m.retain)).collect();
    topics.sort_unstable();
    assert_eq!(topics, [("leptond/attic/info", true), ("leptond/attic/state", true)]);

    let overhead = mqtt.overhead();
    assert_eq!(overhead.samples, 20);
    let limit_ms = began.elapsed().as_secs_f64() * 1000.0;
    let [p50, p99] = [overhead.overhead_ms.p50, overhead.overhead_ms.p99];
    assert!(
        p50 > 0.0 && p50 <= p99 && p99 < overhead.total_ms.p99 && overhead.total_ms.p99 <= limit_ms,
        "{overhead:?}"
    );
}

#[test]
fn a_clean_stop_says_offline_and_delivers_what_waits() {
    let Some(broker) = Mosquitto::start("a_clean_stop") else { return };
    let listener = broker.listen("leptond/#");
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    for n in 0..100 {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
    }
    assert!(mqtt.stop(soon()), "{:?}", mqtt.stats());
    let offline = |m: &[Received]| m.last().is_some_and(|m| m.json()["state"] == "offline");
    let all = listener.wait_for("offline at the end", offline);
    assert_eq!(payloads(&all, "leptond/attic/p/event").len(), 100);
    assert_eq!(payloads(&all, "leptond/attic/state").len(), 2, "once each: the will was not needed");
    let stats = mqtt.stats();
    assert_eq!((stats.published, stats.acknowledged, stats.unacknowledged), (102, 102, 0));
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", "late"));
    assert_eq!(mqtt.stats().dropped, 1);
    assert!(mqtt.stop(Instant::now()), "stopping twice is harmless");
}

#[test]
fn large_messages_pass_and_oversize_ones_are_dropped_without_harm() {
    let Some(broker) = Mosquitto::start("large_messages") else { return };
    let listener = broker.listen("leptond/#");
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let picture: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    mqtt.publish(message(Class::Result, "leptond/attic/p/snapshot", picture.clone()));
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", vec![b'x'; 2 << 20]));
    mqtt.publish(message(Class::State, "leptond/attic/info", vec![b'x'; 1 << 20]));
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", picture.clone()));
    assert!(mqtt.flush(soon()));
    let all = listener.wait_for("three messages", |m| m.len() >= 3);
    let event = all.iter().find(|m| m.topic.ends_with("event")).unwrap();
    let snapshot = all.iter().find(|m| m.topic.ends_with("snapshot")).unwrap();
    assert!(event.payload == picture && snapshot.payload == picture, "bytes arrive unchanged");
    let stats = mqtt.stats();
    assert_eq!((stats.dropped, stats.published, stats.connects), (2, 3, 1));
    let told = logs::with(&["message dropped", "2097196 bytes for leptond/attic/p/event", "max_packet_bytes"]);
    assert_eq!(told.len(), 1);
}

#[test]
fn a_subscription_brings_messages_and_survives_a_restart() {
    let Some(mut broker) = Mosquitto::start("a_subscription") else { return };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let other = Mqtt::start(&config(broker.port), "cellar").unwrap();
    other.publish(message(Class::State, "house/cellar/t", "20"));
    assert!(other.flush(soon()));
    let readings = mqtt.subscribe("house/+/t", 4).unwrap();
    let first = readings.recv_timeout(SOON).unwrap();
    assert_eq!(
        (first.topic.as_str(), first.payload.as_slice(), first.retain),
        ("house/cellar/t", b"20".as_slice(), true)
    );
    other.publish(message(Class::Event, "house/roof/t", "30"));
    let second = readings.recv_timeout(SOON).unwrap();
    assert_eq!((second.topic.as_str(), second.retain), ("house/roof/t", false));

    broker.restart();
    wait_until("both are connected again", || mqtt.stats().connects == 2 && other.stats().connects == 2);
    let third = readings.recv_timeout(SOON).unwrap();
    assert_eq!(third.topic, "house/cellar/t", "the state was sent again and the filter subscribed to again");
    assert!(matches!(mqtt.subscribe("a/#/b", 1), Err(PublishError::Name(_))));
    mqtt.stop(soon());
    // A retained and a live copy may both have come: what was received is read to its end.
    let ended = std::iter::repeat_with(|| readings.recv_timeout(SOON)).take(9).find_map(Result::err);
    assert_eq!(ended, Some(RecvTimeoutError::Disconnected), "the channel ends with the connection");
}

#[test]
fn a_slow_reader_gets_the_newest() {
    let Some(broker) = Mosquitto::start("a_slow_reader") else { return };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let readings = mqtt.subscribe("numbers", 2).unwrap();
    mqtt.publish(message(Class::State, "numbers", "0"));
    readings.recv_timeout(SOON).unwrap();
    for n in 1..=50 {
        mqtt.publish(message(Class::Event, "numbers", n.to_string()));
    }
    wait_until("all came in", || mqtt.stats().received == 51);
    let mut last = Vec::new();
    while last != b"50" {
        last = readings.recv_timeout(SOON).unwrap().payload;
    }
    assert!(mqtt.stats().received_dropped >= 40, "{:?}", mqtt.stats());
}

#[test]
fn two_clients_of_one_name_are_told_why_they_are_thrown_out() {
    let Some(broker) = Mosquitto::start("two_clients_of_one_name") else { return };
    let one = Mqtt::start(&config(broker.port), "twin").unwrap();
    assert!(one.wait_connected(soon()));
    let two = Mqtt::start(&config(broker.port), "twin").unwrap();
    let address = format!("127.0.0.1:{}", broker.port);
    wait_until("the cause is named", || {
        !logs::with(&["ERROR", &address, "another client uses the client id \"leptond-twin\""]).is_empty()
    });
    drop(two);
    wait_until("the one that is left is connected", || one.stats().connected && one.flush(soon()));
}

#[test]
fn what_is_wrong_with_settings_and_files_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (empty, junk) = (write("empty", "\n"), write("junk.pem", "not a certificate"));
    let broken = write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let absent = dir.path().join("absent.pem");
    let tls = |ca_file: &std::path::Path| TlsConfig { ca_file: Some(ca_file.into()), cert_file: None, key_file: None };
    let base = config(1);
    let cases: Vec<(Config, &[&str])> = vec![
        (Config { password_file: Some(absent.clone()), ..base.clone() }, &["absent.pem", "No such file"]),
        (Config { password_file: Some(empty), username: "u".into(), ..base.clone() }, &["empty", "first line"]),
        (Config { password: "p".into(), ..base.clone() }, &["mqtt.username"]),
        (Config { host: " ".into(), ..base.clone() }, &["mqtt.host"]),
        (Config { prefix: "a/#".into(), ..base.clone() }, &["prefix", "a/#"]),
        (Config { tls: Some(tls(&absent)), ..base.clone() }, &["absent.pem", "No such file"]),
        (Config { tls: Some(tls(&junk)), ..base.clone() }, &["junk.pem", "certificate"]),
        (Config { tls: Some(tls(&broken)), ..base.clone() }, &["broken.pem", "certificate"]),
        (Config { path: "/mqtt".into(), ..base.clone() }, &["mqtt.path", "transport"]),
        (Config { transport: Transport::Unix, ..base.clone() }, &["mqtt.path", "socket"]),
        (
            Config { transport: Transport::WebSocket, path: "mqtt".into(), ..base.clone() },
            &["mqtt.path", "begins with /"],
        ),
        (
            Config { transport: Transport::Unix, path: "/s".into(), tls: Some(TlsConfig::default()), ..base.clone() },
            &["mqtt.tls", "unix"],
        ),
    ];
    for (config, words) in cases {
        let error = Mqtt::start(&config, "attic").err().unwrap_or_else(|| panic!("accepted: {words:?}")).to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} should contain {word:?}");
        }
    }
    assert!(matches!(Mqtt::start(&base, "a b"), Err(PublishError::Name(_))));
}

#[test]
fn messages_received_are_bounded_in_size_without_losing_the_connection() {
    let Some(broker) = Mosquitto::start("messages_received_are_bounded") else { return };
    let small = Config { max_packet_bytes: 20_000, ..config(broker.port) };
    let other = Mqtt::start(&config(broker.port), "big").unwrap();
    other.publish(message(Class::State, "pictures", vec![0; 100_000]));
    assert!(other.flush(soon()));
    let mqtt = Mqtt::start(&small, "small").unwrap();
    let pictures = mqtt.subscribe("pictures", 2).unwrap();
    let address = format!("127.0.0.1:{}", broker.port);
    let told = || logs::with(&["WARN", &address, "\"pictures\" is over mqtt.max_packet_bytes = 20000"]);
    wait_until("the cause is named", || !told().is_empty());
    mqtt.publish(message(Class::Event, "e", "1"));
    assert!(mqtt.flush(soon()), "publishing goes on");
    other.publish(message(Class::State, "pictures", vec![0; 10_000]));
    assert_eq!(pictures.recv_timeout(SOON).unwrap().payload.len(), 10_000, "so does the subscription");
    assert_eq!((mqtt.stats().connects, told().len()), (1, 1));
}
