mod poison;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    waiting: 6,
    waiting_bytes: 40,
    packet_bytes: 64,
    in_flight: 4,
    submitted: 3,
    states: 3,
    responses: 3,
    pictures: 2,
    picture_bytes: 60,
    result_age: Duration::from_secs(5),
    tries: 3,
};

fn message(class: Class, topic: &str, payload: &str) -> Message {
    Message { topic: topic.into(), payload: payload.into(), class, timing: None }
}

fn queue(limits: Limits) -> (Queue, Instant) {
    (Queue::new(limits), Instant::now())
}

/// All due packets as `topic payload`, each written with packet ids counting up from `id`.
fn drain(queue: &mut Queue, now: Instant, id: &mut u16) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(packet) = queue.next(now) {
        *id += 1;
        queue.written(if packet.acknowledged { *id } else { 0 }, now);
        sent.push(format!("{} {}", packet.topic, String::from_utf8_lossy(&packet.payload)));
    }
    sent
}

fn adds_up(stats: &Stats) -> bool {
    stats.taken == stats.published + stats.dropped + stats.replaced + stats.queued
}

#[test]
fn nothing_is_sent_before_a_connection_and_states_are_coalesced() {
    let (mut q, now) = queue(LIMITS);
    for n in 0..4 {
        q.push(message(Class::State, "s", &format!("{n}")), now).unwrap();
    }
    assert_eq!(q.next(now), None);
    q.connected(now);
    assert_eq!(
        q.next(now),
        Some(Packet {
            topic: "s".into(),
            payload: b"3".to_vec(),
            acknowledged: true,
            retain: true,
            ..Packet::default()
        })
    );
    let stats = q.stats();
    assert_eq!((stats.taken, stats.replaced, stats.queued), (4, 3, 1));
}

#[test]
fn states_are_sent_again_at_every_connection_and_counted_once() {
    let (mut q, now) = queue(LIMITS);
    q.push(message(Class::State, "a", "1"), now).unwrap();
    q.push(message(Class::State, "b", "2"), now).unwrap();
    let mut id = 0;
    for _ in 0..3 {
        q.connected(now);
        id = 0;
        assert_eq!(drain(&mut q, now, &mut id), ["a 1", "b 2"]);
        assert!(q.acknowledged(1) && q.acknowledged(2));
        assert!(q.settled());
        q.disconnected(now, true);
    }
    assert_eq!(id, 2);
    let stats = q.stats();
    assert_eq!((stats.published, stats.acknowledged, stats.resent, stats.connects), (2, 2, 4, 3));
}

#[test]
fn an_event_lost_under_way_comes_again_before_the_younger_ones() {
    let (mut q, now) = queue(LIMITS);
    q.connected(now);
    for n in 0..6 {
        q.push(message(Class::Event, "e", &n.to_string()), now).unwrap();
    }
    let mut id = 0;
    assert_eq!(drain(&mut q, now, &mut id), ["e 0", "e 1", "e 2", "e 3"], "the window holds four");
    assert!(q.acknowledged(1));
    assert!(!q.acknowledged(1), "an acknowledgement counts once");
    q.disconnected(now, true);
    assert_eq!((q.stats().published, q.stats().acknowledged, q.stats().unacknowledged), (4, 1, 3));
    q.connected(now);
    assert_eq!(drain(&mut q, now, &mut id), ["e 1", "e 2", "e 3", "e 4"]);
    for packet_id in 5..=8 {
        assert!(q.acknowledged(packet_id));
    }
    assert_eq!(drain(&mut q, now, &mut id), ["e 5"]);
    assert!(q.acknowledged(9));
    assert!(q.settled());
    let stats = q.stats();
    assert_eq!((stats.published, stats.acknowledged, stats.resent, stats.dropped), (6, 6, 3, 0));
}

#[test]
fn results_make_room_for_events_and_old_ones_go_first() {
    let (mut q, now) = queue(LIMITS);
    for n in 0..8 {
        q.push(message(Class::Result, "r", &n.to_string()), now).unwrap();
    }
    for n in 0..4 {
        q.push(message(Class::Event, "e", &n.to_string()), now).unwrap();
    }
    assert_eq!(q.stats().dropped, 6);
    q.connected(now);
    let mut id = 0;
    assert_eq!(drain(&mut q, now, &mut id), ["e 0", "e 1", "e 2", "e 3", "r 6", "r 7"]);
}

