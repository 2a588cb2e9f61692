//! Unix sockets, WebSockets, IPv6 and the system's authorities, to a real broker.

use std::path::Path;

use super::*;

/// Publishes an event and gets it back.
fn round_trip(settings: &Config, what: &str, log: impl Fn() -> String) {
    let mqtt = Mqtt::start(settings, "attic").unwrap();
    let own = mqtt.subscribe("leptond/attic/p/event", 4).unwrap();
    assert!(mqtt.wait_subscribed("leptond/attic/p/event", soon()), "{what}: {:?} {}", mqtt.stats(), log());
    let picture: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    mqtt.publish(message(Class::Event, "leptond/attic/p/event", picture.clone()));
    assert!(own.recv_timeout(SOON).unwrap().payload == picture, "{what}");
    assert!(mqtt.stop(soon()), "{what}");
}

#[test]
fn a_unix_socket() {
    let Some(broker) = Mosquitto::with("a_unix_socket", |dir| {
        format!("allow_anonymous true\nlistener 0 {}\n", dir.join("socket").display())
    }) else {
        return;
    };
    let path = broker.dir().join("socket").display().to_string();
    let settings =
        Config { transport: Transport::Unix, path: path.clone(), host: String::new(), ..config(broker.port) };
    round_trip(&settings, "unix", || broker.log());
    assert!(!logs::with(&[&format!("connected to the MQTT broker unix:{path} by MQTT 5")]).is_empty());
}

#[test]
fn a_websocket_that_is_cut_up_and_one_that_is_none() {
    let web = mosquitto::free_port();
    let lines = format!("allow_anonymous true\nlistener {web} 127.0.0.1\nprotocol websockets\n");
    let Some(broker) = Mosquitto::with("a_websocket", |_| lines) else { return };
    let settings = |port| Config { transport: Transport::WebSocket, ..config(port) };
    for protocol in [Protocol::V5, Protocol::V311] {
        round_trip(&Config { protocol, ..settings(web) }, "websocket", || broker.log());
    }
    // A message that is too large is read over without holding it, and the connection stays.
    let big = Mqtt::start(&config(broker.port), "big").unwrap();
    big.publish(message(Class::State, "pictures", vec![0; 900_000]));
    assert!(big.flush(soon()));
    let small = Mqtt::start(&Config { max_packet_bytes: 20_000, ..settings(web) }, "small").unwrap();
    let pictures = small.subscribe("pictures", 2).unwrap();
    wait_until("it is read over", || {
        !logs::with(&[&web.to_string(), "\"pictures\" is over mqtt.max_packet_bytes"]).is_empty()
    });
    big.publish(message(Class::State, "pictures", vec![7; 100]));
    assert_eq!(pictures.recv_timeout(SOON).unwrap().payload, [7; 100]);
    assert_eq!(small.stats().connects, 1);

    // At every byte of it the connection may end.
    let proxy = crate::support::FaultProxy::start(web);
    let mqtt = Mqtt::start(&settings(proxy.port), "cut").unwrap();
    assert!(mqtt.flush(soon()));
    let faults = crate::support::Faults { cut_after: Some(3_333), ..Default::default() };
    proxy.set(crate::support::Direction::ToServer, faults);
    for n in 0..200 {
        mqtt.publish(message(Class::Event, "cut", format!("{n} {}", "x".repeat(40))));
    }
    wait_until("it was cut", || proxy.cuts() >= 2);
    proxy.heal();
    assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());

    let wrong = Mqtt::start(&settings(broker.port), "wrong").unwrap();
    let address = format!("ws://127.0.0.1:{}/mqtt", broker.port);
    wait_until("it is told", || !logs::with(&["WARN", &address]).is_empty());
    assert_eq!(wrong.stats().connects, 0);
}

#[test]
fn encrypted_to_an_ipv6_address_and_over_a_websocket() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        crate::common::skip("encrypted_to_an_ipv6_address", "there is no IPv6 here");
        return;
    }
    let (six, web) = (mosquitto::free_port(), mosquitto::free_port());
    let lines = |dir: &Path| {
        let script = r#"
            set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
                -keyout ca.key -out ca.pem
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr
            printf 'subjectAltName=IP:::1,IP:127.0.0.1\n' > server.ext
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
            chmod 644 *.key"#;
        let done = std::process::Command::new("sh").args(["-c", script]).current_dir(dir).output().expect("sh");
        assert!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
        let file = |name: &str| dir.join(name).display().to_string();
        let tls = format!("certfile {}\nkeyfile {}\n", file("server.pem"), file("server.key"));
        format!("allow_anonymous true\nlistener {six} ::1\n{tls}\nlistener {web} 127.0.0.1\nprotocol websockets\n{tls}")
    };
    let Some(broker) = Mosquitto::with("encrypted_to_an_ipv6_address", lines) else { return };
    let tls = Some(TlsConfig { ca_file: Some(broker.dir().join("ca.pem")), ..TlsConfig::default() });
    round_trip(&Config { host: "::1".into(), tls: tls.clone(), ..config(six) }, "IPv6", || broker.log());
    let wss = Config { transport: Transport::WebSocket, tls, ..config(web) };
    round_trip(&wss, "wss", || broker.log());

    // The system's authorities, of which ours is none.
    let system = Config { host: "::1".into(), tls: Some(TlsConfig::default()), ..config(six) };
    match Mqtt::start(&system, "system") {
        Ok(mqtt) => {
            let told = || logs::with(&["WARN", &format!("[::1]:{six}"), "not trusted"]);
            wait_until("it is not trusted", || !told().is_empty());
            assert_eq!(mqtt.stats().connects, 0);
        }
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}
