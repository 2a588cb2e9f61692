//! Text as a person meets it: a recogniser that is added, what `infer` says, what crops of a detector's lines are told of.

use serde_json::{Value, json};

use crate::common;
use crate::daemon::{Daemon, on};
use crate::detect::nets::{Net, picture};
use crate::model_add::home::{Home, Ran};
use crate::mosquitto::{Mosquitto, Received};

/// A recogniser that reads these steps in every picture, `_` for the blank and `?` for a guess, with its dictionary in the file or not.
fn recogniser(steps: &str, dictionary: &str, more: usize, in_file: bool) -> Net {
    let characters: Vec<char> = dictionary.chars().collect();
    let classes = characters.len() + 1 + more;
    let mut values = Vec::new();
    for step in steps.chars() {
        let mut row = vec![0.0; classes];
        match step {
            '_' => row[0] = 1.0,
            '?' => (row[0], row[1], row[2]) = (0.3, 0.35, 0.35),
            ' ' => row[classes - 1] = 1.0,
            c => row[1 + characters.iter().position(|known| *known == c).unwrap()] = 1.0,
        }
        values.extend(row);
    }
    let lines: Vec<String> = characters.iter().map(char::to_string).collect();
    let lines = lines.join("\n");
    let metadata = [("character", lines.as_str())];
    Net::constant(&[1, steps.chars().count() as i64, classes as i64], &values, if in_file { &metadata } else { &[] })
}

fn home(net: &Net) -> Home {
    let home = Home::new();
    home.write("net.onnx", net.file());
    home.write("white.jpg", picture(64, 64, 255));
    home.write("abc.txt", "a\nb\nc\n");
    home
}

fn infer(home: &Home, more: &[&str]) -> Ran {
    let mut command = common::leptond();
    command.current_dir(home.dir.path()).args(["infer", "models/net", "white.jpg"]).args(more);
    Ran::of(command.output().unwrap())
}

fn read(home: &Home) -> Value {
    serde_json::from_str(&infer(home, &["--json"]).ok().out).unwrap()
}

#[test]
fn a_recogniser_is_told_by_its_dictionary_and_reads() {
    let home = home(&recogniser("a_ab c", "abc", 1, true));
    let added = home.run(&["add", "./net.onnx"]).ok().out;
    for words in ["task text: by the dictionary", "3 characters out of", "fit pad", "pixels from -1 to 1"] {
        assert!(added.contains(words), "{words:?} is missing in: {added}");
    }
    let value = read(&home);
    assert_eq!((&value["task"], &value["text"], &value["score"]), (&json!("text"), &json!("aab c"), &json!(1.0)));
    let plain = infer(&home, &["--draw", "drawn"]).ok().out;
    assert!(plain.contains(r#""aab c" 1.000"#), "{plain}");
    assert_eq!(home.path("drawn").read_dir().unwrap().count(), 1, "a picture");
}

#[test]
fn a_guess_and_an_empty_picture_have_no_text() {
    for steps in ["ab?", "____"] {
        let home = home(&recogniser(steps, "abc", 0, false));
        home.run(&["add", "./net.onnx", "--task", "text", "--labels", "abc.txt"]).ok();
        assert_eq!(read(&home)["text"], Value::Null, "{steps}");
        assert!(infer(&home, &[]).ok().out.contains("no text ("), "{steps}");
    }
}

#[test]
fn another_dictionary_is_refused() {
    let refuse = |net: &Net, labels: &str, code: i32, words: &[&str]| {
        let home = home(net);
        home.write("labels.txt", labels);
        home.run(&["add", "./net.onnx", "--task", "text", "--labels", "labels.txt"]).fails(code, words);
        assert!(home.installed().is_empty());
    };
    let net = recogniser("ab", "abcdef", 0, false);
    refuse(&net, "a\nb\nc\n", 1, &["shape [1, 2, 7]", "4 classes", "3 labels"]);
    refuse(&net, "a\nb\n\nd\ne\nf\n", 2, &["line 3 is empty"]);
    let home = home(&net);
    home.run(&["add", "./net.onnx", "--task", "text"]).fails(1, &["labels", "characters"]);
}

#[test]
fn lines_that_are_found_are_told_with_their_text() {
    let Some(broker) = Mosquitto::start("lines_that_are_found_are_told_with_their_text") else { return };
    let home = Home::new();
    let mut map = vec![0.0; 64 * 64];
    for row in 20..30 {
        map[row * 64 + 10..row * 64 + 50].fill(0.9);
    }
    home.write("lines.onnx", Net::constant(&[1, 1, 64, 64], &map, &[]).file());
    let added = home.run(&["add", "./lines.onnx", "--task", "detect"]).ok().out;
    assert!(added.contains("head dbnet: by the shape of its output"), "{added}");
    home.write("read.onnx", recogniser("bca", "abc", 0, true).file());
    home.run(&["add", "./read.onnx"]).ok();
    std::fs::create_dir(home.path("pictures")).unwrap();
    for i in 0..6 {
        home.write(&format!("pictures/{i}.jpg"), picture(64, 64, 200));
    }
    let config = format!(
        "[node]\nname = \"test\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[governor]\nmode = \"manual\"\n[models]\ndirs = [{:?}]\n\
         [[pipeline]]\nname = \"lines\"\nmodel = \"lines\"\n[pipeline.source]\ntype = \"files\"\npath = {:?}\nfps = 4.0\n\
         [[pipeline]]\nname = \"words\"\nmodel = \"read\"\n[pipeline.source]\npipeline = \"lines\"\n",
        broker.port,
        home.path("models"),
        home.path("pictures"),
    );
    let listener = broker.listen("leptond/test/#");
    let _daemon = Daemon::start(&config);
    let told = |m: &[Received]| {
        ["state", "result"].iter().all(|what| !on(m, &format!("leptond/test/words/{what}")).is_empty())
    };
    let messages = listener.wait_for("the text of a line", told);
    let lines = on(&messages, "leptond/test/lines/result");
    let bbox: Vec<f64> =
        lines[0].json()["detections"][0]["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    // The core, 39 by 9 between the middles of its places, grown by area · 1.5 / perimeter.
    let grown = 39.0 * 9.0 * 1.5 / 96.0;
    let wanted = [10.5 - grown, 20.5 - grown, 49.5 + grown, 29.5 + grown];
    assert!(bbox.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{bbox:?} {wanted:?}");
    let words = on(&messages, "leptond/test/words/result");
    let word = words[0].json();
    assert_eq!((&word["text"], &word["parent"]["pipeline"]), (&json!("bca"), &json!("lines")));
    let state = on(&messages, "leptond/test/words/state");
    assert_eq!(state[0].json()["text"], "bca");
}
