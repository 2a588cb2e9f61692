//! What a detector publishes over time: events that begin and end, and a state that does not flip with every frame.

use serde_json::Value;

use super::nets::{Net, picture};
use crate::daemon::{Daemon, on};
use crate::model_add::home::Home;
use crate::mosquitto::{Mosquitto, Received};

/// A detector that sees a plate in a white picture (0.9) and none in a black one.
fn net() -> Net {
    let mut net = Net::end2end(
        &[[10.0, 12.0, 40.0, 50.0, 0.0, 0.0]],
        300,
        &[("task", "detect"), ("names", "{0: 'plate'}"), ("end2end", "True")],
    );
    net.gain[4] = 0.9;
    net
}

/// Twenty pictures a second, by letters: `w` white, `b` black.
fn run(port: u16, letters: &str, repeat: bool, task: &str) -> (Home, Daemon) {
    run_with(port, letters, repeat, task, "")
}

/// The same with further tables of the pipeline.
pub fn run_with(port: u16, letters: &str, repeat: bool, task: &str, tables: &str) -> (Home, Daemon) {
    let home = Home::new();
    home.write("net.onnx", net().file());
    home.run(&["add", "./net.onnx"]).ok();
    std::fs::create_dir(home.path("pictures")).unwrap();
    for (index, letter) in letters.chars().enumerate() {
        let grey = if letter == 'w' { 255 } else { 0 };
        home.write(&format!("pictures/{index:03}.jpg"), picture(64, 64, grey));
    }
    let config = format!(
        "[node]\nname = \"test\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n[governor]\nmode = \"manual\"\n\
         [models]\ndirs = [{:?}]\n[[pipeline]]\nname = \"door\"\nmodel = \"net\"\n[pipeline.source]\ntype = \"files\"\n\
         path = {:?}\nfps = 20.0\nloop = {repeat}\n[pipeline.task]\n{task}\n{tables}",
        home.path("models"),
        home.path("pictures"),
    );
    let daemon = Daemon::start(&config);
    (home, daemon)
}

pub fn events(messages: &[Received]) -> Vec<Value> {
    on(messages, "leptond/test/door/event").iter().map(|m| m.json()).collect()
}

fn counts(messages: &[Received]) -> Vec<Value> {
    let mut counts: Vec<Value> =
        on(messages, "leptond/test/door/state").iter().map(|m| m.json()["counts"].clone()).collect();
    counts.retain(|counts| !counts.is_null());
    counts.dedup();
    counts
}

#[test]
fn what_comes_and_goes_is_told_once() {
    let Some(broker) = Mosquitto::start("what_comes_and_goes_is_told_once") else { return };
    let listener = broker.listen("leptond/test/#");
    // Nothing; a flash; a plate that flickers; nothing.
    let letters = format!("{}w{}{}{}", "b".repeat(10), "b".repeat(10), "wwbw".repeat(10), "b".repeat(40));
    let (_home, _daemon) = run(broker.port, &letters, false, "appear_s = 0.3\nvanish_s = 0.8");
    let seen = listener.wait_for("the end of the plate", |m| events(m).len() >= 2);
    let events = events(&seen);
    let [begun, ended] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&begun["type"], &ended["type"]), (&"new".into(), &"end".into()));
    for event in &events {
        assert_eq!(event["label"], "plate", "{event}");
        assert_eq!(event["box"], serde_json::json!([10.0, 12.0, 40.0, 50.0]), "{event}");
        assert!((event["score"].as_f64().unwrap() - 0.9).abs() < 0.02, "{event}");
        assert_eq!(event["start_time"], begun["start_time"]);
    }
    assert_eq!(begun["id"], ended["id"]);
    assert!(begun["end_time"].is_null() && ended["end_time"].as_str() > begun["start_time"].as_str(), "{ended}");
    let event = on(&seen, "leptond/test/door/event")[0];
    assert!(event.qos == 1 && !event.retain);
    let told = listener.wait_for("the state without it", |m| counts(m).len() >= 3);
    assert_eq!(counts(&told), [serde_json::json!({}), serde_json::json!({"plate": 1}), serde_json::json!({})]);
}

#[test]
fn a_stop_leaves_no_event_open() {
    let Some(broker) = Mosquitto::start("a_stop_leaves_no_event_open") else { return };
    let listener = broker.listen("leptond/test/#");
    let (_home, mut daemon) = run(broker.port, "ww", true, "appear_s = 0.2");
    listener.wait_for("the plate", |m| !events(m).is_empty());
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
    let seen = listener.wait_for("its end", |m| events(m).len() >= 2);
    let events = events(&seen);
    assert_eq!(events.iter().map(|e| e["type"].as_str().unwrap()).collect::<Vec<_>>(), ["new", "end"], "{events:?}");
    assert_eq!(events[0]["id"], events[1]["id"]);
}

#[test]
fn the_end_of_a_source_ends_what_it_showed() {
    let Some(broker) = Mosquitto::start("the_end_of_a_source_ends_what_it_showed") else { return };
    let listener = broker.listen("leptond/test/#");
    let (_home, _daemon) = run(broker.port, &"w".repeat(20), false, "appear_s = 0.2");
    let seen = listener.wait_for("new and end", |m| events(m).len() >= 2);
    assert_eq!(events(&seen)[1]["type"], "end");
}
