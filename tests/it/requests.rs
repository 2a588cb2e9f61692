//! Requests over a real broker, and what somebody on the board itself sees of the daemon.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common;
use crate::daemon::{Daemon, meter, on};
use crate::mosquitto::{Client, Listener, Mosquitto, Received, wait_until};

const REQUEST: &str = "leptond/test/request/governor/set";
const RESPONSE: &str = "leptond/test/response/governor/set";
const GOVERNOR: &str = "leptond/test/governor";

/// A broker, somebody who listens to the node, and a client; `None` where there are no programs for them.
fn broker(test: &str) -> Option<(Mosquitto, Listener, Client)> {
    let broker = Mosquitto::start(test)?;
    let client = Client::find(test)?;
    let listener = broker.listen("leptond/test/#");
    Some((broker, listener, client))
}

/// The answer to the request that carries `transaction`.
fn answer(listener: &Listener, transaction: &str) -> Value {
    let is_it = |m: &Received| m.topic.contains("/response") && m.json()["transaction"] == transaction;
    let seen = listener.wait_for("an answer", |m| m.iter().any(is_it));
    let message = seen.iter().find(|m| is_it(m)).unwrap();
    assert_eq!((message.qos, message.retain), (1, false));
    message.json()
}

fn last_rung(messages: &[Received]) -> Option<u64> {
    on(messages, GOVERNOR).last().and_then(|m| m.json()["rung"].as_u64())
}

