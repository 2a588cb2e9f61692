//! Answers into documents, by data.

use super::*;
use crate::config::difference;
use crate::source;

fn answers(name: &str) -> Answers {
    let source = source::V4l2Config { device: "/dev/video1".into(), ..Default::default() };
    Answers {
        node: Some("attic".into()),
        broker: Broker {
            host: "pi.local".into(),
            port: 1884,
            username: "u".into(),
            password_file: Some("/p".into()),
            ca_file: None,
        },
        pipeline: Pipeline {
            name: name.into(),
            model: "leptonnet-digits".into(),
            source: source::Config::V4l2(source),
            source_keys: vec!["device".into()],
            regions: Some(vec![[1, 2, 3, 4], [4, 2, 3, 4]]),
        },
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
        "  { rect = [1, 2, 3, 4] },\n",
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
