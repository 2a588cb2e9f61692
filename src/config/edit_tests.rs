//! Values read and changed, and those that cannot be.

use serde_json::json;

use super::*;
use crate::config::schema::Node;

const TEXT: &str = r#"
# Of the attic.
[mqtt]
host = "broker" # at home
password = "s3cret"

[governor]
#mode = "auto"
limit_celsius = 75.0 # tested

[[pipeline]]
name = "door"
model = "leptonnet-digits"
source = { type = "synthetic", fps = 5.0 }
preprocess = { regions = [{ rect = [140, 192, 72, 96] }] }
# more to come

[[pipeline]]
name = "meter"
model = "leptonnet-digits"
[pipeline.source]
type = "synthetic"
[pipeline.task]
min_score = 0.5   # not less
#top = 3
"#;

fn config() -> Config {
    toml_edit::de::from_str(TEXT).unwrap()
}

/// Every key that can be changed, for one pipeline, with its node of the schema.
fn open_keys() -> Vec<(String, Node)> {
    let mut keys = Vec::new();
    for open in OPEN {
        let mut node = Node::root();
        let mut names = open.split('.').peekable();
        while let Some(name) = names.next() {
            match name {
                "*" => {
                    let table = open.trim_end_matches('*');
                    keys.extend(
                        node.child_names().into_iter().map(|key| (format!("{table}{key}"), node.child(key).unwrap())),
                    );
                }
                name => {
                    node = node.child(name.trim_end_matches("[]")).unwrap();
                    if name.ends_with("[]") {
                        node = node.item().unwrap();
                    }
                    if names.peek().is_none() {
                        keys.push((open.to_owned(), node));
                    }
                }
            }
        }
    }
    keys
}

#[test]
fn what_can_be_changed_names_no_broker_file_device_or_program() {
    let keys = open_keys();
    let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    for known in ["log.level", "governor.mode", "pipeline[].task.min_score", "pipeline[].governor.interval_ms"] {
        assert!(names.contains(&known), "{known} in {names:?}");
    }
    const CLOSED: [&str; 16] = [
        "path", "file", "dir", "device", "url", "host", "address", "port", "user", "password", "program", "args",
        "command", "topic", "model", "listen",
    ];
    for (key, node) in &keys {
        let last = key.rsplit('.').next().unwrap();
        assert!(!node.is_secret(), "{key}");
        assert!(!CLOSED.iter().any(|word| last.split('_').any(|part| part == *word)), "{key}: is it harmless?");
    }
}

#[test]
fn values_are_put_where_they_stand_and_the_rest_stays() {
    let check = |values: &[(&str, Json)], expected: &[(&str, &str)]| {
        let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let edited = edited(TEXT, &config(), &values, Reach::Requests).unwrap();
        let mut wanted = TEXT.to_owned();
        for (from, to) in expected {
            assert_eq!(wanted.matches(from).count(), 1, "{from}");
            wanted = wanted.replace(from, to);
        }
        assert_eq!(edited.text, wanted, "{values:?}");
        assert!(is_within_reach(&config(), &toml_edit::de::from_str(&edited.text).unwrap(), Reach::Requests));
        edited.keys
    };
    let keys = check(
        &[("pipeline.meter.task.min_score", json!(0.6)), ("governor.limit_celsius", json!(70))],
        &[("min_score = 0.5   # not less", "min_score = 0.6   # not less"), ("= 75.0 # tested", "= 70 # tested")],
    );
    assert_eq!(keys, ["pipeline[1].task.min_score", "governor.limit_celsius"]);
    let more = "preprocess = { regions = [{ rect = [140, 192, 72, 96] }] }\n";
    check(
        &[("pipeline[0].task.min_score", json!(0.6)), ("pipeline.door.task.smoothing", json!(3))],
        &[(more, &format!("{more}task = {{ min_score = 0.6, smoothing = 3 }}\n"))],
    );
    check(
        &[("pipeline.door.preprocess.regions", json!([{"rect": [1, 2.5, 3, 4]}]))],
        &[("regions = [{ rect = [140, 192, 72, 96] }]", "regions = [{ rect = [1, 2.5, 3, 4] }]")],
    );
    check(&[("pipeline.meter.task.min_score", Json::Null)], &[("min_score = 0.5   # not less\n", "")]);
    check(&[("pipeline.door.task.min_score", Json::Null)], &[]);
    check(&[("log.level", json!("debug"))], &[("#top = 3\n", "#top = 3\n\n[log]\nlevel = \"debug\"\n")]);
}

