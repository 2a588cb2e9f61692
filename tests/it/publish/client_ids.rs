//! Brokers that do not take the client id, and connections that break.

use super::scripted::{Scripted, Serve};
use super::*;
use leptond::publish::mqtt::attempt::{Attempt, attempt};

const LONG: &str = "greenhouse-north-camera-two";

/// A broker that takes ids of `most` characters.
fn picky(most: usize) -> Scripted {
    Scripted::start(move |_, hello| if hello.client_id.len() <= most { Ok(Serve::Well) } else { Err(2) })
}

#[test]
fn where_the_id_is_refused_a_short_one_is_tried_and_told() {
    let broker = picky(23);
    let mqtt = Mqtt::start(&config(broker.port), LONG).unwrap();
    assert!(mqtt.flush(soon()));
    let ids: Vec<_> = broker.hellos.lock().unwrap().iter().map(|hello| hello.client_id.clone()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_eq!(ids[0], format!("leptond-{LONG}"));
    assert!(ids[1].len() <= 23 && ids[1].bytes().all(|b| b.is_ascii_alphanumeric()), "{ids:?}");
    let address = format!("127.0.0.1:{}", broker.port);
    let told = logs::with(&["WARN", &address, LONG, "35 characters", "return code 2", "mqtt.client_id", &ids[1]]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_configured_id_is_kept_and_the_refusal_names_its_key() {
    let broker = picky(3);
    let settings = Config { client_id: "mine".into(), ..config(broker.port) };
    let mqtt = Mqtt::start(&settings, LONG).unwrap();
    wait_until("two attempts", || broker.count() >= 2);
    assert!(broker.hellos.lock().unwrap().iter().all(|hello| hello.client_id == "mine"));
    let told = logs::with(&["WARN", &format!("127.0.0.1:{}", broker.port), "\"mine\" (4 characters", "mqtt.client_id"]);
    assert_eq!(told.len(), 1, "{told:?}");
    drop(mqtt);
}

#[test]
fn the_trial_has_an_id_no_longer_than_the_daemons() {
    let broker = picky(16);
    let limit = crate::common::patiently(Duration::from_secs(10));
    let outcome = attempt(&config(broker.port), "leptond-00aa11bb", limit).unwrap();
    assert!(matches!(outcome, Attempt::NotReturned { .. }), "it lets us in, though it gives nothing back: {outcome:?}");
    let ids = broker.hellos.lock().unwrap().clone();
    assert!(ids.len() == 1 && ids[0].client_id != "leptond-00aa11bb" && ids[0].client_id.len() == 16, "{ids:?}");
    // And a short one where the daemon's own is too long for the broker.
    let broker = picky(23);
    let outcome = attempt(&config(broker.port), LONG, limit).unwrap();
    assert!(matches!(outcome, Attempt::NotReturned { .. }), "{outcome:?}");
    assert_eq!(broker.count(), 2);
}

#[test]
fn a_refused_client_does_not_hurry_at_the_stop() {
    for code in [2, 4, 5] {
        let broker = Scripted::start(move |_, _| Err(code));
        let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", "1"));
        wait_until("it was refused", || broker.count() >= 2);
        let (before, began) = (broker.count(), Instant::now());
        assert!(!mqtt.stop(began + Duration::from_secs(20)), "the event is lost, and it says so");
        assert!(began.elapsed() < crate::common::patiently(Duration::from_secs(10)), "{:?}", began.elapsed());
        assert!(broker.count() <= before + 1, "{} attempts while stopping", broker.count() - before);
    }
}

#[test]
fn a_network_that_breaks_costs_nothing_and_accuses_nobody() {
    let work = |reset: bool| {
        let broker =
            Scripted::start(move |number, _| Ok(if number <= 6 { Serve::Break { reset } } else { Serve::Well }));
        let mqtt = Mqtt::start(&config(broker.port), &format!("attic-{reset}")).unwrap();
        let mut events = states_and_events_arrive(&mqtt, &broker);
        assert_eq!(broker.on(&format!("leptond/attic-{reset}/state")), [r#"{"state":"online"}"#]);
        events.sort_unstable();
        assert_eq!(events, ["0", "1", "2", "3", "4"]);
        let address = format!("127.0.0.1:{}", broker.port);
        let accused = logs::with(&[&address, "another client"]);
        assert!(accused.is_empty(), "{accused:?}");
        assert!(logs::with(&[&address, "given up"]).is_empty());
    };
    let reset = std::thread::spawn(move || work(true));
    work(false);
    reset.join().unwrap();
}

#[test]
fn two_nodes_of_one_name_are_told_so() {
    let Some(broker) = Mosquitto::start("two_nodes_of_one_name_are_told_so") else { return };
    let proxy = crate::support::FaultProxy::start(broker.port);
    let _one = Mqtt::start(&config(broker.port), "twin").unwrap();
    let _two = Mqtt::start(&config(proxy.port), "twin").unwrap();
    let told = || logs::with(&["ERROR", &format!("127.0.0.1:{}", broker.port), "another client uses", "leptond-twin"]);
    wait_until("it is told", || !told().is_empty());
}