#[test]
fn full_of_events_the_oldest_event_goes_and_results_are_not_taken() {
    let (mut q, now) = queue(LIMITS);
    for n in 0..8 {
        q.push(message(Class::Event, "e", &n.to_string()), now).unwrap();
    }
    q.push(message(Class::Result, "r", "x"), now).unwrap();
    let stats = q.stats();
    assert_eq!((stats.queued, stats.dropped, stats.dropped_events), (6, 3, 2));
    q.connected(now);
    assert_eq!(q.next(now).unwrap().payload, b"2");
}

#[test]
fn bytes_are_bounded_too() {
    let (mut q, now) = queue(LIMITS);
    for _ in 0..3 {
        q.push(message(Class::Event, "e", &"x".repeat(20)), now).unwrap();
    }
    assert_eq!((q.stats().queued, q.stats().dropped), (2, 1));
}

#[test]
fn a_stale_result_is_not_sent() {
    let (mut q, now) = queue(LIMITS);
    q.push(message(Class::Result, "r", "old"), now).unwrap();
    let later = now + Duration::from_secs(4);
    q.push(message(Class::Result, "r", "new"), later).unwrap();
    q.connected(now + Duration::from_secs(6));
    assert_eq!(drain(&mut q, now + Duration::from_secs(6), &mut 0), ["r new"]);
    assert_eq!(q.stats().dropped, 1);
}

#[test]
fn a_picture_is_sent_once_in_its_newest_form_and_waits_again_when_its_connection_ends() {
    let (mut q, now) = queue(LIMITS);
    for n in ["1", "2"] {
        q.push(message(Class::Picture, "p", n), now).unwrap();
    }
    q.push(message(Class::Picture, "other", "3"), now).unwrap();
    q.push(message(Class::Event, "e", "4"), now).unwrap();
    q.push(message(Class::Result, "r", "5"), now).unwrap();
    q.connected(now);
    assert_eq!(q.next(now).map(|p| p.topic), Some("e".into()));
    let picture = Packet { topic: "p".into(), payload: b"2".to_vec(), retain: true, ..Packet::default() };
    assert_eq!(q.next(now), Some(picture.clone()));
    assert_eq!(q.next(now).map(|p| p.topic), Some("r".into()), "one picture at a time");
    q.disconnected(now, false);
    assert_eq!((q.stats().replaced, q.stats().dropped), (1, 1), "the first picture, and the result");
    q.connected(now);
    assert_eq!(drain(&mut q, now, &mut 0), ["e 4", "p 2", "other 3"]);
    q.disconnected(now, false);
    q.connected(now);
    assert!(drain(&mut q, now, &mut 0).iter().all(|sent| sent == "e 4"), "what was written is not sent again");
    assert!(adds_up(&q.stats()), "{:?}", q.stats());
}

#[test]
fn a_response_overtakes_events_and_the_newest_are_kept() {
    let (mut q, now) = queue(LIMITS);
    for n in 0..5 {
        q.push(message(Class::Event, "e", &n.to_string()), now).unwrap();
        q.push(message(Class::Response, "a", &n.to_string()), now).unwrap();
    }
    q.connected(now);
    let mut id = 0;
    let mut sent = Vec::new();
    while !q.settled() {
        sent.extend(drain(&mut q, now, &mut id));
        (0..=id).for_each(|id| {
            q.acknowledged(id);
        });
    }
    assert_eq!(sent, ["a 2", "a 3", "a 4", "e 0", "e 1", "e 2", "e 3", "e 4"]);
    assert_eq!(q.stats().dropped, 2);
}

