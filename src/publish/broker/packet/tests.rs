use super::*;

/// A CONNECT out of its parts: `tail` follows the client id.
fn connect(protocol: &[u8], level: u8, flags: u8, id: &[u8], tail: &[&[u8]]) -> Vec<u8> {
    let mut body = string(protocol);
    body.extend([level, flags, 0, 60]);
    body.extend(string(id));
    tail.iter().for_each(|part| body.extend(string(part)));
    packet(0x10, &body)
}

fn plain(flags: u8, id: &[u8], tail: &[&[u8]]) -> Vec<u8> {
    connect(b"MQTT", 4, flags, id, tail)
}

#[test]
fn clients_are_let_in_as_the_standard_says() {
    for (bytes, id, clean) in [
        (plain(2, b"attic.2", &[]), "attic.2", true),
        (plain(0, b"attic", &[]), "attic", false),
        (plain(2, b"", &[]), "", true),
        (plain(2, b"a/b+c#$d", &[]), "a/b+c#$d", true),
        (plain(2, "küche".as_bytes(), &[]), "küche", true),
        (plain(2, &[b'x'; 300], &[]), &*"x".repeat(300), true),
        (plain(0xc2, b"u", &[b"user", b"pass"]), "u", true),
        (plain(0x82, b"u", &[b"user"]), "u", true),
        (plain(0xc2, b"u", &[b"", &[0, 0xff]]), "u", true),
        (plain(2 | 4 | 0x08 | 0x20, b"w", &[b"a/state", b"gone"]), "w", true),
        (plain(2 | 4 | 0x10, b"w", &[b"a", b""]), "w", true),
        (plain(2 | 4 | 0xc0, b"w", &[b"a", b"gone", b"user", b"pass"]), "w", true),
    ] {
        let connect = Connect::parse(&bytes).unwrap_or_else(|e| panic!("{bytes:?}: {e:?}"));
        assert_eq!((connect.client_id.as_str(), connect.clean), (id, clean));
        let again = Connect::parse(&connect.encode("inner")).unwrap();
        assert_eq!(again, Connect { client_id: "inner".into(), username: None, ..connect });
    }
}

#[test]
fn everything_else_is_answered_or_closed_as_the_standard_says() {
    let code = |code: u8| vec![0x20, 2, 0, code];
    for (bytes, answer, word) in [
        (connect(b"MQTT", 5, 2, b"a", &[]), vec![0x20, 3, 0, 0x84, 0], "MQTT 5"),
        (connect(b"MQIsdp", 3, 2, b"a", &[]), code(1), "MQIsdp level 3"),
        (connect(b"MQTT", 3, 2, b"a", &[]), code(1), "level 3"),
        (connect(b"MQTT", 0x84, 2, b"a", &[]), code(1), "level 132"),
        (connect(b"MQTT", 0, 2, b"a", &[]), code(1), "level 0"),
        (connect(b"mqtt", 4, 2, b"a", &[]), vec![], "protocol name"),
        (connect(b"", 4, 2, b"a", &[]), vec![], "protocol name"),
        (connect(&[0xff; 4], 4, 2, b"a", &[]), vec![], "not UTF-8"),
        (plain(0, b"", &[]), code(2), "empty client id"),
        (plain(3, b"a", &[]), vec![], "reserved"),
        (plain(2 | 0x08, b"a", &[]), vec![], "will"),
        (plain(2 | 0x20, b"a", &[]), vec![], "will"),
        (plain(2 | 4 | 0x18, b"a", &[b"t", b"p"]), vec![], "QoS 3"),
        (plain(2 | 4, b"a", &[b"", b"p"]), vec![], "empty"),
        (plain(2 | 4, b"a", &[b"#", b"p"]), vec![], "wildcard"),
        (plain(2 | 4, b"a", &[b"a/+/b", b"p"]), vec![], "wildcard"),
        (plain(2 | 4, b"a", &[b"a\0b", b"p"]), vec![], "NUL"),
        (plain(2 | 4, b"a", &[&[0xc3], b"p"]), vec![], "not UTF-8"),
        (plain(2 | 4, b"a", &["ä/state".as_bytes(), b"p"]), code(5), "beyond ASCII"),
        (plain(0x42, b"a", &[b"p"]), vec![], "without a user name"),
        (plain(0x82, b"a", &[]), vec![], "user name"),
        (plain(0xc2, b"a", &[b"u"]), vec![], "password"),
        (plain(0x82, b"a", &[&[0xff]]), vec![], "not UTF-8"),
        (plain(2, &[0xff], &[]), vec![], "not UTF-8"),
        (plain(2, b"a\0", &[]), vec![], "NUL"),
        (plain(2, b"a", &[b"rest"]), vec![], "6 bytes too many"),
        (packet(0x11, &plain(2, b"a", &[])[2..]), vec![], "flags"),
        (b"GET / HTTP/1.1\r\n".to_vec(), vec![], "not an MQTT CONNECT"),
        (packet(0x30, b"\0\x01ab"), vec![], "not an MQTT CONNECT"),
        (vec![], vec![], "not an MQTT CONNECT"),
    ] {
        let refused = Connect::parse(&bytes).expect_err(word);
        assert!(refused.reason.contains(word), "{word}: {refused:?}");
        assert_eq!(refused.answer, answer, "{refused:?}");
    }
}

