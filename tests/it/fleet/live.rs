//! Frames of pipelines that other nodes compute.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::nodes::{MODEL, fleet, pictures, wait_ready, worker, worker_config};
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
    let Some(server) = Nats::start(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 40, [64, 48]);
    let listener = broker.listen("leptond/camera/#");
    let camera = Daemon::start(&camera_config(&server, &broker, &folder, ""));
    camera.wait_log("quiet: at most 1 % of the cpu");
    let node = worker(&server, "one");
    wait_ready(&node);
    let before = wait_away(&listener, 60);
    // Full work, in order, as `infer` would have it.
    let expected = inferred(&folder);
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
    let told = fleet(&camera)["given"].clone();
    assert!(told["by"]["one"].as_u64().unwrap() >= 60 && told["untrusted"] == 0, "{told}");
    // Its state in Home Assistant and on the page is that of full work.
    node.signal("KILL");
    let died = Instant::now();
    camera.wait_log("the work is done here again");
    let within = died.elapsed();
    assert!(within < common::patiently(Duration::from_secs(2)), "{within:?}");
    let count = results(&listener.messages()).len();
    wait_until("results of its own", || results(&listener.messages()).len() > count + 3);
    let all = results(&listener.messages());
    let order: Vec<u64> = all.iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    let last = all.last().unwrap();
    assert!(last.get("computed_by").is_none() && last["rung"].as_u64().unwrap() > 0, "{last}");
}

#[test]
fn a_node_with_both_roles_does_not_work_for_itself() {
    let test = "a_node_with_both_roles_does_not_work_for_itself";
    let Some(server) = Nats::start(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 10, [64, 48]);
    let listener = broker.listen("leptond/camera/#");
    let camera = Daemon::start(&camera_config(&server, &broker, &folder, "assist = true"));
    wait_ready(&camera);
    camera.wait_log("quiet: at most 1 % of the cpu");
    let since = Instant::now();
    wait_until("some turns of the governor", || since.elapsed() > Duration::from_secs(9));
    assert_eq!(fleet(&camera)["given"]["frames"], 0);
    assert!(results(&listener.messages()).iter().all(|one| one.get("computed_by").is_none()));
}

#[test]
fn without_offload_nothing_leaves_and_a_pipeline_may_stay_out_of_it() {
    let test = "without_offload_nothing_leaves_and_a_pipeline_may_stay_out_of_it";
    let Some(server) = Nats::start(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), 10, [64, 48]);
    let node = Daemon::start(&worker_config(&server, "one", ""));
    wait_ready(&node);
    let config = camera_config(&server, &broker, &folder, "");
    let alone = config.replace("offload = true", "offload = false");
    let stays = config.replace("governor = { interval", "offload = false\ngovernor = { interval");
    for config in [alone, stays] {
        let camera = Daemon::start(&config);
        camera.wait_log("quiet: at most 1 % of the cpu");
        let since = Instant::now();
        wait_until("some turns of the governor", || since.elapsed() > Duration::from_secs(7));
        assert!(!camera.log().contains("given to other nodes"), "{}", camera.log());
    }
    assert_eq!(fleet(&node)["done"], 0);
}
