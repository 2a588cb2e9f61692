//! Faults of numbers without a model: through the daemon on tables with a fault, and beside control charts over weeks of virtual time.

mod charts;
mod faults;
mod signals;

use std::path::Path;

use serde_json::Value;

use crate::common;
use crate::daemon::{Daemon, on};
use crate::mosquitto::{Mosquitto, Received};
use signals::Random;

/// Readings a minute apart of two channels that depend on the time of day: `room` and `outside`.
fn table(minutes: usize, fault: impl Fn(usize, [f64; 2]) -> [Option<f64>; 2]) -> String {
    let mut random = Random(7);
    let mut text = String::from("time,room,outside\n");
    for minute in 0..minutes {
        let day = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        let usual = [21.0 + 0.1 * random.normal(), 8.0 + 4.0 * day + 0.2 * random.normal()];
        let [room, outside] = fault(minute, usual).map(|v| v.map_or(String::new(), |v| format!("{v:.3}")));
        let (d, h, m) = (1 + minute / 1440, minute / 60 % 24, minute % 60);
        text += &format!("2024-03-{d:02}T{h:02}:{m:02}:00,{room},{outside}\n");
    }
    text
}

fn config(port: u16, state: &Path, file: &Path, task: &str) -> String {
    format!(
        "[node]\nname = \"test\"\nstate_dir = {state:?}\nsandbox = \"off\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [[pipeline]]\nname = \"house\"\n[pipeline.source]\ntype = \"sensor\"\nkind = \"csv\"\npath = {file:?}\ninterval_ms = 0\n\
         [pipeline.task]\n{task}\n"
    )
}

/// Everything that a run over the table says.
fn run(broker: &Mosquitto, state: &Path, file: &Path, task: &str) -> Vec<Received> {
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(&config(broker.port, state, file, task));
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let gone = |m: &[Received]| on(m, "leptond/test/state").iter().any(|m| m.json()["state"] == "offline" && !m.retain);
    let mut messages = listener.wait_for("offline", gone);
    messages.retain(|m| !m.retain);
    messages
}

/// `new room spike` for each event.
fn events(messages: &[Received]) -> Vec<String> {
    let words = |m: &&Received| {
        let event = m.json();
        let channel = &event["channels"][0];
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        format!("{} {} {}", word(&event["type"]), word(&channel["channel"]), word(&channel["fault"]))
    };
    on(messages, "leptond/test/house/event").iter().map(words).collect()
}

#[test]
fn a_fault_in_a_table_is_an_event_that_names_its_channel() {
    let Some(broker) = Mosquitto::start("a_fault_in_a_table_is_an_event_that_names_its_channel") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("house.csv");
    let task = "type = \"baseline\"\nlearn_s = 86400";
    let begin = 3 * 1440;
    type Fault = fn(usize, [f64; 2]) -> [Option<f64>; 2];
    let cases: [(&str, Fault, &[&str]); 5] = [
        ("none", |_, [a, b]| [Some(a), Some(b)], &[]),
        (
            "spike",
            |m, [a, b]| [Some(if m == 3 * 1440 { 85.0 } else { a }), Some(b)],
            &["new room spike", "end room spike"],
        ),
        (
            "dead",
            |m, [a, b]| [Some(a), (!(3 * 1440..3 * 1440 + 60).contains(&m)).then_some(b)],
            &["new outside dead", "end outside dead"],
        ),
        (
            "stuck",
            |m, [a, b]| [Some(if (3 * 1440..3 * 1440 + 60).contains(&m) { 21.05 } else { a }), Some(b)],
            &["new room stuck", "end room stuck"],
        ),
        (
            "level",
            |m, [a, b]| [Some(if (3 * 1440..3 * 1440 + 300).contains(&m) { a + 3.0 } else { a }), Some(b)],
            &["new room spike", "update room level", "end room level"],
        ),
    ];
    for (name, fault, expected) in cases {
        std::fs::write(&file, table(begin + 600, fault)).unwrap();
        let state = tempfile::tempdir().unwrap();
        let messages = run(&broker, state.path(), &file, task);
        assert_eq!(events(&messages), expected, "{name}");
        let states: Vec<Value> = on(&messages, "leptond/test/house/state").iter().map(|m| m.json()).collect();
        assert!(states.iter().any(|state| state["calibrating"] == true && state["anomalous"] == false), "{name}");
        let last = states.last().unwrap();
        assert_eq!(
            (&last["task"], &last["anomalous"], &last["calibrating"]),
            (&"baseline".into(), &false.into(), &false.into())
        );
        // The state is sent now and then, and a file is read in no time; each result is.
        let results = on(&messages, "leptond/test/house/result");
        let bad = results.iter().map(|m| m.json()).find(|result| result["anomalous"] == true);
        assert_eq!(bad.is_some(), !expected.is_empty(), "{name}");
        if let Some(bad) = bad {
            assert!(bad["channels"][0]["channel"].is_string() && bad["channels"][0]["distance"].is_number(), "{bad}");
        }
    }
}