#[test]
fn a_connect_cut_short_anywhere_is_refused() {
    let whole = plain(2 | 4 | 0xc0, b"attic", &[b"a/state", b"gone", b"user", b"pass"]);
    for length in 0..whole.len() {
        assert!(Connect::parse(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn no_keep_alive_becomes_the_longest() {
    let mut bytes = plain(2, b"a", &[]);
    bytes[10..12].fill(0);
    let encoded = Connect::parse(&bytes).unwrap().encode("a");
    assert_eq!(Connect::parse(&encoded).unwrap().keep_alive, u16::MAX);
}

#[test]
fn later_packets_are_told_apart() {
    let publish = |topic: &str, retain| Packet::Publish { topic: topic.into(), retain, payload_bytes: 2 };
    let filters = |all: &[(&str, u8)]| all.iter().map(|(f, q)| ((*f).to_string(), *q)).collect();
    for (bytes, expected) in [
        (packet(0x30, b"\0\x01ahi"), publish("a", false)),
        (packet(0x31, b"\0\x01ahi"), publish("a", true)),
        (packet(0x3a, b"\0\x03a/b\0\x07hi"), publish("a/b", false)),
        (packet(0x34, b"\0\x01a\0\x07hi"), publish("a", false)),
        (
            packet(0x30, "\0\u{4}b/ä".as_bytes()),
            Packet::Publish { topic: "b/ä".into(), retain: false, payload_bytes: 0 },
        ),
        (
            packet(0x82, b"\0\x09\0\x01#\x01\0\x03a/+\0"),
            Packet::Subscribe { packet_id: 9, filters: filters(&[("#", 1), ("a/+", 0)]) },
        ),
        (packet(0xa2, b"\0\x09\0\x01#"), Packet::Unsubscribe { packet_id: 9 }),
        (packet(0x40, b"\0\x01"), Packet::Other),
        (packet(0x62, b"\0\x01"), Packet::Other),
        (packet(0xc0, b""), Packet::Other),
        (packet(0xe0, b""), Packet::Disconnect),
    ] {
        assert_eq!(examine(&bytes), Ok(expected), "{bytes:?}");
    }
}

#[test]
fn later_packets_that_break_the_standard_close_the_connection() {
    for (bytes, word) in [
        (plain(2, b"a", &[]), "second CONNECT"),
        (packet(0x36, b"\0\x01a\0\x01hi"), "QoS 3"),
        (packet(0x30, b"\0\0hi"), "empty"),
        (packet(0x30, b"\0\x01#"), "wildcard"),
        (packet(0x30, b"\0\x03a/+"), "wildcard"),
        (packet(0x30, b"\0\x03a\0b"), "NUL"),
        (packet(0x30, b"\0\x01\xff"), "not UTF-8"),
        (packet(0x30, b"\0\x09a"), "cut short"),
        (packet(0x30, b""), "cut short"),
        (packet(0x30, "\0\u{4}ä/b".as_bytes()), "beyond ASCII"),
        (packet(0x32, b"\0\x01a\0\0hi"), "packet id 0"),
        (packet(0x32, b"\0\x01a\0"), "packet id"),
        (packet(0x82, b"\0\x01"), "SUBSCRIBE to nothing"),
        (packet(0x82, b"\0\0\0\x01a\0"), "packet id 0"),
        (packet(0x82, b"\0\x01\0\x01a\x03"), "QoS 0x3"),
        (packet(0x82, b"\0\x01\0\x01a\x81"), "QoS 0x81"),
        (packet(0x82, b"\0\x01\0\x01a"), "cut short"),
        (packet(0x82, b"\0\x01\0\0\0"), "not a topic filter"),
        (packet(0x82, b"\0\x01\0\x03#/a\0"), "not a topic filter"),
        (packet(0x82, b"\0\x01\0\x02a#\0"), "not a topic filter"),
        (packet(0x80, b"\0\x01\0\x01a\0"), "flags"),
        (packet(0xa2, b"\0\x01"), "UNSUBSCRIBE from nothing"),
        (packet(0x60, b"\0\x01"), "flags"),
        (packet(0x40, b"\0\0"), "packet id 0"),
        (packet(0x40, b"\0\x01x"), "too long"),
        (packet(0x40, b""), "packet id"),
        (packet(0xc0, b"x"), "not empty"),
        (packet(0xe0, b"x"), "not empty"),
        (packet(0xc1, b""), "flags"),
        (packet(0x20, b"\0\0"), "type 2"),
        (packet(0x90, b"\0\x01\0"), "type 9"),
        (packet(0xb0, b"\0\x01"), "type 11"),
        (packet(0xd0, b""), "type 13"),
        (packet(0x00, b""), "type 0"),
        (packet(0xf0, b""), "type 15"),
        (vec![], "type 0"),
    ] {
        let reason = examine(&bytes).expect_err(word);
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

#[test]
fn the_remaining_length_has_as_many_bytes_as_it_needs() {
    for (body, header) in [(0, 2), (127, 2), (128, 3), (16_383, 3), (16_384, 4), (2_097_152, 5)] {
        assert_eq!(packet(0x30, &vec![0; body]).len(), header + body, "{body}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes: Vec<u8>, first in 0u8..=255) {
        let _ = Connect::parse(&bytes);
        let _ = examine(&bytes);
        let framed = packet(first, &bytes);
        let _ = Connect::parse(&framed);
        let _ = examine(&framed);
    }

    /// A CONNECT with one byte changed is refused, or means something else that is valid for rumqttd as well.
    #[test]
    fn a_damaged_connect_is_refused_or_valid(at in 2usize..40, byte: u8) {
        let mut bytes = plain(2 | 4 | 0xc0, b"attic", &[b"a/state", b"gone", b"user", b"pass"]);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        if let Ok(connect) = Connect::parse(&bytes) {
            proptest::prop_assert!(Connect::parse(&connect.encode("inner")).is_ok());
        }
    }
}
