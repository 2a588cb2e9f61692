//! What is not there yet is waited for, and keeps nothing else down. Exit code 78 is for text that is wrong.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{bare, bundle, fifo};
use crate::common;
use crate::daemon::{Daemon, on};
use crate::mosquitto::{Mosquitto, Received, free_port};

/// A configuration of pipelines, each by name, model and source.
fn config(port: u16, extra: &str, pipelines: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "[node]\nname = \"test\"\nsandbox = \"off\"\nhealth_interval_s = 1\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [governor]\nmode = \"manual\"\n{extra}\n"
    );
    for (name, model, source) in pipelines {
        text += &format!("[[pipeline]]\nname = {name:?}\nmodel = {model:?}\n[pipeline.source]\n{source}\n");
    }
    text
}

const SYNTHETIC: &str = "type = \"synthetic\"\nfps = 5.0";

fn picture(path: &Path) {
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 80).encode(&[99; 64 * 64], 64, 64, jpeg_encoder::ColorType::Luma).unwrap();
    std::fs::write(path, jpeg).unwrap();
}

/// Why a pipeline is idle, by the latest `health`.
fn idle(messages: &[Received], pipeline: &str) -> String {
    let health = on(messages, "leptond/test/health").last().map(|m| m.json()).unwrap_or_default();
    health["pipelines"][pipeline]["idle"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn each_absent_thing_is_waited_for_while_the_others_work() {
    let Some(broker) = Mosquitto::start("each_absent_thing_is_waited_for_while_the_others_work") else { return };
    let listener = broker.listen("leptond/test/#");
    let digits = "leptonnet-digits";
    let text = config(
        broker.port,
        "",
        &[
            ("good", digits, SYNTHETIC),
            ("model", "{dir}/stick/m", SYNTHETIC),
            ("bare", "{dir}/stick/bare.onnx", SYNTHETIC),
            ("directory", digits, "type = \"files\"\npath = \"{dir}/pictures\"\nfps = 5.0"),
            ("empty", digits, "type = \"files\"\npath = \"{dir}/empty\"\nfps = 5.0"),
            ("glob", digits, "type = \"files\"\npath = \"{dir}/pictures/*.jpg\"\nfps = 5.0"),
            ("fifo", "machine-anomaly", "type = \"sensor\"\nkind = \"jsonl\"\npath = \"{dir}/fifo\"\nwindow = 8"),
        ],
    );
    let mut at = std::path::PathBuf::new();
    let mut daemon = Daemon::start_with(
        &text,
        |dir| {
            at = dir.into();
            std::fs::create_dir(dir.join("empty")).unwrap();
        },
        |_| {},
    );
    let waits =
        [("model", "stick/m"), ("bare", "bare.onnx"), ("directory", "pictures"), ("empty", "empty"), ("glob", "jpg")];
    listener.wait_for("results of the one, and the reasons of the others", |m| {
        on(m, "leptond/test/good/result").len() >= 2 && waits.iter().all(|(name, words)| idle(m, name).contains(words))
    });
    // As when a disk is mounted, and what fills a directory is started after us.
    let new = at.join("new");
    std::fs::create_dir(&new).unwrap();
    bundle(&new, "m");
    std::fs::write(new.join("bare.onnx"), bare()).unwrap();
    std::fs::rename(&new, at.join("stick")).unwrap();
    // Whole at once: a picture that is seen half-written would be a bad one.
    std::fs::create_dir(at.join("filled")).unwrap();
    for name in ["a.jpg", "b.jpg"] {
        picture(&at.join("filled").join(name));
    }
    std::fs::rename(at.join("filled/b.jpg"), at.join("empty/b.jpg")).unwrap();
    std::fs::rename(at.join("filled"), at.join("pictures")).unwrap();
    fifo(&at.join("fifo"));
    listener.wait_within(Duration::from_secs(90), "results of all that came", |m| {
        waits.iter().all(|(name, _)| !on(m, &format!("leptond/test/{name}/result")).is_empty())
            && idle(m, "fifo").contains("waiting for a line")
    });
    let info = on(&listener.messages(), "leptond/test/info").last().unwrap().json();
    assert_eq!(info["models"].as_array().unwrap().len(), 7, "those that came late are said: {info}");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn a_model_that_is_none_keeps_nothing_else_down() {
    let Some(broker) = Mosquitto::start("a_model_that_is_none_keeps_nothing_else_down") else { return };
    let listener = broker.listen("leptond/test/#");
    let pipelines = [("good", "leptonnet-digits", SYNTHETIC), ("bad", "{dir}/bad.onnx", SYNTHETIC)];
    let fill = |dir: &Path| std::fs::write(dir.join("bad.onnx"), b"this is a text").unwrap();
    let _daemon = Daemon::start_with(&config(broker.port, "", &pipelines), fill, |_| {});
    listener.wait_for("results of the good one, and a word about the other", |m| {
        on(m, "leptond/test/good/result").len() >= 2 && idle(m, "bad").contains("bad.onnx")
    });
    // Alone there is nothing to run, and to start again would not help.
    let mut alone = Daemon::start_with(&config(broker.port, "", &pipelines[1..]), fill, |_| {});
    assert_eq!(alone.wait().0.code(), Some(78), "{}", alone.log());
    assert!(alone.log().contains("bad.onnx"), "{}", alone.log());
}

#[test]
fn a_port_that_is_taken_is_waited_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let extra = format!("[broker]\nenabled = true\nlisten = \"127.0.0.1:{port}\"");
    let mut daemon = Daemon::start(&config(1, &extra, &[("p", "leptonnet-digits", SYNTHETIC)]));
    daemon.wait_log("cannot start now");
    assert!(daemon.log().contains("in use"), "{}", daemon.log());
    drop(taken);
    daemon.wait_log("capturing");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_certificate_that_is_not_there_is_waited_for_and_one_that_is_none_is_wrong() {
    let tls = "[mqtt.tls]\nca_file = \"{dir}/ca.pem\"";
    let text = config(free_port(), tls, &[("p", "leptonnet-digits", SYNTHETIC)]);
    let mut daemon = Daemon::start(&text);
    daemon.wait_log("cannot start now");
    assert!(daemon.log().contains("ca.pem"), "{}", daemon.log());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0), "told to stop while it waits: {}", daemon.log());
    let fill = |dir: &Path| std::fs::write(dir.join("ca.pem"), "no certificate").unwrap();
    let mut wrong = Daemon::start_with(&text, fill, |_| {});
    assert_eq!(wrong.wait().0.code(), Some(78), "{}", wrong.log());
}

#[test]
fn what_the_system_has_no_room_for_is_no_fault_of_the_configuration() {
    let text = config(free_port(), "", &[("p", "leptonnet-digits", SYNTHETIC)]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, text).unwrap();
    let mut failed = 0;
    // From too few to load the program's libraries to enough: wherever the descriptors come to an end, it is not 78.
    for descriptors in 3..32 {
        let script = format!("ulimit -n {descriptors}; exec \"$0\" run --config \"$1\" --for 100ms");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_leptond")]).arg(&file);
        command.env("STATE_DIRECTORY", dir.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(code != Some(78) && !said.contains("panicked"), "{descriptors} descriptors: {code:?}\n{said}");
        if code == Some(0) {
            break;
        }
        failed += 1;
    }
    assert!(failed > 0 || common::emulated(), "three descriptors are enough for nobody");
}
