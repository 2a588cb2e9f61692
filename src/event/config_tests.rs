//! Faults of zones, lines and events, each named by its key.

use super::*;

fn zone(name: &str, polygon: &[[f32; 2]]) -> ZoneConfig {
    ZoneConfig {
        name: ZoneName::new(name).unwrap(),
        polygon: polygon.to_vec(),
        labels: Vec::new(),
        loiter_s: 0.0,
        inertia_s: inertia(),
    }
}

fn line(name: &str, from: [f32; 2], to: [f32; 2]) -> LineConfig {
    LineConfig { name: LineName::new(name).unwrap(), from, to, labels: Vec::new() }
}

const SQUARE: [[f32; 2]; 4] = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]];

#[track_caller]
fn faults(config: &Config) -> Vec<(String, String)> {
    config.check().into_iter().map(|d| (d.key, d.message)).collect()
}

#[test]
fn good_zones_and_lines_have_no_faults() {
    let config = Config {
        zones: vec![zone("door", &SQUARE), zone("path", &SQUARE[..3])],
        lines: vec![line("gate", [0.0, 0.5], [1.0, 0.5])],
        event: EventConfig { required_zones: vec![ZoneName::new("door").unwrap()], ..EventConfig::default() },
        ..Config::default()
    };
    assert_eq!(config.check(), []);
    assert_eq!(config.check_model(TaskKind::Detect, &[]), []);
}

#[test]
fn bad_polygons_are_named() {
    let check = |polygon: &[[f32; 2]], key: &str, message: &str| {
        let config = Config { zones: vec![zone("a", &SQUARE), zone("b", polygon)], ..Config::default() };
        let found = faults(&config);
        let [(at, said)] = &found[..] else { panic!("{found:?}") };
        assert!(at == key && said.contains(message), "{at}: {said}");
    };
    check(&SQUARE[..2], "zone[1].polygon", "not a polygon");
    check(&[[0.1, 0.1]; 65], "zone[1].polygon", "not a polygon");
    check(&[[0.1, 0.1], [1.2, 0.1], [0.5, 0.9]], "zone[1].polygon[1]", "outside");
    check(&[[0.1, 0.1], [0.2, f32::NAN], [0.5, 0.9]], "zone[1].polygon[1]", "outside");
    check(&[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]], "zone[1].polygon", "cross");
    check(&[[0.1, 0.1], [0.10001, 0.1], [0.1, 0.10001]], "zone[1].polygon", "no area");
}

#[test]
fn names_lines_and_references_are_checked() {
    let config = Config {
        zones: vec![zone("door", &SQUARE), zone("door", &SQUARE)],
        lines: vec![line("gate", [0.5, 0.5], [0.5, 0.5]), line("gate", [0.5, -0.5], [0.5, 0.5])],
        event: EventConfig {
            required_zones: vec![ZoneName::new("dor").unwrap()],
            confirm: Some(Confirm { seen: 4, of: 3 }),
            clean: true,
            enter_score: Some(0.5),
            leave_score: Some(0.6),
            ..EventConfig::default()
        },
        track: TrackConfig { low_score: Some(0.5), new_score: Some(0.4), ..TrackConfig::default() },
    };
    let found = config.check();
    let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "zone[1].name",
            "line[1].name",
            "line[0].to",
            "line[1].from",
            "event.confirm.seen",
            "event.clean",
            "event.leave_score",
            "event.required_zones[0]",
            "track.low_score"
        ]
    );
    assert_eq!(found[7].help.as_deref(), Some("did you mean \"door\"?"));
    let many = Config { zones: (0..33).map(|i| zone(&format!("z{i}"), &SQUARE)).collect(), ..Config::default() };
    assert_eq!(faults(&many), [("zone".to_string(), "too many".to_string())]);
}

#[test]
fn a_model_without_objects_or_the_label_is_named() {
    let mut config = Config { zones: vec![zone("door", &SQUARE)], ..Config::default() };
    config.event.snapshot = true;
    let found = config.check_model(TaskKind::Classify, &[]);
    let keys: Vec<&str> = found.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(keys, ["zone", "event.snapshot"]);
    config.zones[0].labels = vec!["persn".into(), "car".into()];
    let found = config.check_model(TaskKind::Detect, &["person".into(), "car".into()]);
    let [fault] = &found[..] else { panic!("{found:?}") };
    assert_eq!((fault.key.as_str(), fault.help.as_deref()), ("zone[0].labels[0]", Some("did you mean \"person\"?")));
    config.event.leave_score = Some(0.2);
    assert_eq!(config.check_model(TaskKind::Detect, &[])[0].key, "event.leave_score");
}
