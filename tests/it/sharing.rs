//! Several pipelines on one source: captured once, decoded once, reloaded without the others noticing.

use std::collections::BTreeSet;

use crate::daemon::{Daemon, on};
use crate::mosquitto::{Mosquitto, Received};

/// The synthetic camera, read by two pipelines that need luminance only and one that needs colours.
fn three(port: u16) -> String {
    let reader = |name: &str, model: &str| {
        format!(
            "[[pipeline]]\nname = {name:?}\nmodel = {model:?}\nsource = \"camera\"\n[pipeline.task]\nmin_score = 0.0\n"
        )
    };
    format!(
        "[node]\nname = \"test\"\nhealth_interval_s = 1\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [governor]\nmode = \"manual\"\n[[source]]\nname = \"camera\"\ntype = \"synthetic\"\nfps = 5.0\n{}{}{}",
        reader("a", "leptonnet-digits"),
        reader("b", "leptonnet-digits"),
        reader("c", concat!(env!("CARGO_MANIFEST_DIR"), "/models/leptonnet-cifar10"))
    )
}

/// Numbers of the frames that `pipeline` gave a result for, in order.
fn frames(messages: &[Received], pipeline: &str) -> Vec<u64> {
    let results = on(messages, &format!("leptond/test/{pipeline}/result"));
    results.iter().map(|m| m.json()["seq"].as_u64().unwrap()).collect()
}

fn health(messages: &[Received]) -> Option<serde_json::Value> {
    on(messages, "leptond/test/health").last().map(|m| m.json())
}

#[test]
fn three_pipelines_capture_and_decode_each_frame_once() {
    let Some(broker) = Mosquitto::start("three_pipelines_capture_and_decode_each_frame_once") else { return };
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(&three(broker.port));
    let seen =
        listener.wait_for("twenty results of each", |m| ["a", "b", "c"].iter().all(|p| frames(m, p).len() >= 20));
    let (mut same, mut all) = (0, 0);
    let [a, b, c] = ["a", "b", "c"].map(|p| frames(&seen, p).into_iter().collect::<BTreeSet<u64>>());
    for seq in &a {
        same += usize::from(b.contains(seq) && c.contains(seq));
        all += 1;
    }
    assert!(same * 2 > all, "they see the same frames: {same} of {all}");
    let newest = *a.iter().next_back().unwrap();
    let listener = broker.listen("leptond/test/health");
    let told = listener.wait_for("health after those results", |m| {
        health(m).is_some_and(|h| h["sources"]["camera"]["frames"].as_u64() > Some(newest))
    });
    let health = health(&told).unwrap();
    let camera = &health["sources"]["camera"];
    let (frames, decoded) = (camera["frames"].as_u64().unwrap(), camera["decoded"].as_u64().unwrap());
    assert_eq!(camera["readers"], 3, "{health}");
    assert_eq!(health["sources"].as_object().unwrap().len(), 1, "{health}");
    assert!(decoded <= frames && decoded * 2 > frames, "{decoded} pictures decoded of {frames} frames");
    assert!(daemon.has_thread("capture camera") && !daemon.has_thread("capture a"));
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn a_reload_of_one_pipeline_is_not_noticed_by_the_others() {
    let Some(broker) = Mosquitto::start("a_reload_of_one_pipeline_is_not_noticed_by_the_others") else { return };
    let listener = broker.listen("leptond/test/#");
    let config = three(broker.port);
    let daemon = Daemon::start(&config);
    let enough = |after: u64, pipelines: &[&str]| {
        let pipelines: Vec<String> = pipelines.iter().map(|p| (*p).to_owned()).collect();
        listener.wait_for(&format!("results after frame {after}"), move |m| {
            pipelines.iter().all(|p| frames(m, p).iter().filter(|seq| **seq > after).count() >= 5)
        })
    };
    let newest = |seen: &[Received]| frames(seen, "a").last().copied().unwrap();
    let before = newest(&enough(0, &["a", "b", "c"]));
    // Another setting of one, one that goes, one that comes.
    let changed = config.replacen("min_score = 0.0", "min_score = 0.1", 1);
    daemon.replace_config(&changed);
    daemon.signal("HUP");
    daemon.wait_log("the new configuration applies");
    let between = newest(&enough(before, &["a", "b", "c"]));
    let (rest, _) = changed.rsplit_once("[[pipeline]]").unwrap();
    daemon.replace_config(&format!(
        "{rest}{}",
        changed
            .rsplit_once("[[pipeline]]")
            .map(|(_, c)| format!("[[pipeline]]{}", c.replace("\"c\"", "\"d\"")))
            .unwrap()
    ));
    daemon.signal("HUP");
    let seen = enough(between, &["a", "b", "d"]);
    // `b` was left alone: of the frames that it was due for, at most one is missing that it did not count as dropped.
    let b = frames(&seen, "b");
    let missing = b.last().unwrap() - b[0] + 1 - b.len() as u64;
    let drops = listener.wait_for("health with d", |m| health(m).is_some_and(|h| h["pipelines"]["d"].is_object()));
    let drops = health(&drops).unwrap()["pipelines"]["b"]["drops"].as_u64().unwrap();
    assert!(missing <= drops + 1, "{missing} frames are missing, {drops} were dropped: {b:?}");
    for pipeline in ["a", "b", "d"] {
        let seqs = frames(&seen, pipeline);
        assert!(seqs.is_sorted(), "{pipeline}: the camera was opened anew: {seqs:?}");
    }
    assert_eq!(daemon.log().matches("capturing").count(), 1, "{}", daemon.log());
}
