use std::io::{Read, Write};
use std::time::Instant;

use super::*;
use crate::publish::broker::rumqttd;
use crate::publish::mqtt::Mqtt;
use crate::publish::{Class, Config, Message, Publisher};

#[test]
fn a_suback_tells_which_filters_were_refused() {
    let amended = RefCell::new(HashMap::from([(7, vec![true, false, true]), (8, vec![false])]));
    assert_eq!(amend(&amended, &[0x90, 4, 0, 7, 1, 2]), [0x90, 5, 0, 7, 1, 0x80, 2]);
    assert_eq!(amend(&amended, &[0x90, 2, 0, 8]), [0x90, 3, 0, 8, 0x80]);
    assert_eq!(amend(&amended, &[0x90, 3, 0, 9, 1]), [0x90, 3, 0, 9, 1], "nothing was refused there");
    assert!(amended.borrow().is_empty());
    let filters = [("#".to_string(), 1), ("$SYS/#".to_string(), 0), ("a/+".to_string(), 2)];
    assert_eq!(subscribe(7, &filters, &[true, false, true]), b"\x82\x0c\0\x07\0\x01#\x01\0\x03a/+\x02");
}

/// Kills rumqttd behind the gate's back: its panic in the test's output is expected.
#[test]
fn a_dead_rumqttd_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let inner = rumqttd::start().unwrap();
    spawn(listener, inner).unwrap();
    let mqtt = Mqtt::start(&Config { host: "127.0.0.1".into(), port, ..Config::default() }, "attic").unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    assert!(mqtt.flush(deadline));
    let mut killer = std::net::TcpStream::connect(inner).unwrap();
    let hello = Connect { client_id: "killer".into(), username: None, clean: true, keep_alive: 60, will: None };
    killer.write_all(&hello.encode("killer")).unwrap();
    killer.read_exact(&mut [0; 4]).unwrap();
    killer.write_all(&packet::packet(0x30, &packet::string("ä/b".as_bytes()))).unwrap();
    while mqtt.stats().connects < 2 || !mqtt.stats().connected {
        assert!(Instant::now() < deadline, "not connected again");
        std::thread::sleep(Duration::from_millis(10));
    }
    mqtt.publish(Message { topic: "e".into(), payload: b"1".to_vec(), class: Class::Event, timing: None });
    assert!(mqtt.flush(deadline));
}
