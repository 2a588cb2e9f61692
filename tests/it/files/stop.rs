//! A stop is heard whatever is being made ready.

use std::path::Path;
use std::time::Duration;

use crate::common;
use crate::daemon::Daemon;
use crate::model::build::{floats, line, node};
use crate::mosquitto::{free_port, wait_until};

/// A model that takes seconds to compile: additions one after another.
fn long(dir: &Path) {
    const NODES: usize = 6000;
    let name = |i: usize| if i == NODES { "y".to_owned() } else { format!("t{i}") };
    let nodes = (0..NODES).map(|i| {
        let from = if i == 0 { "x".to_owned() } else { name(i) };
        node("Add", &[&from, "c"], &[&name(i + 1)])
    });
    std::fs::write(dir.join("long.onnx"), line(vec![floats("c", &[1, 4], &[0.5, 1.0, 2.0, 3.0])], nodes.collect()))
        .unwrap();
}

fn config(port: u16, model: &str) -> String {
    format!(
        "[node]\nname = \"test\"\nsandbox = \"off\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [[pipeline]]\nname = \"p\"\nmodel = {model:?}\n[pipeline.source]\n\
         type = \"sensor\"\nkind = \"jsonl\"\npath = \"-\"\nwindow = 1\n"
    )
}

#[test]
fn a_stop_is_heard_while_a_model_is_compiled() {
    let mut daemon = Daemon::start_with(&config(free_port(), "{dir}/long.onnx"), long, |_| {});
    wait_until("a thread that makes the pipeline", || daemon.has_thread("prepare"));
    daemon.signal("TERM");
    let (status, took) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took < common::patiently(Duration::from_secs(1)), "the stop took {took:?}");
    assert!(daemon.log().contains("before everything was ready"), "it was in time to be a test: {}", daemon.log());
}