#[test]
fn what_cannot_be_changed_is_said() {
    for (path, value, words) in [
        ("mqtt.host", json!("evil"), "mqtt.host cannot be changed by a request; allowed are log.level"),
        ("mqtt.password", json!("x"), "cannot be changed"),
        ("mqtt.requests", json!("all"), "cannot be changed"),
        ("broker.enabled", json!(true), "cannot be changed"),
        ("node.name", json!("x"), "cannot be changed"),
        ("node.state_dir", json!("/"), "cannot be changed"),
        ("models.dirs", json!(["/"]), "cannot be changed"),
        ("pipeline.door.model", json!("/etc/passwd"), "cannot be changed"),
        ("pipeline.door.name", json!("x"), "cannot be changed"),
        ("pipeline.door.source.fps", json!(1), "cannot be changed"),
        ("pipeline.door.source", json!({"type": "rtsp"}), "cannot be changed"),
        ("pipeline.door.task", json!({"min_score": 1}), "pipeline[0].task cannot be changed"),
        ("pipeline.door", json!({}), "cannot be changed"),
        ("pipeline", json!([]), "cannot be changed"),
        ("governor", json!({}), "cannot be changed"),
        ("pipeline.door.task.min_score.x", json!(1), "cannot be changed"),
        ("pipeline.door.preprocess.regions[0].rect", json!([1]), "cannot be changed"),
        ("pipeline.attic.task.min_score", json!(1), "no pipeline.attic in this configuration; there are door, meter"),
        ("pipeline[2].task.min_score", json!(1), "no pipeline[2]"),
        ("", json!(1), "is no path of a key"),
        ("governor mode", json!(1), "is no path of a key"),
        ("pipeline[-1].task.x", json!(1), "is no path of a key"),
        (&"x.".repeat(2000), json!(1), "is no path of a key"),
        ("governor.mode", json!([null]), "null"),
    ] {
        let error = edited(TEXT, &config(), &[(path.to_owned(), value)], Reach::Requests).unwrap_err().to_string();
        assert!(error.contains(words) && error.len() < 500, "{path:?}: {error}");
    }
}

#[test]
fn a_part_is_read_by_its_path_and_without_secrets() {
    let config = config();
    let check = |path: &str, expected: Json| assert_eq!(part(&config, path).unwrap(), expected, "{path}");
    check("mqtt.host", json!("broker"));
    check("mqtt.password", json!("***"));
    check("pipeline.meter.task.min_score", json!(0.5));
    check("pipeline[0].name", json!("door"));
    check("governor.limit_celsius", json!(75.0));
    assert!(part(&config, "governor").unwrap()["dwell_up_s"].is_number());
    for (path, words) in [
        ("governor.mood", "there is no governor.mood"),
        ("pipeline.attic", "there is no pipeline.attic in this configuration; there are door, meter"),
        ("a..b", "is no path"),
    ] {
        let error = part(&config, path).unwrap_err().to_string();
        assert!(error.contains(words), "{path}: {error}");
    }
}

#[test]
fn a_difference_elsewhere_is_found() {
    for (from, to) in [
        ("\"broker\"", "\"other\""),
        ("name = \"door\"", "name = \"gate\""),
        ("fps = 5.0", "fps = 6.0"),
        ("\"s3cret\"", "\"\""),
    ] {
        let after: Config = toml_edit::de::from_str(&TEXT.replace(from, to)).unwrap();
        assert!(!is_within_reach(&config(), &after, Reach::Requests), "{from}");
    }
}

#[test]
fn regions_and_limits_of_a_meter_can_be_changed_and_what_it_is_cannot() {
    let text = format!(
        "{TEXT}\n[[meter]]\nname = \"water\"\nkind = \"water\"\nsource = {{ type = \"synthetic\", scene = \"dials\" }}\n\
         digits = [{{ rect = [140, 192, 72, 96] }}]\n"
    );
    let read = |text: &str| {
        let mut config: Config = toml_edit::de::from_str(text).unwrap();
        config.add_meters();
        config
    };
    let before = read(&text);
    let values = [
        ("meter.water.max_rate".to_owned(), json!(2.5)),
        ("meter[0].dials".to_owned(), json!([{ "rect": [424, 302, 84, 84] }])),
    ];
    let changed = edited(&text, &before, &values, Reach::Requests).unwrap();
    assert_eq!(changed.keys, ["meter[0].max_rate", "meter[0].dials"]);
    let after = read(&changed.text);
    assert_eq!((after.meters[0].max_rate, after.meters[0].dials.len()), (Some(2.5), 1));
    assert!(is_within_reach(&before, &after, Reach::Requests));
    assert_eq!(part(&after, "meter.water.max_rate").unwrap(), json!(2.5));
    for (path, value) in [("meter.water.kind", json!("gas")), ("meter.water.light", json!({ "on": ["reboot"] }))] {
        let refused = edited(&text, &before, &[(path.to_owned(), value)], Reach::Requests).unwrap_err();
        assert!(matches!(refused, EditError::Closed(..)), "{path}: {refused}");
    }
    let gas = read(&text.replace("kind = \"water\"", "kind = \"gas\""));
    assert!(!is_within_reach(&before, &gas, Reach::Requests) && !is_within_reach(&before, &gas, Reach::Page));
    // The meter's pipeline is no table of the file.
    let pace = [("pipeline.water.governor.interval_ms".to_owned(), json!(1))];
    let refused = edited(&text, &before, &pace, Reach::Requests).unwrap_err();
    assert!(matches!(refused, EditError::Absent(..)), "{refused}");
    // The page chooses the reference picture, and nothing that is not drawn.
    let drawn = [
        ("meter.water.reference".to_owned(), json!("/var/lib/leptond/references/water.jpg")),
        ("meter.water.digits".to_owned(), json!([{ "rect": [1, 2, 3, 4] }, { "rect": [5, 6, 7, 8] }])),
    ];
    let changed = edited(&text, &before, &drawn, Reach::Page).unwrap();
    assert!(
        changed.text.contains("digits = [\n    { rect = [1, 2, 3, 4] },\n    { rect = [5, 6, 7, 8] },\n]\n"),
        "{}",
        changed.text
    );
    let after = read(&changed.text);
    assert!(is_within_reach(&before, &after, Reach::Page) && !is_within_reach(&before, &after, Reach::Requests));
    assert!(matches!(edited(&text, &before, &drawn, Reach::Requests), Err(EditError::Closed(..))));
    assert!(matches!(edited(&text, &before, &values, Reach::Page), Err(EditError::Closed(..))));
}
