//! Verbs over a real broker: the configuration, pictures, models, switches, a restart, and publishers with bad intentions.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;
use crate::daemon::{Daemon, meter, on};
use crate::mosquitto::{Client, Listener, Mosquitto, Received, wait_until};

/// A node at a broker, with somebody who asks.
struct Scene {
    broker: Mosquitto,
    listener: Listener,
    client: Client,
}

impl Scene {
    /// `None` where there are no programs for it.
    fn new(test: &str) -> Option<Scene> {
        let broker = Mosquitto::start(test)?;
        let client = Client::find(test)?;
        let listener = broker.listen("leptond/test/#");
        Some(Scene { broker, listener, client })
    }

    /// A meter whose requests are `requests`.
    fn config(&self, requests: &str) -> String {
        meter(self.broker.port, "").replace("[governor]", &format!("requests = {requests}\n        [governor]"))
    }

    fn publish(&self, topic: &str, payload: &str) {
        assert!(self.client.publish(self.broker.port, &["-q", "1", "-t", topic, "-m", payload]));
    }

    /// Sends a request; its transaction.
    fn send(&self, verb: &str, request: &str) -> String {
        let transaction = format!("{verb} {}", self.listener.messages().len());
        let comma = if request.is_empty() { "" } else { "," };
        let payload = format!("{{{request}{comma}\"transaction\":\"{transaction}\"}}");
        self.publish(&format!("leptond/test/request/{verb}"), &payload);
        transaction
    }

    /// The answer of this number to a transaction.
    fn answer(&self, transaction: &str, number: usize) -> Value {
        let is_it = |m: &&Received| m.topic.contains("/response") && m.json()["transaction"] == *transaction;
        let seen = self.listener.wait_for("an answer", |m| m.iter().filter(is_it).count() > number);
        seen.iter().filter(is_it).nth(number).unwrap().json()
    }

    /// `data` of the answer to a request.
    fn ask(&self, verb: &str, request: &str) -> Value {
        let answer = self.answer(&self.send(verb, request), 0);
        assert_eq!(answer["status"], "ok", "{answer}");
        answer["data"].clone()
    }

