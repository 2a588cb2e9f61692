//! Sessions that a broker has forgotten, packet ids that wrap, windows of one and of a hundred.

use super::scripted::{Scripted, Serve};
use super::*;
use crate::support::{Direction, FaultProxy, Faults, random};

#[test]
fn after_each_restart_of_the_broker_states_and_subscriptions_are_there_again() {
    for protocol in [Protocol::V5, Protocol::V311] {
        let Some(mut broker) = Mosquitto::start("after_each_restart_of_the_broker") else { return };
        let mqtt = Mqtt::start(&Config { protocol, queue: 1000, ..config(broker.port) }, "attic").unwrap();
        let asked = mqtt.subscribe("leptond/attic/request/#", 100).unwrap();
        for round in 0..3u64 {
            mqtt.publish(message(Class::State, "leptond/attic/health", round.to_string()));
            assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());
            for n in 0..50 {
                mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
            }
            // It has forgotten every session: nothing of what it did not acknowledge is there.
            broker.restart();
            let listener = broker.listen("leptond/#");
            let all = listener.wait_for("the states of that round", |m| {
                m.iter().any(|m| m.topic.ends_with("health") && m.payload == round.to_string().as_bytes())
                    && m.iter().any(|m| m.topic == "leptond/attic/state" && m.json()["state"] == "online")
            });
            assert!(all.iter().all(|m| m.topic != "leptond/attic/state" || m.json()["state"] == "online"));
            // Who sees `online` may ask at once.
            crate::mosquitto::Client.publish(broker.port, &["-t", "leptond/attic/request/x", "-m", &round.to_string()]);
            let request = asked.recv_timeout(SOON).unwrap();
            assert_eq!(request.payload, round.to_string().as_bytes());
            assert!(mqtt.flush(soon()));
        }
        let stats = mqtt.stats();
        assert_eq!((stats.dropped, stats.abandoned, stats.connects), (0, 0, 4), "{stats:?}");
    }
}

#[test]
fn packet_ids_wrap() {
    const EVENTS: usize = 70_000;
    let Some(broker) =
        Mosquitto::with("packet_ids_wrap", |_| "allow_anonymous true\nmax_inflight_messages 100\n".into())
    else {
        return;
    };
    let mqtt = Mqtt::start(&Config { queue: 5_000, ..config(broker.port) }, "attic").unwrap();
    let watcher = Mqtt::listen(&config(broker.port), "wrap-watcher").unwrap();
    let seen = watcher.subscribe("leptond/attic/p/event", EVENTS).unwrap();
    assert!(watcher.wait_subscribed("leptond/attic/p/event", soon()));
    let began = Instant::now();
    for n in 0..EVENTS {
        while mqtt.stats().queued > 4_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
    }
    assert!(mqtt.flush(soon()));
    let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} events/s of QoS 1");
    for n in 0..EVENTS {
        assert_eq!(seen.recv_timeout(SOON).unwrap().payload, n.to_string().as_bytes());
    }
    let stats = mqtt.stats();
    assert_eq!((stats.acknowledged, stats.dropped, stats.connects), (EVENTS as u64 + 1, 0, 1), "{stats:?}");
}

/// Figures of `cargo test --release --test it -- --nocapture what_waited_is_sent_fast`.
#[test]
fn what_waited_is_sent_fast_and_states_do_not_wait_behind_it() {
    const EVENTS: u64 = 50_000;
    let Some(broker) = Mosquitto::start("what_waited_is_sent_fast") else { return };
    let watcher = Mqtt::listen(&config(broker.port), "watcher").unwrap();
    let health = watcher.subscribe("leptond/attic/health", 1_000).unwrap();
    assert!(watcher.wait_subscribed("leptond/attic/health", soon()));
    broker.freeze();
    let mqtt = Mqtt::start(&Config { queue: 100_000, ..config(broker.port) }, "attic").unwrap();
    for n in 0..EVENTS {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", format!("{{\"seq\":{n},{}}}", "x".repeat(200))));
    }
    broker.thaw();
    wait_until("it is connected", || mqtt.stats().connected);
    let began = Instant::now();
    let (mut delays, mut sent) = (Vec::new(), Vec::new());
    while mqtt.stats().acknowledged < EVENTS {
        sent.push(Instant::now());
        mqtt.publish(message(Class::State, "leptond/attic/health", (sent.len() - 1).to_string()));
        let next = Instant::now() + Duration::from_millis(20);
        while let Ok(got) = health.recv_timeout(next.saturating_duration_since(Instant::now())) {
            let n: usize = String::from_utf8(got.payload).unwrap().parse().unwrap();
            delays.push(sent[n].elapsed());
        }
        assert!(began.elapsed() < 4 * SOON, "{:?}", mqtt.stats());
    }
    let rate = EVENTS as f64 / began.elapsed().as_secs_f64();
    delays.sort();
    let p99 = delays[delays.len() * 99 / 100];
    println!("{rate:.0} events/s of QoS 1, beside them {} states, delayed by {p99:?} at p99", delays.len());
    assert!(p99 < crate::common::patiently(Duration::from_secs(1)), "{p99:?}");
    assert_eq!((mqtt.stats().dropped, mqtt.stats().connects), (0, 1));
}

