//! Brokers that answer what no broker should: whatever they do, the next good connection has everything right.

use super::scripted::{Scripted, Serve};
use super::*;

/// A client of this broker, with a subscription, a state and an event, after `odd` connections; what reached the good one.
fn survives(name: &str, protocol: Protocol, levels: &'static [u8], odd: Vec<Serve>) -> Scripted {
    let (count, odd) = (odd.len(), std::sync::Mutex::new(odd.into_iter()));
    let broker = Scripted::of_levels(levels, move |_, _| Ok(odd.lock().unwrap().next().unwrap_or(Serve::Well)));
    let mqtt = Mqtt::start(&Config { protocol, ..config(broker.port) }, name).unwrap();
    let _requests = mqtt.subscribe("requests/#", 2).unwrap();
    mqtt.publish(message(Class::State, "odd/info", "info"));
    mqtt.publish(message(Class::Event, "odd/event", "1"));
    assert!(mqtt.flush(Instant::now() + 4 * SOON), "{name}: {:?}", mqtt.stats());
    assert!(mqtt.wait_subscribed("requests/#", soon()));
    let stats = mqtt.stats();
    assert_eq!((stats.dropped, stats.abandoned, stats.unacknowledged), (0, 0, 0), "{name}: {stats:?}");
    for (topic, payload) in [("odd/info", "info"), ("odd/event", "1")] {
        let got = broker.on(topic);
        assert!(got.iter().any(|got| got == payload), "{name}: {topic}: {got:?}");
    }
    assert!(broker.on(&format!("leptond/{name}/state")).contains(&r#"{"state":"online"}"#.to_owned()));
    // An attempt of MQTT 5 that comes to nothing is followed by one of MQTT 3.1.1 where that may be.
    assert!((count..=2 * count + 1).contains(&broker.count()), "{name}: {} connections", broker.count());
    assert!(logs::with(&[&format!("127.0.0.1:{}", broker.port), "panicked"]).is_empty());
    broker
}

#[test]
fn odd_answers_to_connect() {
    let odd = |answers: &[&[u8]]| answers.iter().map(|bytes| Serve::Answer(bytes.to_vec())).collect();
    let cases: Vec<(&str, Protocol, &'static [u8], Vec<Serve>)> = vec![
        (
            "old-answers",
            Protocol::V311,
            &[4],
            odd(&[&[0x20, 2, 0, 3], &[0x20, 2, 0, 9], &[0x20, 0], &[0x90, 3, 0, 1, 0], &[0x20, 2]]),
        ),
        (
            "new-answers",
            Protocol::V5,
            &[5],
            odd(&[
                &[0x20, 3, 0, 0x88, 0],
                &[0x20, 3, 0, 0xff, 0],
                &[0x20, 6, 0, 0, 3, 0x21, 0, 0],
                &[0x20, 4, 0, 0, 9, 1],
            ]),
        ),
        ("either", Protocol::Auto, &[4, 5], odd(&[&[0xff; 9], &[0x20, 200, 200, 200, 200, 1], &[]])),
    ];
    let running: Vec<_> = cases
        .into_iter()
        .map(|(name, protocol, levels, odd)| std::thread::spawn(move || survives(name, protocol, levels, odd)))
        .collect();
    running.into_iter().for_each(|one| drop(one.join().unwrap()));
}

#[test]
fn odd_packets_behind_a_connack() {
    let says = |packets: &[&[u8]]| packets.iter().map(|bytes| Serve::Say(bytes.to_vec())).collect::<Vec<_>>();
    // Answers that nothing waits for do not even cost the connection.
    let harmless: Vec<u8> =
        [[0x40, 2, 0, 99].as_slice(), &[0x90, 3, 0, 98, 0], &[0xb0, 2, 0, 97], &[0xd0, 0], &[0x62, 2, 0, 1]].concat();
    let harmless_one = std::thread::spawn(move || {
        let broker = survives("harmless", Protocol::V311, &[4], vec![Serve::Say(harmless)]);
        assert_eq!(broker.count(), 1);
    });
    let old = std::thread::spawn(move || {
        let packets: [&[u8]; 4] = [&[0x20, 2, 0, 0], &[0x10, 0], &[0x36, 4, 0, 1, b't', 0], &[0x90, 5, 0, 1, 0, 0, 0]];
        survives("old-packets", Protocol::V311, &[4], says(&packets));
    });
    let packets: [&[u8]; 4] =
        [&[0xe0, 2, 0x8b, 0], &[0xe0, 2, 0x01, 0], &[0xf0, 2, 0x18, 0], &[0x30, 5, 0, 1, b't', 0xff, 1]];
    survives("new-packets", Protocol::V5, &[5], says(&packets));
    old.join().unwrap();
    harmless_one.join().unwrap();
}

#[test]
fn a_broker_that_answers_no_subscription_is_published_to_and_left_later() {
    let broker = Scripted::start(|_, _| Ok(Serve::Ignore));
    let mqtt = Mqtt::start(&config(broker.port), "ignored").unwrap();
    let _requests = mqtt.subscribe("requests/#", 2).unwrap();
    wait_until("it connects", || mqtt.stats().connected);
    let began = Instant::now();
    mqtt.publish(message(Class::Event, "e", "1"));
    assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());
    assert!(began.elapsed() > Duration::from_secs(3), "it waited for the answer first: {:?}", began.elapsed());
    assert!(!mqtt.wait_subscribed("requests/#", Instant::now()));
    assert_eq!(logs::with(&["WARN", &format!("127.0.0.1:{}", broker.port), "no answer to a subscription"]).len(), 1);
}

#[test]
fn a_broker_that_hangs_up_at_once_is_not_hurried() {
    let broker = Scripted::of_levels(&[4, 5], |_, _| Ok(Serve::Answer(vec![0x20])));
    let mqtt = Mqtt::start(&config(broker.port), "spin").unwrap();
    std::thread::sleep(Duration::from_secs(6));
    // Two versions at each attempt, with 0.25, 0.5, 1, 2 s between them at least.
    assert!((2..=10).contains(&broker.count()), "{}", broker.count());
    drop(mqtt);
}
