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
    let (code, said) = fails(&["demo", "--listen", "18832"]);
    assert!(code == Some(2) && said.contains("0.0.0.0:18832"), "{said}");
}

#[test]
fn a_watch_that_saw_nothing_says_so() {
    let Some(broker) = Mosquitto::start("a_watch_that_saw_nothing_says_so") else { return };
    let port = broker.port.to_string();
    let (code, said) = fails(&["watch", "--host", "127.0.0.1", "--port", &port, "--node", "nonode", "--for", "1s"]);
    assert!(code == Some(1) && said.contains("nothing came on leptond/nonode/#"), "{said}");
}
