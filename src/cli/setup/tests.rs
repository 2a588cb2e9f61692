//! Answers into documents, by data; questions by a list of answers.

use std::collections::VecDeque;
use std::path::Path;

use super::answers::{Answers, Broker, Pipeline};
use super::interview::Interview;
use super::questions::Ask;
use super::{Args, Failure, edit};
use crate::cli::capture::source_of_pairs;
use crate::config::Config;

fn answers(name: &str) -> Answers {
    let pairs = ["type=v4l2".to_owned(), "device=/dev/video1".to_owned()];
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
            source: source_of_pairs(&pairs).unwrap(),
            source_keys: vec!["device".into()],
            regions: Some(vec![[1, 2, 3, 4], [4, 2, 3, 4]]),
        },
    }
}

#[test]
fn an_empty_file_becomes_a_whole_one() {
    let text = edit::edited("", &answers("water"), false).unwrap();
    for part in [
        "host = \"pi.local\"",
        "port = 1884",
        "name = \"attic\"",
        "[[pipeline]]\nname = \"water\"\nmodel = \"leptonnet-digits\"\n\n[pipeline.source]\ntype = \"v4l2\"\ndevice = \"/dev/video1\"\n",
        "  { rect = [1, 2, 3, 4] },\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(
        edit::edited(&text, &answers("water"), true).as_deref(),
        Ok(text.as_str()),
        "a second run changes nothing"
    );
}

#[test]
fn the_packaged_file_keeps_all_that_it_has() {
    let old = include_str!("../../../configs/leptond.toml");
    let text = edit::edited(old, &answers("water"), false).unwrap();
    let changes = edit::diff(old, &text);
    assert!(!changes.lines().any(|line| line.starts_with('-')), "{changes}");
    // At the end, so that a commented key of the first pipeline stays in the first pipeline.
    assert!(text.find("#deadline_ms").unwrap() < text.find("name = \"water\"").unwrap());
    assert!(text.parse::<toml_edit::DocumentMut>().is_ok());
}

#[test]
fn a_pipeline_of_the_same_name_needs_a_word() {
    let old = "# mine\n[mqtt]\nhost = \"old\" # why\npassword = \"x\"\n\n[[pipeline]]\nname = \"water\"\nmodel = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"v4l2\"\nwidth = 1280 # wide\n\n[[pipeline]]\nname = \"b\"\nmodel = \"m\"\nsource = { type = \"synthetic\" }\n";
    assert_eq!(edit::edited(old, &answers("water"), false), Err(edit::EditError::Exists("water".into())));
    let text = edit::edited(old, &answers("water"), true).unwrap();
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
fn a_diff_names_what_differs() {
    assert_eq!(edit::diff("a\nb\nc\n", "a\nx\nc\nd\n"), "@@ line 2\n-b\n+x\n@@ line 4\n+d\n");
    assert_eq!(edit::diff("a\n", "a\n"), "");
}

/// Answers from a list; ends as a closed terminal does.
struct Script(VecDeque<&'static str>, Vec<String>);

impl Ask for Script {
    fn text(&mut self, prompt: &str, default: Option<&str>) -> Result<String, Failure> {
        self.1.push(prompt.to_owned());
        match self.0.pop_front() {
            Some("") => Ok(default.unwrap_or_default().to_owned()),
            Some(answer) => Ok(answer.to_owned()),
            None => Err(anyhow::anyhow!("nobody is there").into()),
        }
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Failure> {
        self.text(prompt, None)
    }

    fn tell(&mut self, text: &str) {
        self.1.push(text.to_owned());
    }
}

#[test]
fn questions_lead_to_answers_and_wrong_ones_are_asked_again() {
    let args = Args { untested: true, root: Some("/nonexistent".into()), ..Args::default() };
    let present = Config::default();
    let list =
        ["bad name", "attic", "a:0", "10.0.0.2", "-", "9", "2", "1", "no!", "water", "1,2", "5", "10,10,100,40", "5"];
    let mut script = Script(VecDeque::from(list), Vec::new());
    let mut interview = Interview {
        args: &args,
        ask: Some(&mut script),
        present: &present,
        file: Path::new("/x"),
        text: "",
        stop: Default::default(),
    };
    let told = interview.hold(None);
    let told = told.unwrap_or_else(|error| panic!("{error}: {:#?}", script.1));
    assert_eq!((told.answers.node.as_deref(), told.answers.broker.host.as_str()), (Some("attic"), "10.0.0.2"));
    assert_eq!(
        (told.answers.pipeline.name.as_str(), told.answers.pipeline.model.as_str()),
        ("water", "leptonnet-digits")
    );
    assert_eq!(told.answers.pipeline.regions.map_or(0, |r| r.len()), 5);
}
