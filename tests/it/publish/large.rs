//! A message that is larger than we take, on a topic that we subscribed to.

use super::*;
use crate::mosquitto::Client;

#[test]
fn it_is_read_over_and_everything_else_goes_on() {
    let Some(broker) = Mosquitto::start("it_is_read_over") else { return };
    let Some(client) = Client::find("it_is_read_over") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large");
    std::fs::write(&file, vec![b'x'; 5_000_000]).unwrap();
    let large = |args: &[&str]| {
        let file = file.display().to_string();
        assert!(client.publish(broker.port, &[args, &["-t", "site/request/set", "-f", &file]].concat()));
    };
    large(&["-r", "-q", "1"]);
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let requests = mqtt.subscribe("site/request/#", 4).unwrap();
    let readings = mqtt.subscribe("sensors/+", 4).unwrap();
    assert!(mqtt.flush(soon()));
    let ask =
        |topic: &str, payload: &str| assert!(client.publish(broker.port, &["-q", "1", "-t", topic, "-m", payload]));
    for round in ["1", "2", "3"] {
        ask("site/request/set", round);
        assert_eq!(requests.recv_timeout(SOON).unwrap().payload, round.as_bytes());
        ask("sensors/a", round);
        assert_eq!(readings.recv_timeout(SOON).unwrap().payload, round.as_bytes());
        large(&[]);
        mqtt.publish(message(Class::Event, "leptond/attic/p/event", round));
        assert!(mqtt.flush(soon()));
    }
    // The last large message may still be on its way.
    ask("sensors/a", "end");
    assert_eq!(readings.recv_timeout(SOON).unwrap().payload, b"end");
    let stats = mqtt.stats();
    assert_eq!((stats.connects, stats.abandoned, stats.received_dropped), (1, 0, 4), "{stats:?}");
    let address = format!("127.0.0.1:{}", broker.port);
    let told = logs::with(&["WARN", &address, "\"site/request/set\"", "of 500002", "max_packet_bytes = 1048576"]);
    assert_eq!(told.len(), 1, "once for the topic: {told:?}");
}
