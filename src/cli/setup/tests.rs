//! Questions answered from a list.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::questions::Ask;
use super::session::Interview;
use super::{Args, Failure};
use crate::config::Config;
use crate::frame::Quantity;
use crate::install::answers::{Answers, Work};
use crate::scene::{Gears, Knock, Scene};

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

fn interview<'a>(args: &'a Args, ask: Option<&'a mut dyn Ask>, present: &'a Config) -> Interview<'a> {
    Interview { args, ask, present, file: Path::new("/x"), text: "", again: None, stop: Default::default() }
}

#[test]
fn questions_lead_to_answers_and_wrong_ones_are_asked_again() {
    let args = Args { untested: true, root: Some("/nonexistent".into()), ..Args::default() };
    let present = Config::default();
    // Node, broker, user; no such source, the drawn meter; the model; no row, one; what it counts, unit, decimals; name; page.
    let list = [
        "bad name",
        "attic",
        "a:0",
        "10.0.0.2",
        "-",
        "9",
        "3",
        "1",
        "1,2",
        "5",
        "10,10,100,40",
        "5",
        "",
        "",
        "2",
        "no!",
        "water",
        "",
    ];
    let mut script = Script(VecDeque::from(list), Vec::new());
    let told = interview(&args, Some(&mut script), &present).hold(None);
    let told = told.unwrap_or_else(|error| panic!("{error}: {:#?}", script.1));
    let Answers { node, broker: Some(broker), page, work: Some(Work::Meter(meter)) } = told.answers else {
        panic!("a meter was asked for")
    };
    assert_eq!((node.as_deref(), broker.host.as_str()), (Some("attic"), "10.0.0.2"));
    assert_eq!((meter.name.as_str(), meter.digits.len(), meter.kind), ("water", 5, Some(Quantity::Water)));
    assert_eq!((meter.unit, meter.decimals), (None, Some(2)));
    assert!(page && script.1.iter().any(|line| line.contains("http://127.0.0.1:8099/")));
}

/// A photo of the drawn meter of a seed, or of a wall.
fn photo(dir: &Path, seed: Option<u64>) -> PathBuf {
    let mut jpeg = Vec::new();
    match seed {
        Some(seed) => {
            let mut scene = Scene::with_dials(seed, 640, 480, None, Knock::default());
            scene.render_positions(&Gears::new(seed).at(5_314_823.5), 0, &mut jpeg).unwrap();
        }
        None => jpeg_encoder::Encoder::new(&mut jpeg, 90)
            .encode(&[128; 320 * 240], 320, 240, jpeg_encoder::ColorType::Luma)
            .unwrap(),
    }
    let file = dir.join("photo.jpg");
    std::fs::write(&file, jpeg).unwrap();
    file
}

#[test]
fn a_photo_answers_where_digits_and_dials_are() {
    let dir = tempfile::tempdir().unwrap();
    let args = Args {
        untested: true,
        photo: Some(photo(dir.path(), Some(4))),
        source: vec!["synthetic".into()],
        ..Args::default()
    };
    let present = Config::default();
    // Node, broker, user; right?; what it counts, a wrong unit, the right one, decimals; the name; the page.
    let list = ["attic", "10.0.0.2", "-", "yes", "2", "gal", "", "99", "", "", "no"];
    let mut script = Script(VecDeque::from(list), Vec::new());
    let told = interview(&args, Some(&mut script), &present).hold(None);
    let told = told.unwrap_or_else(|error| panic!("{error}: {:#?}", script.1));
    let Some(Work::Meter(meter)) = told.answers.work else { panic!("a meter was asked for") };
    assert_eq!((meter.name.as_str(), meter.kind, meter.unit, meter.decimals), ("gas", Some(Quantity::Gas), None, None));
    assert_eq!((meter.digits.len(), meter.dials.len()), (5, 4));
    assert!(!told.answers.page);
    let said = script.1.join("\n");
    assert!(said.contains("5 digits and 4 dials; I read 00531.4823, each place by at least 0."), "{said}");
}

#[test]
fn a_photo_without_a_meter_is_told_and_the_questions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = photo(dir.path(), None);
    let present = Config::default();
    let args = Args {
        untested: true,
        photo: Some(file),
        source: vec!["synthetic".into()],
        broker: Some("10.0.0.2".into()),
        ..Args::default()
    };
    let failure = interview(&args, None, &present).hold(None).unwrap_err().to_string();
    assert!(
        failure.contains("photo.jpg: no digits or dials") && failure.contains("http://127.0.0.1:8099/"),
        "{failure}"
    );
    let mut script = Script(VecDeque::from(["attic", "-", "1", "-", "water", "no"]), Vec::new());
    let told = interview(&args, Some(&mut script), &present).hold(None);
    let told = told.unwrap_or_else(|error| panic!("{error}: {:#?}", script.1));
    assert!(matches!(told.answers.work, Some(Work::Pipeline(_))), "{:#?}", script.1);
    let args = Args { photo: Some(dir.path().join("none.jpg")), ..args };
    let failure = interview(&args, None, &present).hold(None).unwrap_err().to_string();
    assert!(failure.contains("none.jpg"), "{failure}");
}
