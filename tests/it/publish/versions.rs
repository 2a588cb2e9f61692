//! MQTT 5 where the broker speaks it, 3.1.1 where not.

use super::scripted::{Scripted, Serve};
use super::*;

/// Lines about this broker's connections.
fn connected_by(port: u16, version: &str) -> usize {
    logs::with(&[&format!("connected to the MQTT broker 127.0.0.1:{port}"), &format!("by {version}")]).len()
}

#[test]
fn a_real_broker_is_spoken_to_by_mqtt_5_unless_told_otherwise() {
    let Some(broker) = Mosquitto::start("a_real_broker_is_spoken_to_by_mqtt_5") else { return };
    for (protocol, version) in [(Protocol::Auto, "MQTT 5"), (Protocol::V5, "MQTT 5"), (Protocol::V311, "MQTT 3.1.1")] {
        let before = connected_by(broker.port, version);
        let mqtt = Mqtt::start(&Config { protocol, ..config(broker.port) }, "attic").unwrap();
        let own = mqtt.subscribe("leptond/attic/p/event", 4).unwrap();
        assert!(mqtt.wait_subscribed("leptond/attic/p/event", soon()));
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", "1"));
        assert_eq!(own.recv_timeout(SOON).unwrap().payload, b"1");
        assert!(mqtt.stop(soon()));
        assert_eq!(connected_by(broker.port, version), before + 1, "{protocol:?}");
    }
}

#[test]
fn mqtt_5_tells_the_type_of_content_and_when_a_result_is_too_old() {
    let Some(broker) = Mosquitto::start("mqtt_5_tells_the_type_of_content") else { return };
    let output = broker.dir().join("seen");
    let mut sub = std::process::Command::new("mosquitto_sub")
        .args(["-V", "5", "-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", "leptond/#", "-F", "%t|%C|%E"])
        .stdout(std::fs::File::create(&output).unwrap())
        .spawn()
        .unwrap();
    let text = || std::fs::read_to_string(&output).unwrap();
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    // Again and again, since nothing says when the listener has subscribed.
    wait_until("all kinds are seen", || {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", "{}"));
        mqtt.publish(message(Class::Result, "leptond/attic/p/result", "{}"));
        mqtt.publish(message(Class::State, "leptond/attic/p/snapshot", vec![0xff, 0xd8, 0xff, 0xe0]));
        ["event", "result", "snapshot"].iter().all(|topic| text().contains(topic))
    });
    let _ = (sub.kill(), sub.wait());
    let lines = text();
    let line = |topic: &str| lines.lines().find(|line| line.starts_with(&format!("leptond/attic/p/{topic}|"))).unwrap();
    assert_eq!(line("event"), "leptond/attic/p/event|application/json|");
    assert_eq!(line("snapshot"), "leptond/attic/p/snapshot|image/jpeg|");
    let expiry: u32 = line("result").strip_prefix("leptond/attic/p/result|application/json|").unwrap().parse().unwrap();
    assert!((1..=5).contains(&expiry), "{expiry}");
}

#[test]
fn a_broker_without_mqtt_5_is_spoken_to_by_the_other_at_once_and_from_then_on() {
    // In its own way, in that of MQTT 5, and by closing the connection.
    let refusals: [(&str, &[u8]); 3] = [("old", &[0x20, 2, 0, 1]), ("new", &[0x20, 3, 0, 0x84, 0]), ("closed", &[])];
    for (name, refusal) in refusals {
        let broker = Scripted::of_levels(&[4, 5], move |number, hello| match (hello.level, number) {
            (5, _) => Ok(Serve::Answer(refusal.to_vec())),
            (_, 2) => Ok(Serve::Break { reset: false }),
            _ => Ok(Serve::Well),
        });
        let began = Instant::now();
        let mqtt = Mqtt::start(&config(broker.port), name).unwrap();
        assert!(mqtt.flush(soon()), "{name}: {:?}", mqtt.stats());
        assert!(began.elapsed() < crate::common::patiently(Duration::from_secs(10)));
        let levels: Vec<u8> = broker.hellos.lock().unwrap().iter().map(|hello| hello.level).collect();
        // A refusal is remembered; where the connection was closed, MQTT 5 is tried again.
        let expected: &[u8] = if name == "closed" { &[5, 4, 5, 4] } else { &[5, 4, 4] };
        assert_eq!(levels, expected, "{name}");
        assert_eq!(broker.on(&format!("leptond/{name}/state")), [r#"{"state":"online"}"#]);
    }
}

#[test]
fn a_configured_version_is_kept_and_the_refusal_is_told() {
    let broker = Scripted::start(|_, _| Ok(Serve::Well));
    let mqtt = Mqtt::start(&Config { protocol: Protocol::V5, ..config(broker.port) }, "attic").unwrap();
    let told = || logs::with(&["WARN", &format!("127.0.0.1:{}", broker.port), "does not speak this version of MQTT"]);
    wait_until("it is told", || !told().is_empty());
    assert_eq!((broker.count(), mqtt.stats().connects), (0, 0));
}

#[test]
fn what_an_mqtt_5_broker_refuses_is_told_and_counted() {
    // The first message of QoS 1 gets packet id 1.
    let refusal = vec![0x40, 9, 0, 1, 0x87, 5, 0x1f, 0, 2, b'n', b'o'];
    let broker = Scripted::of_levels(&[5], move |_, _| Ok(Serve::Say(refusal.clone())));
    // It comes before the message does, and means nothing then.
    let early = Mqtt::start(&config(broker.port), "early").unwrap();
    assert!(early.flush(soon()));
    assert_eq!(early.stats().refused, 0);

    let Some(broker) = Mosquitto::with("what_an_mqtt_5_broker_refuses", |dir| {
        let file = dir.join("acl");
        std::fs::write(&file, "topic read leptond/#\ntopic write leptond/attic/state\n").unwrap();
        format!("allow_anonymous true\nacl_file {}\n", file.display())
    }) else {
        return;
    };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", "1"));
    assert!(mqtt.flush(soon()));
    assert_eq!((mqtt.stats().refused, mqtt.stats().connects), (1, 1), "{}", broker.log());
    let address = format!("127.0.0.1:{}", broker.port);
    assert_eq!(
        logs::with(&["ERROR", &address, "refuses a message on leptond/attic/p/event", "NotAuthorized"]).len(),
        1
    );
}

#[test]
fn a_takeover_is_named_at_the_first_time_by_mqtt_5() {
    // mosquitto 2.0 closes the connection without a word.
    let taken_over = vec![0xe0, 2, 0x8e, 0];
    let broker = Scripted::of_levels(&[5], move |number, _| {
        Ok(if number == 1 { Serve::Say(taken_over.clone()) } else { Serve::Well })
    });
    let mqtt = Mqtt::start(&config(broker.port), "double").unwrap();
    assert!(mqtt.flush(soon()));
    let address = format!("127.0.0.1:{}", broker.port);
    let told = logs::with(&["ERROR", &address, "another client connected with the client id \"leptond-double\""]);
    assert_eq!((told.len(), broker.count()), (1, 2));
}
