//! `leptond watch`, the real binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::screen::Screen;

/// Columns and rows.
const SIZE: [usize; 2] = [100, 30];

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

/// Everything that was written to a terminal, and every text that was on it, one screen after another.
struct Seen {
    output: String,
    screens: String,
}

/// `leptond watch` at a terminal of 100 by 30, made by script(1); `keys` are pressed once `until` is on the screen.
fn at_a_terminal(args: &[&str], until: &str, keys: &[u8]) -> Option<(Seen, Option<i32>)> {
    run_at_a_terminal(args, until, |_, input| input.as_mut().unwrap().write_all(keys).unwrap())
}

/// As [`at_a_terminal`], with anything done then to the process and its keyboard. It ends by itself after 20 s.
fn run_at_a_terminal(
    args: &[&str],
    until: &str,
    act: impl FnOnce(Pid, &mut Option<ChildStdin>),
) -> Option<(Seen, Option<i32>)> {
    let limit = if args.contains(&"--for") { "" } else { "--for 20s" };
    let program = env!("CARGO_BIN_EXE_leptond");
    let command = format!("stty cols 100 rows 30; exec {program} watch {} {limit}", args.join(" "));
    let child = Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        crate::common::skip("a_screen", "script is not installed (apt-get install bsdutils)");
        return None;
    };
    let (mut input, mut output) = (child.stdin.take(), child.stdout.take().unwrap());
    let (mut bytes, mut part, mut act) = (Vec::new(), [0; 4096], Some(act));
    let mut screens = String::new();
    while let Ok(count @ 1..) = output.read(&mut part) {
        bytes.extend_from_slice(&part[..count]);
        let screen = Screen::after(&String::from_utf8_lossy(&bytes), SIZE).text();
        if screen.contains(until)
            && let Some(act) = act.take()
        {
            let children = format!("/proc/{0}/task/{0}/children", child.id());
            let watcher = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
            act(Pid::from_raw(watcher).unwrap(), &mut input);
        }
        screens.push_str(&screen);
    }
    let output = String::from_utf8_lossy(&bytes).into_owned();
    assert!(act.is_none(), "{until:?} is nowhere in\n{screens}");
    Some((Seen { output, screens }, child.wait().unwrap().code()))
}

#[test]
fn at_a_terminal_it_draws_a_screen_and_gives_the_terminal_back() {
    let Some(broker) = Mosquitto::start("it_draws_a_screen") else { return };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let summary = r#"{"task":"detect","counts":{"person":2}}"#;
    mqtt.publish(message(Class::State, "leptond/attic/door/state", summary));
    assert!(mqtt.flush(soon()));
    let port = broker.port.to_string();
    // Also several keys at once: help, away with it, quit.
    for keys in [&b"q"[..], b"\x03", b"?xq"] {
        let args = ["--host", "127.0.0.1", "--port", &port];
        let Some((seen, code)) = at_a_terminal(&args, "person", keys) else { return };
        let Seen { output, screens } = seen;
        assert_eq!(code, Some(0), "{output:?}");
        for words in ["attic", "door", "connected", "1 node"] {
            assert!(screens.contains(words), "no {words}:\n{screens}");
        }
        let (entered, left) = (output.find("\x1b[?1049h"), output.rfind("\x1b[?1049l"));
        assert!(entered.is_some() && left > entered, "the other screen, and back: {output:?}");
        let shown = output.rfind("\x1b[?25h");
        assert!(shown > output.rfind("\x1b[?25l"), "the cursor is back: {output:?}");
    }
}

#[test]
fn a_signal_ends_it_and_gives_the_terminal_back() {
    let Some(broker) = Mosquitto::start("a_signal_ends_it") else { return };
    let port = broker.port.to_string();
    for signal in [Signal::TERM, Signal::INT] {
        let end = |pid, _: &mut _| kill_process(pid, signal).unwrap();
        let args = ["--host", "127.0.0.1", "--port", &port];
        let Some((seen, code)) = run_at_a_terminal(&args, "heard of", end) else { return };
        let output = seen.output;
        assert_eq!(code, Some(0), "{signal:?}: {output:?}");
        assert!(output.trim_end().ends_with("\x1b[?25h") && output.contains("\x1b[?1049l"), "{signal:?}: {output:?}");
    }
}

