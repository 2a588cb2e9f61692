//! A whole Home Assistant beside a real broker and the daemon: what a person finds after the dialogue for the MQTT integration.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use leptond::publish::requests::Requests;
use serde_json::{Value, json};

use super::message::{message, payloads, pipelines};
use super::{python, script};
use crate::daemon::{Daemon, on};
use crate::mosquitto::{Client, Mosquitto, Received};

/// Home Assistant on its way to the end of its commands.
struct Running(Child, BufReader<std::process::ChildStderr>);

impl Running {
    fn start(python: &Path, dir: &Path, port: u16, seconds: u32, commands: &[&str]) -> Running {
        let mut command = Command::new(python);
        command.arg(script("live.py")).arg(dir).args([port.to_string(), seconds.to_string()]).args(commands);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running(child, stderr)
    }

    /// Waits until it begins with its commands.
    fn ready(&mut self) {
        let mut line = String::new();
        while self.1.read_line(&mut line).unwrap() > 0 {
            if line.trim() == "READY" {
                return;
            }
        }
        panic!("Home Assistant ended early: {line}");
    }

    /// Waits for its end; everything that it found.
    fn finish(self) -> Value {
        let Running(child, mut stderr) = self;
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let output = child.wait_with_output().unwrap();
        let words = rest.join().unwrap().unwrap_or_default();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {words}"))
    }
}

fn entity<'a>(found: &'a Value, id: &str) -> &'a Value {
    let entities = found["entities"].as_array().unwrap();
    entities.iter().find(|one| one["entity_id"] == id).unwrap_or_else(|| panic!("no {id} in {found:#}"))
}

const METER: &str = r#"
    [[pipeline]]
    name = "water"
    model = "leptonnet-digits"
    source = { type = "synthetic", fps = 5.0 }
    task = { monotonic = true, quantity = "water", decimals = 3 }
    [pipeline.preprocess]
    regions = [
        { rect = [140.0, 192.0, 72.0, 96.0] }, { rect = [212.0, 192.0, 72.0, 96.0] }, { rect = [284.0, 192.0, 72.0, 96.0] },
        { rect = [356.0, 192.0, 72.0, 96.0] }, { rect = [428.0, 192.0, 72.0, 96.0] },
    ]
"#;
const MACHINE: &str = r#"
    [[pipeline]]
    name = "machine"
    model = "machine-anomaly"
    source = { type = "sensor", window = 8 }
"#;

