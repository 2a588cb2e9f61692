//! `leptond doctor` as a person runs it: with brokers that refuse, and as a script reads it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common;
use crate::mosquitto::{Mosquitto, free_port};

/// A configuration that needs no device.
fn configuration(dir: &Path, mqtt: &str) -> std::path::PathBuf {
    let file = dir.join("leptond.toml");
    let state = dir.join("state");
    let text = format!(
        "[node]\nname = \"attic\"\nstate_dir = {state:?}\n[mqtt]\nhost = \"127.0.0.1\"\n{mqtt}\n[[pipeline]]\nname = \"water\"\n\
         model = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"synthetic\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn doctor(file: &Path, args: &[&str]) -> Output {
    let mut command = common::leptond();
    command.arg("doctor").arg("--config").arg(file).args(args);
    for name in ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// The finding of a group, from `--json`.
fn finding(output: &Output, group: &str) -> Value {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let groups = json["groups"].as_array().unwrap();
    let found = groups.iter().find(|g| g["name"] == group).unwrap_or_else(|| panic!("no {group}: {json:#}"));
    found["findings"][0].clone()
}

/// Runs the doctor against a broker and looks at what it says of it.
fn check(mqtt: &str, level: &str, parts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let output = doctor(&configuration(dir.path(), mqtt), &["--json"]);
    let broker = finding(&output, "broker");
    assert_eq!(broker["level"], level, "{broker:#}");
    for part in parts {
        assert!(broker.to_string().contains(part), "{part}: {broker:#}");
    }
    if level == "trouble" {
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_closed_port() {
    check(&format!("port = {}", free_port()), "trouble", &["connection refused", "sudo apt install mosquitto"]);
}

#[test]
fn a_broker_that_works() {
    let Some(broker) = Mosquitto::start("doctor: a broker that works") else { return };
    let mqtt = format!("port = {}", broker.port);
    let listener = broker.listen("#");
    check(&mqtt, "ok", &["a message came back"]);
    assert!(listener.messages().iter().all(|m| !m.retain), "{:?}", listener.messages());
    let dir = tempfile::tempdir().unwrap();
    let output = doctor(&configuration(dir.path(), &mqtt), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "\nbroker\n  ok        broker: 127.0.0.1:",
        "\nmodels\n  ok        model: water: leptonnet-digits",
        "\nstorage\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\x1b'), "no colour in a pipe: {text}");
}

#[test]
fn a_broker_that_hangs() {
    let Some(broker) = Mosquitto::start("doctor: a broker that hangs") else { return };
    broker.freeze();
    check(&format!("port = {}", broker.port), "trouble", &["does not answer as a broker", "restart mosquitto"]);
    broker.thaw();
}

#[test]
fn a_wrong_password() {
    let Some(broker) = Mosquitto::with("doctor: a wrong password", |_| "allow_anonymous false\n".into()) else {
        return;
    };
    let port = broker.port;
    check(&format!("port = {port}"), "trouble", &["wants a user name", "leptond setup --config"]);
    let mqtt = format!("port = {port}\nusername = \"pi\"\npassword = \"s3cret\"");
    check(&mqtt, "trouble", &["mosquitto_passwd", "passwd pi"]);
    let dir = tempfile::tempdir().unwrap();
    let output = doctor(&configuration(dir.path(), &mqtt), &[]);
    let all = format!("{output:?}");
    assert!(!all.contains("s3cret"), "{all}");
    assert!(all.contains("sudo chmod o-r"), "a password that others may read is told: {all}");
}

#[test]
fn an_access_list_that_denies() {
    for (acl, level) in [("topic readwrite leptond/attic/#\n", "ok"), ("topic read leptond/attic/#\n", "trouble")] {
        let lines = |dir: &Path| {
            let file = dir.join("acl");
            std::fs::write(&file, acl).unwrap();
            format!("allow_anonymous true\nacl_file {}\n", file.display())
        };
        let Some(broker) = Mosquitto::with("doctor: an access list that denies", lines) else { return };
        let parts: &[&str] = if level == "ok" { &[] } else { &["readwrite leptond/attic/#", "acl_file"] };
        check(&format!("port = {}", broker.port), level, parts);
    }
}

#[test]
fn tls_in_every_wrong_way() {
    let made = |dir: &Path| {
        let script = r#"
            set -e
            for name in ca other; do
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name \
                    -keyout $name.key -out $name.pem
            done
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr
            printf 'subjectAltName=IP:127.0.0.1\n' > good.ext
            printf 'subjectAltName=DNS:elsewhere\n' > name.ext
            sign="openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial"
            $sign -days 2 -extfile good.ext -out good.pem
            $sign -days 2 -extfile name.ext -out name.pem
            $sign -days -1 -extfile good.ext -out old.pem || openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key \
                -CAcreateserial -not_before 20200101000000Z -not_after 20200102000000Z -extfile good.ext -out old.pem
            chmod 644 *.key"#;
        let done = Command::new("sh").args(["-c", script]).current_dir(dir).output().expect("sh");
        assert!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
    };
    let tls = |port: u16, ca: &Path| format!("port = {port}\n[mqtt.tls]\nca_file = {ca:?}\n");
    for (certificate, ca, level, part) in [
        ("good", "ca", "ok", "a message came back"),
        ("good", "other", "trouble", "not trusted"),
        ("name", "ca", "trouble", "another name"),
        ("old", "ca", "trouble", "has expired"),
    ] {
        let lines = |dir: &Path| {
            made(dir);
            let file = |name: &str| dir.join(name).display().to_string();
            let (cert, key) = (file(&format!("{certificate}.pem")), file("server.key"));
            format!("allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n")
        };
        let Some(broker) = Mosquitto::with("doctor: tls", lines) else { return };
        check(&tls(broker.port, &broker.dir().join(format!("{ca}.pem"))), level, &[part]);
        if level == "ok" {
            check(&format!("port = {}", broker.port), "trouble", &["speaks TLS", "ca_file"]);
        }
    }
    let lines = |dir: &Path| {
        made(dir);
        "allow_anonymous true\n".into()
    };
    let Some(plain) = Mosquitto::with("doctor: plain", lines) else { return };
    check(&tls(plain.port, &plain.dir().join("ca.pem")), "trouble", &["no TLS there", "remove [mqtt.tls]"]);
}

#[test]
fn a_configuration_that_is_wrong_or_missing() {
    let dir = tempfile::tempdir().unwrap();
    let output = doctor(&dir.path().join("none.toml"), &["--json"]);
    let found = finding(&output, "configuration");
    assert!(found["level"] == "trouble" && found.to_string().contains("leptond setup --config"), "{found:#}");
    let file = configuration(dir.path(), &format!("port = {}\nqueue = 0", free_port()));
    let output = doctor(&file, &["--json"]);
    let found = finding(&output, "configuration");
    assert!(found["level"] == "trouble" && found.to_string().contains("mqtt.queue"), "{found:#}");
    let text = std::fs::read_to_string(configuration(dir.path(), "")).unwrap().replace("leptonnet-digits", "absent");
    std::fs::write(&file, text).unwrap();
    let output = doctor(&file, &["--json"]);
    let found = finding(&output, "models");
    assert!(found["level"] == "trouble" && found.to_string().contains("model add absent"), "{found:#}");
    assert_eq!(finding(&output, "configuration")["level"], "ok");
}

#[test]
fn a_copy_of_another_machine() {
    let root = common::data("board/pi4");
    let output = common::leptond().arg("doctor").arg("--json").arg("--root").arg(&root).output().unwrap();
    assert_eq!(finding(&output, "board")["level"], "warning");
    let output = common::leptond().arg("doctor").arg("--root").arg(root.join("absent")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
