//! Retained messages of names that are no more.

use std::path::Path;

use super::*;
use leptond::publish::mqtt::{Keep, Kept};

fn start(broker: &Mosquitto, node: &str, dir: &Path, pipelines: &[&str], prefix: &str) -> Mqtt {
    let pipelines = pipelines.iter().map(|name| (*name).to_owned()).collect();
    let keep = Keep { file: dir.join("retained.json"), pipelines };
    let settings = Config { prefix: prefix.into(), keep_alive_s: 5, ..config(broker.port) };
    Mqtt::start_keeping(&settings, node, Kept { retained: Some(keep), ..Kept::default() }).unwrap()
}

fn say(mqtt: &Mqtt, root: &str, topics: &[&str]) {
    for topic in topics {
        mqtt.publish(message(Class::State, &format!("{root}/{topic}"), "x"));
    }
    assert!(mqtt.flush(soon()), "{:?}", mqtt.stats());
}

/// Topics with a retained message.
fn kept(broker: &Mosquitto, filter: &str) -> Vec<String> {
    let output = std::process::Command::new("mosquitto_sub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &broker.port.to_string(),
            "-t",
            filter,
            "--retained-only",
            "-W",
            "1",
            "-F",
            "%t",
        ])
        .output()
        .unwrap();
    let mut topics: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    topics.sort();
    topics
}

#[test]
fn a_pipeline_that_is_gone_leaves_nothing_at_a_reload_or_a_restart() {
    let Some(mut broker) = Mosquitto::start("a_pipeline_that_is_gone_leaves_nothing") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mqtt = start(&broker, "attic", dir.path(), &["meter", "door", "yard"], "leptond");
    say(&mqtt, "leptond/attic", &["info", "meter/state", "door/state", "door/snapshot", "yard/state"]);
    mqtt.own_pipelines(vec!["meter".into(), "yard".into()]);
    let left = ["leptond/attic/info", "leptond/attic/meter/state", "leptond/attic/state", "leptond/attic/yard/state"];
    wait_until("the pipeline's topics are gone", || kept(&broker, "leptond/#") == left);
    // What is sent again to a broker that has forgotten all does not bring them back.
    broker.restart();
    wait_until("it is connected again", || mqtt.stats().connects == 2);
    assert!(mqtt.flush(soon()));
    assert_eq!(kept(&broker, "leptond/#"), left);
    assert!(mqtt.stop(soon()));

    let mqtt = start(&broker, "attic", dir.path(), &["meter"], "leptond");
    let left = ["leptond/attic/info", "leptond/attic/meter/state", "leptond/attic/state"];
    wait_until("so are those of another run", || kept(&broker, "leptond/#") == left);
    drop(mqtt);
}

#[test]
fn a_node_renamed_or_moved_leaves_nothing() {
    let Some(broker) = Mosquitto::start("a_node_renamed_or_moved_leaves_nothing") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mqtt = start(&broker, "attic", dir.path(), &["meter"], "leptond");
    say(&mqtt, "leptond/attic", &["info", "meter/state"]);
    say(&mqtt, "homeassistant/device/attic", &["config"]);
    assert!(mqtt.stop(soon()));
    assert_eq!(kept(&broker, "#").len(), 4);
    let mqtt = start(&broker, "roof", dir.path(), &["meter"], "leptond");
    wait_until("the old name is gone", || kept(&broker, "#") == ["leptond/roof/state"]);
    assert!(mqtt.stop(soon()));
    let mqtt = start(&broker, "roof", dir.path(), &["meter"], "site/hall");
    wait_until("so is the old prefix", || kept(&broker, "#") == ["site/hall/roof/state"]);
    wait_until("and nothing is remembered of it", || {
        !std::fs::read_to_string(dir.path().join("retained.json")).unwrap().contains("leptond/roof")
    });
    drop(mqtt);
}

#[test]
fn what_another_node_has_by_now_stays() {
    let Some(broker) = Mosquitto::start("what_another_node_has_by_now_stays") else { return };
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mqtt = start(&broker, "attic", dir.path(), &["meter"], "leptond");
    say(&mqtt, "leptond/attic", &["info"]);
    assert!(mqtt.stop(soon()));
    let newcomer = start(&broker, "attic", other.path(), &["meter"], "leptond");
    say(&newcomer, "leptond/attic", &["info", "health"]);
    let mqtt = start(&broker, "roof", dir.path(), &["meter"], "leptond");
    let told = || logs::with(&["leptond/attic is another node's by now"]);
    wait_until("it is seen to be another's", || !told().is_empty());
    assert!(mqtt.flush(soon()));
    let left = ["leptond/attic/health", "leptond/attic/info", "leptond/attic/state", "leptond/roof/state"];
    assert_eq!(kept(&broker, "leptond/#"), left);
    wait_until("and is forgotten", || {
        !std::fs::read_to_string(dir.path().join("retained.json")).unwrap().contains("leptond/attic")
    });
}