#[test]
fn a_rung_is_fixed_for_a_time_and_taken_back() {
    let Some((broker, listener, client)) = broker("a_rung_is_fixed_for_a_time_and_taken_back") else { return };
    let _daemon = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("full work", |m| last_rung(m) == Some(0) && !on(m, "leptond/test/meter/result").is_empty());
    let request = r#"{"rung":2,"pipeline":"meter","for_s":2,"transaction":"fix"}"#;
    assert!(client.publish(broker.port, &["-q", "1", "-t", REQUEST, "-m", request]));
    let answer = answer(&listener, "fix");
    assert_eq!(
        (&answer["status"], &answer["data"]["pipelines"]["meter"]["rung"]),
        (&json!("ok"), &json!(2)),
        "{answer}"
    );
    assert!(answer["data"]["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{answer}");
    let seen = listener.wait_for("full work again", |m| {
        let rungs: Vec<_> = on(m, GOVERNOR).iter().map(|m| m.json()["rung"].as_u64()).collect();
        rungs.contains(&Some(2)) && rungs.last() == Some(&Some(0))
    });
    let lowered = on(&seen, GOVERNOR).into_iter().map(Received::json).find(|g| g["rung"] == 2).unwrap();
    for key in
        ["mode", "state", "pipeline", "of", "reason", "since", "interval_ms", "batch", "model", "threads", "paused"]
    {
        assert!(!lowered[key].is_null(), "{key} in {lowered}");
    }
}

#[test]
fn a_mode_is_set_and_released() {
    let Some((broker, listener, client)) = broker("a_mode_is_set_and_released") else { return };
    let _daemon = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());
    let ask = |request: &str| assert!(client.publish(broker.port, &["-q", "1", "-t", REQUEST, "-m", request]));
    ask(r#"{"mode":"performance","transaction":"one"}"#);
    assert_eq!(answer(&listener, "one")["data"]["mode"], "performance");
    let mode = |m: &[Received]| on(m, GOVERNOR).last().map(|m| m.json()["mode"].clone());
    listener.wait_for("the mode on the governor's topic", |m| mode(m) == Some(json!("performance")));
    ask(r#"{"release":true,"transaction":"two"}"#);
    assert_eq!(answer(&listener, "two")["data"]["mode"], "manual", "as configured");
}

#[test]
fn a_pipeline_rests_and_goes_on() {
    let Some((broker, listener, client)) = broker("a_pipeline_rests_and_goes_on") else { return };
    let _daemon = Daemon::start(&meter(broker.port, ""));
    let results = |m: &[Received]| on(m, "leptond/test/meter/result").len();
    listener.wait_for("a result", |m| results(m) > 0);
    let ask = |verb: &str, request: &str| {
        let topic = format!("leptond/test/request/pipeline/{verb}");
        assert!(client.publish(broker.port, &["-q", "1", "-t", &topic, "-m", request]));
    };
    ask("pause", r#"{"pipeline":"meter","transaction":"rest"}"#);
    assert_eq!(answer(&listener, "rest")["data"]["pipelines"]["meter"]["paused"], true);
    let idle =
        |m: &[Received]| on(m, "leptond/test/health").last().map(|m| m.json()["pipelines"]["meter"]["idle"].clone());
    let seen = listener.wait_for("health to say so", |m| idle(m) == Some(json!("paused by request")));
    let resting = results(&seen);
    ask("resume", r#"{"transaction":"on"}"#);
    assert_eq!(answer(&listener, "on")["data"]["pipelines"]["meter"]["paused"], false);
    // One that was on its way when the pause began may have come in between.
    listener.wait_for("results again", |m| results(m) > resting + 3);
    listener.wait_for("health to say so", |m| idle(m) == Some(Value::Null));
}

#[test]
fn what_cannot_be_done_is_answered_with_the_reason_and_changes_nothing() {
    let Some((broker, listener, client)) = broker("what_cannot_be_done_is_answered") else { return };
    // Retained before the daemon comes: it is given at every connection, and must not be done at any.
    let retained = r#"{"rung":1,"transaction":"retained"}"#;
    assert!(client.publish(broker.port, &["-r", "-t", REQUEST, "-m", retained]));
    let daemon = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());
    daemon.wait_log("a retained request is ignored");
    for (verb, payload, words) in [
        ("governor/set", r#"{"rung":-1,"transaction":"a"}"#, "rung: found -1"),
        ("governor/set", r#"{"mood":"quiet","transaction":"a"}"#, "unknown key \"mood\""),
        ("governor/set", r#"{"rung":1,"pipeline":"attic","transaction":"a"}"#, "pipeline: found \"attic\""),
        ("governor/set", "garbage", "not JSON"),
        ("reboot", r#"{"transaction":"a"}"#, "known are config/get, config/set, config/schema, governor/set"),
        ("model/update", r#"{"transaction":"a"}"#, "not yet"),
        ("restart", r#"{"transaction":"a"}"#, "not started by systemd"),
    ] {
        let topic = format!("leptond/test/response/{verb}");
        let before = on(&listener.messages(), &topic).len();
        assert!(client.publish(broker.port, &["-t", &format!("leptond/test/request/{verb}"), "-m", payload]));
        let seen = listener.wait_for("an answer", |m| on(m, &topic).len() > before);
        let answer = on(&seen, &topic).last().unwrap().json();
        assert_eq!(answer["status"], "error", "{answer}");
        assert!(answer["error"].as_str().is_some_and(|e| e.contains(words)), "{payload}: {answer}");
        assert!(answer["data"].is_null(), "{answer}");
    }
    let seen = listener.messages();
    assert!(!seen.iter().any(|m| m.topic.contains("/response") && m.json()["transaction"] == "retained"));
    assert!(on(&seen, GOVERNOR).iter().all(|m| m.json()["rung"] == 0), "nothing was changed");
}

#[test]
fn a_flood_of_requests_takes_neither_the_loop_nor_the_memory() {
    let Some((broker, listener, client)) = broker("a_flood_of_requests") else { return };
    let daemon = Daemon::start(&meter(broker.port, ""));
    listener.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());
    const FLOOD: usize = 3000;
    let start = std::time::Instant::now();
    let mut flood = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", REQUEST, "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = flood.stdin.take().unwrap();
    (0..FLOOD).for_each(|i| writeln!(lines, r#"{{"rung":0,"transaction":"{i}"}}"#).unwrap());
    drop(lines);
    assert!(flood.wait().unwrap().success());
    daemon.wait_log("requests come fast");
    let results = on(&listener.messages(), "leptond/test/meter/result").len();
    listener.wait_for("results all the while", |m| on(m, "leptond/test/meter/result").len() > results + 2);
    // Whoever asks when it is over is answered, once the budget has room again.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let request = r#"{"rung":0,"transaction":"last"}"#;
    assert!(client.publish(broker.port, &["-q", "1", "-t", REQUEST, "-m", request]));
    assert_eq!(answer(&listener, "last")["status"], "ok");
    let answers: Vec<Value> = on(&listener.messages(), RESPONSE).iter().map(|m| m.json()).collect();
    let refused = answers.iter().filter(|a| a["error"].as_str().is_some_and(|e| e.starts_with("too many requests")));
    let (refused, seconds) = (refused.count(), start.elapsed().as_secs() as usize + 1);
    assert!((1..=seconds).contains(&refused), "{refused} refusals in {seconds} s");
    assert!(answers.len() <= 21 + 5 * seconds + refused, "{} answers in {seconds} s", answers.len());
}

#[test]
fn somebody_on_the_board_sees_what_the_daemon_does() {
    let test = "somebody_on_the_board_sees_what_the_daemon_does";
    let Some((broker, listener, _)) = broker(test) else { return };
    let memory = Path::new("/dev/shm");
    let Ok(dir) = tempfile::tempdir_in(memory) else {
        common::skip(test, "there is no /dev/shm, where files lie in memory");
        return;
    };
    let file = dir.path().join("leptond/governor.json");
    let session = |command: &mut Command| {
        command.env_remove("RUNTIME_DIRECTORY").env("XDG_RUNTIME_DIR", dir.path());
    };
    let mut daemon = Daemon::start_with(&meter(broker.port, ""), |_| {}, session);
    listener.wait_for("a result", |m| !on(m, "leptond/test/meter/result").is_empty());
    wait_until("the status file", || file.is_file());
    assert_eq!(seen_by_probe(session)["leptond"]["governor"]["mode"], "manual");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
    assert!(!file.exists(), "removed at a clean stop");
    let look = seen_by_probe(session);
    assert!(look["leptond"].is_null() && look["reading"].is_object(), "{look}");
    // As with su, cron and in containers.
    let neither = |command: &mut Command| _ = command.env_remove("RUNTIME_DIRECTORY").env_remove("XDG_RUNTIME_DIR");
    let before = on(&listener.messages(), "leptond/test/meter/result").len();
    let _daemon = Daemon::start_with(&meter(broker.port, ""), |_| {}, neither);
    listener.wait_for("a result", |m| on(m, "leptond/test/meter/result").len() > before);
    wait_until("a status without a session", || !seen_by_probe(neither)["leptond"].is_null());
}

#[test]
fn what_the_configuration_forbids_is_answered_with_its_key() {
    let Some((broker, listener, client)) = broker("what_the_configuration_forbids") else { return };
    for (setting, pause, shown) in [("\"read\"", false, "read"), ("[\"pipeline/pause\"]", true, "[\"pipeline/pause\"]")]
    {
        let config = meter(broker.port, "").replace("[governor]", &format!("requests = {setting}\n[governor]"));
        let mut daemon = Daemon::start(&config);
        let results = |m: &[Received]| on(m, "leptond/test/meter/result").len();
        let before = results(&listener.messages());
        listener.wait_for("results", |m| results(m) > before + 2);
        let ask = |verb: &str, id: &str, rest: &str| {
            let topic = format!("leptond/test/request/{verb}");
            let request = format!(r#"{{{rest}"transaction":"{shown} {id}"}}"#).replace(shown, &shown.replace('"', "'"));
            assert!(client.publish(broker.port, &["-q", "1", "-t", &topic, "-m", &request]));
            answer(&listener, &format!("{} {id}", shown.replace('"', "'")))
        };
        let set = ask("governor/set", "set", r#""mode":"quiet","#);
        assert_eq!(set["status"], "error");
        let error = set["error"].as_str().unwrap();
        assert!(error.contains("mqtt.requests") && error.contains(shown) && error.contains("governor/set"), "{error}");
        assert_eq!(ask("pipeline/pause", "pause", "")["status"] == "ok", pause, "{setting}");
        daemon.signal("TERM");
        daemon.wait();
    }
}

/// The first line of `leptond probe --watch --json`.
fn seen_by_probe(adjust: impl FnOnce(&mut Command)) -> Value {
    let mut command = common::leptond();
    command.args(["probe", "--watch", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped());
    adjust(&mut command);
    let mut probe = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(probe.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // It goes on until it is told to stop.
    probe.kill().unwrap();
    probe.wait().unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Two meters, `meter` with this interval and `other`; `health` comes every second.
fn two_meters(port: u16, interval_ms: u32, other: bool) -> String {
    let often = meter(port, "").replace("[node]", "[node]\nhealth_interval_s = 1");
    let first = format!("{often}[pipeline.governor]\ninterval_ms = {interval_ms}\n");
    let pipeline = meter(port, "").split_once("[[pipeline]]").unwrap().1.replace("\"meter\"", "\"other\"");
    if other { format!("{first}[[pipeline]]{pipeline}") } else { first }
}

/// Sends a request and gives `data` of its answer.
fn ask(broker: &Mosquitto, listener: &Listener, client: &Client, verb: &str, request: &str) -> Value {
    let transaction = format!("{}", listener.messages().len());
    let request =
        format!("{{{request}{}\"transaction\":\"{transaction}\"}}", if request.is_empty() { "" } else { "," });
    let topic = format!("leptond/test/request/{verb}");
    assert!(client.publish(broker.port, &["-q", "1", "-t", &topic, "-m", &request]));
    let answer = answer(listener, &transaction);
    assert_eq!(answer["status"], "ok", "{answer}");
    answer["data"].clone()
}

/// Reason of idleness in the last `health`.
fn idle(messages: &[Received], pipeline: &str) -> Value {
    on(messages, "leptond/test/health")
        .last()
        .map(|m| m.json()["pipelines"][pipeline]["idle"].clone())
        .unwrap_or_default()
}

#[test]
fn requests_stay_in_force_through_a_reload_by_the_pipelines_name() {
    let Some((broker, listener, client)) = broker("requests_stay_in_force_through_a_reload") else { return };
    let daemon = Daemon::start(&two_meters(broker.port, 0, true));
    let results = |m: &[Received], name: &str| on(m, &format!("leptond/test/{name}/result")).len();
    listener.wait_for("results of both", |m| results(m, "meter") > 0 && results(m, "other") > 0);
    ask(&broker, &listener, &client, "pipeline/pause", r#""pipeline":"meter""#);
    ask(&broker, &listener, &client, "governor/set", r#""rung":1,"pipeline":"meter""#);
    ask(&broker, &listener, &client, "governor/set", r#""rung":2,"pipeline":"other","for_s":86400"#);
    // `meter` is configured otherwise and starts again; `other` goes on untouched.
    let reloaded = |config: &str, count: usize| {
        daemon.replace_config(config);
        daemon.signal("HUP");
        wait_until("the reload", || daemon.log().matches("the new configuration applies").count() == count);
    };
    let before = results(&listener.messages(), "meter");
    reloaded(&two_meters(broker.port, 150, true), 1);
    let told = on(&listener.messages(), "leptond/test/health").len();
    let seen = listener.wait_for("health after the reload", |m| on(m, "leptond/test/health").len() > told);
    assert_eq!(idle(&seen, "meter"), "paused by request");
    let others = results(&seen, "other");
    listener.wait_for("results of the other one", |m| results(m, "other") > others + 5);
    // One that was on its way when the pause began may have come since.
    assert!(results(&listener.messages(), "meter") <= before + 1, "it rests from its start on");
    // An order that changes nothing: its answer shows what is in force.
    let data = ask(&broker, &listener, &client, "pipeline/resume", r#""pipeline":"other""#);
    let of =
        |data: &Value, name: &str| (data["pipelines"][name]["rung"].clone(), data["pipelines"][name]["paused"].clone());
    assert_eq!(of(&data, "meter"), (json!(1), json!(true)), "{data}");
    assert_eq!(of(&data, "other"), (json!(2), json!(false)), "{data}");
    assert!(data["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{data}");
    // A pipeline that goes takes its requests with it; one of the same name that comes later is another one.
    reloaded(&two_meters(broker.port, 150, false), 2);
    reloaded(&two_meters(broker.port, 150, true), 3);
    let data = ask(&broker, &listener, &client, "pipeline/resume", r#""pipeline":"meter""#);
    assert_eq!(
        (of(&data, "meter"), of(&data, "other")),
        ((json!(1), json!(false)), (json!(0), json!(false))),
        "{data}"
    );
    let resting = results(&listener.messages(), "meter");
    listener.wait_for("results again", |m| results(m, "meter") > resting + 2);
}

#[test]
fn orders_end_in_time_though_the_pipeline_or_everything_was_started_again() {
    let Some((broker, listener, client)) = broker("orders_end_in_time") else { return };
    let daemon = Daemon::start(&two_meters(broker.port, 0, false));
    let results = |m: &[Received]| on(m, "leptond/test/meter/result").len();
    listener.wait_for("a result", |m| results(m) > 0);
    ask(&broker, &listener, &client, "pipeline/pause", "");
    let start = std::time::Instant::now();
    let asked = ask(&broker, &listener, &client, "governor/set", r#""mode":"quiet","for_s":20"#);
    // Another pipeline, and then another connection: everything starts again inside the process.
    daemon.replace_config(&two_meters(broker.port, 150, false));
    daemon.signal("HUP");
    daemon.wait_log("the new configuration applies");
    daemon.replace_config(&two_meters(broker.port, 150, false).replace("[mqtt]", "[mqtt]\nqueue = 1777"));
    daemon.signal("HUP");
    daemon.wait_log("the connection changes, everything starts again");
    let online = |m: &[Received]| on(m, "leptond/test/state").iter().filter(|m| m.json()["state"] == "online").count();
    listener.wait_for("the node to come back", |m| online(m) >= 2);
    if start.elapsed() < std::time::Duration::from_secs(18) {
        let data = ask(&broker, &listener, &client, "pipeline/pause", "");
        assert_eq!((&data["mode"], &data["pipelines"]["meter"]["paused"]), (&json!("quiet"), &json!(true)), "{data}");
        // The wall clock of the answers: the same end, to a second.
        let end = |data: &Value| data["until"].as_str().unwrap().split('.').next().unwrap().to_owned();
        let seconds = |text: &str| text[text.len() - 2..].parse::<i64>().unwrap();
        let apart = (seconds(&end(&data)) - seconds(&end(&asked))).rem_euclid(60);
        assert!([0, 1, 59].contains(&apart), "{asked} then {data}");
    }
    let seen = listener.wait_for("health to say so", |m| idle(m, "meter") == json!("paused by request"));
    let mode = |m: &[Received]| on(m, GOVERNOR).last().map(|m| m.json()["mode"].clone());
    drop(seen);
    listener.wait_for("the configured mode again", |m| mode(m) == Some(json!("manual")));
    assert!(start.elapsed() >= std::time::Duration::from_secs(20), "not before its time: {:?}", start.elapsed());
    let resting = results(&listener.messages());
    ask(&broker, &listener, &client, "pipeline/resume", "");
    listener.wait_for("results again", |m| results(m) > resting);
}
