//! A model that is replaced while it runs: the running pipeline keeps what it has, on all its rungs, and a reload takes the new one.

use std::path::Path;
use std::time::Duration;

use leptond::model::{Engine, ModelError, sha256};
use leptond::pipeline::{PlanError, Planner, open_bundle};
use leptond::{preprocess, task};
use leptond_governor::Setpoint;

use super::bare;
use crate::daemon::{Daemon, on};
use crate::model_add::cifar;
use crate::model_add::home::Home;
use crate::mosquitto::{Mosquitto, Received};

/// A bundle with a main variant and a smaller one, told apart by its version.
fn two_forms(dir: &Path, name: &str, version: &str) {
    let at = dir.join(name);
    std::fs::create_dir_all(&at).unwrap();
    let (onnx, _) = cifar();
    // The same graph for all that matters: a byte more in an unknown field is another file.
    let other = [onnx.as_slice(), &[0xfa, 0x7f, version.len() as u8], version.as_bytes()].concat();
    std::fs::write(at.join("model.onnx"), &onnx).unwrap();
    std::fs::write(at.join("small.onnx"), &other).unwrap();
    let text = format!(
        "name = {name:?}\nversion = {version:?}\ntask = \"classify\"\nsha256 = \"{}\"\n\
         labels = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\", \"j\"]\n\
         [input]\nkind = \"image\"\nsize = [32, 32]\n\
         [[variant]]\nname = \"small\"\nfile = \"small.onnx\"\nsha256 = \"{}\"\n",
        sha256(&onnx),
        sha256(&other)
    );
    std::fs::write(at.join("model.toml"), text).unwrap();
}

fn planner(path: &Path) -> Planner {
    let bundle = open_bundle(path.to_str().unwrap(), &[]).unwrap();
    Planner::new(bundle, Engine::Auto, 1, preprocess::Config::default(), &task::Config::default()).unwrap()
}

fn small() -> Setpoint {
    Setpoint { variant: 1, ..Setpoint::full() }
}

#[test]
fn the_forms_of_a_model_outlast_its_replacement() {
    let home = Home::new();
    two_forms(home.dir.path(), "m", "1");
    home.run(&["add", "./m"]).ok();
    let installed = home.path("models/m");
    let before = planner(&installed);
    two_forms(home.dir.path(), "m", "2");
    home.run(&["add", "./m", "--replace"]).ok();
    before.stages(&small()).map(|_| ()).expect("a variant that was not compiled yet");
    before.stages(&Setpoint::full()).map(|_| ()).expect("the main variant");
    let after = planner(&installed);
    assert_ne!(before.bundle.digest(), after.bundle.digest());
    assert_eq!(before.sha256, after.sha256, "the main file alone does not tell them apart");
    // By a link that is turned round in one step, too.
    let at = |name: &str| home.path(name);
    for version in ["1", "2"] {
        two_forms(&at(version), "m", version);
    }
    std::os::unix::fs::symlink(at("1"), at("current")).unwrap();
    let before = planner(&at("current/m"));
    std::os::unix::fs::symlink(at("2"), at("next")).unwrap();
    std::fs::rename(at("next"), at("current")).unwrap();
    std::fs::remove_dir_all(at("1")).unwrap();
    before.stages(&small()).map(|_| ()).expect("a variant of the old directory");
    assert_eq!(planner(&at("current/m")).bundle.digest(), after.bundle.digest(), "the same, wherever it lies");
}

#[test]
fn a_file_that_is_written_over_in_place_is_noticed() {
    written_over_in_place(Duration::ZERO);
}

/// Files that have not changed for some seconds are known by their times.
#[test]
fn an_old_file_that_is_written_over_in_place_is_noticed() {
    written_over_in_place(Duration::from_millis(3_200));
}

