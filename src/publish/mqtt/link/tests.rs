use super::*;

const S: Duration = Duration::from_secs(1);

fn refused() -> Failure {
    Failure::new(FailureKind::Refused, "refused")
}

fn closed() -> Failure {
    Failure::new(FailureKind::Closed, "closed")
}

/// A good connection with this lifetime.
fn lived(lived: Duration) -> Option<Ended> {
    Some(Ended { lived, idle: true })
}

#[test]
fn pauses_grow_to_a_cap_with_jitter_and_the_first_is_quick() {
    let now = Instant::now();
    for seed in 0..50 {
        let mut link = Link::new("id", seed * 7919);
        let pauses: Vec<_> = (0..12).map(|_| link.failed(&refused(), None, now).pause).collect();
        assert!(pauses[0] >= S / 4 && pauses[0] <= S / 2, "{:?}", pauses[0]);
        for (n, pause) in pauses.iter().enumerate() {
            let full = (S / 2 * 2u32.pow(n as u32)).min(30 * S);
            assert!(*pause >= full / 2 && *pause <= full, "{n}: {pause:?}");
        }
    }
    let first = |seed| Link::new("id", seed).failed(&refused(), None, now).pause;
    assert!((1..20).map(first).collect::<std::collections::HashSet<_>>().len() > 5, "nodes are spread");
}

#[test]
fn a_good_connection_resets_the_pause_and_a_short_one_does_not() {
    let now = Instant::now();
    let mut link = Link::new("id", 1);
    for _ in 0..8 {
        link.failed(&refused(), None, now);
    }
    assert!(link.failed(&closed(), lived(S), now).pause >= 15 * S);
    assert!(link.failed(&closed(), lived(60 * S), now).pause <= S / 2);
}

#[test]
fn each_cause_is_told_once_and_again_when_it_changes() {
    let now = Instant::now();
    let mut link = Link::new("id", 1);
    let told = |link: &mut Link, failure: &Failure, at: Duration| link.failed(failure, None, now + at).tell.is_some();
    assert!(told(&mut link, &refused(), S));
    for s in 2..600 {
        assert!(!told(&mut link, &refused(), s * S), "at {s} s");
    }
    assert!(told(&mut link, &refused(), 601 * S), "a reminder");
    let name = Failure::new(FailureKind::Name, "no such name");
    assert!(told(&mut link, &name, 602 * S));
    assert!(!told(&mut link, &refused(), 603 * S), "flapping between two causes stays quiet");
    assert!(!told(&mut link, &name, 604 * S));
    assert!(told(&mut link, &refused(), 662 * S));
}

#[test]
fn two_kicks_in_a_row_name_the_client_id() {
    let now = Instant::now();
    let mut link = Link::new("leptond-attic", 1);
    assert_eq!(link.failed(&closed(), lived(2 * S), now).tell.unwrap().0, Severity::Warn);
    let (volume, words) = link.failed(&closed(), lived(3 * S), now + 3 * S).tell.unwrap();
    assert_eq!(volume, Severity::Error);
    assert!(words.contains("leptond-attic"), "{words}");
    assert_eq!(link.failed(&closed(), lived(3 * S), now + 6 * S).tell, None, "told once");
}

#[test]
fn a_network_that_breaks_and_a_broker_that_objects_are_no_takeover() {
    let now = Instant::now();
    let reset = Failure::new(FailureKind::Reset, "reset");
    let busy = Some(Ended { lived: S, idle: false });
    for (failure, ended) in [(&reset, lived(S)), (&reset, busy), (&closed(), busy), (&closed(), lived(11 * S))] {
        let mut link = Link::new("id", 1);
        for round in 0..50 {
            let tell = link.failed(failure, ended, now + round * 30 * S).tell;
            assert!(tell.is_none_or(|(volume, _)| volume == Severity::Warn), "{failure:?} {ended:?}");
        }
    }
}

#[test]
fn a_takeover_that_the_broker_names_is_told_at_once_and_once() {
    let now = Instant::now();
    let mut link = Link::new("leptond-attic", 1);
    let taken = Failure::new(FailureKind::TakenOver, "another client");
    assert_eq!(link.failed(&taken, lived(2 * S), now).tell, Some((Severity::Error, "another client".into())));
    for s in 1..600 {
        assert_eq!(link.failed(&taken, lived(2 * S), now + s * S).tell, None, "at {s} s");
    }
    assert!(link.failed(&taken, lived(2 * S), now + 601 * S).tell.is_some(), "a reminder");
}

