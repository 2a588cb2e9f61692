//! Passwords and certificates.

use std::path::Path;
use std::process::Command;

use super::*;

fn passwords(dir: &Path, user: &str, password: &str) {
    let file = dir.join("passwords");
    let done = Command::new("mosquitto_passwd").arg("-b").arg("-c").arg(&file).args([user, password]).status();
    assert!(done.expect("mosquitto_passwd comes with mosquitto").success());
}

#[test]
fn a_refused_password_is_told_once_and_tried_again() {
    let config_of = |dir: &Path| {
        passwords(dir, "attic", "old");
        format!("allow_anonymous false\npassword_file {}\n", dir.join("passwords").display())
    };
    let Some(mut broker) = Mosquitto::with("a_refused_password", config_of) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "new\n").unwrap();
    let settings = Config { username: "attic".into(), password_file: Some(file), ..config(broker.port) };
    let mqtt = Mqtt::start(&settings, "attic").unwrap();
    let address = format!("127.0.0.1:{}", broker.port);
    let told = || logs::with(&["WARN", &address, "user name"]);
    wait_until("the refusal is told", || !told().is_empty());
    assert!(!mqtt.stats().connected);
    passwords(broker.dir(), "attic", "new");
    broker.restart();
    assert!(mqtt.flush(soon()), "{}", broker.log());
    assert_eq!(told().len(), 1, "{:?}", told());
    assert!(!logs::with(&["new", "secret"]).iter().any(|l| l.contains("password=")), "no password in the log");
}

/// Makes an authority, a certificate for `localhost` and 127.0.0.1, and one for a client.
fn certificates(dir: &Path) {
    let script = r#"
        set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
            -keyout ca.key -out ca.pem
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
            -keyout other.key -out other.pem
        for name in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > $name.ext
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
        done
        chmod 644 *.key"#;
    let done = Command::new("sh").args(["-c", script]).current_dir(dir).output().expect("sh");
    assert!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn encrypted_with_a_certificate_of_our_own() {
    let config_of = |dir: &Path| {
        certificates(dir);
        let file = |name: &str| dir.join(name).display().to_string();
        format!(
            "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
            file("ca.pem"),
            file("server.pem"),
            file("server.key")
        )
    };
    let Some(broker) = Mosquitto::with("encrypted", config_of) else { return };
    let file = |name: &str| broker.dir().join(name);
    let text = |name: &str| file(name).display().to_string();
    let tls = TlsConfig {
        ca_file: Some(file("ca.pem")),
        cert_file: Some(file("client.pem")),
        key_file: Some(file("client.key")),
    };
    let settings = |host: &str, tls| Config { host: host.into(), tls, ..config(broker.port) };
    let sub_tls = ["--cafile", &text("ca.pem"), "--cert", &text("client.pem"), "--key", &text("client.key")];
    let listener = broker.listen_with("leptond/#", &sub_tls);
    for (node, host) in [("by-name", "localhost"), ("by-address", "127.0.0.1")] {
        let mqtt = Mqtt::start(&settings(host, Some(tls.clone())), node).unwrap();
        mqtt.publish(message(Class::Event, &format!("leptond/{node}/p/event"), vec![7; 200_000]));
        assert!(mqtt.flush(soon()), "{}", broker.log());
        assert!(mqtt.stop(soon()));
    }
    listener.wait_for("both events", |m| m.iter().filter(|m| m.payload == vec![7; 200_000]).count() == 2);

    // A broker that is signed by somebody else is not spoken to, and the log says why.
    let wrong = TlsConfig { ca_file: Some(file("other.pem")), ..tls.clone() };
    let mqtt = Mqtt::start(&settings("127.0.0.1", Some(wrong)), "wrong").unwrap();
    let address = format!("127.0.0.1:{}", broker.port);
    wait_until("the cause is told", || !logs::with(&["WARN", &address, "TLS failed", "certificate"]).is_empty());
    assert_eq!(mqtt.stats().connects, 0);
    drop(mqtt);

    // The key must belong to the certificate: found at the start.
    let mixed = TlsConfig { key_file: Some(file("other.key")), ..tls };
    let error = Mqtt::start(&settings("127.0.0.1", Some(mixed)), "mixed").err().map(|e| e.to_string());
    assert!(error.as_ref().is_some_and(|e| e.contains("client.pem")), "{error:?}");
}
