use std::io::Write;
use std::time::Instant;

use super::*;
use crate::publish::mqtt::Mqtt;
use crate::publish::{Class, Config, Message, Publisher};

fn connect(protocol: &[u8], level: u8, keep_alive: u16, id: &[u8]) -> Vec<u8> {
    let mut body = string(protocol);
    body.extend([level, 2]);
    body.extend(keep_alive.to_be_bytes());
    body.extend(string(id));
    packet(CONNECT, &body)
}

fn publish(topic: &str) -> Vec<u8> {
    packet(PUBLISH, &string(topic.as_bytes()))
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text].concat()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind << 4, body.len() as u8], body].concat()
}

#[test]
fn clients_are_let_in_or_told_why_not() {
    let cases: [(Vec<u8>, Option<&[u8]>); 8] = [
        (connect(b"MQTT", 4, 60, b"attic.2"), None),
        (connect(b"MQTT", 4, 60, b""), None),
        (connect(b"MQTT", 5, 60, b"attic"), Some(&[0x20, 3, 0, 0x84, 0])),
        (connect(b"MQIsdp", 3, 60, b"attic"), Some(&[0x20, 2, 0, 1])),
        (connect(b"MQTT", 4, 60, b"a/b"), Some(&[0x20, 2, 0, 2])),
        (connect(b"MQTT", 4, 60, &[0xff]), Some(&[])),
        (b"GET / HTTP/1.1\r\n".to_vec(), Some(&[])),
        (vec![], Some(&[])),
    ];
    for (mut packet, answer) in cases {
        let found = examine(&mut packet).err().map(|r| r.answer);
        assert_eq!(found.as_deref(), answer, "{packet:?}");
    }
}

#[test]
fn a_will_that_would_kill_is_refused() {
    let with_will = |topic: &str| {
        let mut body = string(b"MQTT");
        body.extend([4, 2 | WILL, 0, 60]);
        body.extend([string(b"id"), string(topic.as_bytes()), string(b"gone")].concat());
        packet(CONNECT, &body)
    };
    assert_eq!(examine(&mut with_will("attic/state")), Ok(()));
    let refused = examine(&mut with_will("ä/state")).unwrap_err();
    assert_eq!(refused.answer, [0x20, 2, 0, 5]);
}

#[test]
fn a_connect_cut_short_anywhere_is_refused() {
    let whole = connect(b"MQTT", 4, 60, b"attic");
    for length in 0..whole.len() {
        assert!(examine(&mut whole[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn no_keep_alive_becomes_the_longest() {
    let mut packet = connect(b"MQTT", 4, 0, b"attic");
    assert_eq!(examine(&mut packet), Ok(()));
    assert_eq!(packet, connect(b"MQTT", 4, 0xffff, b"attic"));
}

#[test]
fn topics_that_kill_are_found() {
    assert_eq!(unbearable_topic(&publish("ä/b")).as_deref(), Some("ä/b"));
    assert_eq!(unbearable_topic(&publish("b/ä")), None);
    assert_eq!(unbearable_topic(&publish("")), None);
    assert_eq!(unbearable_topic(&[PUBLISH << 4]), None);
    assert_eq!(unbearable_topic(&[0xc0, 0]), None);
}

/// rumqttd dies in earnest here (behind the gate's back): its panic in the test's output is wanted.
#[test]
fn a_dead_rumqttd_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let inner = start_inner().unwrap();
    spawn(listener, inner).unwrap();
    let mqtt = Mqtt::start(&Config { host: "127.0.0.1".into(), port, ..Config::default() }, "attic").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    assert!(mqtt.flush(deadline));
    let mut killer = std::net::TcpStream::connect(inner).unwrap();
    killer.write_all(&connect(b"MQTT", 4, 60, b"killer")).unwrap();
    killer.write_all(&publish("ä/b")).unwrap();
    while mqtt.stats().connects < 2 || !mqtt.stats().connected {
        assert!(Instant::now() < deadline, "not connected again");
        std::thread::sleep(Duration::from_millis(10));
    }
    mqtt.publish(Message { topic: "e".into(), payload: b"1".to_vec(), class: Class::Event, origin: None });
    assert!(mqtt.flush(deadline));
}