#[test]
fn what_was_learnt_is_known_after_a_restart_for_the_same_channels_only() {
    let Some(broker) = Mosquitto::start("what_was_learnt_is_known_after_a_restart") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = (dir.path().join("house.csv"), dir.path().join("state"));
    let task = "type = \"baseline\"\nlearn_s = 86400";
    std::fs::write(&file, table(2 * 1440, |_, usual| usual.map(Some))).unwrap();
    assert!(events(&run(&broker, &state, &file, task)).is_empty());
    assert!(state.join("baseline-house.json").is_file());
    // Ten minutes later, by what it knows: nothing has to be learnt again.
    let spike = |m, [a, b]: [f64; 2]| [Some(if m == 10 { 85.0 } else { a }), Some(b)];
    std::fs::write(&file, table(20, spike)).unwrap();
    assert_eq!(events(&run(&broker, &state, &file, task)), ["new room spike", "end room spike"]);
    // Other channels are other sensors.
    std::fs::write(&file, table(20, spike).replace("room", "cellar")).unwrap();
    assert!(events(&run(&broker, &state, &file, task)).is_empty());
}

#[test]
fn a_limit_begins_after_its_time_and_ends_at_its_own_value() {
    let Some(broker) = Mosquitto::start("a_limit_begins_after_its_time") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("house.csv");
    let warm = |m: usize| match m {
        // A minute is too short, and 29 is still too warm to end.
        20 => 31.0,
        40..=50 => 31.0,
        51..=60 => 29.0,
        _ => 21.0,
    };
    std::fs::write(&file, table(100, |m, [_, b]| [Some(warm(m)), Some(b)])).unwrap();
    let task = "type = \"threshold\"\nlimit = [{ channel = \"room\", above = 30.0, until = 28.0, for_s = 300.0 }]";
    let messages = run(&broker, dir.path(), &file, task);
    assert_eq!(events(&messages), ["new room above", "end room above"]);
    let results: Vec<Value> = on(&messages, "leptond/test/house/result").iter().map(|m| m.json()).collect();
    let seqs: Vec<u64> = results.iter().filter(|r| r["anomalous"] == true).filter_map(|r| r["seq"].as_u64()).collect();
    assert_eq!((seqs.first(), seqs.last()), (Some(&46), Some(&61)), "readings 45 to 60, counted from 1");
}

#[test]
fn check_and_try_need_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("house.csv");
    let spike = |m, [a, b]: [f64; 2]| [Some(if m == 1500 { 85.0 } else { a }), Some(b)];
    std::fs::write(&file, table(1600, spike)).unwrap();
    let path = dir.path().join("leptond.toml");
    let said = |text: &str, command: &str, more: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let output = common::leptond().arg(command).arg("--config").arg(&path).args(more).output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), out + &String::from_utf8_lossy(&output.stderr))
    };
    let good = config(1, dir.path(), &file, "type = \"baseline\"\nlearn_s = 3600");
    let (code, text) = said(&good, "check", &[]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said(&good, "try", &["--pipeline", "house", file.to_str().unwrap()]);
    assert!(code == Some(0) && text.contains("room: spike"), "{code:?} {text}");
    let (_, text) = said(&good, "doctor", &["--json"]);
    assert!(!text.contains("no such model") && !text.contains("panicked"), "{text}");
    for (task, complaint) in [
        ("type = \"threshold\"", "there is nothing to watch"),
        ("type = \"threshold\"\nlimit = [{ channel = \"a\" }]", "neither above nor below is set"),
        ("type = \"threshold\"\nlimit = [{ channel = \"a\", above = 1.0, until = 2.0 }]", "it never ends"),
        ("type = \"baseline\"\nlearn_s = -1.0", "learn_s"),
        ("type = \"anomaly\"", "model"),
    ] {
        let (code, text) = said(&config(1, dir.path(), &file, task), "check", &[]);
        assert!(code == Some(78) && text.contains(complaint), "{task}: {code:?} {text}");
    }
    let pictures = "[[pipeline]]\nname = \"a\"\nsource = { type = \"synthetic\" }\ntask = { type = \"baseline\" }\n";
    let (code, text) = said(pictures, "check", &[]);
    assert!(code == Some(78) && text.contains("this source gives pictures"), "{text}");
}
