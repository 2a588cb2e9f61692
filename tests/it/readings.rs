//! The real binary in front of a meter: what is published of readings that cannot be right, in the course of a run and over restarts.

use std::collections::BTreeMap;
use std::path::Path;

use leptond::scene::{Fonts, Scene, Shown};
use serde_json::Value;

use crate::daemon::{Daemon, meter, on};
use crate::mosquitto::{Mosquitto, Received, wait_until};

/// Writes pictures of a counter that shows these numbers, in this order, as `<dir>/<number of the picture>-<number>.jpg`.
fn pictures(dir: &Path, numbers: &[u32]) {
    std::fs::create_dir_all(dir).unwrap();
    // The meter of this seed is read without a mistake and with certainty; what is tested is what is made of that.
    let mut scene = Scene::new(8, Fonts::All, 640, 480);
    let mut jpeg = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        scene.render(&Shown { value: *number, roll: 0.0 }, index as u64, &mut jpeg).unwrap();
        std::fs::write(dir.join(format!("{index:03}-{number:05}.jpg")), &jpeg).unwrap();
    }
}

/// The configuration of `daemon::meter` with the pictures of `dir` as its source, five a second.
fn config(port: u16, state: &Path, dir: &Path, source: &str, task: &str) -> String {
    let node = format!("name = \"test\"\n        state_dir = \"{}\"\n        sandbox = \"off\"", state.display());
    let files = format!("type = \"files\"\n        path = \"{}\"\n        {source}", dir.display());
    meter(port, "")
        .replace("name = \"test\"", &node)
        .replace("type = \"synthetic\"\n        fps = 10.0", &format!("{files}\n        fps = 5.0"))
        + &format!("[pipeline.task]\nmonotonic = true\n{task}\n")
}

fn events(messages: &[Received]) -> Vec<String> {
    let label = |m: &&Received| m.json()["label"].as_str().unwrap().to_string();
    on(messages, "leptond/test/meter/event").iter().map(label).collect()
}

fn states(messages: &[Received]) -> Vec<Value> {
    on(messages, "leptond/test/meter/state").iter().map(|m| m.json()).collect()
}

/// `label quality` of each result, by the picture's name without `.jpg`. A busy machine leaves out pictures now and then.
fn results(messages: &[Received]) -> BTreeMap<String, String> {
    let one = |m: &&Received| {
        let result = m.json();
        let origin = result["origin"].as_str().unwrap().to_string();
        let picture = origin.rsplit('/').next().unwrap().trim_end_matches(".jpg").to_string();
        let label = result["label"].as_str().unwrap_or("nothing");
        assert_eq!(result["held"], label != "nothing" && result["quality"] != "good", "{result}");
        (picture, format!("{label} {}", result["quality"].as_str().unwrap()))
    };
    on(messages, "leptond/test/meter/result").iter().map(one).collect()
}

/// What was said of the pictures that show `number`: the same of each.
fn said_of(messages: &[Received], number: &str) -> String {
    let mut said: Vec<_> =
        results(messages).into_iter().filter(|(name, _)| name.ends_with(number)).map(|r| r.1).collect();
    said.dedup();
    assert_eq!(said.len(), 1, "{number}: {:?}", results(messages));
    said.remove(0)
}

/// Runs until the pictures are over; everything that was published.
fn run(broker: &Mosquitto, config: &str) -> Vec<Received> {
    let listener = broker.listen("leptond/test/#");
    let mut daemon = Daemon::start(config);
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let gone = |m: &[Received]| on(m, "leptond/test/state").iter().any(|m| m.json()["state"] == "offline" && !m.retain);
    let mut messages = listener.wait_for("offline", gone);
    // What the broker kept from an earlier run is not of this one.
    messages.retain(|m| !m.retain);
    messages
}

#[test]
fn a_leap_is_held_and_the_reading_after_it_is_believed_at_once() {
    let Some(broker) = Mosquitto::start("a_leap_is_held_and_the_reading_after_it") else { return };
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().join("shown");
    pictures(&shown, &[424, 424, 424, 924, 924, 425, 425, 426, 426, 421, 421, 427, 427]);
    for task in ["", "max_rate = 7200", "max_step = 5", "max_rate = 7200\nmax_step = 2"] {
        let state = tempfile::tempdir().unwrap();
        let messages = run(&broker, &config(broker.port, state.path(), &shown, "", task));
        assert_eq!(events(&messages), ["00424", "00425", "00426", "00427"], "{task}");
        assert_eq!(said_of(&messages, "00924"), "00424 unconfirmed", "{task}");
        assert_eq!(said_of(&messages, "00421"), "00426 unconfirmed", "{task}");
        for state in states(&messages) {
            let label = state["label"].as_str().unwrap();
            assert!(label < "00428", "{state}");
            assert_eq!(state["value"].as_u64(), label.parse().ok(), "{state}");
            assert_eq!(state["held"], state["quality"] != "good", "{state}");
            assert!(state["score"].as_f64().unwrap() >= 0.8, "the score is that of the reading: {state}");
            assert!(state["last_good_age_s"].is_number() && state["last_good_time"].is_string(), "{state}");
            assert!(state.as_object().unwrap().values().all(|v| !v.is_object() && !v.is_array()), "flat: {state}");
        }
    }
}

