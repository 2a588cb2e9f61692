//! The real thing on this machine: while others want every core, a pipeline steps down and keeps its deadline; when they are
//! gone it steps up again. It loads the machine for half a minute, so it is run alone: by `tests/run`, or with
//! `cargo test --test it -- --ignored busy --nocapture`, which prints the trace.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leptond::model::sha256;
use leptond::sys::Roots;
use leptond::sys::proc::{CpuTimes, Stat};
use serde_json::Value;
use tract_onnx::pb::tensor_proto::DataType;

use crate::common;
use crate::daemon::{Daemon, on};
use crate::model::build::{attr_ints, file, floats, graph, node, port};
use crate::mosquitto::{Mosquitto, Received};

/// Each step of the test is done after this at the latest. 20 s are usual for full work to be back, and each time that someone else
/// on the machine holds it up the wait begins again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pipeline and its listener use 2 % of two cores: below this share nobody else is there, …
const QUIET_PERCENT: f64 = 5.0;
/// … and above this one others use the machine in earnest.
const CROWDED_PERCENT: f64 = 50.0;

/// Five convolutions of so many channels over 128×128 pixels, and a mean.
fn network(channels: i64) -> Vec<u8> {
    let mut weights = Vec::new();
    let mut nodes = Vec::new();
    for layer in 0..5 {
        let inputs = if layer == 0 { 3 } else { channels };
        let values: Vec<f32> = (0..channels * inputs * 9).map(|i| (i as f32 * 0.37).sin() * 0.05).collect();
        weights.push(floats(&format!("w{layer}"), &[channels, inputs, 3, 3], &values));
        let from = if layer == 0 { "x".to_owned() } else { format!("r{}", layer - 1) };
        let mut conv = node("Conv", &[&from, &format!("w{layer}")], &[&format!("c{layer}")]);
        conv.attribute = vec![attr_ints("kernel_shape", &[3, 3]), attr_ints("pads", &[1, 1, 1, 1])];
        nodes.extend([conv, node("Relu", &[&format!("c{layer}")], &[&format!("r{layer}")])]);
    }
    nodes.extend([node("GlobalAveragePool", &["r4"], &["m"]), node("Flatten", &["m"], &["y"])]);
    let x = port("x", DataType::Float, &[1, 3, 128, 128]);
    file(graph(vec![x], weights, nodes, vec![port("y", DataType::Float, &[1, channels])]))
}

/// A bundle with a large form and one that costs a thirtieth of it.
fn bundle(dir: &Path) {
    let dir = dir.join("heavy");
    std::fs::create_dir(&dir).unwrap();
    let (large, small) = (network(16), network(2));
    let manifest = format!(
        "name = \"heavy\"\ntask = \"raw\"\nsha256 = \"{}\"\n[input]\nkind = \"image\"\nsize = [128, 128]\ncolour = \"rgb\"\n\
         layout = \"nchw\"\n[accuracy]\nmetric = \"none\"\nvalue = 0.9\n\
         [[variant]]\nname = \"small\"\nfile = \"small.onnx\"\nsha256 = \"{}\"\naccuracy = 0.7\n",
        sha256(&large),
        sha256(&small)
    );
    std::fs::write(dir.join("model.onnx"), large).unwrap();
    std::fs::write(dir.join("small.onnx"), small).unwrap();
    std::fs::write(dir.join("model.toml"), manifest).unwrap();
}

fn config(dir: &Path, port: u16, fps: f64, deadline_ms: u64) -> String {
    format!(
        "[node]\nname = \"test\"\nstate_dir = {dir:?}\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [governor]\ndwell_up_s = 10.0\n[models]\ndirs = [{dir:?}]\n\
         [[pipeline]]\nname = \"p\"\nmodel = \"heavy\"\nengine = \"f32\"\n\
         [pipeline.source]\ntype = \"synthetic\"\nwidth = 160\nheight = 120\nfps = {fps:.2}\n\
         [pipeline.governor]\ndeadline_ms = {deadline_ms}\nmin_fps = {:.2}\n",
        fps / 2.0,
        dir = dir.display().to_string()
    )
}

/// Time of one inference at full work on this machine, by calibration.
fn infer_ms(dir: &Path) -> f64 {
    let file = dir.join("first.toml");
    std::fs::write(&file, config(dir, 1, 5.0, 3000)).unwrap();
    let mut check = common::leptond();
    let output =
        check.args(["check", "--ladder", "--json", "--config"]).arg(&file).env("STATE_DIRECTORY", dir).output();
    let said: Value = serde_json::from_slice(&output.unwrap().stdout).expect("one JSON object");
    said["ladders"][0]["rungs"][0]["infer_ms"].as_f64().unwrap_or_else(|| panic!("a ladder: {said}"))
}