#[test]
fn no_more_is_in_flight_than_the_broker_takes() {
    // Receive maximum 1 and 100 (MQTT 5, section 3.2.2.3.3), by a real broker and by one that counts.
    let lines = "allow_anonymous true\nmax_inflight_messages 1\n";
    let Some(real) = Mosquitto::with("no_more_is_in_flight", |_| lines.into()) else { return };
    let one = Scripted::of_levels(&[5], |_, _| Ok(Serve::Grant(vec![0x20, 6, 0, 0, 3, 0x21, 0, 1])));
    let hundred = Scripted::of_levels(&[5], |_, _| Ok(Serve::Grant(vec![0x20, 6, 0, 0, 3, 0x21, 0, 100])));
    for port in [real.port, one.port, hundred.port] {
        let mqtt = Mqtt::start(&Config { queue: 1_000, ..config(port) }, "attic").unwrap();
        for n in 0..500 {
            mqtt.publish(message(Class::Event, "leptond/attic/p/event", n.to_string()));
        }
        assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());
        assert_eq!((mqtt.stats().acknowledged, mqtt.stats().connects), (501, 1), "{}", real.log());
    }
    let in_order: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(one.on("leptond/attic/p/event"), in_order);
    assert_eq!(hundred.on("leptond/attic/p/event"), in_order);
}

#[test]
fn a_broker_that_cuts_at_the_first_message_six_times_by_mqtt_5() {
    let broker = Scripted::of_levels(&[5], |number, _| {
        Ok(if number <= 6 { Serve::Break { reset: number.is_multiple_of(2) } } else { Serve::Well })
    });
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let events = states_and_events_arrive(&mqtt, &broker);
    assert_eq!(events.len(), 5);
}

#[test]
fn through_every_fault_of_the_network_events_arrive_in_order() {
    let Some(broker) = Mosquitto::start("through_every_fault_of_the_network") else { return };
    let proxy = FaultProxy::seeded(broker.port, 11);
    let listener = broker.listen("leptond/attic/p/event");
    let settings = Config { queue: 10_000, keep_alive_s: 5, ..config(proxy.port) };
    let mqtt = Mqtt::start(&settings, "attic").unwrap();
    assert!(mqtt.flush(soon()));
    let faults = proxy.play(random(11, Duration::from_secs(20)));
    let mut sent = 0;
    while !faults.is_finished() {
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", sent.to_string()));
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    // And one that cuts inside packets until it is through.
    proxy.set(Direction::ToServer, Faults { mean_bytes_to_loss: Some(3_000), ..Faults::default() });
    std::thread::sleep(Duration::from_secs(3));
    proxy.heal();
    assert!(mqtt.flush(Instant::now() + 4 * SOON), "{:?}", mqtt.stats());
    let stats = mqtt.stats();
    assert_eq!((stats.dropped, stats.abandoned), (0, 0), "{stats:?}");
    let distinct = |m: &[Received]| m.iter().map(|m| &m.payload).collect::<std::collections::HashSet<_>>().len();
    let all = listener.wait_for("every event", |m| distinct(m) == sent);
    let mut newest = -1;
    for n in payloads(&all, "leptond/attic/p/event").iter().map(|p| p.parse::<i32>().unwrap()) {
        assert!(n <= newest + 1, "{n} came before {}", newest + 1);
        newest = newest.max(n);
    }
    println!("{sent} events, {} connections, {} cuts, {} copies", stats.connects, proxy.cuts(), stats.resent);
}