#[test]
fn a_restarted_broker_is_no_takeover() {
    let now = Instant::now();
    let mut link = Link::new("id", 1);
    for round in 0..5 {
        let at = now + round * 100 * S;
        for (failure, ended) in [(closed(), lived(60 * S)), (refused(), None), (closed(), lived(S))] {
            let tell = link.failed(&failure, ended, at).tell;
            assert!(tell.is_none_or(|(volume, _)| volume == Severity::Warn));
        }
    }
}

#[test]
fn failures_become_words() {
    let io = |kind: io::ErrorKind| io::Error::from(kind);
    let refused = |code| WireError::Refused { code, reason: None };
    let gone = |code, reason: &str| WireError::Disconnected { code, reason: Some(reason.into()) };
    let cases = [
        (WireError::Connect(io(io::ErrorKind::ConnectionRefused)), FailureKind::Refused, "no broker listens"),
        (WireError::Connect(io(io::ErrorKind::HostUnreachable)), FailureKind::Unreachable, "unreachable"),
        (WireError::Broken(io(io::ErrorKind::ConnectionReset)), FailureKind::Reset, "broke"),
        (WireError::Name(io::Error::other("Name or service not known")), FailureKind::Name, "cannot be resolved"),
        (WireError::NoAnswer, FailureKind::Unreachable, "no answer"),
        (WireError::Silent, FailureKind::Silent, "stopped answering"),
        (WireError::NotTaken, FailureKind::Silent, "takes no more"),
        (WireError::Closed, FailureKind::Closed, "closed"),
        (refused(1), FailureKind::Version, "version of MQTT (return code 1)"),
        (refused(2), FailureKind::ClientId, "\"leptond-attic\" (13 characters)"),
        (refused(2), FailureKind::ClientId, "(return code 2)"),
        (refused(3), FailureKind::Rejected, "not ready to serve (return code 3)"),
        (refused(4), FailureKind::Credentials, "password (return code 4)"),
        (refused(5), FailureKind::Credentials, "missing (return code 5)"),
        (refused(0x84), FailureKind::Version, "MQTT 5 (reason code 132)"),
        (refused(0x85), FailureKind::ClientId, "(reason code 133)"),
        (refused(0x86), FailureKind::Credentials, "(reason code 134)"),
        (refused(0x87), FailureKind::Credentials, "(reason code 135)"),
        (refused(0x89), FailureKind::Rejected, "not ready"),
        (refused(0x97), FailureKind::Rejected, "refuses the connection (reason code 151)"),
        (
            WireError::Refused { code: 0x8a, reason: Some("too loud".into()) },
            FailureKind::Rejected,
            "banned this client (reason code 138); it says \"too loud\"",
        ),
        (gone(0x8e, "bye"), FailureKind::TakenOver, "client id \"leptond-attic\""),
        (gone(0x8b, "bye"), FailureKind::Closed, "shuts down (reason code 139); it says \"bye\""),
        (gone(0x95, ""), FailureKind::Closed, "too large"),
        (gone(0, ""), FailureKind::Closed, "closed the connection (reason code 0)"),
        (WireError::WebSocket("the server says 404".into()), FailureKind::WebSocket, "WebSocket: the server says 404"),
        (WireError::Protocol("packet of type 9".into()), FailureKind::Protocol, "follow MQTT: packet of type 9"),
        (
            WireError::Tls(io::Error::other(rustls::Error::InvalidCertificate(rustls::CertificateError::Expired))),
            FailureKind::Tls(TlsFailure::Expired),
            "has expired",
        ),
        (
            WireError::Tls(io::Error::other(rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer,
            ))),
            FailureKind::Tls(TlsFailure::Untrusted),
            "not trusted",
        ),
        (
            WireError::Tls(io::Error::other(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))),
            FailureKind::Tls(TlsFailure::PlainPort),
            "no TLS there",
        ),
    ];
    for (failure, kind, words) in cases {
        let failure = Failure::of(&failure, "leptond-attic");
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.words.contains(words), "{failure:?}: {}", failure.words);
    }
}
