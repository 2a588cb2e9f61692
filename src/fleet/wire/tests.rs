use super::*;

fn digest(digit: char) -> ModelDigest {
    ModelDigest::new(&digit.to_string().repeat(64)).unwrap()
}

fn job() -> Job {
    Job {
        id: "a".repeat(32),
        answer: "b".repeat(32),
        from: NodeName::new("giver").unwrap(),
        model: digest('1'),
        pipeline: PipelineName::new("door").ok(),
        deadline: Some(Duration::from_millis(250)),
        picture: Picture {
            content: Content::Jpeg,
            bytes: Bytes::from_static(b"bytes"),
            full: Some([640, 480]),
            settings: Some("{}".into()),
        },
    }
}

fn read(headers: &HeaderMap, payload: &'static [u8]) -> Result<Job, Box<NoJob>> {
    let limits = Limits { model: digest('1'), payload_bytes: 8 };
    read_job(Some(headers), &Bytes::from_static(payload), &limits)
}

#[test]
fn work_comes_over_whole() {
    let read = read(&job().headers(), b"bytes").unwrap();
    assert_eq!((read.id, read.answer, read.model), ("a".repeat(32), "b".repeat(32), digest('1')));
    assert_eq!((&*read.from, read.deadline), ("giver", Some(Duration::from_millis(250))));
    assert_eq!(read.pipeline.as_deref(), Some("door"));
    assert_eq!((read.picture.content, read.picture.full), (Content::Jpeg, Some([640, 480])));
    assert_eq!((&*read.picture.bytes, read.picture.settings.as_deref()), (&b"bytes"[..], Some("{}")));
}

#[test]
fn wrong_work_is_named_and_answered_where_that_can_be() {
    let with = |name: &str, value: &str| {
        let mut headers = job().headers();
        headers.insert(name, value);
        headers
    };
    for (headers, payload, kind, words, answered) in [
        (with(H_SCHEMA, "2"), &b"bytes"[..], RefusalKind::Schema, "version \"2\"", true),
        (with(H_MODEL, digest('2').as_str()), b"bytes", RefusalKind::WrongModel, "2222", true),
        (with(H_MODEL, "short"), b"bytes", RefusalKind::Malformed, H_MODEL, true),
        (with(H_ID, "1"), b"bytes", RefusalKind::Malformed, H_ID, false),
        // An answer goes nowhere but below the group's own subjects.
        (with(H_ANSWER, "a.b"), b"bytes", RefusalKind::Malformed, H_ANSWER, false),
        (with(H_ANSWER, ">"), b"bytes", RefusalKind::Malformed, H_ANSWER, false),
        (with(H_FROM, "a/b"), b"bytes", RefusalKind::Malformed, H_FROM, true),
        (with(H_CONTENT, "text/html"), b"bytes", RefusalKind::Malformed, H_CONTENT, true),
        (with(H_SOURCE, "0x4"), b"bytes", RefusalKind::Malformed, H_SOURCE, true),
        (with(H_SOURCE, "99999x4"), b"bytes", RefusalKind::Malformed, H_SOURCE, true),
        (with(H_DEADLINE, "-1"), b"bytes", RefusalKind::Malformed, H_DEADLINE, true),
        (with(H_PIPELINE, "a b"), b"bytes", RefusalKind::Malformed, H_PIPELINE, true),
        (job().headers(), b"more than eight", RefusalKind::TooLarge, "15 bytes", true),
    ] {
        let refused = read(&headers, payload).unwrap_err();
        assert_eq!((refused.refusal.kind, refused.to.is_some()), (kind, answered), "{:?}", refused.refusal);
        assert!(refused.refusal.reason.contains(words), "{:?}", refused.refusal);
    }
    let mut twice = job().headers();
    twice.append(H_MODEL, digest('1').as_str());
    assert_eq!(read(&twice, b"bytes").unwrap_err().refusal.kind, RefusalKind::Malformed, "which of both is meant?");
    let none = read_job(None, &Bytes::new(), &Limits { model: digest('1'), payload_bytes: 8 }).unwrap_err();
    assert_eq!((none.refusal.kind, none.to.is_none()), (RefusalKind::Malformed, true));
}

fn answer(result: Result<Computed, Refusal>) -> Answer {
    let (node, queue) = (NodeName::new("worker").unwrap(), Duration::from_micros(70));
    Answer { id: "a".repeat(32), node, model: digest('1'), queue, result }
}

fn computed(outcome: &str) -> Result<Computed, Refusal> {
    Ok(Computed { outcome: outcome.into(), infer: Duration::from_micros(1500), rung: 2 })
}

#[test]
fn answers_come_over_whole() {
    for result in [
        computed("{\"task\":\"raw\",\"outputs\":[0.10000000149011612]}"),
        Err(Refusal::new(RefusalKind::Picture, "truncated JPEG")),
    ] {
        let sent = answer(result);
        let (headers, payload) = sent.message();
        assert_eq!(read_answer(Some(&headers), &payload, 1000), Ok(sent));
    }
}

#[test]
fn garbage_is_no_answer() {
    let of = |outcome: &str| {
        let (headers, payload) = answer(computed(outcome)).message();
        read_answer(Some(&headers), &payload, 59).unwrap_err()
    };
    for (outcome, words) in [
        ("", "no JSON object"),
        ("[1]", "no JSON object"),
        ("{\"task\":\"raw\"", "no JSON"),
        ("{\"task\":1}", "task"),
        ("{}", "task"),
        // A second line would be a second result.
        ("{\"task\":\"raw\",\n\"a\":1}", "one line"),
        // Another name for the node, or another file.
        ("{\"task\":\"raw\",\"computed_by\":\"a\"}", "computed_by"),
        ("{\"task\":\"raw\",\"input\":\"a.jpg\"}", "input"),
        ("{\"task\":\"raw\",\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}", "60 bytes"),
    ] {
        assert!(of(outcome).contains(words), "{outcome:?}: {}", of(outcome));
    }
    let (good, payload) = answer(computed("{\"task\":\"raw\"}")).message();
    for (name, value) in [
        (H_SCHEMA, "2"),
        (H_ID, "x"),
        (H_NODE, "a b"),
        (H_MODEL, "x"),
        (H_QUEUE, "-1"),
        (H_INFER, "soon"),
        (H_RUNG, ""),
        (H_REFUSED, "no such reason"),
    ] {
        let mut headers = good.clone();
        headers.insert(name, value);
        assert!(read_answer(Some(&headers), &payload, 60).unwrap_err().contains(name), "{name}");
    }
    assert!(read_answer(Some(&good), b"{\"task\":\"\xff\"}", 60).unwrap_err().contains("no text"));
    assert!(read_answer(None, b"", 60).is_err());
}

#[test]
fn reasons_of_others_are_one_short_line() {
    let long = answer(Err(Refusal::new(RefusalKind::Failed, format!("a\n\u{1b}[31m{}", "ü".repeat(2000)))));
    let (headers, payload) = long.message();
    let reason = read_answer(Some(&headers), &payload, 100_000).unwrap().result.unwrap_err().reason;
    assert!(reason.len() <= REASON_BYTES && reason.starts_with("a  [31mü"), "{reason}");
}
