use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::publish::broker::packet;

fn options(port: u16) -> Options {
    Options {
        host: "127.0.0.1".into(),
        port,
        way: Way::Tcp,
        version: Version::V311,
        may_fall_back: false,
        client_id: "leptond-attic".into(),
        login: None,
        will: None,
        keep_alive: Duration::from_secs(30),
        packet_bytes: 20_000,
        tls: None,
        timeout: Duration::from_secs(10),
    }
}

/// A broker for one connection: it answers CONNECT, sends `says` at once, and returns the bytes received up to the end, or up to
/// `enough` bytes.
fn broker(says: Vec<u8>, enough: usize) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut client, _) = listener.accept().unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut hello = [0; 27];
        client.read_exact(&mut hello).unwrap();
        client.write_all(&[&[0x20, 2, 0, 0], says.as_slice()].concat()).unwrap();
        let mut heard = Vec::new();
        let mut chunk = [0; 4096];
        while heard.len() < enough {
            match client.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => heard.extend_from_slice(&chunk[..count]),
            }
        }
        heard
    };
    (port, std::thread::spawn(serve))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn a_message_that_is_too_large_is_read_over_and_acknowledged() {
    let message = |topic: &str, id: u16, bytes: usize| {
        let body = [packet::string(topic.as_bytes()), id.to_be_bytes().to_vec(), vec![b'x'; bytes]].concat();
        packet::packet(0x32, &body)
    };
    let says = [message("a", 1, 3), message("b/c", 2, 5_000_000), message("a", 3, 4)].concat();
    let (port, broker) = broker(says, 12);
    let (_client, mut wire) = Wire::new(options(port), 4);
    run(async {
        assert!(matches!(wire.poll().await.unwrap(), Event::Connected(_)));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(match wire.poll().await.unwrap() {
                Event::Message(message) => format!("{} {}", message.topic, message.payload.len()),
                Event::Skipped(skipped) => format!("skipped {} {}", skipped.topic, skipped.bytes),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(seen, ["a 3", "skipped b/c 5000012", "a 4"]);
        assert!(matches!(wire.poll().await, Err(WireError::Closed | WireError::Broken(_))));
    });
    let acknowledged = [[0x40, 2, 0, 1], [0x40, 2, 0, 2], [0x40, 2, 0, 3]].concat();
    assert_eq!(broker.join().unwrap(), acknowledged);
}

#[test]
fn what_is_published_is_told_when_it_was_written() {
    let (port, broker) = broker(vec![0x40, 2, 0, 1], usize::MAX);
    let (client, mut wire) = Wire::new(options(port), 4);
    let message = |payload: &[u8], acknowledged| Publication {
        topic: "t".into(),
        payload: payload.into(),
        acknowledged,
        retain: acknowledged,
        ..Publication::default()
    };
    client.publish(message(b"one", true), Origin::Queue).unwrap();
    client.publish(message(b"two", false), Origin::Housekeeping).unwrap();
    client.subscribe("a/#").unwrap();
    client.disconnect().unwrap();
    assert!(client.subscribe("one too many").is_err(), "nothing waits");
    run(async {
        let mut written = Vec::new();
        loop {
            match wire.poll().await {
                Ok(Event::Written(id, origin)) => written.push((id, origin)),
                Ok(Event::Disconnected) => break,
                // The acknowledgement may arrive before the message was fully written: this broker sends it at once.
                Ok(_) | Err(WireError::Protocol(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(written, [(1, Origin::Queue), (0, Origin::Housekeeping)]);
    });
    drop(wire);
    let heard = broker.join().unwrap();
    let expected = [
        packet::packet(0x33, b"\0\x01t\0\x01one"),
        packet::packet(0x30, b"\0\x01ttwo"),
        packet::packet(0x82, b"\0\x02\0\x03a/#\0"),
        packet::packet(0xe0, b""),
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn how_it_ends_is_told_apart() {
    let first = |answer: &'static [u8], reset: bool| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            // Closing a socket with unread data resets the connection.
            let mut hello = vec![0; if reset { 1 } else { 27 }];
            client.read_exact(&mut hello).unwrap();
            client.write_all(answer).unwrap();
        });
        let (_client, mut wire) = Wire::new(options(port), 4);
        let end = run(async {
            loop {
                if let Err(failure) = wire.poll().await {
                    return failure;
                }
            }
        });
        serve.join().unwrap();
        end
    };
    assert!(matches!(first(&[], false), WireError::Closed));
    assert!(matches!(first(&[], true), WireError::Broken(_)));
    assert!(matches!(first(&[0x20, 2, 0, 0], false), WireError::Closed));
    assert!(matches!(first(&[0x20, 2, 0, 2], false), WireError::Refused { code: 2, .. }));
    assert!(matches!(first(&[0x20, 2, 0, 5], false), WireError::Refused { code: 5, .. }));
    assert!(matches!(first(&[0x20, 2, 0, 9], false), WireError::Protocol(_)));
    // It reads as the beginning of a longer packet.
    assert!(matches!(first(b"HTTP/1.1 400 Bad Request\r\n\r\n", false), WireError::Closed));
    assert!(matches!(first(&[0x20, 2, 0, 0, 0x20, 2, 0, 0], false), WireError::Protocol(_)));
}

#[test]
fn a_broker_that_says_nothing_is_given_up() {
    let (port, broker) = broker(Vec::new(), usize::MAX);
    let quick = Options { keep_alive: Duration::from_millis(50), ..options(port) };
    let (_client, mut wire) = Wire::new(quick, 4);
    run(async {
        assert!(matches!(wire.poll().await.unwrap(), Event::Connected(_)));
        assert!(matches!(wire.poll().await, Err(WireError::Silent)));
    });
    drop(wire);
    assert_eq!(broker.join().unwrap(), [0xc0, 0], "one ping");
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Bytes of a hostile broker to one client.
fn hostile(seed: u64, version: Version) -> Vec<u8> {
    let mut random = Random(seed);
    let welcome: &[u8] = if version == Version::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    let known: [&[u8]; 14] = [
        welcome,
        &[0x20, 2, 1, 0],
        &[0x40, 2, 0, 1],
        &[0x40, 2, 0, 9],
        &[0x40, 4, 0, 1, 0x97, 0],
        &[0x90, 3, 0, 1, 0],
        &[0x90, 4, 0, 1, 0, 0x80],
        &[0x90, 5, 0, 1, 0, 0, 0],
        &[0xb0, 2, 0, 3],
        &[0xd0, 0],
        &[0x32, 7, 0, 1, b't', 0, 5, 0, b'x'],
        &[0x34, 7, 0, 1, b't', 0, 5, 0, b'x'],
        &[0x62, 2, 0, 5],
        &[0xe0, 2, 0x8e, 0],
    ];
    let mut all = if random.below(4) > 0 { welcome.to_vec() } else { Vec::new() };
    for _ in 0..random.below(12) {
        let mut packet = known[random.below(known.len())].to_vec();
        for _ in 0..random.below(3) {
            let at = random.below(packet.len());
            match random.below(3) {
                0 => packet[at] = random.next() as u8,
                1 => packet.truncate(at.max(1)),
                _ => packet.insert(at, random.next() as u8),
            }
        }
        all.extend(packet);
    }
    all
}

#[test]
fn a_hostile_broker_ends_its_own_connection_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let version = |seed: u64| if seed.is_multiple_of(2) { Version::V5 } else { Version::V311 };
    let seeds = 2_000;
    let serve = std::thread::spawn(move || {
        for seed in 0..seeds {
            let (mut client, _) = listener.accept().unwrap();
            let mut hello = [0; 256];
            let _part = client.read(&mut hello).unwrap();
            let _ = client.write_all(&hostile(seed, version(seed)));
        }
    });
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..seeds {
        let (client, mut wire) = Wire::new(Options { version: version(seed), ..options(port) }, 8);
        client.subscribe("a/#").unwrap();
        let message = Publication { topic: "t".into(), acknowledged: true, ..Publication::default() };
        client.publish(message, Origin::Queue).unwrap();
        let end = run(async {
            for _ in 0..1_000 {
                match timeout(Duration::from_secs(5), wire.poll()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(end)) => return end,
                    Err(_) => panic!("{seed}: it waits for ever"),
                }
            }
            panic!("{seed}: events without end");
        });
        *ends.entry(format!("{end:?}").split(['(', ' ']).next().unwrap().to_owned()).or_default() += 1;
    }
    serve.join().unwrap();
    for kind in ["Closed", "Protocol", "Disconnected", "Refused"] {
        assert!(ends.contains_key(kind), "{ends:?}");
    }
}