#[test]
fn what_can_never_be_sent_is_refused_and_counted() {
    let (mut q, now) = queue(LIMITS);
    let fits = "x".repeat(64 - packet_bytes("e", b"") - crate::publish::payload::RESENT_BYTES);
    assert_eq!(q.push(message(Class::Event, "e", &fits), now), Ok(()));
    let refused = q.push(message(Class::Event, "e", &format!("{fits}x")), now);
    assert_eq!(refused, Err(Refusal::Oversize { topic: "e".into(), bytes: 65, limit: 64 }));
    for topic in ["", "a/+", "#", "a\0b"] {
        assert_eq!(q.push(message(Class::Event, topic, "1"), now), Err(Refusal::Topic(topic.into())));
    }
    for topic in ["a", "b", "c"] {
        q.push(message(Class::State, topic, "1"), now).unwrap();
    }
    assert_eq!(q.push(message(Class::State, "d", "1"), now), Err(Refusal::States("d".into())));
    assert_eq!(q.stats().dropped, 6);
    assert!(adds_up(&q.stats()));
}

#[test]
fn packet_size_is_that_of_the_standard() {
    // Fixed header, remaining length in 1, 2, 3, 4 bytes, topic length, topic, packet id, payload.
    for (payload, size) in [(0, 7), (122, 129), (123, 131), (16_378, 16_386), (16_379, 16_388)] {
        assert_eq!(packet_bytes("t", &vec![0; payload]), size, "{payload}");
    }
    assert_eq!(packet_bytes("t", &vec![0; 2_097_147]), 2_097_157);
}

#[test]
fn the_timing_comes_back_when_the_result_was_written() {
    let (mut q, now) = queue(LIMITS);
    q.connected(now);
    let timing = Timing { captured: now, infer: Duration::from_millis(3) };
    q.push(Message { timing: Some(timing), ..message(Class::Result, "r", "1") }, now).unwrap();
    q.next(now).unwrap();
    assert_eq!(q.written(0, now).unwrap().infer, timing.infer);
    assert!(q.settled());
}

#[test]
fn a_newer_state_overtakes_its_unacknowledged_elder() {
    let (mut q, now) = queue(LIMITS);
    q.connected(now);
    let mut id = 0;
    q.push(message(Class::State, "s", "1"), now).unwrap();
    assert_eq!(drain(&mut q, now, &mut id), ["s 1"]);
    q.push(message(Class::State, "s", "2"), now).unwrap();
    q.disconnected(now, true);
    q.connected(now);
    assert_eq!(drain(&mut q, now, &mut id), ["s 2"], "the elder is not sent again");
    q.acknowledged(2);
    assert_eq!((q.stats().published, q.stats().acknowledged), (2, 1));
    assert!(adds_up(&q.stats()));
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8, u8, u8),
    Connect,
    Next,
    Written,
    Acknowledge(u8),
    Lose,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..5, 0u8..4, 0u8..30).prop_map(|(c, t, n)| Step::Push(c, t, n)),
        3 => Just(Step::Connect),
        8 => Just(Step::Next),
        8 => Just(Step::Written),
        6 => any::<u8>().prop_map(Step::Acknowledge),
        1 => Just(Step::Lose),
        1 => (0u8..8).prop_map(Step::Wait),
    ]
}

/// A broker that follows the protocol: received messages, and packets to acknowledge.
#[derive(Default)]
struct Wire {
    connected: bool,
    handed: VecDeque<Packet>,
    unacknowledged: Vec<(u16, Packet)>,
    next_id: u16,
    received: Vec<(String, u32)>,
    acknowledged: Vec<(String, u32)>,
}