#[test]
fn a_person_finds_the_node_with_its_entities_and_steers_it() {
    let test = "a_person_finds_the_node_with_its_entities_and_steers_it";
    let Some(python) = python(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = format!("[node]\nname = \"attic\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n{METER}", broker.port);
    let daemon = Daemon::start(&format!("{base}{MACHINE}"));
    daemon.wait_log("the discovery message is published");
    let commands = ["select:select.attic_governor_mode:quiet", "wait:18", "state:select.attic_governor_mode", "energy"];
    let mut home = Running::start(&python, dir.path(), broker.port, 5, &commands);
    home.ready();
    daemon.wait_log("Home Assistant is there");
    daemon.replace_config(&base);
    daemon.signal("HUP");
    let found = home.finish();
    assert_eq!(found["dialogue"], "create_entry");
    assert_eq!(found["complaints"], json!([]), "{found:#}");
    assert_eq!(found["devices"][0]["name"], "Attic");
    assert_eq!(found["devices"].as_array().unwrap().len(), 1);
    let water = entity(&found, "sensor.attic_water");
    assert_eq!(water["name"], "Attic Water");
    assert_eq!(
        (&water["unit"], &water["device_class"], &water["state_class"]),
        (&json!("m³"), &json!("water"), &json!("total_increasing"))
    );
    let shown: f64 = water["state"].as_str().unwrap().parse().unwrap();
    let digits: f64 = water["attributes"]["digits"].as_str().unwrap().parse().unwrap();
    assert!((shown * 1000.0 - digits).abs() < 0.5, "{water}");
    assert_eq!(entity(&found, "binary_sensor.attic_water_source")["state"], "off");
    assert_eq!(entity(&found, "sensor.attic_memory")["disabled"], "integration");
    assert_eq!(
        found["commands"],
        json!([["state:select.attic_governor_mode", "quiet"]]),
        "the node obeyed and said so"
    );
    // The pipeline that the reload took away is gone, with everything of it.
    let text = found["entities"].to_string();
    assert!(!text.contains("machine"), "{text}");
    assert_eq!(found["energy"]["sources"][0]["stat_energy_from"], "sensor.attic_water");
    assert_eq!(found["energy"]["issues"], json!([[]]), "the energy panel has nothing against it");
    let kept = broker.listen("homeassistant/#");
    let left_out = |m: &Received| m.json()["components"]["machine.anomaly"].is_null();
    kept.wait_for("a message without it", |m| {
        on(m, "homeassistant/device/attic/config").last().is_some_and(|m| left_out(m))
    });
}

#[test]
fn every_kind_of_entity_has_its_state_and_keeps_it_over_a_restart() {
    let test = "every_kind_of_entity_has_its_state_and_keeps_it_over_a_restart";
    let Some(python) = python(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let Some(client) = Client::find(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("picture.jpg");
    std::fs::write(&picture, [0xff, 0xd8, 0xff, 0xd9]).unwrap();
    let retain = |topic: &str, arguments: &[&str]| {
        assert!(client.publish(broker.port, &[&["-q", "1", "-r", "-t", topic], arguments].concat()), "{topic}");
    };
    retain("leptond/attic/front-door/snapshot", &["-f", picture.to_str().unwrap()]);
    retain("leptond/attic/front-door/detect/state", &["-m", "ON"]);
    for (topic, payload) in payloads().as_object().unwrap() {
        if !topic.ends_with("/event") {
            retain(topic, &["-m", &payload.to_string()]);
        }
    }
    let away = payloads()["leptond/attic/health"].clone();
    let mut there = away.clone();
    there["pipelines"]["front-door"]["idle"] = Value::Null;
    retain("leptond/attic/health", &["-m", &there.to_string()]);
    let all = message(&pipelines(), &Requests::default());
    retain("homeassistant/device/attic/config", &["-m", &all.to_string()]);

    let home = dir.path().join("home");
    blueprints(&home);
    let mut first =
        Running::start(&python, &home, broker.port, 5, &["wait:8", "image:image.attic_front_door_snapshot"]);
    first.ready();
    for count in [0, 2] {
        let mut state = payloads()["leptond/attic/front-door/state"].clone();
        state["counts"] = if count > 0 { json!({ "person": count }) } else { json!({}) };
        retain("leptond/attic/front-door/state", &["-m", &state.to_string()]);
    }
    let event = payloads()["leptond/attic/front-door/event"].to_string();
    assert!(client.publish(broker.port, &["-q", "1", "-t", "leptond/attic/front-door/event", "-m", &event]));
    let found = first.finish();
    assert_eq!(found["complaints"], json!([]), "{found:#}");
    let wanted = all["components"].as_object().unwrap().len();
    assert_eq!(found["entities"].as_array().unwrap().len(), wanted, "each component is an entity");
    for (id, state) in [
        ("binary_sensor.attic_front_door_person", "on"),
        ("sensor.attic_front_door_person_count", "2"),
        ("binary_sensor.attic_front_door_porch_zone", "on"),
        ("sensor.attic_front_door_gate_forward", "5"),
        ("switch.attic_front_door_detection", "on"),
        ("sensor.attic_gas", "531.87"),
        ("sensor.attic_power", "5318.7"),
        ("binary_sensor.attic_water_reading_problem", "on"),
        ("binary_sensor.attic_front_door_source", "off"),
        ("sensor.attic_water_last_read", "2026-01-01T00:00:00+00:00"),
        ("sensor.attic_desk", "cat"),
        ("sensor.attic_garden_largest_area", "lawn"),
        ("binary_sensor.attic_pump_anomaly", "on"),
        ("sensor.attic_processor_temperature", "51.0"),
        ("update.attic_water_model", "off"),
        ("select.attic_governor_mode", "auto"),
    ] {
        assert_eq!(entity(&found, id)["state"], state, "{id}");
    }
    let event = entity(&found, "event.attic_front_door_event");
    assert_eq!((&event["attributes"]["event_type"], &event["attributes"]["label"]), (&json!("new"), &json!("person")));
    assert_eq!(found["commands"][0], json!(["image:image.attic_front_door_snapshot", 4, "ffd8"]));
    // The blueprints run: somebody at the door sends the picture.
    let states: Vec<&Value> = found["automations"].as_object().unwrap().values().collect();
    assert_eq!(states, ["on", "on", "on"], "{found:#}");
    let notified = &found["notified"][0];
    assert_eq!(notified["title"], "Attic Front door person", "{found:#}");
    assert_eq!(notified["data"]["image"], "/api/image_proxy/image.attic_front_door_snapshot");

    // A restart: everything that is retained is there again, the picture too. The camera is away now: what is there is not known, and the
    // meters have what they read last.
    retain("leptond/attic/health", &["-m", &away.to_string()]);
    let again = Running::start(&python, &home, broker.port, 5, &["image:image.attic_front_door_snapshot"]).finish();
    assert_eq!(again["commands"][0], json!(["image:image.attic_front_door_snapshot", 4, "ffd8"]));
    assert_eq!(again["entities"].as_array().unwrap().len(), wanted);
    assert_eq!(entity(&again, "sensor.attic_gas")["state"], "531.87");
    for (id, state) in [
        ("binary_sensor.attic_front_door_person", "unavailable"),
        ("sensor.attic_front_door_person_count", "unavailable"),
        ("binary_sensor.attic_front_door_source", "on"),
        ("sensor.attic_well", "412.3571"),
        ("sensor.attic_desk", "cat"),
    ] {
        assert_eq!(entity(&again, id)["state"], state, "{id}");
    }
    assert_ne!(entity(&again, "image.attic_front_door_snapshot")["state"], "unknown");
}

/// An automation of each blueprint, as the dialogue for them writes it.
fn blueprints(home: &Path) {
    let dir = home.join("blueprints/automation/leptond");
    std::fs::create_dir_all(&dir).unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/blueprints");
    for entry in std::fs::read_dir(docs).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    let one = |id: &str, inputs: Value| json!({ "id": id, "alias": id, "use_blueprint": { "path": format!("leptond/{id}.yaml"), "input": inputs } });
    let door = json!({
        "presence": "binary_sensor.attic_front_door_person", "picture": "image.attic_front_door_snapshot", "phone": "none",
        "silence": 0,
    });
    let all = json!([
        one("person-at-the-door", door),
        one("trouble", json!({ "problems": ["binary_sensor.attic_water_reading_problem"], "phone": "none" })),
        one("quiet-hours", json!({ "mode": "select.attic_governor_mode" })),
    ]);
    std::fs::write(home.join("automations.yaml"), all.to_string()).unwrap();
}
