//! Answers into documents, by data.

use super::*;
use crate::config::difference;
use crate::frame::Quantity;
use crate::source;

fn answers(name: &str) -> Answers {
    let source = source::V4l2Config { device: "/dev/video1".into(), ..Default::default() };
    Answers {
        node: Some("attic".into()),
        broker: Some(Broker {
            host: "pi.local".into(),
            port: 1884,
            username: "u".into(),
            password_file: Some("/p".into()),
            ca_file: None,
        }),
        page: false,
        work: Some(Work::Pipeline(Pipeline {
            name: name.into(),
            model: Some("leptonnet-digits".into()),
            learn_s: None,
            source: source::Config::V4l2(source),
            source_keys: vec!["device".into()],
            keep_regions: false,
            labels: Some(vec!["person".into(), "cat".into()]),
            min_score: Some(0.45),
        })),
    }
}

/// The same for a meter.
fn meter(name: &str) -> Answers {
    let Answers { work: Some(Work::Pipeline(pipeline)), .. } = answers(name) else { panic!("a pipeline") };
    let work = Work::Meter(Meter {
        name: pipeline.name,
        source: pipeline.source,
        source_keys: pipeline.source_keys,
        keep_regions: false,
        digits: vec![Region::Rect([1.0, 2.5, 30.04, 40.0])],
        dials: vec![Region::Quad([0.1, 0.2, 9.3, 0.4, 9.5, 9.6, 0.7, 9.8])],
        kind: Some(Quantity::Water),
        unit: None,
        decimals: Some(2),
    });
    Answers { page: true, work: Some(work), ..answers(name) }
}