    /// `error` of the answer to a request.
    fn refused(&self, verb: &str, request: &str) -> String {
        let answer = self.answer(&self.send(verb, request), 0);
        assert_eq!(answer["status"], "error", "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    fn results(&self) -> usize {
        on(&self.listener.messages(), "leptond/test/meter/result").len()
    }

    fn wait_results(&self, more: usize) {
        let before = self.results();
        self.listener.wait_for("results", |m| on(m, "leptond/test/meter/result").len() >= before + more);
    }

    /// Positions that the switch of the meter has had.
    fn switch(&self) -> Vec<String> {
        let seen = self.listener.messages();
        let text = |m: &&Received| String::from_utf8_lossy(&m.payload).into_owned();
        on(&seen, "leptond/test/meter/detect/state").iter().map(text).collect()
    }
}

fn file(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.dir().join(name)
}

fn text(daemon: &Daemon, name: &str) -> String {
    std::fs::read_to_string(file(daemon, name)).unwrap()
}

const SET: &str = r#"["config/get", "config/set"]"#;

#[test]
fn the_configuration_is_read_and_changed_and_stays_with_its_comments() {
    let Some(scene) = Scene::new("the_configuration_is_read_and_changed") else { return };
    let config = scene
        .config(SET)
        .replace("[governor]", "username = \"u\"\n        password = \"s3cret\"\n        [governor] # of heat");
    let daemon = Daemon::start(&config);
    scene.wait_results(3);
    let whole = scene.ask("config/get", "");
    assert_eq!(whole["value"]["mqtt"]["password"], "***", "{whole}");
    assert!(!whole.to_string().contains("s3cret"));
    let before = text(&daemon, "leptond.toml");
    let values = r#""values":{"pipeline.meter.governor.interval_ms":250,"governor.mode":"quiet"}"#;
    let data = scene.ask("config/set", values);
    assert_eq!(data["changed"], json!(["governor.mode", "pipeline[0].governor.interval_ms"]), "{data}");
    assert_eq!(scene.ask("config/get", r#""path":"pipeline.meter.governor.interval_ms""#)["value"], 250);
    let after = text(&daemon, "leptond.toml");
    assert!(after.contains("[governor] # of heat") && after.contains("mode = \"quiet\""), "{after}");
    assert_eq!(text(&daemon, "leptond.toml.previous"), before);
    scene.wait_results(2);
    let error = scene.refused("config/set", values);
    assert!(error.contains("on trial until"), "{error}");

    // A person who loads the file takes it over: the trial is over.
    daemon.signal("HUP");
    wait_until("the end of the trial", || !file(&daemon, "leptond.toml.trial").exists());
    for (values, words) in [
        (r#""values":{"mqtt.host":"evil"}"#, "cannot be changed by a request"),
        (r#""values":{"governor.mode":"fast"}"#, "governor.mode"),
        (r#""values":{"pipeline.meter.task.min_skore":1}"#, "min_score"),
        (r#""values":{"governor.limit_celsius":20}"#, "30"),
    ] {
        let error = scene.refused("config/set", values);
        assert!(error.contains(words), "{values}: {error}");
    }
    assert_eq!(text(&daemon, "leptond.toml"), after, "nothing of it was written");
    assert_eq!(scene.ask("config/set", r#""values":{"governor.mode":"quiet"}"#)["changed"], json!([]));

    // What a person has written and not loaded is not loaded by the way.
    std::fs::write(file(&daemon, "leptond.toml"), after.replace("fps = 10.0", "fps = 9.0")).unwrap();
    let error = scene.refused("config/set", r#""values":{"governor.mode":"auto"}"#);
    assert!(error.contains("changes that do not apply yet"), "{error}");
}

/// Digits out of files, whose size no configuration tells.
fn pictures(scene: &Scene, requests: &str) -> String {
    format!(
        r#"
        [node]
        name = "test"
        [mqtt]
        host = "127.0.0.1"
        port = {}
        requests = {requests}
        [governor]
        mode = "manual"
        [[pipeline]]
        name = "meter"
        model = "{{dir}}/leptonnet-digits"
        [pipeline.source]
        type = "files"
        path = "{{dir}}/leptonnet-digits/golden/1.png"
        loop = true
        fps = 10.0
        [pipeline.task]
        min_score = 0.1
        "#,
        scene.broker.port
    )
}

/// The model of the digits, below `dir`.
fn with_model(dir: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-digits");
    assert!(Command::new("cp").arg("-r").arg(from).arg(dir).status().unwrap().success());
}

#[test]
fn a_change_that_gives_no_results_is_taken_back_after_a_minute() {
    let Some(scene) = Scene::new("a_change_that_gives_no_results") else { return };
    let daemon = Daemon::start_with(&pictures(&scene, SET), with_model, |_| {});
    scene.wait_results(3);
    let before = text(&daemon, "leptond.toml");
    let regions = r#""values":{"pipeline.meter.preprocess.regions":[{"rect":[300,300,50,50]}]}"#;
    let transaction = scene.send("config/set", regions);
    assert_eq!(scene.answer(&transaction, 0)["status"], "ok");
    assert!(file(&daemon, "leptond.toml.trial").exists() && text(&daemon, "leptond.toml").contains("300, 300"));
    let start = Instant::now();
    let of_it = |m: &&Received| m.topic.ends_with("/response/config/set") && m.json()["transaction"] == *transaction;
    let limit = common::patiently(Duration::from_secs(90));
    let seen = scene.listener.wait_within(limit, "the verdict", |m| m.iter().filter(of_it).count() > 1);
    assert!(start.elapsed() > Duration::from_secs(55), "{:?}", start.elapsed());
    let verdict = seen.iter().filter(of_it).nth(1).unwrap().json();
    let error = verdict["error"].as_str().unwrap_or_default();
    assert!(error.contains("rolled back: pipeline \"meter\" gave results before"), "{verdict}");
    assert_eq!(text(&daemon, "leptond.toml"), before);
    assert!(!file(&daemon, "leptond.toml.trial").exists());
    scene.wait_results(3);

    // A change that cannot even be applied is taken back at once.
    std::fs::rename(file(&daemon, "leptonnet-digits/model.onnx"), file(&daemon, "away.onnx")).unwrap();
    let error = scene.refused("config/set", r#""values":{"pipeline.meter.task.min_score":0.2}"#);
    assert!(error.contains("model.onnx"), "{error}");
    assert_eq!(text(&daemon, "leptond.toml"), before);
    assert!(!file(&daemon, "leptond.toml.trial").exists());
    scene.wait_results(3);
}

#[test]
fn a_daemon_that_dies_on_a_change_starts_on_the_former_configuration() {
    let Some(scene) = Scene::new("a_daemon_that_dies_on_a_change") else { return };
    let daemon = Daemon::start(&scene.config(SET));
    scene.wait_results(3);
    let before = text(&daemon, "leptond.toml");
    let transaction = scene.send("config/set", r#""values":{"governor.mode":"quiet"}"#);
    assert_eq!(scene.answer(&transaction, 0)["status"], "ok");
    daemon.signal("KILL");
    // The next start, in the same directory.
    let names = ["leptond.toml", "leptond.toml.previous", "leptond.toml.trial"];
    let files = names.map(|name| (name, text(&daemon, name)));
    drop(daemon);
    let next = Daemon::start_with(
        "",
        |_| {},
        |command| {
            let config = command.get_args().last().map(PathBuf::from).unwrap();
            for (name, text) in &files {
                std::fs::write(config.with_file_name(name), text).unwrap();
            }
        },
    );
    let verdict = scene.answer(&transaction, 1);
    assert!(verdict["error"].as_str().is_some_and(|e| e.starts_with("rolled back: leptond ended")), "{verdict}");
    assert_eq!(text(&next, "leptond.toml"), before);
    next.wait_log("rolled back");
    assert!(!file(&next, "leptond.toml.trial").exists());
}

#[test]
fn a_configuration_that_may_not_be_changed_or_written_says_so() {
    let Some(scene) = Scene::new("a_configuration_that_may_not_be_changed") else { return };
    let values = r#""values":{"governor.mode":"quiet"}"#;
    let daemon = Daemon::start(&scene.config("\"all\""));
    scene.wait_results(1);
    let error = scene.refused("config/set", values);
    assert!(error.contains("mqtt.requests = \"all\"") && error.contains("a list that names it"), "{error}");
    drop(daemon);
    // A value that the environment sets has no effect in the file.
    let of_environment = |command: &mut Command| {
        command.env("LEPTOND__GOVERNOR__MODE", "manual");
    };
    let daemon = Daemon::start_with(&scene.config(SET), |_| {}, of_environment);
    scene.wait_results(1);
    let error = scene.refused("config/set", values);
    assert!(error.contains("no effect, since environment variable LEPTOND__GOVERNOR__MODE sets it"), "{error}");
    assert!(!file(&daemon, "leptond.toml.previous").exists());
}

#[test]
fn a_picture_is_published_with_its_results_when_it_is_asked_for() {
    let Some(scene) = Scene::new("a_picture_is_published") else { return };
    let _daemon = Daemon::start(&scene.config("\"all\""));
    scene.wait_results(1);
    assert!(on(&scene.listener.messages(), "leptond/test/meter/snapshot").is_empty());
    let data = scene.ask("snapshot", r#""pipeline":"meter""#);
    assert_eq!((&data["topic"], &data["width"]), (&json!("leptond/test/meter/snapshot"), &json!(640)), "{data}");
    let seen = scene.listener.wait_for("the picture", |m| !on(m, "leptond/test/meter/snapshot").is_empty());
    let picture = on(&seen, "leptond/test/meter/snapshot")[0];
    assert!(
        picture.payload.starts_with(&[0xff, 0xd8]) && picture.payload.len() as u64 == data["bytes"].as_u64().unwrap()
    );
    let late = scene.broker.listen("leptond/test/meter/snapshot");
    late.wait_for("the picture again", |m| m.iter().any(|m| m.retain));
    // Two who ask at once get one picture or two, and an answer each.
    let both = [scene.send("snapshot", ""), scene.send("snapshot", r#""pipeline":"meter" "#)];
    both.iter().for_each(|transaction| assert_eq!(scene.answer(transaction, 0)["status"], "ok"));
    scene.ask("pipeline/pause", "");
    let error = scene.refused("snapshot", "");
    assert!(error.contains("is paused"), "{error}");
}

#[test]
fn models_are_listed() {
    let Some(scene) = Scene::new("models_are_listed") else { return };
    let _daemon = Daemon::start(&scene.config("\"read\""));
    scene.wait_results(1);
    let models = scene.ask("model/list", "")["models"].clone();
    let digits = models.as_array().unwrap().iter().find(|m| m["name"] == "leptonnet-digits").unwrap().clone();
    assert_eq!(
        (&digits["used_by"], digits["sha256"].as_str().map(str::len)),
        (&json!(["meter"]), Some(64)),
        "{digits}"
    );
}

#[test]
fn a_switch_is_a_pause_and_outlasts_a_reload() {
    let Some(scene) = Scene::new("a_switch_is_a_pause") else { return };
    // Retained before the daemon comes: it must not be turned by that.
    let stale = ["-r", "-t", "leptond/test/meter/detect/set", "-m", "OFF"];
    assert!(scene.client.publish(scene.broker.port, &stale));
    let daemon = Daemon::start(&scene.config("\"all\""));
    scene.wait_results(1);
    daemon.wait_log("a retained request is ignored");
    let turned = |expected: &[&str]| wait_until(&format!("{expected:?}"), || scene.switch() == expected);
    turned(&["ON"]);
    scene.publish("leptond/test/meter/detect/set", "nonsense");
    scene.publish("leptond/test/attic/detect/set", "OFF");
    scene.publish("leptond/test/meter/detect/set", "OFF");
    turned(&["ON", "OFF"]);
    daemon.replace_config(&scene.config("\"all\"").replace("fps = 10.0", "fps = 9.0"));
    daemon.signal("HUP");
    daemon.wait_log("the new configuration applies");
    let resting = scene.results();
    // A request says the same of the same pause.
    let data = scene.ask("governor/set", r#""mode":"auto""#);
    assert_eq!(data["pipelines"]["meter"]["paused"], true, "{data}");
    assert!(scene.results() <= resting + 1);
    scene.ask("pipeline/resume", "");
    turned(&["ON", "OFF", "ON"]);
    scene.wait_results(3);
    let late = scene.broker.listen("leptond/test/meter/detect/state");
    let kept = late.wait_for("the position", |m| !m.is_empty());
    assert_eq!((kept[0].payload.as_slice(), kept[0].retain), (&b"ON"[..], true));
    assert!(!scene.listener.messages().iter().any(|m| m.topic.contains("/response/detect")), "a switch has no answers");
}

#[test]
fn a_restart_ends_the_process_so_that_systemd_starts_it_again() {
    let Some(scene) = Scene::new("a_restart_ends_the_process") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let _manager = UnixDatagram::bind(&path).unwrap();
    let managed = |command: &mut Command| {
        command.env("NOTIFY_SOCKET", &path);
    };
    let start = Instant::now();
    let mut daemon = Daemon::start_with(&scene.config("\"all\""), |_| {}, managed);
    scene.wait_results(1);
    let error = scene.refused("restart", "");
    assert!(error.contains("has just started"), "{error}");
    std::thread::sleep(Duration::from_secs(61).saturating_sub(start.elapsed()));
    assert_eq!(scene.ask("restart", "")["restarting"], true);
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(75), "what the unit takes for another start");
    let seen = scene.listener.wait_for("offline", |m| on(m, "leptond/test/state").len() >= 2);
    assert_eq!(on(&seen, "leptond/test/state").last().unwrap().json()["state"], "offline");
}

/// Messages that a publisher with bad intentions sends: every verb and switch, right and wrong.
fn bad_intentions(round: usize) -> Vec<(String, String)> {
    let verbs = [
        "config/get",
        "config/set",
        "governor/set",
        "pipeline/pause",
        "pipeline/resume",
        "snapshot",
        "model/list",
        "model/update",
        "restart",
        "",
        "x",
        "config",
        "detect/set",
        "../../state",
        "a/b/c/d/e/f/g",
    ];
    let payloads = [
        "{}".to_owned(),
        "OFF".to_owned(),
        String::new(),
        r#"{"values":{"mqtt.requests":"all"}}"#.to_owned(),
        r#"{"values":{"governor.mode":"manual"}}"#.to_owned(),
        r#"{"mode":"manual"}"#.to_owned(),
        r#"{"rung":2}"#.to_owned(),
        "[".repeat(5000),
        format!(r#"{{"transaction":"{}"}}"#, "x".repeat(3000)),
        "\u{7}\u{feff}\u{ffff}".to_owned(),
    ];
    let topic = |verb: &str| match verb {
        "x" => "leptond/test/meter/detect/set".to_owned(),
        "" => "leptond/test/request".to_owned(),
        verb => format!("leptond/test/request/{verb}"),
    };
    verbs.iter().map(|verb| (topic(verb), payloads[round % payloads.len()].clone())).collect()
}

#[test]
fn a_hostile_publisher_can_neither_stop_nor_flood_nor_reconfigure_a_node_without_commands() {
    let Some(mut scene) = Scene::new("a_hostile_publisher") else { return };
    // It does not listen to the flood itself.
    scene.listener = scene.broker.listen("leptond/test/meter/result");
    let answers = scene.broker.listen("leptond/test/response/#");
    let mut daemon = Daemon::start(&scene.config("\"off\""));
    scene.wait_results(3);
    let before = (text(&daemon, "leptond.toml"), daemon.rss_bytes());
    let start = Instant::now();
    for round in 0..10 {
        for (topic, payload) in bad_intentions(round) {
            scene.publish(&topic, &payload);
        }
    }
    // And a stream that does not stop for a while, of 100 kB each.
    let large = "x".repeat(100_000);
    let mut flood = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &scene.broker.port.to_string(), "-t", "leptond/test/request/restart", "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = flood.stdin.take().unwrap();
    (0..300).for_each(|_| writeln!(lines, "{large}").unwrap());
    drop(lines);
    assert!(flood.wait().unwrap().success());
    scene.wait_results(3);
    let seen = scene.listener.messages();
    let rungs: Vec<Value> = on(&seen, "leptond/test/meter/result").iter().map(|m| m.json()["rung"].clone()).collect();
    assert!(rungs.iter().all(|rung| *rung == 0), "{rungs:?}");
    let position = scene.broker.listen("leptond/test/meter/detect/state");
    position.wait_for("the position", |m| m.iter().any(|m| m.payload == b"ON"));
    assert!(answers.messages().is_empty(), "nothing is answered");
    assert_eq!(text(&daemon, "leptond.toml"), before.0);
    assert!(!daemon.log().contains("request"), "the broker sends us none of it:\n{}", daemon.log());
    let grown = daemon.rss_bytes().saturating_sub(before.1);
    assert!(grown < 8 << 20, "{grown} bytes more");
    println!("hostile, requests off: {} messages in {:?}, memory {grown} bytes more", 450, start.elapsed());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn a_hostile_publisher_gets_few_answers_where_reading_is_allowed() {
    let Some(scene) = Scene::new("a_hostile_publisher_gets_few_answers") else { return };
    let daemon = Daemon::start(&scene.config("\"read\""));
    scene.wait_results(3);
    let before = text(&daemon, "leptond.toml");
    let start = Instant::now();
    for round in 0..10 {
        for (topic, payload) in bad_intentions(round) {
            scene.publish(&topic, &payload);
        }
    }
    scene.wait_results(3);
    let seconds = start.elapsed().as_secs() as usize + 1;
    let answers = scene.listener.messages().iter().filter(|m| m.topic.contains("/response")).count();
    assert!(answers <= 20 + 6 * seconds, "{answers} answers in {seconds} s");
    assert_eq!((scene.switch(), text(&daemon, "leptond.toml")), (vec!["ON".to_owned()], before));
    // One who asks in peace is answered.
    wait_until("an answer", || {
        std::thread::sleep(Duration::from_secs(1));
        scene.answer(&scene.send("config/get", r#""path":"governor.mode""#), 0)["data"]["value"] == "manual"
    });
}
