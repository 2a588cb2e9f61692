//! Questions answered from a list.

use std::collections::VecDeque;
use std::path::Path;

use super::questions::Ask;
use super::session::Interview;
use super::{Args, Failure};
use crate::config::Config;

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