/// A picture without anything to read: every pixel as bright as `light` says of its place, as `<dir>/<name>`.
fn plain(dir: &Path, name: &str, light: impl Fn(usize, usize) -> u8) {
    let mut jpeg = Vec::new();
    let pixels: Vec<u8> = (0..480).flat_map(|y| (0..640).map(move |x| (x, y))).map(|(x, y)| light(x, y)).collect();
    jpeg_encoder::Encoder::new(&mut jpeg, 90).encode(&pixels, 640, 480, jpeg_encoder::ColorType::Luma).unwrap();
    std::fs::write(dir.join(name), jpeg).unwrap();
}

#[test]
fn while_nothing_can_be_seen_the_last_good_reading_is_held() {
    let Some(broker) = Mosquitto::start("while_nothing_can_be_seen") else { return };
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().join("shown");
    pictures(&shown, &[7018, 7018, 7019, 7019]);
    for i in 4..16 {
        let name = format!("{i:03}-dark.jpg");
        match i % 4 {
            0 => plain(&shown, &name, |_, _| 0),
            1 => plain(&shown, &name, |_, _| 255),
            // A sensor's noise in the dark, and a fogged glass with light from one side.
            2 => plain(&shown, &name, |x, y| 6 + ((x * 31 + y * 17 + x * y) % 7) as u8),
            _ => plain(&shown, &name, |x, y| (90 + x / 16 + y / 24) as u8),
        }
    }
    pictures(&dir.path().join("light"), &[7020, 7020, 7021, 7021]);
    for (index, name) in ["000-07020.jpg", "001-07020.jpg", "002-07021.jpg", "003-07021.jpg"].into_iter().enumerate() {
        let to = shown.join(format!("{:03}{}", 16 + index, &name[3..]));
        std::fs::rename(dir.path().join("light").join(name), to).unwrap();
    }
    // It would be long enough to be confirmed.
    for task in ["monotonic = true\nconfirm_s = 0.4", "monotonic = false"] {
        let state = tempfile::tempdir().unwrap();
        let text = config(broker.port, state.path(), &shown, "", "").replace("monotonic = true", task);
        let messages = run(&broker, &text);
        assert_eq!(events(&messages), ["07018", "07019", "07020", "07021"], "{task}");
        for number in ["07018", "07019", "07020", "07021"] {
            assert_eq!(said_of(&messages, number), format!("{number} good"), "{task}");
        }
        assert_eq!(said_of(&messages, "dark"), "07019 unreadable", "{task}");
        let dark: Vec<_> = states(&messages).into_iter().filter(|s| s["quality"] == "unreadable").collect();
        assert!(!dark.is_empty(), "the state says that nothing can be seen");
        for state in dark {
            assert_eq!(
                (&state["label"], &state["value"], &state["held"]),
                (&"07019".into(), &7019.into(), &true.into())
            );
            assert!(state["score"].as_f64().unwrap() > 0.8, "{state}");
        }
        for result in on(&messages, "leptond/test/meter/result").iter().map(|m| m.json()) {
            if result["quality"] == "unreadable" {
                for region in result["regions"].as_array().unwrap() {
                    assert!(region["label"].is_null() && region["unreadable"].is_string(), "{result}");
                }
            }
        }
    }
}

