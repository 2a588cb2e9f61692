//! The broker inside the process, with our publisher and with mosquitto's clients.

use leptond::publish::BrokerConfig;
use leptond::publish::broker::Broker;

use super::*;
use crate::mosquitto::Client;

fn start() -> u16 {
    logs::collect();
    let broker = Broker::start(&BrokerConfig { enabled: true, listen: "127.0.0.1:0".into() }).unwrap();
    assert_ne!(broker.address().port(), 0);
    broker.address().port()
}

#[test]
fn it_serves_states_events_and_large_messages() {
    let port = start();
    let mqtt = Mqtt::start(&config(port), "attic").unwrap();
    let other = Mqtt::listen(&config(port), "other").unwrap();
    let all = other.subscribe("leptond/#", 64).unwrap();
    let online = all.recv_timeout(SOON).unwrap();
    let birth = br#"{"state":"online"}"#;
    assert_eq!(online.payload, birth);
    // One subscription may get the birth twice: as what is kept, and as it is said.
    let next = || loop {
        let message = all.recv_timeout(SOON).unwrap();
        if message.payload != birth {
            return message;
        }
    };
    for n in 0..200u8 {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", vec![n]));
        assert_eq!(next().payload, [n]);
    }
    mqtt.publish(message(Class::Result, "leptond/attic/p/snapshot", vec![5; 200_000]));
    assert_eq!(next().payload, vec![5; 200_000]);
    assert!(mqtt.flush(soon()));
    assert_eq!(mqtt.stats().acknowledged, 201);
    let late = Mqtt::listen(&config(port), "late").unwrap();
    let retained = late.subscribe("leptond/attic/state", 4).unwrap().recv_timeout(SOON).unwrap();
    assert!(retained.retain);
    assert!(mqtt.stop(soon()));
    assert_eq!(all.recv_timeout(SOON).unwrap().payload, br#"{"state":"offline"}"#);
}

#[test]
fn what_would_kill_it_is_turned_away() {
    let Some(probe) = Client::find("what_would_kill_it_is_turned_away") else { return };
    let port = start();
    let mqtt = Mqtt::start(&config(port), "attic").unwrap();
    assert!(mqtt.flush(soon()));
    for _ in 0..3 {
        assert!(probe.publish(port, &["-i", "a/b", "-t", "x", "-m", "1"]), "the broker inside never sees it");
        assert!(!probe.publish(port, &["-V", "5", "-t", "x", "-m", "1"]));
        assert!(!probe.publish(port, &["-q", "1", "-t", "ä/b", "-m", "1"]));
        assert!(!probe.publish(port, &["--will-topic", "ö", "--will-payload", "1", "-q", "1", "-t", "x", "-m", "1"]));
    }
    assert!(probe.publish(port, &["-q", "1", "-t", "b/ä", "-m", "1"]), "others are served");
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", "1"));
    assert!(mqtt.flush(soon()));
    assert_eq!(mqtt.stats().connects, 1, "nobody else was disturbed");
}

#[test]
fn an_address_that_cannot_be_listened_on_is_named() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = held.local_addr().unwrap().to_string();
    for (listen, words) in
        [(in_use.as_str(), "in use"), ("nonsense", "nonsense"), ("192.0.2.1:1883", "192.0.2.1:1883"), ("", "listen")]
    {
        let config = BrokerConfig { enabled: true, listen: listen.into() };
        let error = Broker::start(&config).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(listen), "{listen:?}: {error}");
    }
}