/// Processes that want every core several times over; ended when dropped.
struct Load(Child);

impl Load {
    fn start() -> Load {
        let workers = std::thread::available_parallelism().map_or(2, usize::from) * 4;
        let mut command = Command::new("stress-ng");
        command.args(["--cpu", &workers.to_string(), "--timeout", "300s", "--quiet"]).stdout(Stdio::null());
        Load(command.spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

fn machine_times() -> CpuTimes {
    let mut stat = Stat::default();
    stat.read(&Roots::default(), &mut String::new()).unwrap();
    stat.cpu
}

fn rung(messages: &[Received]) -> Option<u64> {
    on(messages, "leptond/test/governor").last().and_then(|m| m.json()["rung"].as_u64())
}

#[test]
#[ignore = "loads every core for half a minute: tests/run runs it alone"]
fn stress_lowers_the_work_and_its_end_gives_it_back() {
    let name = "stress_lowers_the_work_and_its_end_gives_it_back";
    if Command::new("stress-ng").arg("--version").output().is_err() {
        return common::skip(name, "stress-ng is not installed (apt-get install stress-ng)");
    }
    let Some(broker) = Mosquitto::start(name) else { return };
    let dir = tempfile::tempdir().unwrap();
    bundle(dir.path());
    let infer_ms = infer_ms(dir.path());
    // A quarter of one core, and twice the time that it takes.
    let (fps, deadline_ms) = (250.0 / infer_ms, (infer_ms * 2.0).ceil() as u64 + 5);
    let listener = broker.listen("leptond/test/#");
    let daemon = Daemon::start_with(
        &config(dir.path(), broker.port, fps, deadline_ms),
        |_| {},
        |command| {
            command.env("STATE_DIRECTORY", dir.path());
        },
    );
    let results = |m: &[Received]| on(m, "leptond/test/p/result").len();
    let start = Instant::now();
    let trace = |what: &str| println!("{:>6.1} s  {what}", start.elapsed().as_secs_f64());
    trace(&format!("full work takes {infer_ms:.1} ms, {fps:.1} a second, to be in time within {deadline_ms} ms"));

    listener.wait_within(PATIENCE, "full work", |m| rung(m) == Some(0) && results(m) >= 30);
    trace("full work goes on");
    let load = Load::start();
    trace("stress-ng on every core");
    let seen = listener.wait_within(PATIENCE, "a lower rung", |m| rung(m).is_some_and(|r| r > 0));
    let lowered = on(&seen, "leptond/test/governor").last().unwrap().json();
    trace(&format!("rung {} ({}): {}", lowered["rung"], lowered["model"], lowered["reason"]));
    assert!(lowered["reason"].as_str().unwrap().contains("deadline"), "{lowered}");

    // What was under way may be late; from then on results are in time.
    let settled = results(&seen) + 20;
    let seen = listener.wait_within(PATIENCE, "results of the lower rung", |m| results(m) >= settled + 40);
    let all = on(&seen, "leptond/test/p/result");
    let ages: Vec<f64> = all[settled..].iter().map(|m| m.json()["frame_age_ms"].as_f64().unwrap()).collect();
    let met = ages.iter().filter(|age| **age <= deadline_ms as f64).count();
    trace(&format!("{met} of {} results in time", ages.len()));
    assert!(met * 100 >= ages.len() * 95, "{met} of {}: {ages:?}\n{}", ages.len(), daemon.log());
    assert!(rung(&seen).is_some_and(|r| r > 0), "not given back while the others are there");

    drop(load);
    trace("stress-ng has ended");
    let (before, ended) = (machine_times(), Instant::now());
    let given_back = listener.satisfied_within(PATIENCE, |m| rung(m) == Some(0));
    let (took, seen) = (ended.elapsed(), listener.messages());
    let percent = machine_times().percent_since(before).expect("time has passed");
    trace(&format!("the machine was busy for {percent:.0} % of the time since"));
    if !given_back {
        if percent > CROWDED_PERCENT {
            let why = format!("others went on with {percent:.0} % of the machine: nothing to give back");
            return common::skip(name, &why);
        }
        let results = on(&seen, "leptond/test/p/result");
        let ages: Vec<f64> =
            results.iter().rev().take(60).map(|m| m.json()["frame_age_ms"].as_f64().unwrap()).collect();
        let health = on(&seen, "leptond/test/health").last().map(|m| m.json().to_string());
        panic!("no full work within {PATIENCE:?}; ages: {ages:?}\n{health:?}\n{}", daemon.log());
    }
    let raised = on(&seen, "leptond/test/governor").last().unwrap().json();
    trace(&format!("rung 0: {}", raised["reason"]));
    if percent < QUIET_PERCENT {
        assert!(took < Duration::from_secs(30), "{took:?} on a machine that was quiet");
    }
}
