use super::*;

fn defaults(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap()
}

fn written(toml: &str) -> Config {
    toml_edit::de::from_str(toml).unwrap()
}

#[test]
fn what_the_pipeline_sets_wins() {
    let below = defaults(r#"{"min_score": 0.7, "top_k": 5, "labels": ["a"], "calibration_s": 30.0, "threshold": 2.0}"#);
    let Settings::Classify(merged) = written("min_score = 0.2").over(TaskKind::Classify, &below).unwrap() else {
        panic!()
    };
    assert_eq!((merged.min_score, merged.top_k), (Some(0.2), Some(5)));
    assert_eq!(merged.labels, ["a"]);
    let Settings::Anomaly(learnt) = written("").over(TaskKind::Anomaly, &below).unwrap() else { panic!() };
    assert_eq!((learnt.threshold, learnt.calibration_s), (Some(2.0), Some(30.0)));
    let Settings::Anomaly(fixed) = written("threshold = 9").over(TaskKind::Anomaly, &below).unwrap() else { panic!() };
    assert_eq!((fixed.threshold, fixed.calibration_s), (Some(9.0), Some(0.0)));
}

#[test]
fn the_kind_is_that_of_the_pipeline_then_of_the_defaults_then_of_the_model() {
    for (own, below, expected) in [
        ("type = \"raw\"", r#"{"type": "detect"}"#, TaskKind::Raw),
        ("", r#"{"type": "detect"}"#, TaskKind::Detect),
        ("", "{}", TaskKind::Classify),
    ] {
        let settings = written(own).over(TaskKind::Classify, &defaults(below)).unwrap();
        assert_eq!(settings.kind(), expected, "{own} over {below}");
    }
}

#[test]
fn wrong_defaults_are_named() {
    let error = Config::default().over(TaskKind::Raw, &defaults(r#"{"min_scores": 0.7}"#)).unwrap_err();
    assert!(error.to_string().contains("min_scores"), "{error}");
    let error = Config::default().over(TaskKind::Raw, &defaults(r#"{"top_k": "many"}"#)).unwrap_err();
    assert!(error.to_string().contains("many"), "{error}");
}

#[test]
fn a_key_of_another_kind_is_warned_of_and_left_out() {
    let check = |diagnostics: Vec<Diagnostic>, expected: &[&str]| {
        let texts: Vec<_> = diagnostics.iter().map(|d| format!("{}: {}", d.key, d.message)).collect();
        assert_eq!(texts, expected);
    };
    let table = "min_score = 0.5\nnms_iou = 0.4\nhysteresis = 0.5\ncalibration_s = 9";
    let config = written(table);
    check(config.check(0), &[]);
    let for_anomaly = |key: &str| format!("{key}: has no effect: it is for type \"anomaly\", not \"detect\"");
    let expected = [for_anomaly("calibration_s"), for_anomaly("hysteresis")];
    let expected = [expected[0].as_str(), expected[1].as_str()];
    check(config.check_model(TaskKind::Detect, &[]), &expected);
    let told = written(&format!("type = \"detect\"\n{table}"));
    check(told.check(0), &expected);
    check(told.check_model(TaskKind::Detect, &[]), &[]);
    let Settings::Detect(settings) = told.over(TaskKind::Raw, &Map::new()).unwrap() else { panic!() };
    assert_eq!((settings.min_score, settings.nms_iou), (Some(0.5), Some(0.4)));
    let raw = written("type = \"raw\"\nmin_score = 0.5");
    check(
        raw.check(0),
        &[
            "min_score: has no effect: it is for type \"classify\", \"detect\", \"pose\", \"segment\", \"obb\", \"text\" and \"position\", not \"raw\"",
        ],
    );
}

#[test]
fn the_tasks_that_find_objects_have_the_same_keys() {
    for kind in ["detect", "pose", "segment", "obb"] {
        let config = written(&format!("type = {kind:?}\nmin_score = 0.25\nlabels = [\"a\"]"));
        let settings = config.over(TaskKind::Raw, &Map::new()).unwrap();
        let objects = settings.objects().unwrap();
        assert_eq!((settings.kind().word(), objects.min_score, objects.labels.len()), (kind, Some(0.25), 1));
        assert!(settings.kind().has_objects());
    }
}

#[test]
fn a_value_is_checked_whatever_the_kind() {
    for table in ["type = \"detect\"\ntop_k = \"many\"", "nms = 0.5", "type = \"segments\"", "labels = [1]"] {
        assert!(toml_edit::de::from_str::<Config>(table).is_err(), "{table}");
    }
}

#[test]
fn what_was_read_can_be_written_and_read_again() {
    for table in
        ["", "labels = []\nmonotonic = false", "type = \"detect\"\nmin_score = 1\nlabels = [\"a\"]\nmax_step = 3"]
    {
        let config = written(table);
        assert_eq!(written(&toml_edit::ser::to_string(&config).unwrap()), config, "{table}");
    }
    assert_eq!(written("labels = []\nmonotonic = false"), Config::default(), "as if it were not there");
}

#[test]
fn kinds_that_share_a_key_agree_on_its_values() {
    let mut generator = SchemaGenerator::default();
    let mut known: Map<String, Value> = Map::new();
    for kind in KINDS {
        let properties = schema_of(*kind, &mut generator).remove("properties");
        let own = properties.map(|own| serde_json::from_value::<Map<String, Value>>(own).unwrap());
        for (key, mut property) in own.unwrap_or_default() {
            assert_ne!(key, TYPE, "{kind:?}");
            property.as_object_mut().unwrap().remove("description").expect("a key without a meaning");
            assert_eq!(known.entry(key.clone()).or_insert_with(|| property.clone()), &property, "{key}");
        }
    }
}

#[test]
fn a_meter_has_the_unit_of_its_quantity_and_is_warned_of_what_spoils_it() {
    let meter = |table: &str| {
        let Settings::Classify(config) = written(table).over(TaskKind::Classify, &Map::new()).unwrap() else {
            panic!()
        };
        let spec = crate::frame::TaskSpec {
            labels: Vec::new(),
            head: None,
            boxes: crate::frame::Boxes::Pixels,
            keypoints: None,
            anchors: None,
            input_size: [32, 32],
            items: 5,
            none: None,
            channels: Vec::new(),
            position: None,
        };
        let crate::frame::status::Subject::Reading(meter) = config.subject(&spec) else { panic!("no reading") };
        (meter.counts_up, meter.unit, meter.decimals)
    };
    assert_eq!(meter("monotonic = true\nquantity = \"gas\""), (true, Some("m³".into()), 0));
    assert_eq!(meter("quantity = \"water\"\nunit = \"m3\"\ndecimals = 3"), (false, Some("m³".into()), 3));
    assert_eq!(meter("unit = \"bar\"\ndecimals = 1"), (false, Some("bar".into()), 1));
    let warned = |table: &str, regions: usize| -> Vec<String> {
        let table = format!("type = \"classify\"\n{table}");
        written(&table).check(regions).iter().map(|d| format!("{}: {}", d.key, d.message)).collect()
    };
    let spoilt = "quantity: without monotonic = true, a digit read wrong once counts as consumption";
    assert_eq!(warned("quantity = \"gas\"", 5), [spoilt]);
    assert_eq!(warned("quantity = \"gas\"\nmonotonic = true\ndecimals = 5", 5), [""; 0]);
    assert_eq!(warned("unit = \"bar\"", 0), ["unit: has no effect without preprocess.regions"]);
    assert!(warned("quantity = \"gas\"\nmonotonic = true", 16)[0].contains("16 digits"));
}