#[test]
fn a_meter_has_its_regions_as_they_were_drawn() {
    let text = edited("", &meter("water"), false).unwrap();
    for part in [
        "[page]\nenabled = true\n\n[[meter]]\nname = \"water\"\nkind = \"water\"\ndecimals = 2\ndigits = [\n",
        "  { rect = [1, 2.5, 30, 40] },\n",
        "  { quad = [0.1, 0.2, 9.3, 0.4, 9.5, 9.6, 0.7, 9.8] },\n",
        "[meter.source]\ntype = \"v4l2\"\ndevice = \"/dev/video1\"\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(edited(&text, &meter("water"), true).as_deref(), Ok(text.as_str()), "a second run changes nothing");
    assert_eq!(edited(&text, &meter("water"), false), Err(EditError::Exists("water".into())));
    assert_eq!(edited(&text, &answers("water"), true), Err(EditError::Otherwise("meter", "water".into())));
    let config: crate::config::Config = toml_edit::de::from_str(&text).unwrap();
    assert!(config.page.enabled && config.meters.len() == 1 && config.meters[0].dials.len() == 1);
}

#[test]
fn marks_go_with_the_picture_that_they_were_cut_of() {
    let old = "[page]\nenabled = false # why\n\n[[meter]]\nname = \"water\" # mine\nkind = \"gas\"\nunit = \"L\"\nmin_score = 0.7\n\
               align = [{ rect = [1, 2, 3, 4] }, { rect = [9, 2, 3, 4] }]\nreference = \"/old.jpg\"\ndigits = [{ rect = [1, 2, 3, 4] }]\n\
               source = { type = \"synthetic\" }\n";
    let text = edited(old, &meter("water"), true).unwrap();
    for part in
        ["enabled = true # why", "name = \"water\" # mine", "kind = \"water\"", "min_score = 0.7", "/dev/video1"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    for part in ["align", "reference", "unit", "synthetic"] {
        assert!(!text.contains(part), "{part} is still in\n{text}");
    }
}

#[test]
fn an_empty_file_becomes_a_whole_one() {
    let text = edited("", &answers("water"), false).unwrap();
    for part in [
        "host = \"pi.local\"",
        "port = 1884",
        "name = \"attic\"",
        "[[pipeline]]\nname = \"water\"\nmodel = \"leptonnet-digits\"\n\n[pipeline.source]\ntype = \"v4l2\"\ndevice = \"/dev/video1\"\n",
        "[pipeline.task]\nlabels = [\"person\", \"cat\"]\nmin_score = 0.45\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(edited(&text, &answers("water"), true).as_deref(), Ok(text.as_str()), "a second run changes nothing");
}

#[test]
fn the_packaged_file_keeps_all_that_it_has() {
    let old = include_str!("../../../configs/leptond.toml");
    let text = edited(old, &answers("water"), false).unwrap();
    let changes = difference(old, &text);
    assert!(!changes.lines().any(|line| line.starts_with('-')), "{changes}");
    // At the end, so that a commented key of the first pipeline stays in the first pipeline.
    assert!(text.find("#deadline_ms").unwrap() < text.find("name = \"water\"").unwrap());
    assert!(text.parse::<toml_edit::DocumentMut>().is_ok());
}

#[test]
fn a_pipeline_of_the_same_name_needs_a_word() {
    let old = "# mine\n[mqtt]\nhost = \"old\" # why\npassword = \"x\"\n\n[[pipeline]]\nname = \"water\"\nmodel = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"v4l2\"\nwidth = 1280 # wide\n\n[[pipeline]]\nname = \"b\"\nmodel = \"m\"\nsource = { type = \"synthetic\" }\n";
    assert_eq!(edited(old, &answers("water"), false), Err(EditError::Exists("water".into())));
    let text = edited(old, &answers("water"), true).unwrap();
    for part in [
        "# mine",
        "host = \"pi.local\" # why",
        "width = 1280 # wide",
        "device = \"/dev/video1\"",
        "source = { type = \"synthetic\" }",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("password = "), "{text}");
}

#[test]
fn what_was_not_asked_for_stays_as_it_is() {
    let old = "[mqtt]\nhost = \"old\"\n\n[[pipeline]]\nname = \"water\"\nmodel = \"leptonnet-digits\"\npreprocess = { regions = [{ rect = [1, 2, 3, 4] }] }\n\
               [pipeline.source]\ntype = \"v4l2\"\ndevice = \"/dev/video1\"\n[pipeline.task]\nlabels = [\"dog\"]\n";
    let only_node = Answers { node: Some("attic".into()), broker: None, page: false, work: None };
    let text = edited(old, &only_node, false).unwrap();
    assert_eq!(text.replace("\n[node]\nname = \"attic\"\n", ""), old, "{text}");
    let Some(Work::Pipeline(pipeline)) = answers("water").work else { panic!("a pipeline") };
    let kept = Pipeline { keep_regions: true, labels: None, min_score: None, ..pipeline.clone() };
    let kept = edited(old, &Answers { work: Some(Work::Pipeline(kept)), ..only_node.clone() }, true).unwrap();
    assert!(kept.contains("rect = [1, 2, 3, 4]") && kept.contains("labels = [\"dog\"]"), "{kept}");
    let all = Pipeline { labels: Some(Vec::new()), ..pipeline };
    let all = edited(old, &Answers { work: Some(Work::Pipeline(all)), ..only_node }, true).unwrap();
    assert!(!all.contains("rect") && !all.contains("labels") && all.contains("min_score = 0.45"), "{all}");
}

#[test]
fn a_pipeline_without_a_model_learns_what_is_usual() {
    let Some(Work::Pipeline(pipeline)) = answers("water").work else { panic!("a pipeline") };
    let baseline = Pipeline { model: None, learn_s: Some(3600.0), labels: None, min_score: None, ..pipeline.clone() };
    let with =
        |pipeline: Pipeline| Answers { node: None, broker: None, page: false, work: Some(Work::Pipeline(pipeline)) };
    let text = edited("", &with(baseline.clone()), false).unwrap();
    assert!(
        text.contains("[pipeline.task]\ntype = \"baseline\"\nlearn_s = 3600.0\n") && !text.contains("model"),
        "{text}"
    );
    assert_eq!(
        edited(&text, &with(baseline.clone()), true).as_deref(),
        Ok(text.as_str()),
        "a second run changes nothing"
    );
    // From a model to none and back: neither keeps what was told of the other.
    let model = edited(&text, &with(pipeline), true).unwrap();
    assert!(model.contains("model = \"leptonnet-digits\"") && !model.contains("baseline"), "{model}");
    assert!(!model.contains("learn_s") && model.contains("min_score"), "{model}");
    let none = edited(&model, &with(baseline), true).unwrap();
    assert!(none.contains("type = \"baseline\"") && !none.contains("leptonnet") && !none.contains("labels"), "{none}");
}
