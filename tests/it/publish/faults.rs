//! The network breaks, the broker dies, freezes or hangs up.

use super::*;
use crate::support::FaultProxy;

#[test]
fn the_will_is_published_when_the_connection_breaks() {
    let Some(broker) = Mosquitto::start("the_will") else { return };
    let proxy = FaultProxy::start(broker.port);
    let listener = broker.listen("leptond/attic/state");
    let mqtt = Mqtt::start(&config(proxy.port), "attic").unwrap();
    listener.wait_for("online", |m| m.len() == 1);
    proxy.close();
    let all = listener.wait_for("the will", |m| m.len() == 2);
    assert_eq!(all[1].json()["state"], "offline");
    proxy.open();
    let all = listener.wait_for("online again", |m| m.len() == 3);
    assert_eq!(all[2].json()["state"], "online");
    assert!(mqtt.stats().connects >= 2);
}

#[test]
fn no_event_is_lost_while_the_connection_is_cut_again_and_again() {
    let Some(broker) = Mosquitto::start("no_event_is_lost") else { return };
    let proxy = FaultProxy::start(broker.port);
    let listener = broker.listen("leptond/attic/p/event");
    let mqtt = Mqtt::start(&Config { queue: 1000, ..config(proxy.port) }, "attic").unwrap();
    assert!(mqtt.wait_connected(soon()));
    for round in 0..4u64 {
        for n in 0..100 {
            mqtt.publish(message(Class::Event, "leptond/attic/p/event", format!("{}", round * 100 + n)));
            if n == 30 + round * 10 {
                // Some are on their way at this moment.
                proxy.cut();
            }
        }
        wait_until("connected again", || mqtt.stats().connects == round + 2);
    }
    assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());
    let stats = mqtt.stats();
    assert_eq!((stats.dropped, stats.abandoned, stats.unacknowledged, stats.queued), (0, 0, 0, 0), "{stats:?}");
    assert_eq!(stats.taken, 401, "the birth and 400 events");
    assert_eq!(stats.published, 401);
    let distinct = |m: &[Received]| m.iter().map(|m| m.payload.clone()).collect::<std::collections::HashSet<_>>().len();
    let all = listener.wait_for("400 different events", |m| distinct(m) == 400);
    let mut newest = -1;
    for n in payloads(&all, "leptond/attic/p/event").iter().map(|p| p.parse::<i32>().unwrap()) {
        assert!(n <= newest + 1, "{n} came before {}", newest + 1);
        newest = newest.max(n);
    }
    assert!(proxy.accepted() >= 5);
}

