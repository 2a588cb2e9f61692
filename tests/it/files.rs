//! Files that may be anything: links that lead out of a bundle, FIFOs, devices, files of `/proc`, and a disk that is full.

#[path = "files/absent.rs"]
mod absent;
#[path = "files/full.rs"]
mod full;
#[path = "files/replaced.rs"]
mod replaced;
#[path = "files/slow.rs"]
mod slow;
#[path = "files/stop.rs"]
mod stop;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leptond::model::sha256;
use tract_onnx::pb::tensor_proto::DataType;

use crate::common;
use crate::model::build::{file, graph, node, port};
use crate::model_add::cifar;
use crate::model_add::home::{Home, Ran};

/// A model of pictures of 8×8 pixels that needs no manifest.
pub fn bare() -> Vec<u8> {
    let x = port("x", DataType::Float, &[1, 3, 8, 8]);
    file(graph(vec![x], vec![], vec![node("Relu", &["x"], &["y"])], vec![port("y", DataType::Float, &[])]))
}

/// A bundle called `name` in `dir`, with a label file and a small form.
pub fn bundle(dir: &Path, name: &str) -> PathBuf {
    let at = dir.join(name);
    std::fs::create_dir_all(at.join("labels")).unwrap();
    let (onnx, _) = cifar();
    std::fs::write(at.join("model.onnx"), &onnx).unwrap();
    std::fs::write(at.join("labels/names.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    std::fs::write(at.join("model.toml"), manifest(name, &onnx, "labels/names.txt")).unwrap();
    at
}

fn manifest(name: &str, onnx: &[u8], labels: &str) -> String {
    format!(
        "name = {name:?}\ntask = \"classify\"\nsha256 = \"{}\"\nlabels_file = {labels:?}\n\
         [input]\nkind = \"image\"\nsize = [32, 32]\n",
        sha256(onnx)
    )
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs a command that must come to an end by itself.
#[track_caller]
fn within(mut command: Command, limit: Duration) -> Ran {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > common::patiently(limit) {
            child.kill().unwrap();
            let ran = Ran::of(child.wait_with_output().unwrap());
            panic!("not at its end after {limit:?}: {}{}", ran.out, ran.err);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn a_bundle_is_added_with_what_is_beneath_it_and_nothing_else() {
    let home = Home::new();
    let secret = home.write("secret", "not for others\n");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::create_dir(home.path("elsewhere")).unwrap();
    home.write("elsewhere/names.txt", "not for others\n");
    type Change = fn(&Path, &Path);
    let cases: [(&str, Change, &str); 9] = [
        ("a link to a secret", |m, s| relink(m, "labels/names.txt", s), "symbolic link"),
        ("a link that climbs", |m, _| relink(m, "labels/names.txt", Path::new("../../secret")), "symbolic link"),
        ("a link within", |m, _| relink(m, "labels/names.txt", Path::new("../model.toml")), "symbolic link"),
        ("a directory that is a link", |m, _| relink(m, "labels", Path::new("../elsewhere")), "symbolic link"),
        ("a model that is a link", |m, s| relink(m, "model.onnx", s), "symbolic link"),
        ("a manifest that is a link", |m, s| relink(m, "model.toml", s), "symbolic link"),
        (
            "a FIFO",
            |m, _| {
                std::fs::remove_file(m.join("labels/names.txt")).unwrap();
                fifo(&m.join("labels/names.txt"));
            },
            "is a FIFO",
        ),
        (
            "a directory",
            |m, _| {
                std::fs::remove_file(m.join("labels/names.txt")).unwrap();
                std::fs::create_dir(m.join("labels/names.txt")).unwrap();
            },
            "is a directory",
        ),
        (
            "a name that climbs",
            |m, _| {
                let text = std::fs::read_to_string(m.join("model.toml")).unwrap();
                std::fs::write(m.join("model.toml"), text.replace("labels/names.txt", "../secret")).unwrap();
            },
            "inside the bundle",
        ),
    ];
    for (what, change, words) in cases {
        let _ = std::fs::remove_dir_all(home.path("m"));
        let m = bundle(home.dir.path(), "m");
        change(&m, &secret);
        within(home.command(&["add", "./m"]), Duration::from_secs(60)).fails(1, &[words]);
        assert!(home.installed().is_empty(), "{what}");
        assert!(!holds(&home.path("models"), "not for others"), "{what}: something of it was copied");
    }
    // What is in use is opened the same way as what is added.
    let m = home.path("m");
    std::fs::remove_dir_all(&m).unwrap();
    bundle(home.dir.path(), "m");
    home.run(&["add", "./m"]).ok();
    let installed = home.path("models/m");
    for file in ["model.onnx", "labels/names.txt", "model.toml"] {
        let mode = std::fs::metadata(installed.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o644, "{file}");
    }
    relink(&installed, "labels/names.txt", &secret);
    let infer = |path: &Path| {
        let mut command = common::leptond();
        command.arg("infer").arg(path).arg(common::data("none.jpg"));
        within(command, Duration::from_secs(60))
    };
    infer(&installed).fails(1, &["names.txt", "symbolic link"]);
}

fn relink(dir: &Path, name: &str, target: &Path) {
    let at = dir.join(name);
    if at.is_dir() {
        std::fs::remove_dir_all(&at).unwrap()
    } else {
        std::fs::remove_file(&at).unwrap()
    }
    symlink(target, at).unwrap();
}

/// Whether any file below `dir` holds `text`.
fn holds(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            holds(&path, text)
        } else {
            std::fs::read(path).is_ok_and(|b| String::from_utf8_lossy(&b).contains(text))
        }
    })
}

#[test]
fn a_catalog_beside_its_files_copies_no_others() {
    let home = Home::new();
    home.write("secret", "not for others\n");
    std::fs::create_dir(home.path("stick")).unwrap();
    let (onnx, text) = cifar();
    home.write("stick/m.onnx", &onnx);
    let entry = |labels: &str| {
        format!(
            "[[model]]\nname = \"m\"\nurl = \"m.onnx\"\nbytes = {}\ntask = \"classify\"\nsha256 = \"{}\"\nlabels_file = {labels:?}\n",
            onnx.len(),
            sha256(&onnx)
        )
    };
    assert!(text.contains(&sha256(&onnx)));
    symlink("../secret", home.path("stick/linked.txt")).unwrap();
    for labels in ["linked.txt", "../secret"] {
        home.write("stick/catalog.toml", entry(labels));
        home.run(&["add", "m", "--catalog", "stick/catalog.toml"]).fails(1, &[labels]);
        assert!(!holds(&home.path("models"), "not for others"), "{labels}");
    }
}

#[test]
fn what_is_no_file_is_refused_by_name_and_never_waited_for() {
    let home = Home::new();
    fifo(&home.path("model.onnx"));
    fifo(&home.path("labels.txt"));
    let (onnx, _) = cifar();
    home.write("good.onnx", onnx);
    let limit = Duration::from_secs(30);
    let add = |args: &[&str]| within(home.command(&[&["add"], args].concat()), limit);
    add(&["./model.onnx", "--name", "m"]).fails(1, &["model.onnx", "is a FIFO"]);
    add(&["/dev/zero", "--name", "m"]).fails(1, &["/dev/zero", "is a device"]);
    // Its size is 0, and it has no end.
    add(&["/proc/self/mem", "--name", "m"]).fails(1, &["/proc/self/mem"]);
    add(&["./good.onnx", "--name", "m", "--labels", "labels.txt"]).fails(2, &["labels.txt", "is a FIFO"]);
    add(&["./good.onnx", "--name", "m", "--labels", "/dev/zero"]).fails(2, &["/dev/zero", "is a device"]);
    home.run(&["list", "--catalog", "/dev/zero"]).fails(1, &["/dev/zero", "is a device"]);
    assert!(home.installed().is_empty());
    let leptond = |args: &[&str]| {
        let mut command = common::leptond();
        command.current_dir(home.dir.path()).args(args);
        within(command, limit)
    };
    fifo(&home.path("leptond.toml"));
    leptond(&["check", "--config", "leptond.toml"]).fails(78, &["leptond.toml", "is a FIFO"]);
    leptond(&["run", "--config", "/dev/zero"]).fails(78, &["/dev/zero", "is a device"]);
    leptond(&["simulate", "--scenario", "/dev/zero"]).fails(78, &["/dev/zero", "is a device"]);
    leptond(&["inspect", "/dev/zero"]).fails(1, &["/dev/zero", "is a device"]);
    leptond(&["inspect", "./model.onnx"]).fails(1, &["model.onnx", "is a FIFO"]);
    leptond(&["infer", "--raw", "good.onnx", "/dev/zero", "-o", "out.npy"]).fails(1, &["/dev/zero", "is a device"]);
    for (key, value) in [("password_file", "/dev/zero"), ("password_file", "labels.txt"), ("tls.ca_file", "/dev/zero")]
    {
        let user = if key == "password_file" { "username = \"u\"\n" } else { "" };
        home.write("c.toml", format!("[mqtt]\n{user}{key} = {value:?}\n{PIPELINE}"));
        let kind = if value == "/dev/zero" { "is a device" } else { "is a FIFO" };
        leptond(&["check", "--config", "c.toml"]).fails(78, &[key, kind]);
    }
}

const PIPELINE: &str =
    "[[pipeline]]\nname = \"p\"\nmodel = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"synthetic\"\n";

#[test]
fn what_an_earlier_start_is_said_to_have_left_is_read_within_bounds() {
    let state = tempfile::tempdir().unwrap();
    fifo(&state.path().join("calibration.json"));
    symlink("/dev/zero", state.path().join("engines.json")).unwrap();
    let config = state.path().join("c.toml");
    std::fs::write(&config, format!("[node]\nsandbox = \"off\"\n[mqtt]\nport = 1\n{PIPELINE}")).unwrap();
    let mut command = common::leptond();
    command.env("STATE_DIRECTORY", state.path()).args(["check", "--ladder", "--config"]).arg(&config);
    within(command, Duration::from_secs(120)).ok();
}
