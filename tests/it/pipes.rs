//! Readers that go away, and errors in words: of every subcommand that prints.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{self, patiently};
use crate::detect::nets::{Net, picture};

/// A directory with what the commands need.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/machine-anomaly");
        place.write("net.onnx", Net::planes(3, &[]).file());
        place.write("open.onnx", Net { declared: vec![-1, -1, -1], ..Net::planes(3, &[]) }.file());
        place.write("short.onnx", &Net::planes(3, &[]).file()[..50]);
        place.write("white.jpg", picture(64, 64, 255));
        place.write("bad.toml", "[mqtt]\nhots = \"h\"\n");
        place.write(
            "good.toml",
            format!(
                "[mqtt]\nhost = \"127.0.0.1\"\nport = 1\n[[pipeline]]\nname = \"p\"\nmodel = {shipped:?}\n[pipeline.source]\ntype = \"sensor\"\nwindow = 8\n[pipeline.task]\nmin_score = 0.5\n"
            ),
        );
        place
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = common::leptond();
        command.current_dir(self.dir.path()).args(args).stdin(Stdio::null());
        command
    }
}

/// Every subcommand that prints and ends by itself.
const PRINTING: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["model", "--help"],
    &["bench", "net.onnx", "--iters", "3"],
    &["bench", "net.onnx", "--iters", "3", "--json"],
    &["bench", "net.onnx", "--iters", "3", "--profile"],
    &["inspect", "net.onnx"],
    &["inspect", "net.onnx", "--nodes"],
    &["inspect", "net.onnx", "--json"],
    &["check", "--config", "good.toml"],
    &["check", "--config", "good.toml", "--json"],
    &["schema"],
    &["infer", "net.onnx", "white.jpg", "white.jpg"],
    &["infer", "net.onnx", "white.jpg", "--json"],
    &["probe"],
    &["probe", "--json"],
    &["model", "list"],
    &["model", "list", "--json"],
    &["model", "add", "./net.onnx", "--dir", "models"],
    &["doctor", "--config", "good.toml"],
    &["doctor", "--config", "good.toml", "--json"],
    &["simulate", "--help"],
    &["completions", "bash"],
    &["capture", "type=files", "path=white.jpg"],
    &["record", "--for", "1s", "--interval-ms", "10"],
    // Those that have something to complain about, too.
    &["check", "--config", "bad.toml"],
    &["check", "--config", "bad.toml", "--json"],
    &["infer", "short.onnx", "white.jpg"],
    &["bench", "absent.onnx"],
    &["nonsense"],
];

/// Runs with the read end of standard output (and of standard error, where `both`) closed before anything is written.
fn unread(mut command: Command, both: bool) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    if both {
        command.stderr(writer.try_clone().unwrap());
    } else {
        command.stderr(Stdio::piped());
    }
    let mut child = command.stdout(writer).spawn().unwrap();
    // The command holds the write end, too.
    drop(command);
    let mut complaint = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut complaint).unwrap();
    }
    (child.wait().unwrap().code(), complaint)
}

#[test]
fn a_reader_that_goes_away_ends_no_command_with_a_fault() {
    let place = Place::new();
    for args in PRINTING {
        let read = place.command(args).output().unwrap();
        let usual = read.status.code();
        assert!(usual.is_some_and(|code| code != 101), "{args:?}: {}", String::from_utf8_lossy(&read.stderr));
        let (code, complaint) = unread(place.command(args), false);
        assert_eq!(code, usual, "{args:?}: {complaint}");
        for word in ["panicked", "Broken pipe", "os error 32", "standard output"] {
            assert!(!complaint.contains(word), "{args:?}: {complaint}");
        }
        let (code, _) = unread(place.command(args), true);
        assert_eq!(code, usual, "{args:?} with standard error closed, too");
    }
}

#[test]
fn a_full_disk_is_a_fault_all_the_same() {
    let place = Place::new();
    for args in
        [&["inspect", "net.onnx"][..], &["infer", "net.onnx", "white.jpg"], &["completions", "bash"], &["probe"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && complaint.contains("standard output"), "{args:?}: {complaint}");
    }
}

#[test]
fn what_prints_for_ever_ends_with_its_reader() {
    let place = Place::new();
    for args in [&["record", "--interval-ms", "10"][..], &["probe", "--watch", "--json"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut one = [0];
        child.stdout.take().unwrap().read_exact(&mut one).unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > patiently(Duration::from_secs(20)) {
                child.kill().unwrap();
                panic!("{args:?} goes on without a reader");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaint.is_empty(), "{args:?}: {complaint}");
    }
}

#[test]
fn a_daemon_whose_log_is_not_read_goes_on() {
    let place = Place::new();
    let mut command = place.command(&["run", "--config", "good.toml", "--for", "2s"]);
    command.stdout(Stdio::null());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command.stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn errors_are_told_in_words() {
    let place = Place::new();
    place.write("labels.txt", "a\nb\n");
    place.write("table.csv", "a,b\n1,2\n");
    let cases: &[&[&str]] = &[
        &["model", "add", "./open.onnx", "--task", "detect", "--dir", "models", "--labels", "labels.txt"],
        &["model", "add", "./open.onnx", "--task", "classify", "--dir", "models", "--labels", "labels.txt"],
        &["model", "add", "./short.onnx", "--dir", "models"],
        &["model", "add", "./net.onnx", "--task", "detect", "--head", "fastestdet", "--dir", "models"],
        &["model", "add", "./net.onnx", "--task", "detect", "--head", "yolov5", "--dir", "models"],
        &["model", "add", "./net.onnx", "--task", "anomaly", "--dir", "models"],
        &["model", "add", "./net.onnx", "--colour", "grey", "--dir", "models"],
        &["model", "add", "./net.onnx", "--size", "32x32", "--dir", "models"],
        &["model", "add", "./net.onnx", "--rows", "3", "--channels", "a,b", "--dir", "models"],
        &["model", "add", "./net.onnx", "--head", "yolo", "--dir", "models"],
        &["bench", "net.onnx", "--size", "32x32"],
        &["bench", "net.onnx", "--batch", "3", "--size", "1x1"],
        &["inspect", "short.onnx"],
        &["inspect", "net.onnx", "--size", "3x3"],
        &["infer", "net.onnx", "table.csv"],
        &["infer", "net.onnx", "net.onnx"],
        &["infer", "machine-anomaly", "white.jpg"],
        &["infer", "machine-anomaly", "table.csv"],
        &["infer", "net.onnx", "white.jpg", "--raw", "-o", "out.npy"],
        &["check", "--config", "bad.toml"],
        &["check", "--config", "good.toml", "--set", "pipeline[0].task.type=detect"],
        &["check", "--config", "good.toml", "--set", "pipeline[0].task.labels=[1]"],
        &["check", "--config", "good.toml", "--set", "pipeline[0].source.type=synthetic"],
        &["check", "--config", "good.toml", "--set", "mqtt.port=x"],
        &["check", "--config", "good.toml", "--set", "pipeline=3"],
        &["capture", "type=files", "path=absent.jpg"],
        &["watch", "--host", "127.0.0.1", "--port", "1", "--for", "1s"],
        &["simulate", "absent.toml"],
    ];
    for args in cases {
        let output = place.command(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!output.status.success(), "{args:?} was meant to fail: {text}");
        for word in ["Some(", "None", "Ok(", "Err(", "panicked", " { ", "FastestDet", "Yolov"] {
            assert!(!text.contains(word), "{args:?}: {word} in {text}");
        }
    }
}
