use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::publish::broker::packet;

fn options(port: u16) -> Options {
    Options {
        host: "127.0.0.1".into(),
        port,
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
        assert!(matches!(wire.poll().await.unwrap(), Event::Connected));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(match wire.poll().await.unwrap() {
                Event::Incoming(Packet::Publish(publish)) => format!("{} {}", publish.topic, publish.payload.len()),
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
    client.publish("t".into(), QoS::AtLeastOnce, true, b"one".to_vec()).unwrap();
    client.publish("t".into(), QoS::AtMostOnce, false, b"two".to_vec()).unwrap();
    client.subscribe("a/#").unwrap();
    client.disconnect().unwrap();
    assert!(client.subscribe("one too many").is_err(), "nothing waits");
    run(async {
        let mut written = Vec::new();
        loop {
            match wire.poll().await {
                Ok(Event::Written(id)) => written.push(id),
                Ok(Event::Disconnected) => break,
                // The acknowledgement may arrive before the message was fully written: this broker sends it at once.
                Ok(_) | Err(WireError::Protocol(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(written, [1, 0]);
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
    assert!(matches!(first(&[0x20, 2, 0, 2], false), WireError::Refused(ConnectReturnCode::BadClientId)));
    assert!(matches!(first(&[0x20, 2, 0, 5], false), WireError::Refused(ConnectReturnCode::NotAuthorized)));
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
        assert!(matches!(wire.poll().await.unwrap(), Event::Connected));
        assert!(matches!(wire.poll().await, Err(WireError::Silent)));
    });
    drop(wire);
    assert_eq!(broker.join().unwrap(), [0xc0, 0], "one ping");
}
