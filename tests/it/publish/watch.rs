//! `leptond watch`, the real binary.

use std::process::{Command, Output};

use super::*;

fn watch(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leptond"));
    command.arg("watch").args(args).env_remove("RUST_LOG");
    command
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn it_prints_what_nodes_say() {
    let Some(broker) = Mosquitto::start("it_prints_what_nodes_say") else { return };
    let port = broker.port.to_string();
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    mqtt.publish(message(Class::State, "leptond/attic/governor", r#"{"rung":0}"#));
    assert!(mqtt.flush(soon()));
    let output = watch(&["--host", "127.0.0.1", "--port", &port, "--node", "attic", "--count", "2", "--json"]).output();
    let (stdout, stderr) = text(&output.unwrap());
    let mut lines: Vec<serde_json::Value> = stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    lines.sort_by_key(|l| l["topic"].to_string());
    assert_eq!(lines.len(), 2, "{stdout} {stderr}");
    assert_eq!(lines[0]["payload"]["rung"], 0);
    assert_eq!(lines[1]["topic"], "leptond/attic/state");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let pipeline = "[[pipeline]]\nname = \"p\"\nmodel = \"m\"\n[pipeline.source]\ntype = \"synthetic\"\n";
    std::fs::write(&file, format!("[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n{pipeline}")).unwrap();
    let (stdout, stderr) = text(&watch(&["--count", "2", "--config"]).arg(&file).output().unwrap());
    assert!(stdout.contains("attic/state") && stdout.contains("online"), "{stdout} {stderr}");
    assert!(!stdout.contains('\x1b'), "no colour into a pipe");
}

#[test]
fn without_a_broker_it_says_so_and_fails() {
    let port = mosquitto::free_port().to_string();
    let output = watch(&["--host", "127.0.0.1", "--port", &port, "--for", "300ms"]).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stdout.is_empty());
    assert!(stderr.contains("no broker listens there") && stderr.contains(&port), "{stderr}");
}

#[test]
fn wrong_arguments_are_named() {
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--node", "a/b"], 2, "a/b"),
        (&["--prefix", "#"], 2, "prefix"),
        (&["--topic", "a/#/b"], 2, "a/#/b"),
        (&["--port", "0"], 2, "--port"),
        (&["--password-file", "/nonexistent/secret", "--username", "u"], 78, "/nonexistent/secret"),
    ];
    for (args, code, words) in cases {
        let output = watch(args).output().unwrap();
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}
