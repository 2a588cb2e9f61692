use super::*;

fn watched() -> Watched {
    Watched::new("leptond", "me")
}

fn tell(watched: &mut Watched, topic: &str, payload: &str, retain: bool) {
    let incoming = Incoming { topic: format!("leptond/{topic}"), payload: payload.into(), retain };
    watched.take(&incoming, Instant::now(), SystemTime::UNIX_EPOCH);
}

/// The lines of the journal.
fn lines(watched: &Watched) -> Vec<String> {
    watched.journal.last(100, 0).into_iter().map(|entry| entry.text.clone()).collect()
}

#[test]
fn changes_are_told_and_what_was_kept_from_before_is_not() {
    let mut watched = watched();
    let rung = |rung: u64, paused: bool, reason: &str| {
        format!(
            r#"{{"mode":"auto","state":"normal","pipelines":{{"door":{{"rung":{rung},"of":4,"paused":{paused},"reason":"{reason}"}}}}}}"#
        )
    };
    let health = |throttled: bool, idle: &str| {
        format!(r#"{{"throttled":{{"now":{throttled}}},"pipelines":{{"door":{{"fps":5.0{idle}}}}}}}"#)
    };
    tell(&mut watched, "attic/state", r#"{"state":"offline"}"#, true);
    tell(&mut watched, "attic/governor", &rung(0, false, "full work"), true);
    tell(&mut watched, "attic/health", &health(false, ""), true);
    assert_eq!(lines(&watched), Vec::<String>::new());
    for (topic, payload) in [
        ("attic/state", r#"{"state":"online"}"#.to_owned()),
        ("attic/state", r#"{"state":"online"}"#.to_owned()),
        ("attic/governor", rung(2, false, "hot")),
        ("attic/governor", rung(2, false, "still hot")),
        ("attic/governor", rung(2, true, "85 °C")),
        ("attic/governor", rung(1, false, "cooler")),
        ("attic/governor", rung(0, false, "cool")),
        ("attic/health", health(true, "")),
        ("attic/health", health(true, r#","idle":"no frames""#)),
        ("attic/health", health(false, "")),
        ("attic/state", r#"{"state":"offline"}"#.to_owned()),
    ] {
        tell(&mut watched, topic, &payload, false);
    }
    let expected = [
        "online",
        "down to rung 2 of 4: hot",
        "paused: 85 °C",
        "goes on, rung 1 of 4: cooler",
        "up to rung 0 of 4: cool",
        "throttled: the clock is lowered because of heat",
        "no results: no frames",
        "no longer throttled",
        "results again",
        "offline",
    ];
    assert_eq!(lines(&watched), expected);
}

#[test]
fn an_event_is_told_in_words() {
    let mut watched = watched();
    for payload in [
        r#"{"type":"new","id":"1-1","label":"person","score":0.914,"track_id":17,"zones":["porch","path"]}"#,
        r#"{"type":"update","id":"1-1","label":"person","score":0.95,"track_id":17,"zones":["porch"],"loitering":["porch"],
            "crossings":[{"line":"gate","direction":"forward","time":"x"}],"attributes":{"face":{"seq":1,"label":"Ada","score":1}}}"#,
        r#"{"type":"end","id":"1-1","label":"car","score":0.5,"track_id":2,"stationary":true,"resent":true,"start_time":"2026-01-02T03:04:05.678Z"}"#,
        r#"{"type":"new","id":"1-2","label":"anomaly","score":13.5}"#,
        r#"{"type":"update","id":"1-3","label":"00425","score":null,"something":{"new":[1]}}"#,
    ] {
        tell(&mut watched, "attic/door/event", payload, false);
    }
    let expected = [
        "new    person 91 %  in porch, path  #17",
        "update person (Ada) 95 %  in porch  loiters in porch  crossed gate forward  #17",
        "end    car 50 %  stands still  #2  (late, of 2026-01-02T03:04:0…)",
        "new    anomaly 13.500",
        "update 00425",
    ];
    assert_eq!(lines(&watched), expected);
}

#[test]
fn an_empty_retained_message_takes_node_or_pipeline_away() {
    let mut watched = watched();
    tell(&mut watched, "attic/state", r#"{"state":"online"}"#, true);
    tell(&mut watched, "attic/door/state", r#"{"task":"detect","counts":{}}"#, true);
    tell(&mut watched, "attic/door/state", "", false);
    assert!(watched.nodes["attic"].pipelines.is_empty());
    tell(&mut watched, "attic/state", "", false);
    assert!(watched.nodes.is_empty());
}

#[test]
fn only_answers_to_our_own_requests_are_kept_and_not_many() {
    let mut watched = watched();
    tell(&mut watched, "attic/response/governor/set", r#"{"status":"ok","transaction":"another"}"#, false);
    tell(&mut watched, "attic/response/governor/set", r#"{"status":"ok"}"#, false);
    assert_eq!(watched.responses.len(), 0);
    for n in 0..100 {
        let payload = format!(r#"{{"status":"ok","transaction":"me-{n}"}}"#);
        tell(&mut watched, "attic/response/governor/set", &payload, false);
    }
    assert_eq!(watched.responses.len(), MOST_RESPONSES);
}

#[test]
fn whatever_is_sent_takes_bounded_memory() {
    let mut watched = watched();
    let long = "x".repeat(100_000);
    let many: String = (0..5000).map(|n| format!(r#""l{n}":{n},"#)).collect();
    for n in 0..300 {
        let node = format!("n{n}");
        tell(&mut watched, &format!("{node}/state"), r#"{"state":"online"}"#, false);
        tell(&mut watched, &format!("{node}/info"), &format!(r#"{{"version":"{long}","board":"{long}"}}"#), false);
    }
    for n in 0..300 {
        tell(
            &mut watched,
            &format!("n1/p{n}/state"),
            &format!(r#"{{"task":"detect","counts":{{{many}"z":1}}}}"#),
            false,
        );
        tell(
            &mut watched,
            &format!("n1/p{n}/event"),
            &format!(r#"{{"type":"{long}","label":"{long}","zones":["{long}"]}}"#),
            false,
        );
        tell(&mut watched, &format!("n1/p{n}/result"), &format!(r#"{{"task":"{long}"}}"#), false);
        tell(&mut watched, "n1/health", &format!(r#"{{"pipelines":{{"h{n}":{{"idle":"{long}"}}}}}}"#), false);
        let rung =
            format!(r#"{{"mode":"{long}","pipelines":{{"g{n}":{{"reason":"{long}","rung":18446744073709551615}}}}}}"#);
        tell(&mut watched, "n1/governor", &rung, false);
    }
    tell(&mut watched, "n1/health", &format!("{{\"x\":\"{}\"}}", "y".repeat(MOST_BYTES)), false);
    assert_eq!(watched.nodes.len(), MOST_NODES);
    assert_eq!(watched.nodes["n1"].pipelines.len(), super::super::node::MOST_PIPELINES);
    assert!(watched.crowded > 300 && watched.unread == 1, "{} {}", watched.crowded, watched.unread);
    let text = format!("{watched:?}");
    assert!(text.len() < 2_000_000, "{} bytes as text", text.len());
}

#[test]
fn a_node_that_is_offline_makes_room_for_another() {
    let mut watched = watched();
    let begun = Instant::now();
    for n in 0..MOST_NODES {
        let state = if n < 2 { "offline" } else { "online" };
        let payload = format!(r#"{{"state":"{state}"}}"#).into_bytes();
        let incoming = Incoming { topic: format!("leptond/n{n}/state"), payload, retain: true };
        watched.take(&incoming, begun + Duration::from_secs(n as u64), SystemTime::UNIX_EPOCH);
    }
    for (name, expected) in [("a", true), ("b", true), ("c", false)] {
        tell(&mut watched, &format!("{name}/state"), r#"{"state":"online"}"#, false);
        assert_eq!(watched.nodes.contains_key(name), expected, "{name}");
    }
    assert!(!watched.nodes.contains_key("n0") && !watched.nodes.contains_key("n1"));
    assert_eq!((watched.nodes.len(), watched.crowded), (MOST_NODES, 1));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_on_any_topic_are_taken(topic in "leptond/[a-z]{1,3}/(state|info|health|governor|p/(result|state|event|detect/state)|response/x)",
        payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
        let mut watched = watched();
        watched.take(&Incoming { topic, payload, retain: false }, Instant::now(), SystemTime::UNIX_EPOCH);
    }
}