fn written_over_in_place(age: Duration) {
    let home = Home::new();
    two_forms(home.dir.path(), "m", "1");
    let bare_file = home.write("bare.onnx", bare());
    std::thread::sleep(age);
    let bundle = planner(&home.path("m"));
    let small_file = home.path("m/small.onnx");
    let old = std::fs::read(&small_file).unwrap();
    std::fs::write(&small_file, cifar().0).unwrap();
    let changed = |error: Option<PlanError>| matches!(error, Some(PlanError::Model(ModelError::Changed { .. })));
    assert!(changed(bundle.stages(&small()).err()));
    assert!(bundle.stages(&Setpoint::full()).is_ok(), "the other variant is as it was");
    std::fs::write(&small_file, old).unwrap();
    assert!(bundle.stages(&small()).is_ok());
    // A file without a manifest is known by its own hash.
    let planner = planner(&bare_file);
    assert!(planner.stages(&Setpoint::full()).is_ok());
    std::fs::write(&bare_file, b"something else").unwrap();
    assert!(changed(planner.stages(&Setpoint::full()).err()));
}

#[test]
fn a_reload_takes_the_new_model_and_leaves_the_others_alone() {
    let Some(broker) = Mosquitto::start("a_reload_takes_the_new_model_and_leaves_the_others_alone") else { return };
    let listener = broker.listen("leptond/test/#");
    let home = Home::new();
    let dir = home.dir.path();
    for name in ["m", "other"] {
        two_forms(dir, name, "1");
    }
    let pipeline = |name: &str, model: &str| {
        format!(
            "[[pipeline]]\nname = {name:?}\nmodel = \"{}\"\n[pipeline.source]\ntype = \"synthetic\"\nfps = 10.0\n",
            dir.join(model).display()
        )
    };
    let text = format!(
        "[node]\nname = \"test\"\nsandbox = \"off\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[governor]\nmode = \"manual\"\n{}{}",
        broker.port,
        pipeline("p", "m"),
        pipeline("q", "other")
    );
    let daemon = Daemon::start(&text);
    let info = |m: &[Received]| on(m, "leptond/test/info").last().map(|m| m.json()).unwrap_or_default();
    let digest = |m: &[Received], i: usize| info(m)["models"][i]["digest"].clone();
    let results = |m: &[Received], name: &str| on(m, &format!("leptond/test/{name}/result")).len();
    let seen = listener.wait_for("results of both", |m| results(m, "p") > 1 && results(m, "q") > 1);
    let (first, other) = (digest(&seen, 0), digest(&seen, 1));
    // Replaced as `model add --replace` does, and not yet taken.
    two_forms(&dir.join("new"), "m", "2");
    std::fs::rename(dir.join("m"), dir.join("old")).unwrap();
    std::fs::rename(dir.join("new/m"), dir.join("m")).unwrap();
    std::fs::remove_dir_all(dir.join("old")).unwrap();
    let count = results(&listener.messages(), "p");
    let seen = listener.wait_for("more results of the old one", |m| results(m, "p") > count + 2);
    assert_eq!(digest(&seen, 0), first, "what runs is said, and not what lies on the disk");
    daemon.signal("HUP");
    let seen = listener.wait_for("the new model", |m| info(m)["models"][0]["version"] == "2");
    assert_ne!(digest(&seen, 0), first);
    assert_eq!(digest(&seen, 1), other);
    let count = results(&seen, "p");
    let seen = listener.wait_for("results of the new one", |m| results(m, "p") > count + 2);
    let seqs: Vec<u64> = on(&seen, "leptond/test/q/result").iter().map(|m| m.json()["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|w| w[0] < w[1]), "the other pipeline was not started anew: {seqs:?}");
    // One that cannot be used takes nothing away.
    std::fs::write(dir.join("m/model.onnx"), "damaged").unwrap();
    daemon.signal("HUP");
    daemon.wait_log("the one that runs goes on");
    let count = results(&listener.messages(), "p");
    listener.wait_for("more results", |m| results(m, "p") > count + 2);
}