proptest! {
    #[test]
    fn bounds_hold_counters_add_up_and_order_is_kept(steps in prop::collection::vec(step(), 1..200)) {
        let (mut q, mut now) = queue(LIMITS);
        let mut wire = Wire::default();
        let mut serial = 0u32;
        let mut events_taken = Vec::new();
        for step in steps {
            match step {
                Step::Push(class, topic, pad) => {
                    serial += 1;
                    let (class, name) = [
                        (Class::State, 's'), (Class::Result, 'r'), (Class::Event, 'e'), (Class::Response, 'a'), (Class::Picture, 'p'),
                    ][usize::from(class)];
                    let (topic, payload) = (format!("{name}{topic}"), format!("{serial:05}{}", "x".repeat(usize::from(pad))));
                    let taken = q.push(message(class, &topic, &payload), now);
                    if class == Class::Event && taken.is_ok() {
                        events_taken.push((topic, serial));
                    }
                }
                Step::Connect if !wire.connected => {
                    wire = Wire { received: wire.received, acknowledged: wire.acknowledged, connected: true, ..Wire::default() };
                    q.connected(now);
                }
                Step::Next => {
                    let packet = q.next(now);
                    prop_assert!(wire.connected || packet.is_none());
                    wire.handed.extend(packet);
                }
                Step::Written => if let Some(packet) = wire.handed.pop_front() {
                    wire.next_id += 1;
                    let id = if packet.acknowledged { wire.next_id } else { 0 };
                    q.written(id, now);
                    let number = String::from_utf8_lossy(&packet.payload[..5]).parse().unwrap();
                    wire.received.push((packet.topic.clone(), number));
                    if packet.acknowledged {
                        wire.unacknowledged.push((id, packet));
                    }
                },
                Step::Acknowledge(which) if !wire.unacknowledged.is_empty() => {
                    let (id, packet) = wire.unacknowledged.remove(usize::from(which) % wire.unacknowledged.len());
                    prop_assert!(q.acknowledged(id));
                    let number = String::from_utf8_lossy(&packet.payload[..5]).parse().unwrap();
                    wire.acknowledged.push((packet.topic, number));
                }
                Step::Lose if wire.connected => {
                    // Alone at a disconnect, it counts as written, although the client library did not report it.
                    if let Some(packet) = wire.handed.front().filter(|_| q.poison.cautious() && q.in_flight.is_empty()) {
                        let number = String::from_utf8_lossy(&packet.payload[..5]).parse().unwrap();
                        wire.received.push((packet.topic.clone(), number));
                    }
                    wire = Wire { received: wire.received, acknowledged: wire.acknowledged, ..Wire::default() };
                    q.disconnected(now, true);
                }
                Step::Wait(seconds) => now += Duration::from_secs(u64::from(seconds)),
                Step::Connect | Step::Acknowledge(_) | Step::Lose => {}
            }
            let stats = q.stats();
            prop_assert!(adds_up(&stats), "{stats:?}");
            prop_assert!(q.events.unstored() + q.results.len() <= LIMITS.waiting);
            let bytes: usize = q.results.iter().map(|r| r.payload.len()).sum::<usize>();
            prop_assert_eq!(bytes, q.result_bytes);
            prop_assert!(bytes + q.events.unstored_bytes() <= LIMITS.waiting_bytes);
            prop_assert!(q.submitted.len() <= LIMITS.submitted && q.in_flight.len() <= LIMITS.in_flight);
            prop_assert!(q.retry.len() <= LIMITS.in_flight);
            prop_assert!(q.states.len() <= LIMITS.states && q.responses.len() <= LIMITS.responses);
            prop_assert!(q.pictures.len() <= LIMITS.pictures);
        }
        // First copies arrive in order, per topic.
        let mut newest = std::collections::HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for (topic, number) in &wire.received {
            if seen.insert((topic, number)) {
                let before = newest.insert(topic, *number).unwrap_or(0);
                prop_assert!(before < *number, "{topic}: {number} after {before}");
            }
        }
        prop_assert_eq!(q.stats().published, seen.len() as u64);

        // With a working broker everything left is delivered: only counted events are lost.
        q.disconnected(now, false);
        q.connected(now);
        let mut id = 0;
        while let Some(packet) = q.next(now) {
            id += 1;
            q.written(if packet.acknowledged { id } else { 0 }, now);
            q.acknowledged(id);
            wire.acknowledged.push((packet.topic, String::from_utf8_lossy(&packet.payload[..5]).parse().unwrap()));
        }
        prop_assert!(q.settled());
        let delivered = events_taken.iter().filter(|e| wire.acknowledged.contains(e)).count() as u64;
        let stats = q.stats();
        let given_up = events_taken.len() as u64 - delivered - stats.dropped_events;
        prop_assert!(given_up <= stats.abandoned, "{given_up} events are gone without a trace");
        prop_assert!(adds_up(&stats) && stats.queued == 0 && stats.unacknowledged == 0);
    }
}
