//! Clients that do what they should not to the embedded broker of a running daemon.

use std::io::Write;
use std::net::TcpStream;

use super::scripted::{client, connect, packet, published, read, string};
use super::*;
use crate::daemon::Daemon;

/// A daemon with the broker inside on a free port, which publishes about five results a second.
fn daemon() -> (Daemon, u16) {
    let port = mosquitto::free_port();
    let config = format!(
        r#"
        [node]
        name = "test"
        [broker]
        enabled = true
        listen = "127.0.0.1:{port}"
        [[pipeline]]
        name = "p"
        model = "machine-anomaly"
        source = {{ type = "sensor", kind = "machine", window = 8, interval_ms = 25 }}
        "#
    );
    let daemon = Daemon::start(&config);
    wait_until("the broker listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    (daemon, port)
}

/// A subscriber that waits until it has seen a message of the daemon's on `topic`; its payload.
fn hear(port: u16, topic: &str) -> Vec<u8> {
    let mut stream = client(port, &connect(2, b"ear", &[])).unwrap();
    stream.write_all(&packet(0x82, &[&[0, 1], string(b"leptond/test/#").as_slice(), &[0]].concat())).unwrap();
    loop {
        let (first, body) = read(&mut stream).expect("a message of the daemon's");
        if first >> 4 == 3 {
            let (found, _, payload) = published(first, &body);
            if found == topic {
                return payload;
            }
        }
    }
}

/// Threads and descriptors of the daemon.
fn held(daemon: &Daemon) -> (usize, usize) {
    let count = |dir: &str| std::fs::read_dir(format!("/proc/{}/{dir}", daemon.id())).unwrap().count();
    (count("task"), count("fd"))
}

#[test]
fn bad_clients_split_nothing_and_leave_nothing_behind() {
    let (daemon, port) = daemon();
    hear(port, "leptond/test/p/result");
    // What is measured of the board once is over then.
    daemon.wait_log("the governor's ladder");
    let mut before = held(&daemon);
    wait_until("it is at rest", || {
        let now = held(&daemon);
        std::mem::replace(&mut before, now) == now
    });
    // What is sent first, and what the answer is; none = closed.
    let hellos: Vec<(Vec<u8>, &[u8])> = vec![
        (connect(2 | 4 | 0x18, b"w", &[b"t", b"p"]), &[]),
        (connect(2 | 4, b"w", &[b"#", b"p"]), &[]),
        (connect(2 | 4, b"w", &[b"", b""]), &[]),
        (connect(2 | 4, b"w", &[b"a\0", b""]), &[]),
        (connect(2 | 4, b"w", &["ä".as_bytes(), b""]), &[0x20, 2, 0, 5]),
        (connect(2 | 8, b"w", &[]), &[]),
        (connect(0x42, b"w", &[b"p"]), &[]),
        (connect(0x82, b"w", &[]), &[]),
        (connect(0, b"", &[]), &[0x20, 2, 0, 2]),
        (connect(3, b"w", &[]), &[]),
        (connect(2, &[0xff], &[]), &[]),
        (connect(2, b"w", &[b"rest"]), &[]),
        (packet(0x10, &[string(b"MQTT"), vec![3, 2, 0, 60], string(b"w")].concat()), &[0x20, 2, 0, 1]),
        (packet(0x10, &[string(b"MQIsdp"), vec![3, 2, 0, 60], string(b"w")].concat()), &[0x20, 2, 0, 1]),
        (packet(0x10, &[string(b"MQTT"), vec![5, 2, 0, 60, 0], string(b"w")].concat()), &[0x20, 3, 0, 0x84]),
        (packet(0x82, b"\0\x01\0\x01#\0"), &[]),
        (
            b"GET / HTTP/1.1\r\nHost: board\r\nAccept: everything there is\r\nand so on, for eighty-four bytes\r\n"
                .to_vec(),
            &[],
        ),
        (vec![0x10, 0xff, 0xff, 0xff, 0xff, 0x7f], &[]),
        (vec![0x10, 0xff, 0xff, 0xff, 0x7f], &[]),
    ];
    // What is sent by a client that was let in; it is thrown out.
    let packets: Vec<Vec<u8>> = vec![
        connect(2, b"again", &[]),
        packet(0x36, b"\0\x01a\0\x01hi"),
        packet(0x30, b"\0\0hi"),
        packet(0x30, b"\0\x01#hi"),
        packet(0x30, "\0\u{4}ä/bhi".as_bytes()),
        packet(0x32, b"\0\x01a\0\0hi"),
        packet(0x82, b"\0\x01"),
        packet(0x82, b"\0\x01\0\x01a\x03"),
        packet(0x82, b"\0\x01\0\x02a#\0"),
        packet(0x82, b"\0\x01\0\0\0"),
        packet(0xa2, b"\0\x01"),
        packet(0x40, b"\0\x01"),
        packet(0x20, b"\0\0"),
        packet(0x90, b"\0\x01\0"),
        packet(0xc0, b"x"),
        packet(0xf0, b""),
        vec![0x30, 0xff, 0xff, 0xff, 0x7f],
    ];
    for round in 0..8 {
        for (hello, answer) in &hellos {
            let told = client(port, hello).expect_err("it was let in");
            assert_eq!(told, *answer, "round {round}: {hello:?}");
        }
        for bytes in &packets {
            // Ids that the inner broker would not survive, always the same one.
            let mut stream = client(port, &connect(2, b"a/+#$", &[])).unwrap();
            stream.write_all(bytes).unwrap();
            assert_eq!(read(&mut stream), None, "round {round}: {bytes:?}");
        }
    }
    hear(port, "leptond/test/p/result");
    wait_until("nothing is left behind", || {
        let (threads, descriptors) = held(&daemon);
        threads <= before.0 && descriptors <= before.1
    });
    let log = daemon.log();
    assert!(!log.contains("died") && !log.contains("again after"), "{log}");
    let complaints = log.lines().filter(|line| line.contains("embedded broker")).count();
    assert!((1..10).contains(&complaints), "{complaints} lines for 288 bad clients");
}

#[test]
fn a_client_takes_over_its_id_and_others_are_told_what_they_may() {
    let (_daemon, port) = daemon();
    hear(port, "leptond/test/p/result");
    let mut first = client(port, &connect(2 | 4, b"twin/1", &[b"wills/twin", b"gone"])).unwrap();
    let mut ear = client(port, &connect(2, b"", &[])).unwrap();
    let filters =
        [string(b"$SYS/#").as_slice(), &[0], &string(b"wills/#"), &[1], &string(b"$share/g/x"), &[1]].concat();
    ear.write_all(&packet(0x82, &[&[0, 9], filters.as_slice()].concat())).unwrap();
    assert_eq!(read(&mut ear), Some((0x90, vec![0, 9, 0x80, 1, 0x80])), "there is nothing under $");
    // The second client of that id is served, the first one goes, and its will is told.
    let mut second = client(port, &connect(2, b"twin/1", &[])).unwrap();
    assert_eq!(read(&mut first), None);
    let (kind, body) = read(&mut ear).unwrap();
    assert_eq!(published(kind, &body).0, "wills/twin");
    second
        .write_all(&packet(0xa2, &[&[0, 5], string(b"never/asked").as_slice(), &string(b"nor/this")].concat()))
        .unwrap();
    assert_eq!(read(&mut second), Some((0xb0, vec![0, 5])), "one answer");
    second.write_all(&packet(0xc0, b"")).unwrap();
    assert_eq!(read(&mut second), Some((0xd0, vec![])));
}

#[test]
fn retained_messages_do_not_fill_the_memory() {
    let (daemon, port) = daemon();
    hear(port, "leptond/test/p/result");
    daemon.wait_log("the governor's ladder");
    let before = daemon.rss_bytes();
    let mut stream = client(port, &connect(2, b"flood", &[])).unwrap();
    let payload = vec![b'x'; 5000];
    for n in 0..16_000 {
        stream.write_all(&packet(0x31, &[string(format!("flood/{n}").as_bytes()), payload.clone()].concat())).unwrap();
    }
    // All of it was taken when this comes back.
    stream.write_all(&packet(0x32, &[string(b"end"), vec![0, 7]].concat())).unwrap();
    assert_eq!(read(&mut stream), Some((0x40, vec![0, 7])));
    let grown = daemon.rss_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{} MiB more for 76 MiB of retained messages", grown >> 20);
    assert_eq!(hear(port, "leptond/test/state"), br#"{"state":"online"}"#, "the daemon has room of its own");
    let log = daemon.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("does not keep it")).collect();
    assert!((1..=2).contains(&told.len()) && told[0].contains("2048 topics and 8 MiB"), "{told:?}");
}
