//! Frames of pipelines that other nodes compute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Config as StreamConfig;
use async_nats::jetstream::{self, stream::RetentionPolicy};
use futures_util::StreamExt as _;

use super::hostile::{block_on, connect, digest, header};
use super::nodes::{MODEL, fleet, pictures, wait_ready, worker};
use super::server::Nats;
use crate::common;
use crate::daemon::Daemon;
use crate::mosquitto::{Listener, Mosquitto, Received, wait_until};

/// A node with one camera, 20 frames a second, that may use one percent of its processor: its governor would lower the work at once.
fn camera_config(server: &Nats, broker: &Mosquitto, folder: &Path, fleet: &str) -> String {
    format!(
        "[node]\nname = \"camera\"\nhealth_interval_s = 1\n[mqtt]\nport = {}\nresults = true\n\
         [governor]\ntick_ms = 200\nmode = \"quiet\"\nquiet_cpu_percent = 1.0\n\
         [page]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
         [fleet]\nservers = [\"{}\"]\noffload = true\n{fleet}\n\
         [[pipeline]]\nname = \"door\"\nmodel = \"{MODEL}\"\n\
         source = {{ type = \"files\", path = {folder:?}, fps = 20.0, loop = true }}\n\
         governor = {{ interval_ms = 50, deadline_ms = 600, min_fps = 1.0 }}\n",
        broker.port,
        server.url()
    )
}

/// A server of the group, a broker, a camera with pictures on it, and whoever listens to it.
struct Scene {
    server: Nats,
    broker: Mosquitto,
    folder: PathBuf,
    listener: Listener,
    _dir: tempfile::TempDir,
}

impl Scene {
    /// `None`, with a word, where server or broker cannot be had.
    fn start(test: &str, count: usize) -> Option<Scene> {
        let (server, broker) = (Nats::start(test)?, Mosquitto::start(test)?);
        let dir = tempfile::tempdir().unwrap();
        let folder = pictures(dir.path(), count, [64, 48]);
        let listener = broker.listen("leptond/camera/#");
        Some(Scene { server, broker, folder, listener, _dir: dir })
    }

    fn config(&self, fleet: &str) -> String {
        camera_config(&self.server, &self.broker, &self.folder, fleet)
    }

    fn results(&self) -> Vec<Value> {
        results(&self.listener.messages())
    }

    /// Waits for further results of the camera's own.
    fn wait_own(&self) {
        let count = self.results().len();
        wait_until("results of its own", || self.results().len() > count + 3);
    }

    /// Checks that every result comes behind those of frames before it.
    fn check_order(&self) {
        let order: Vec<u64> = self.results().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }
}

/// Starts a camera whose governor lowers its work at once.
fn crowded(config: &str) -> Daemon {
    let camera = Daemon::start(config);
    camera.wait_log("quiet: at most 1 % of the cpu");
    camera
}

fn results(messages: &[Received]) -> Vec<Value> {
    messages.iter().filter(|one| one.topic.ends_with("door/result")).map(Received::json).collect()
}

fn away(results: &[Value]) -> usize {
    results.iter().filter(|one| one["computed_by"] == "one").count()
}

/// Waits for `count` results of the other node.
fn wait_away(listener: &Listener, count: usize) -> Vec<Value> {
    wait_until("results of the other node", || away(&results(&listener.messages())) >= count);
    results(&listener.messages())
}

/// Labels and scores that `infer` gives for the files.
fn inferred(folder: &Path) -> BTreeMap<String, (Value, f32)> {
    let output = common::leptond().args(["infer", "--json", MODEL]).arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let one = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let name = Path::new(value["input"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        (name, (value["label"].clone(), value["score"].as_f64().unwrap() as f32))
    };
    text.lines().map(one).collect()
}

#[test]
fn a_neighbour_computes_what_would_have_been_lowered_and_it_comes_home_when_that_dies() {
    let test = "a_neighbour_computes_what_would_have_been_lowered_and_it_comes_home_when_that_dies";
    let Some(scene) = Scene::start(test, 40) else { return };
    let camera = crowded(&scene.config(""));
    let node = worker(&scene.server, "one");
    wait_ready(&node);
    let before = wait_away(&scene.listener, 60);
    // Full work, in order, as `infer` would have it.
    let expected = inferred(&scene.folder);
    let first = before.iter().position(|one| one["computed_by"] == "one").unwrap();
    for one in before.iter().filter(|one| one["computed_by"] == "one") {
        let name = Path::new(one["origin"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        let score = one["score"].as_f64().unwrap() as f32;
        assert_eq!((&one["label"], score), (&expected[&name].0, expected[&name].1), "{one}");
        assert_eq!(one["rung"], 0);
    }
    let order: Vec<u64> = before.iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    let skipped = order[first + 1..].windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert!(skipped <= order.len() / 5, "every frame is looked at: {order:?}");
    // The page is told of it at the governor's next turn.
    wait_until("the counts", || fleet(&camera)["given"]["by"]["one"].as_u64().unwrap_or_default() >= 60);
    assert_eq!(fleet(&camera)["given"]["untrusted"], 0);
    node.signal("KILL");
    let died = Instant::now();
    camera.wait_log("the work is done here again");
    let within = died.elapsed();
    assert!(within < common::patiently(Duration::from_secs(2)), "{within:?}");
    scene.wait_own();
    scene.check_order();
    let all = scene.results();
    let last = all.last().unwrap();
    assert!(last.get("computed_by").is_none() && last["rung"].as_u64().unwrap() > 0, "{last}");
}

#[test]
fn a_node_with_both_roles_does_not_work_for_itself() {
    let test = "a_node_with_both_roles_does_not_work_for_itself";
    let Some(scene) = Scene::start(test, 10) else { return };
    let camera = crowded(&scene.config("assist = true"));
    wait_ready(&camera);
    let since = Instant::now();
    wait_until("some turns of the governor", || since.elapsed() > Duration::from_secs(9));
    assert_eq!(fleet(&camera)["given"]["frames"], 0);
    assert!(scene.results().iter().all(|one| one.get("computed_by").is_none()));
}

#[test]
fn without_offload_nothing_leaves_and_a_pipeline_may_stay_out_of_it() {
    let test = "without_offload_nothing_leaves_and_a_pipeline_may_stay_out_of_it";
    let Some(scene) = Scene::start(test, 10) else { return };
    let node = worker(&scene.server, "one");
    wait_ready(&node);
    let config = scene.config("");
    let alone = config.replace("offload = true", "offload = false");
    let stays = config.replace("governor = { interval", "offload = false\ngovernor = { interval");
    for config in [alone, stays] {
        let camera = crowded(&config);
        let since = Instant::now();
        wait_until("some turns of the governor", || since.elapsed() > Duration::from_secs(7));
        assert!(!camera.log().contains("given to other nodes"), "{}", camera.log());
    }
    assert_eq!(fleet(&node)["done"], 0);
}

/// Answers of a node that lies, one kind after the other.
fn lies(id: &str, turn: usize) -> Vec<(HeaderMap, String)> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("Leptond-Schema", "1"),
        ("Leptond-Id", id),
        ("Leptond-Node", "liar"),
        ("Leptond-Model", &digest()),
        ("Leptond-Queue-Us", "1"),
        ("Leptond-Infer-Us", "1"),
        ("Leptond-Rung", "0"),
    ] {
        headers.insert(name, value);
    }
    let with = |name: &str, value: &str| {
        let mut headers = headers.clone();
        headers.insert(name, value);
        headers
    };
    let good = r#"{"task":"classify","label":"7","score":0.9,"top":[{"label":"7","score":0.9}]}"#.to_owned();
    match turn % 6 {
        0 => vec![(headers, good.replace("\"7\"", "\"burglar\""))],
        1 => vec![(headers, good.replace("0.9", "1.9"))],
        2 => vec![(with("Leptond-Model", &"0".repeat(64)), good)],
        3 => vec![(with("Leptond-Id", &"f".repeat(32)), good)],
        4 => vec![(headers, "garbage".into())],
        _ => vec![(with("Leptond-Refused", "failed"), "I do not want to".into())],
    }
}

#[test]
fn a_node_that_lies_is_not_believed_and_costs_no_result() {
    let test = "a_node_that_lies_is_not_believed_and_costs_no_result";
    let Some(scene) = Scene::start(test, 40) else { return };
    let camera = crowded(&scene.config(""));
    let told = block_on(async {
        let client = connect(&scene.server).await;
        let context = jetstream::new(client.clone());
        let stream = StreamConfig {
            name: "leptond_home_work".into(),
            subjects: vec!["leptond.home.work.*".into()],
            retention: RetentionPolicy::WorkQueue,
            ..StreamConfig::default()
        };
        let stream = context.get_or_create_stream(stream).await.unwrap();
        let name = format!("model_{}", &digest()[..12]);
        let settings = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: format!("leptond.home.work.{}", &digest()[..12]),
            ack_policy: AckPolicy::Explicit,
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(&name, settings).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let mut turn = 0;
        let until = Instant::now() + common::patiently(Duration::from_secs(40));
        while turn < 12 && Instant::now() < until {
            let next = tokio::time::timeout(Duration::from_secs(1), messages.next()).await;
            let Ok(Some(Ok(message))) = next else { continue };
            message.ack().await.unwrap();
            let (id, token) = (header(&message, "Leptond-Id"), header(&message, "Leptond-Answer"));
            for (headers, payload) in lies(id, turn) {
                let subject = format!("leptond.home.answer.{token}");
                client.publish_with_headers(subject, headers, payload.into()).await.unwrap();
            }
            turn += 1;
        }
        assert!(turn >= 6, "{turn} frames were given");
        client.flush().await.unwrap();
        let mut told = Value::Null;
        wait_until("the lies are counted", || {
            told = fleet(&camera)["given"].clone();
            told["untrusted"].as_u64().unwrap_or_default() >= 4
        });
        told
    });
    assert_eq!((&told["answered"], &told["by"]), (&0.into(), &serde_json::json!({})), "{told}");
    scene.wait_own();
    scene.check_order();
    let all = scene.results();
    assert!(all.iter().all(|one| one.get("computed_by").is_none()), "{all:?}");
}

#[test]
fn check_warns_where_nothing_may_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let config = |may: bool| {
        format!(
            "[fleet]\nservers = [\"nats://127.0.0.1:4222\"]\noffload = true\n[[pipeline]]\nname = \"door\"\nmodel = \"{MODEL}\"\n\
             offload = {may}\nsource = {{ type = \"files\", path = {:?} }}\n",
            dir.path()
        )
    };
    let said = |may: bool| {
        let file = dir.path().join("leptond.toml");
        std::fs::write(&file, config(may)).unwrap();
        let output = common::leptond().args(["check", "--config"]).arg(&file).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    assert!(said(false).contains("fleet.offload: has no effect"), "{}", said(false));
    assert!(!said(true).contains("fleet.offload"), "{}", said(true));
}
