//! The daemon as a subscriber of nested messages, as Tasmota and Shelly send them: each channel has its own value, or there is
//! no result.

use std::path::Path;

use serde_json::Value;

use super::subscriber::{Subscriber, node};
use super::{bundle, identity};
use crate::daemon::Daemon;
use crate::mosquitto::free_port;

const PATHS: &str = r#"channels = ["ENERGY.Power", "ENERGY.Voltage"]"#;
/// A model without names, by paths; one that takes Voltage and Power by name; the same where the source gives paths.
const PIPELINES: [(&str, &str, &str); 3] = [("paths", "two.onnx", PATHS), ("names", "two", ""), ("both", "two", PATHS)];

fn config(port: u16) -> String {
    let pipelines = PIPELINES.map(|(name, model, channels)| {
        format!(
            "[[pipeline]]\nname = \"{name}\"\nmodel = \"{{dir}}/{model}\"\n[pipeline.source]\ntype = \"mqtt\"\n\
             topic = \"tele/+/SENSOR\"\ncontent = \"numbers\"\n{channels}\n"
        )
    });
    node(port, "health_interval_s = 1") + "[governor]\nmode = \"manual\"\n" + &pipelines.concat()
}

fn fill(dir: &Path) {
    std::fs::write(dir.join("two.onnx"), identity(2)).unwrap();
    bundle(&dir.join("two"), &["Voltage", "Power"]);
}

/// Results of a pipeline from the messages on one topic.
fn results(seen: &[(String, Value)], pipeline: &str, origin: &str) -> Vec<[f64; 2]> {
    let of = |(topic, result): &&(String, Value)| *topic == format!("{pipeline}/result") && result["origin"] == origin;
    let values = |(_, result): &(String, Value)| [0, 1].map(|i| result["outputs"][0]["values"][i].as_f64().unwrap());
    seen.iter().filter(of).map(values).collect()
}

/// Messages that a pipeline could not use, as the last health says.
fn errors(seen: &[(String, Value)], pipeline: &str) -> u64 {
    let health = seen.iter().rev().find(|(topic, _)| topic == "health");
    health.map_or(0, |(_, health)| health["pipelines"][pipeline]["errors"].as_u64().unwrap_or(0))
}

#[test]
fn each_channel_of_a_nested_message_has_its_own_value_or_there_is_no_result() {
    let port = free_port();
    let mut daemon = Daemon::start_with(&config(port), fill, |_| {});
    let mut broker = Subscriber::start(port);
    let each = |f: &dyn Fn(&str) -> bool| PIPELINES.iter().all(|(name, ..)| f(name));

    // A message that is not retained reaches those that have subscribed: known from another device, whose first one may be lost.
    let warm = |seen: &[(String, Value)]| each(&|name| !results(seen, name, "tele/warm/SENSOR").is_empty());
    while !warm(&broker.seen) {
        broker.publish("tele/warm/SENSOR", r#"{"ENERGY":{"Power":1,"Voltage":2}}"#);
        broker.take();
    }

    let plug = "tele/plug/SENSOR";
    let good = |power: u32, voltage: u32| {
        format!(
            r#"{{"Time":"2024-07-27T10:51:55","ENERGY":{{"Total":79.788,"Power":{power},"Voltage":{voltage},"Current":0.78}}}}"#
        )
    };
    let count = |n: usize| move |seen: &[(String, Value)]| each(&|name| results(seen, name, plug).len() == n);
    broker.publish(plug, &good(143, 230));
    broker.wait_for("result", count(1));
    let before: Vec<u64> = PIPELINES.iter().map(|(name, ..)| errors(&broker.seen, name)).collect();
    assert_eq!(before, [0; 3], "{}", daemon.log());

    let bad = [
        r#"{"Time":"2024-07-27T10:52:05","ENERGY":{"Total":79.789,"Power":150,"Current":231}}"#,
        r#"{"Time":"2024-07-27T10:52:15","ENERGY":{"Voltage":231}}"#,
        r#"{"ENERGY":{"Power":150,"Voltage":null,"Factor":0.9}}"#,
        r#"{"ENERGY":{"Power":150},"BATTERY":{"Voltage":3.1}}"#,
        r#"{"ENERGY":{"Power":[150,151],"Voltage":231}}"#,
        r#"{"Time":"2024-07-27T10:52:25","Power":150,"Current":231}"#,
        "[150,231]",
    ];
    for (i, message) in bad.iter().enumerate() {
        broker.publish(plug, message);
        let told = |seen: &[(String, Value)]| each(&|name| errors(seen, name) > i as u64);
        broker.wait_for(&format!("error for {message}"), told);
    }
    // And one of which nothing is known from earlier messages.
    broker.publish("tele/lamp/SENSOR", r#"{"ENERGY":{"Power":7,"Total":9}}"#);
    broker.wait_for("error of the lamp", |seen| each(&|name| errors(seen, name) > bad.len() as u64));
    broker.publish(plug, &good(144, 229));
    broker.wait_for("second result", count(2));

    for (name, ..) in PIPELINES {
        let [first, second] =
            if name == "paths" { [[143.0, 230.0], [144.0, 229.0]] } else { [[230.0, 143.0], [229.0, 144.0]] };
        assert_eq!(results(&broker.seen, name, plug), [first, second], "{name}");
        assert_eq!(results(&broker.seen, name, "tele/lamp/SENSOR"), [[0.0; 2]; 0], "{name}");
        assert_eq!(errors(&broker.seen, name), bad.len() as u64 + 1, "{name}");
    }
    let log = daemon.log();
    for words in ["no value of ENERGY.Voltage: the reading is left out", "no value of Voltage: the reading is left out"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0), "{}", daemon.log());
}
