//! Mistakes that everybody makes once, and the words that come back.

use crate::common::leptond;
use crate::mosquitto::Mosquitto;

/// Exit code and words of a command that fails.
fn fails(args: &[&str]) -> (Option<i32>, String) {
    let output = leptond().args(args).output().unwrap();
    assert!(!output.status.success(), "{args:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_is_no_model_is_named_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, words) in [
        ("photo.onnx", &b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"[..], "it is a JPEG picture"),
        ("labels.txt", b"cat\ndog\n", "it is a text"),
        ("best.pt", b"PK\x03\x04\x00\x00best/data.pkl", "export the model to ONNX"),
        ("model.onnx", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("page.onnx", b"<!DOCTYPE html>\n<html></html>\n", "it is a web page"),
    ] {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        for command in ["inspect", "bench", "check"] {
            let config = format!(
                "[mqtt]\nhost = \"localhost\"\n[[pipeline]]\nname = \"a\"\nmodel = {:?}\nsource = {{ type = \"synthetic\" }}\n",
                file.display().to_string()
            );
            let path = dir.path().join("leptond.toml");
            std::fs::write(&path, config).unwrap();
            let (file, path) = (file.to_str().unwrap(), path.to_str().unwrap());
            let (_, said) =
                if command == "check" { fails(&["check", "--config", path]) } else { fails(&[command, file]) };
            assert!(said.contains(name) && said.contains(words), "{command} {name}: {said}");
        }
    }
}

#[test]
fn flags_that_are_left_out_are_told() {
    let (code, said) = fails(&["run", "water.toml"]);
    assert!(code == Some(2) && said.contains("leptond run --config water.toml"), "{said}");
    for command in
        [&["demo"][..], &["run", "--config", "x.toml"], &["watch"], &["record"], &["capture", "type=synthetic"]]
    {
        let (code, said) = fails(&[command, &["--for", "5"]].concat());
        assert!(code == Some(2) && said.contains("5s is in seconds"), "{command:?}: {said}");
    }
    let (code, said) = fails(&["demo", "--listen", "18832"]);
    assert!(code == Some(2) && said.contains("0.0.0.0:18832"), "{said}");
}

#[test]
fn what_makes_man_pages_and_completions_is_found() {
    let (code, said) = fails(&["generate"]);
    assert!(code == Some(2) && said.contains("'completions'") && said.contains("'man'"), "{said}");
    let (code, said) = fails(&["man"]);
    assert!(code == Some(2) && said.contains("<DIR>"), "{said}");
    let (_, said) = fails(&["rendr"]);
    assert!(!said.contains("'render'"), "{said}");
    let help = String::from_utf8(leptond().arg("--help").output().unwrap().stdout).unwrap();
    assert!(help.contains("completions") && help.contains("man ") && !help.contains("trial-load"), "{help}");
}

/// With a camera or without one: a picture with its name, or the reason, and not for long.
#[test]
fn a_capture_of_nothing_in_particular_is_a_picture_or_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let begun = std::time::Instant::now();
    let output = leptond().arg("capture").current_dir(dir.path()).output().unwrap();
    assert!(begun.elapsed() < crate::common::patiently(std::time::Duration::from_secs(20)));
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    let (told, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => assert!(files == 1 && told.contains("capture-20") && told.contains(" pixels of "), "{told}"),
        code => assert!(code == Some(1) && files == 0 && complaint.contains("name another source"), "{complaint}"),
    }
}

#[test]
fn a_dash_is_no_user_name() {
    let Some(broker) = Mosquitto::start("a_dash_is_no_user_name") else { return };
    let args = ["watch", "--host", "127.0.0.1", "--port", &broker.port.to_string(), "--for", "1s", "--username"];
    let (_, said) = fails(&[&args[..], &["-"]].concat());
    // As without the flag: MQTT has no password without a name, and an empty name is none.
    assert!(said.contains("nothing came on"), "{said}");
    let (code, said) = fails(&[&args[..], &[""]].concat());
    assert!(code == Some(2) && said.contains("- is for no user name"), "{said}");
}

#[test]
fn a_watch_that_saw_nothing_says_so() {
    let Some(broker) = Mosquitto::start("a_watch_that_saw_nothing_says_so") else { return };
    let port = broker.port.to_string();
    let (code, said) = fails(&["watch", "--host", "127.0.0.1", "--port", &port, "--node", "nonode", "--for", "1s"]);
    assert!(code == Some(1) && said.contains("nothing came on leptond/nonode/#"), "{said}");
}