#[test]
fn the_first_reading_after_a_start_is_judged_by_the_last_one_before() {
    let Some(broker) = Mosquitto::start("the_first_reading_after_a_start") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (before, after, state) = (dir.path().join("before"), dir.path().join("after"), dir.path().join("state"));
    pictures(&before, &[7018, 7018, 7019, 7019, 7019]);
    pictures(&after, &[97_019, 97_019, 7019, 7019, 7020, 7020]);
    let (before, after) = (config(broker.port, &state, &before, "", ""), config(broker.port, &state, &after, "", ""));
    let held = |messages: &[Received]| {
        assert_eq!(events(messages), ["07019", "07020"]);
        assert_eq!(said_of(messages, "97019"), "07019 unconfirmed");
        assert!(states(messages).iter().all(|s| s["label"] != "97019"));
    };
    assert_eq!(events(&run(&broker, &before)), ["07018", "07019"]);
    held(&run(&broker, &after));

    // Also when the power goes: a new meter's reading is written when it is believed. (The latest one, 07020, is a step backwards.)
    std::fs::remove_file(state.join("readings.json")).unwrap();
    let only = dir.path().join("only");
    pictures(&only, &[7019]);
    let mut daemon = Daemon::start(&config(broker.port, &state, &only, "loop = true", ""));
    wait_until("the reading is kept", || state.join("readings.json").exists());
    daemon.signal("KILL");
    daemon.wait();
    held(&run(&broker, &after));

    // A file that was damaged is said and not believed, and whatever comes first is.
    std::fs::write(state.join("readings.json"), "{\"meter/5\": {\"reading\": \"0701").unwrap();
    let mut daemon = Daemon::start(&before);
    daemon.wait();
    assert!(daemon.log().contains("readings.json") && daemon.log().contains("WARN"), "{}", daemon.log());
    let kept: Value = serde_json::from_slice(&std::fs::read(state.join("readings.json")).unwrap()).unwrap();
    assert_eq!(kept["meter/5"]["reading"], "07019", "{kept}");
    let half_written = |e: std::fs::DirEntry| e.path().extension().is_some_and(|extension| extension == "part");
    assert!(!std::fs::read_dir(&state).unwrap().any(|e| half_written(e.unwrap())));
}

#[test]
fn a_reload_keeps_the_reading() {
    let Some(broker) = Mosquitto::start("a_reload_keeps_the_reading") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (before, after, state) = (dir.path().join("before"), dir.path().join("after"), dir.path().join("state"));
    pictures(&before, &[7019]);
    pictures(&after, &[97_019, 97_019, 97_019, 7020, 7020, 7020]);
    let listener = broker.listen("leptond/test/meter/#");
    let daemon = Daemon::start(&config(broker.port, &state, &before, "loop = true", ""));
    listener.wait_for("three results", |m| on(m, "leptond/test/meter/result").len() >= 3);
    daemon.replace_config(&config(broker.port, &state, &after, "", ""));
    daemon.signal("HUP");
    let seen = listener.wait_for("the reading after it", |m| events(m).last().is_some_and(|label| label == "07020"));
    assert_eq!(events(&seen), ["07019", "07020"]);
    assert_eq!(said_of(&seen, "97019"), "07019 unconfirmed");
}

#[test]
fn a_reading_below_the_threshold_is_never_a_state() {
    let Some(broker) = Mosquitto::start("a_reading_below_the_threshold") else { return };
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().join("shown");
    pictures(&shown, &[7019, 7019, 7020]);
    for monotonic in ["true", "false"] {
        // The integer engine's scores are multiples of 1/256, the largest of which is 255/256.
        let text = config(broker.port, dir.path(), &shown, "", "min_score = 1.0")
            .replace("monotonic = true", &format!("monotonic = {monotonic}"))
            .replace("model = ", "engine = \"int8\"\n        model = ");
        let messages = run(&broker, &text);
        assert_eq!(events(&messages), [""; 0]);
        let states = states(&messages);
        assert!(!states.is_empty());
        for state in states {
            assert_eq!((&state["label"], &state["value"], &state["score"]), (&Value::Null, &Value::Null, &Value::Null));
            assert_eq!((&state["quality"], &state["held"]), (&"uncertain".into(), &false.into()), "{state}");
        }
        assert!(results(&messages).values().all(|said| said == "nothing uncertain"), "{:?}", results(&messages));
    }
}

#[test]
fn check_names_what_a_meter_s_settings_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let check = |task: &str| {
        let text = config(1883, dir.path(), dir.path(), "", "").replace("monotonic = true", task);
        std::fs::write(&file, text).unwrap();
        let output = crate::common::leptond().args(["check", "--skip-files", "--config"]).arg(&file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (task, code, key, reason) in [
        ("monotonic = true\nmax_rate = 0.0", 78, "task.max_rate", "0.001 to"),
        ("monotonic = true\nmax_rate = \"fast\"", 78, "task.max_rate", "a number"),
        ("monotonic = true\nmax_step = 0", 78, "task.max_step", "1 or more"),
        ("monotonic = true\nmax_step = 0.5", 78, "task.max_step", "a whole number"),
        ("monotonic = true\nmax_step = 60000", 0, "task.max_step", "1 to 50000"),
        ("max_rate = 100.0", 0, "task.max_rate", "without monotonic"),
        ("max_step = 5", 0, "task.max_step", "without monotonic"),
        ("type = \"detect\"\nmax_step = 5", 0, "task.max_step", "it is for type \"classify\""),
    ] {
        let (status, said) = check(task);
        assert_eq!(status, Some(code), "{task}: {said}");
        assert!(said.contains(key) && said.contains(reason), "{task}: {said}");
    }
    let (status, said) = check("monotonic = true\nmax_rate = 100.0\nmax_step = 5");
    assert_eq!((status, said.as_str()), (Some(0), ""));
}
