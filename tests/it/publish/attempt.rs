//! One try of a broker, and what is said of it.

use super::*;
use leptond::publish::mqtt::attempt::{Attempt, attempt};
use leptond::publish::mqtt::link::FailureKind;

fn tried(port: u16) -> Attempt {
    attempt(&config(port), "attic", crate::common::patiently(Duration::from_secs(10))).unwrap()
}

fn failed(port: u16) -> Option<FailureKind> {
    match tried(port) {
        Attempt::Failed(trouble) => Some(trouble.kind),
        _ => None,
    }
}

#[test]
fn a_closed_port_is_refused() {
    assert_eq!(failed(mosquitto::free_port()), Some(FailureKind::Refused));
}

#[test]
fn a_broker_that_lets_us_in_works_and_gives_the_message_back() {
    let Some(broker) = Mosquitto::with("a_broker_that_lets_us_in", |_| "allow_anonymous true\n".into()) else { return };
    let outcome = tried(broker.port);
    assert!(matches!(outcome, Attempt::Works { published: true, .. }), "{outcome:?}");
}

#[test]
fn a_broker_that_wants_a_password_says_so() {
    let Some(broker) = Mosquitto::with("a_broker_that_wants_a_password", |_| "allow_anonymous false\n".into()) else {
        return;
    };
    assert_eq!(failed(broker.port), Some(FailureKind::Credentials));
}

#[test]
fn an_access_list_that_denies_is_seen() {
    for (acl, expected) in [
        ("topic readwrite leptond/attic/#\n", "works"),
        ("topic write leptond/attic/#\ntopic read leptond/attic/request/#\n", "not returned"),
        ("topic read leptond/attic/#\n", "not returned"),
        ("topic write leptond/attic/#\n", "not returned"),
    ] {
        let lines = |dir: &std::path::Path| {
            let file = dir.join("acl");
            std::fs::write(&file, acl).unwrap();
            format!("allow_anonymous true\nacl_file {}\n", file.display())
        };
        let Some(broker) = Mosquitto::with("an_access_list_that_denies", lines) else { return };
        let outcome = tried(broker.port);
        let got = match &outcome {
            Attempt::Works { published: true, .. } => "works",
            Attempt::Works { published: false, .. } => "unseen",
            Attempt::NotReturned { .. } => "not returned",
            Attempt::RequestsDenied { .. } => "requests",
            Attempt::Failed(_) => "failed",
        };
        assert_eq!(got, expected, "{acl}: {outcome:?}");
    }
}