#[test]
fn a_broker_killed_and_back_gets_the_newest_states_and_all_events() {
    let Some(mut broker) = Mosquitto::start("a_broker_killed") else { return };
    let proxy = FaultProxy::start(broker.port);
    let mqtt = Mqtt::start(&Config { queue: 50, ..config(proxy.port) }, "attic").unwrap();
    mqtt.publish(message(Class::State, "leptond/attic/info", "info"));
    mqtt.publish(message(Class::State, "leptond/attic/health", "0"));
    assert!(mqtt.flush(soon()));
    proxy.close();
    broker.kill();
    wait_until("it is noticed", || !mqtt.stats().connected);
    for n in 1..=40 {
        mqtt.publish(message(Class::State, "leptond/attic/health", n.to_string()));
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
        mqtt.publish(message(Class::Result, "leptond/attic/p/result", n.to_string()));
    }
    let stats = mqtt.stats();
    assert_eq!((stats.replaced, stats.dropped), (39, 30), "40 events leave room for 10 results: {stats:?}");
    broker.restart();
    let listener = broker.listen("leptond/#");
    proxy.open();
    let all = listener.wait_for("everything", |m| {
        payloads(m, "leptond/attic/p/event").len() == 40 && !payloads(m, "leptond/attic/health").is_empty()
    });
    assert_eq!(payloads(&all, "leptond/attic/state"), [r#"{"state":"online"}"#]);
    assert_eq!(payloads(&all, "leptond/attic/info"), ["info"], "the broker had forgotten it");
    assert_eq!(payloads(&all, "leptond/attic/health"), ["40"], "only the newest");
    assert_eq!(payloads(&all, "leptond/attic/p/event").len(), 40);
    assert!(mqtt.flush(soon()));
    let stats = mqtt.stats();
    assert_eq!(stats.taken, stats.published + stats.dropped + stats.replaced);
    assert_eq!(stats.acknowledged, 3 + 1 + 40);
}

#[test]
fn with_no_broker_at_all_nothing_blocks_and_the_stop_is_in_time() {
    let mqtt = Mqtt::start(&config(mosquitto::free_port()), "attic").unwrap();
    let began = Instant::now();
    for n in 0..20_000 {
        mqtt.publish(message(Class::State, "leptond/attic/health", n.to_string()));
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
        mqtt.publish(message(Class::Result, "leptond/attic/p/result", n.to_string()));
    }
    assert!(
        began.elapsed() < crate::common::patiently(Duration::from_secs(5)),
        "60,000 messages took {:?}",
        began.elapsed()
    );
    let stats = mqtt.stats();
    assert_eq!(stats.taken, stats.published + stats.dropped + stats.replaced + stats.queued);
    assert_eq!(stats.queued, Config::default().queue as u64 + 2, "the queue, the birth and health");
    assert!(!mqtt.flush(Instant::now() + Duration::from_millis(50)));
    let began = Instant::now();
    assert!(!mqtt.stop(began + Duration::from_millis(700)), "events were lost, and it says so");
    assert!(began.elapsed() < crate::common::patiently(Duration::from_millis(1500)), "{:?}", began.elapsed());
}

#[test]
fn with_nothing_owed_a_stop_without_broker_is_immediate() {
    let mqtt = Mqtt::start(&config(mosquitto::free_port()), "attic").unwrap();
    mqtt.publish(message(Class::State, "leptond/attic/health", "1"));
    let began = Instant::now();
    assert!(!mqtt.stop(began + Duration::from_secs(20)));
    assert!(began.elapsed() < crate::common::patiently(Duration::from_secs(5)), "{:?}", began.elapsed());
}

#[test]
fn a_frozen_broker_blocks_nobody() {
    let Some(broker) = Mosquitto::start("a_frozen_broker") else { return };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    assert!(mqtt.flush(soon()));
    broker.freeze();
    let began = Instant::now();
    for _ in 0..200 {
        mqtt.publish(message(Class::Result, "leptond/attic/p/snapshot", vec![0; 200_000]));
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", "x"));
    }
    assert!(began.elapsed() < crate::common::patiently(Duration::from_secs(5)), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(!mqtt.stop(began + Duration::from_millis(500)));
    assert!(began.elapsed() < crate::common::patiently(Duration::from_millis(1500)), "{:?}", began.elapsed());
    broker.thaw();
}

#[test]
fn a_message_the_broker_hangs_up_on_is_given_up_and_the_rest_delivered() {
    let config_lines = "allow_anonymous true\nmax_packet_size 50000\n";
    let Some(broker) = Mosquitto::with("a_message_the_broker_hangs_up_on", |_| config_lines.into()) else { return };
    let listener = broker.listen("leptond/attic/p/event");
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", "before"));
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", vec![b'x'; 60_000]));
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", "after"));
    let all = listener.wait_within(2 * SOON, "both small events", |m| {
        m.iter().any(|m| m.payload == b"before") && m.iter().any(|m| m.payload == b"after")
    });
    assert!(all.iter().all(|m| m.payload.len() < 60_000));
    assert!(mqtt.flush(soon()));
    let stats = mqtt.stats();
    assert_eq!((stats.abandoned, stats.acknowledged), (1, 3), "{stats:?}");
    let address = format!("127.0.0.1:{}", broker.port);
    // It is told once the queue has given it up.
    let told = || logs::with(&["ERROR", &address, "60000 bytes", "given up"]).len();
    wait_until("it is told", || told() > 0);
    assert_eq!(told(), 1);
}