/// The terminal goes away: the program ends, and does not read its end for ever.
#[test]
fn it_ends_with_its_terminal() {
    let Some(broker) = Mosquitto::start("it_ends_with_its_terminal") else { return };
    let port = broker.port.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let (program, file_name) = (env!("CARGO_BIN_EXE_leptond"), file.display());
    let script = format!(
        "stty cols 100 rows 30; echo $$ > {file_name}; exec {program} watch --host 127.0.0.1 --port {port} --for 60s"
    );
    let child = Command::new("script")
        .args(["-qefc", &script, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return };
    let mut output = child.stdout.take().unwrap();
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    while !Screen::after(&String::from_utf8_lossy(&bytes), SIZE).text().contains("heard of") {
        let count = output.read(&mut part).unwrap();
        assert!(count > 0, "{:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&part[..count]);
    }
    let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let is_there = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    mosquitto::wait_until("it ends", || !is_there());
}

#[test]
fn a_request_by_a_key_is_answered_on_the_screen() {
    let Some(broker) = Mosquitto::start("a_request_by_a_key") else { return };
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let requests = mqtt.subscribe("leptond/attic/request/#", 4).unwrap();
    mqtt.publish(message(Class::State, "leptond/attic/door/state", r#"{"task":"detect","counts":{"person":2}}"#));
    assert!(mqtt.flush(soon()));
    let answers = std::thread::spawn(move || {
        let request = requests.recv_timeout(SOON).unwrap();
        let asked: serde_json::Value = serde_json::from_slice(&request.payload).unwrap();
        let answer = serde_json::json!({"status": "error", "error": "not today", "transaction": asked["transaction"]});
        let topic = request.topic.replace("/request/", "/response/");
        mqtt.publish(message(Class::Event, &topic, answer.to_string()));
        assert!(mqtt.flush(soon()));
        (request.topic, asked["pipeline"].clone(), request.retain)
    });
    let port = broker.port.to_string();
    let args = ["--host", "127.0.0.1", "--port", &port, "--node", "attic", "--for", "4s"];
    let Some((seen, _)) = at_a_terminal(&args, "person", b"p") else { return };
    assert_eq!(answers.join().unwrap(), ("leptond/attic/request/pipeline/pause".into(), "door".into(), false));
    let screens = seen.screens;
    assert!(screens.contains("pause door: asked attic") && screens.contains("pause door: not today"), "{screens}");
}

/// A broker that lets everybody in and refuses every subscription.
fn refusing() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            while let Some((first, body)) = scripted::read(&mut stream) {
                let answer = match first >> 4 {
                    // A client of MQTT 5 is told to come with 3.1.1.
                    1 if body.get(6) == Some(&5) => scripted::packet(0x20, &[0, 0x84, 0]),
                    1 => scripted::packet(0x20, &[0, 0]),
                    8 => scripted::packet(0x90, &[body[0], body[1], 0x80]),
                    12 => scripted::packet(0xd0, &[]),
                    _ => continue,
                };
                stream.write_all(&answer).unwrap();
            }
        }
    });
    port
}

#[test]
fn a_refused_subscription_is_told() {
    let port = refusing().to_string();
    let args = ["--host", "127.0.0.1", "--port", &port];
    if let Some((_, code)) = at_a_terminal(&args, "refused", b"q") {
        assert_eq!(code, Some(0));
    }
    let output = watch(&args).args(["--plain", "--for", "1s"]).output().unwrap();
    let (_, stderr) = text(&output);
    assert!(stderr.contains("the subscription to leptond/+/# is refused"), "{stderr}");
}

#[test]
fn lines_are_printed_for_changes_only_and_ctrl_c_ends_quietly() {
    let Some(broker) = Mosquitto::start("lines_for_changes") else { return };
    let port = broker.port.to_string();
    let mqtt = Mqtt::start(&config(broker.port), "attic").unwrap();
    let mut child = watch(&["--host", "127.0.0.1", "--port", &port, "--plain"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains("online"));
    for label in ["cat", "cat", "cat", "dog"] {
        let result = format!(r#"{{"task":"classify","label":"{label}","score":0.5}}"#);
        mqtt.publish(message(Class::Result, "leptond/attic/door/result", result));
    }
    assert!(lines.next().unwrap().contains("cat"));
    assert!(lines.next().unwrap().contains("dog"), "two results say what was said");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output).1), (Some(0), String::new()));
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
