use proptest::prelude::*;

use super::*;

fn refused(packet: &[u8]) -> Option<(u8, Option<String>)> {
    match connack(Version::V5, packet) {
        Err(WireError::Refused { code, reason }) => Some((code, reason)),
        _ => None,
    }
}

#[test]
fn answers_to_connect() {
    use Version::{V5, V311};
    assert_eq!(connack(V311, &[0x20, 2, 0, 0]).unwrap(), Granted::default());
    assert_eq!(connack(V5, &[0x20, 3, 0, 0, 0]).unwrap(), Granted::default());
    let all = [0x20, 14, 1, 0, 11, 0x21, 0, 20, 0x25, 0, 0x13, 0, 9, 0x29, 0, 0];
    assert!(connack(V5, &all[..15]).is_err(), "cut short");
    let granted = connack(V5, &[0x20, 13, 0, 0, 10, 0x21, 0, 20, 0x25, 0, 0x13, 0, 9, 0x29, 0]).unwrap();
    assert_eq!(granted, Granted { receive_maximum: 20, retains: false, keep_alive_s: Some(9) });
    // A broker that knows MQTT 3.1.1 only, and one that says so in the way of MQTT 5.
    assert_eq!(refused(&[0x20, 2, 0, 1]), Some((1, None)));
    assert_eq!(refused(&[0x20, 3, 0, 0x84, 0]), Some((0x84, None)));
    assert_eq!(refused(&[0x20, 8, 0, 0x8a, 5, 0x1f, 0, 2, b'n', b'o']), Some((0x8a, Some("no".into()))));
    assert_eq!(refused(&[0x20, 3, 0, 0xff, 0]).map(|(code, _)| code), Some(0xff), "a code of a later time");
    assert_eq!(refused(&[0x20, 5, 0, 0, 2, 0x24, 0]).map(|(code, _)| code), Some(0x9b), "no acknowledged messages");
    for wrong in [
        &[0x20, 2, 0, 0][..],
        &[0x20, 0],
        &[0x20, 1, 0],
        &[0x30, 2, 0, 0],
        &[0x20, 3, 0, 7, 0],
        &[0x20, 6, 0, 0, 3, 0x21, 0, 0],
        &[0x20, 3, 2, 0, 0],
    ] {
        let answer = connack(V5, wrong);
        assert!(matches!(answer, Err(WireError::Protocol(_))), "{wrong:x?}: {answer:?}");
    }
    assert!(matches!(connack(V311, &[0x20, 2, 0, 9]), Err(WireError::Protocol(_))));
    assert!(matches!(connack(V311, &[0x20, 3, 0, 0, 0]), Err(WireError::Protocol(_))));
}

#[test]
fn answers_of_mqtt_5_have_reasons() {
    let packet = |bytes: &[u8]| decode(Version::V5, bytes).unwrap();
    let no = || Some("no".to_owned());
    assert_eq!(packet(&[0x40, 2, 0, 7]), Incoming::PubAck { id: 7, refused: None });
    assert_eq!(packet(&[0x40, 3, 0, 7, 0x10]), Incoming::PubAck { id: 7, refused: None }, "nobody listens");
    let refused = Some("QuotaExceeded".into());
    assert_eq!(packet(&[0x40, 3, 0, 7, 0x97]), Incoming::PubAck { id: 7, refused });
    let said = [0x40, 9, 0, 7, 0x87, 5, 0x1f, 0, 2, b'n', b'o'];
    assert_eq!(packet(&said), Incoming::PubAck { id: 7, refused: no() });
    let suback = [0x90, 9, 0, 7, 5, 0x1f, 0, 2, b'n', b'o', 0x87];
    assert_eq!(packet(&suback), Incoming::SubAck { id: 7, refused: vec![no()] });
    assert_eq!(packet(&[0x90, 4, 0, 7, 0, 1]), Incoming::SubAck { id: 7, refused: vec![None] });
    for bytes in [&[0xe0, 0][..], &[0xe0, 1, 0x8e], &[0xe0, 2, 0x8e, 0]] {
        let code = bytes.get(2).copied().unwrap_or_default();
        assert_eq!(packet(bytes), Incoming::Disconnect { code, reason: None });
    }
    for unexpected in [&[0x20, 3, 0, 0, 0][..], &[0xc0, 0], &[0xf0, 2, 0, 0], &[0x10, 2, 0, 0]] {
        assert!(matches!(decode(Version::V5, unexpected), Err(WireError::Protocol(_))), "{unexpected:x?}");
    }
    assert!(decode(Version::V311, &[0xe0, 0]).is_err(), "MQTT 3.1.1 knows none from a broker");
}

#[test]
fn a_message_has_its_properties_in_mqtt_5_only() {
    let publication = Publication {
        topic: "t".into(),
        payload: b"{}".into(),
        acknowledged: true,
        retain: true,
        properties: Properties {
            content_type: Some("application/json"),
            expiry_s: Some(5),
            user: vec![("seq".into(), "9".into())],
        },
    };
    let old = encode(Version::V311, Outgoing::Publish(publication.clone(), 7), 100).unwrap();
    assert_eq!(old.as_ref(), b"\x33\x07\0\x01t\0\x07{}");
    let new = encode(Version::V5, Outgoing::Publish(publication.clone(), 7), 100).unwrap();
    let v5::Packet::Publish(read) = v5::Packet::read(&mut new.as_ref().into(), None).unwrap() else { panic!() };
    let properties = read.properties.unwrap();
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    assert_eq!(properties.message_expiry_interval, Some(5));
    assert_eq!(properties.user_properties, [("seq".to_owned(), "9".to_owned())]);
    for version in [Version::V311, Version::V5] {
        assert!(encode(version, Outgoing::Publish(publication.clone(), 7), 8).is_err(), "over the limit");
    }
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let kinds = [0x20u8, 0x30, 0x32, 0x34, 0x3f, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0, 0xf0, 0x10];
    (prop::sample::select(kinds.to_vec()), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(kind, body)| {
        let mut packet = vec![kind, body.len() as u8];
        packet.extend(body);
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn no_packet_panics(packet in packets(), noise: Vec<u8>) {
        for version in [Version::V311, Version::V5] {
            for bytes in [&packet, &noise] {
                let _ = decode(version, bytes);
                let _ = connack(version, bytes);
            }
        }
    }
}
