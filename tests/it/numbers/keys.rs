//! Channels that a model cannot take: the key is named before anything runs, and by the daemon as well.

use super::{bundle, identity};
use crate::common;

/// Exit code and standard error of a subcommand; pipeline `first` gives `first` to a model of two values, `second` gives `second`.
fn said(args: &[&str], model: &str, [first, second]: [&str; 2]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("two.onnx"), identity(2)).unwrap();
    bundle(&dir.path().join("two"), &["Voltage", "Power"]);
    let pipeline = |name: &str, source: &str| {
        let model = dir.path().join(model);
        format!("[[pipeline]]\nname = \"{name}\"\nmodel = {model:?}\n[pipeline.source]\ntype = \"mqtt\"\n{source}\n")
    };
    // Nothing listens there.
    let text =
        "[mqtt]\nhost = \"127.0.0.1\"\nport = 9\n".to_owned() + &pipeline("first", first) + &pipeline("second", second);
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, text).unwrap();
    let output = common::leptond().args(args).arg("--config").arg(&file).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn numbers(channels: &str) -> String {
    format!("topic = \"tele/+/SENSOR\"\ncontent = \"numbers\"\nchannels = {channels}")
}

#[test]
fn as_many_channels_as_the_model_takes() {
    let right = numbers(r#"["ENERGY.Power", "ENERGY.Voltage"]"#);
    let (code, text) = said(&["check"], "two.onnx", [&right, &right]);
    assert!(code == Some(0) && !text.contains("channels"), "{text}");
    for (wrong, found) in [
        (r#"["ENERGY.Power"]"#, "1 in the list (ENERGY.Power), and the model takes 2 values in each reading"),
        (r#"["a", "b", "c"]"#, "3 in the list (a, b, c), and the model takes 2 values in each reading"),
    ] {
        let wrong = numbers(wrong);
        // The second pipeline has the model of the first, which is loaded once.
        let (code, text) = said(&["check"], "two.onnx", [&right, &wrong]);
        assert_eq!(code, Some(78), "{text}");
        assert!(text.contains(&format!("pipeline[1].source.channels (pipeline \"second\"): {found}")), "{text}");
        assert!(text.contains("one problem"), "{text}");
        let (code, text) = said(&["run"], "two.onnx", [&wrong, &wrong]);
        assert_eq!(code, Some(78), "{text}");
        assert!(text.contains(&format!("source.channels: {found}")), "{text}");
    }
}

#[test]
fn channels_of_the_names_that_the_model_takes() {
    let right = numbers(r#"["ENERGY.Power", "ENERGY.Voltage", "ENERGY.Current"]"#);
    let wrong = numbers(r#"["ENERGY.Power", "ENERGY.Current"]"#);
    let two = numbers(r#"["in.Power", "out.Power", "in.Voltage"]"#);
    assert_eq!(said(&["check"], "two", [&right, &numbers("[]")]).0, Some(0));
    for (source, missing) in [(&wrong, "Voltage"), (&two, "Power")] {
        let (code, text) = said(&["check"], "two", [&right, source]);
        assert_eq!(code, Some(78), "{text}");
        let key = "pipeline[1].source.channels (pipeline \"second\"): not the channels that the model takes";
        assert!(text.contains(key) && text.contains(&format!("no single one of those found is {missing},")), "{text}");
    }
}

#[test]
fn channels_of_pictures_have_no_effect_and_readings_are_no_pictures() {
    let pictures = "topic = \"cam\"\ncontent = \"jpeg\"\nchannels = [\"x\"]";
    let (code, text) = said(&["check", "--skip-files"], "two.onnx", [pictures, pictures]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("pipeline[0].source.content") && text.contains("channels have no effect on pictures"),
        "{text}"
    );
    let (code, text) = said(&["check"], "two.onnx", [pictures, pictures]);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("pipeline[0].source.type (pipeline \"first\"): the source gives pictures"), "{text}");
}
