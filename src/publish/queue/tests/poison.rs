//! Messages on which the broker hangs up, and networks that break at every message.

use super::*;

/// One connection to a broker that disconnects on `poison`. Returns the received acknowledgements and whether it disconnected. Of
/// the submitted packets, `noted` writes are reported, and `heard` acknowledgements arrive.
fn until_hung_up(q: &mut Queue, now: Instant, poison: &str, noted: usize, heard: usize) -> (Vec<String>, bool) {
    let (mut acknowledged, mut id) = (Vec::new(), 0);
    q.connected(now);
    loop {
        let batch: Vec<Packet> = std::iter::from_fn(|| q.next(now)).collect();
        let payloads: Vec<_> = batch.iter().map(|p| String::from_utf8(p.payload.clone()).unwrap()).collect();
        let bad = payloads.iter().position(|p| p == poison);
        let noted = bad.map_or(batch.len(), |_| noted.min(batch.len()));
        let heard = bad.map_or(batch.len(), |bad| heard.min(bad).min(noted));
        for n in 0..noted {
            q.written(id + n as u16, now);
        }
        for (n, payload) in payloads.into_iter().enumerate().take(heard) {
            assert!(q.acknowledged(id + n as u16));
            acknowledged.push(payload);
        }
        if batch.is_empty() || bad.is_some() {
            return (acknowledged, bad.is_some());
        }
        id += batch.len() as u16;
    }
}

proptest! {
    #[test]
    fn a_message_that_the_broker_hangs_up_on_is_given_up_and_no_other(
        states in 0usize..3, events in 0usize..5, which in any::<prop::sample::Index>(),
        luck in prop::collection::vec((0usize..4, 0usize..4), 10),
    ) {
        prop_assume!(states + events > 1);
        let (mut q, now) = queue(LIMITS);
        let names: Vec<String> = (0..states).map(|n| format!("s{n}")).chain((0..events).map(|n| format!("e{n}"))).collect();
        for name in &names {
            let class = if name.starts_with('s') { Class::State } else { Class::Event };
            q.push(message(class, name, name), now).unwrap();
        }
        let poison = which.get(&names);
        let (mut acknowledged, mut abandoned) = (std::collections::HashSet::new(), Vec::new());
        for (noted, heard) in luck.into_iter().take(9) {
            let (heard, hung_up) = until_hung_up(&mut q, now, poison, noted, heard);
            acknowledged.extend(heard);
            if !hung_up {
                break;
            }
            abandoned.extend(q.disconnected(now, true).abandoned);
            prop_assert!(adds_up(&q.stats()), "{:?}", q.stats());
        }
        prop_assert!(q.settled(), "at the ninth connection");
        prop_assert_eq!(abandoned, [(poison.clone(), poison.len())]);
        prop_assert_eq!(acknowledged.len(), names.len() - 1);
        prop_assert!(!acknowledged.contains(poison));
        prop_assert_eq!(q.stats().abandoned, 1);
    }
}

#[test]
fn hang_ups_with_nothing_under_way_or_between_good_times_accuse_nobody() {
    let (mut q, now) = queue(LIMITS);
    q.push(message(Class::State, "s", "ok"), now).unwrap();
    for n in 0..10 {
        q.push(message(Class::Event, "e", &n.to_string()), now).unwrap();
        // The broker ends once with the event in flight, and once after it acknowledged everything.
        q.connected(now);
        drain(&mut q, now, &mut 0);
        assert_eq!(q.disconnected(now, true), Loss::default());
        let (acknowledged, _) = until_hung_up(&mut q, now, "none", 0, 0);
        assert_eq!(acknowledged, ["ok".to_string(), n.to_string()]);
        assert_eq!(q.disconnected(now, true), Loss::default());
    }
}

#[test]
fn a_state_given_up_has_another_chance_with_a_new_payload_and_after_a_good_connection() {
    let (mut q, now) = queue(LIMITS);
    q.push(message(Class::State, "s", "bad"), now).unwrap();
    let abandon = |q: &mut Queue, payload: &str| {
        let hung_up = (1..9).find(|_| {
            assert!(until_hung_up(q, now, payload, 9, 9).1);
            q.disconnected(now, true).abandoned.is_some()
        });
        assert_eq!(until_hung_up(q, now, payload, 9, 9), (vec![], false), "it is not sent any more");
        assert!(adds_up(&q.stats()), "{:?}", q.stats());
        hung_up.unwrap()
    };
    assert_eq!(abandon(&mut q, "bad"), 8, "it is the only one: six times alone");
    q.disconnected(now, true);
    assert_eq!(abandon(&mut q, "bad"), 3, "once alone is enough where it was given up before");
    q.push(message(Class::State, "s", "worse"), now).unwrap();
    assert_eq!(abandon(&mut q, "worse"), 3);
    q.push(message(Class::State, "s", "good"), now).unwrap();
    assert_eq!(until_hung_up(&mut q, now, "worse", 9, 9).0, ["good"]);
    q.push(message(Class::State, "s", "bad"), now).unwrap();
    assert_eq!(abandon(&mut q, "bad"), 8, "what was acknowledged since begins anew");
}

/// A connection that breaks at the first QoS 1 message.
fn until_broken(q: &mut Queue, now: Instant) -> Loss {
    q.connected(now);
    assert!(q.next(now).is_some());
    q.written(1, now);
    q.disconnected(now, true)
}

#[test]
fn a_network_that_breaks_at_every_message_costs_none() {
    let (mut q, now) = queue(LIMITS);
    for name in ["s0", "s1", "s2"] {
        q.push(message(Class::State, name, name), now).unwrap();
    }
    for name in ["e0", "e1", "e2"] {
        q.push(message(Class::Event, name, name), now).unwrap();
    }
    for round in 0..200 {
        assert_eq!(until_broken(&mut q, now), Loss::default(), "round {round}");
    }
    let (acknowledged, hung_up) = until_hung_up(&mut q, now, "none", 0, 0);
    let mut sorted = acknowledged.clone();
    sorted.sort_unstable();
    assert_eq!((sorted.join(" ").as_str(), hung_up), ("e0 e1 e2 s0 s1 s2", false), "{acknowledged:?}");
    assert!(q.settled() && !q.poison.cautious());
    assert_eq!(q.stats().abandoned, 0);
}

#[test]
fn a_state_given_up_is_sent_again_over_the_same_connection() {
    let (mut q, mut now) = queue(LIMITS);
    q.push(message(Class::State, "s", "ok"), now).unwrap();
    q.push(message(Class::State, "t", "bad"), now).unwrap();
    let rounds = (1..20).find(|_| {
        assert!(until_hung_up(&mut q, now, "bad", 9, 9).1);
        q.disconnected(now, true).abandoned.is_some()
    });
    assert!(rounds.is_some());
    assert_eq!(until_hung_up(&mut q, now, "bad", 9, 9), (vec!["ok".into()], false), "the rest goes on");
    now += Duration::from_secs(59);
    assert_eq!(q.next(now), None);
    now += Duration::from_secs(1);
    assert_eq!(q.next(now).map(|p| p.topic), Some("t".into()), "the broker may have been changed");
    q.written(7, now);
    assert!(q.acknowledged(7) && q.settled());
}
