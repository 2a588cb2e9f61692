//! `leptond setup` as a person uses it: by flags, and at a terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use leptond::scene::{Gears, Knock, Scene};

use crate::common;
use crate::mosquitto::Mosquitto;

fn setup(file: &Path, args: &[&str]) -> Output {
    common::leptond().arg("setup").arg("--config").arg(file).args(args).output().unwrap()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const DEMO: [&str; 8] =
    ["--yes", "--untested", "--broker", "localhost", "--source", "synthetic", "--model", "leptonnet-digits"];

#[test]
fn flags_write_a_configuration_that_check_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let with = |more: &[&str]| setup(&file, &[&DEMO[..], more].concat());
    let output = with(&["--dry-run", "--name", "water"]);
    assert!(output.status.success() && !file.exists(), "{}", words(&output));
    let output = with(&["--name", "water", "--meter-region", "140,192,360,96", "--digits", "5"]);
    assert!(output.status.success(), "{}", words(&output));
    let check = common::leptond().arg("check").arg("--config").arg(&file).output().unwrap();
    assert!(check.status.success(), "{}", words(&check));
    let before = std::fs::read_to_string(&file).unwrap();
    let output = with(&["--name", "water"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let output = with(&["--name", "water", "--replace", "--node", "attic"]);
    assert!(output.status.success(), "{}", words(&output));
    let copies = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert_eq!(copies.filter(|e| e.file_name().to_string_lossy().contains(".bak-")).count(), 1);
    let output = setup(&file, &["--yes"]);
    assert!(output.status.code() == Some(2) && words(&output).contains("--source"), "{}", words(&output));
}

#[test]
fn a_photo_becomes_a_meter_that_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let (file, photo) = (dir.path().join("leptond.toml"), dir.path().join("meter.jpg"));
    let mut scene = Scene::with_dials(3100, 640, 480, None, Knock { shift: [4.0, -6.0], degrees: 3.0 });
    let mut jpeg = Vec::new();
    scene.render_positions(&Gears::new(3100).at(23_414_823.5), 0, &mut jpeg).unwrap();
    std::fs::write(&photo, jpeg).unwrap();
    let with = |more: &[&str]| {
        let flags = ["--yes", "--untested", "--broker", "localhost", "--source", "synthetic", "--photo"];
        setup(&file, &[&flags[..], &[photo.to_str().unwrap()], more].concat())
    };
    for wrong in [["--unit", "kWh"], ["--decimals", "12"], ["--kind", "beer"], ["--model", "leptonnet-digits"]] {
        let kind = if wrong[0] == "--kind" { &[][..] } else { &["--kind", "water"] };
        let output = with(&[&wrong[..], kind].concat());
        assert!(output.status.code() == Some(2) && !file.exists(), "{wrong:?}: {}", words(&output));
    }
    let output = with(&["--kind", "water", "--page"]);
    assert!(output.status.success(), "{}", words(&output));
    let said = words(&output);
    for part in ["5 digits and 4 dials; I read 02341.4823", "http://127.0.0.1:8099/", "/water/result"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    let check = common::leptond().arg("check").arg("--config").arg(&file).output().unwrap();
    assert!(check.status.success(), "{}", words(&check));
    let mut tried = common::leptond();
    let output = tried
        .args(["try", "--no-draw", "--config"])
        .arg(&file)
        .args(["--meter", "water"])
        .arg(&photo)
        .output()
        .unwrap();
    assert!(output.status.success() && words(&output).contains("02341.4823"), "{}", words(&output));
}

#[test]
fn a_name_alone_changes_only_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let text = "# mine\n[mqtt]\nhost = \"10.9.8.7\"\n\n[[pipeline]]\nname = \"a\"\nmodel = \"leptonnet-digits\"\nsource = { type = \"synthetic\" }\n";
    std::fs::write(&file, text).unwrap();
    // By its bare name, from its own directory.
    let here = |args: &[&str]| {
        let mut command = common::leptond();
        command.current_dir(dir.path()).args(["setup", "--config", "leptond.toml", "--yes"]).args(args);
        command.output().unwrap()
    };
    let output = here(&["--node", "attic"]);
    assert!(output.status.success(), "{}", words(&output));
    let named = std::fs::read_to_string(&file).unwrap();
    assert_eq!(named.replace("\n[node]\nname = \"attic\"\n", ""), text, "{named}");
    let output = here(&["--broker", "10.1.1.1", "--untested"]);
    assert!(output.status.success(), "{}", words(&output));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, named.replace("10.9.8.7", "10.1.1.1"));
    let output = here(&["--node", "no name"]);
    assert!(output.status.code() == Some(2), "{}", words(&output));
    // Without any work there is nothing that would run.
    std::fs::write(&file, "").unwrap();
    let output = here(&["--node", "attic"]);
    assert!(output.status.code() == Some(2) && words(&output).contains("--source"), "{}", words(&output));
}

#[test]
fn photos_and_tables_are_sources_by_their_path() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("photos")).unwrap();
    let mut jpeg = Vec::new();
    let mut scene = Scene::with_dials(3100, 640, 480, None, Knock::default());
    scene.render_positions(&Gears::new(3100).at(23_414_823.5), 0, &mut jpeg).unwrap();
    std::fs::write(dir.path().join("photos/meter.jpg"), jpeg).unwrap();
    std::fs::write(dir.path().join("log.csv"), "a,b\n1,2\n3,4\n").unwrap();
    let here = |args: &[&str]| {
        let mut command = common::leptond();
        command.current_dir(dir.path()).args(["setup", "--config", "w.toml", "--yes", "--broker", "localhost"]);
        command.args(["--source"]).args(args).output().unwrap()
    };
    // The broker cannot be tried here, and with it the source would not be either: both are looked at by `check`.
    let untested = ["--untested", "--model"];
    let output = here(&[&["nowhere.jpg"][..], &untested, &["leptonnet-digits"]].concat());
    assert!(
        output.status.code() == Some(2) && words(&output).contains("nowhere.jpg: there is no such"),
        "{}",
        words(&output)
    );
    // What can never fit is refused, and nothing is written.
    for (source, model, parts) in [
        ("photos", "machine-anomaly", ["windows of readings", "gives pictures"]),
        ("log.csv", "leptonnet-digits", ["takes pictures", "gives readings"]),
        ("log.csv", "machine-anomaly", ["no reading of this source has the channels", "cpu"]),
    ] {
        let output = here(&[&[source][..], &untested, &[model]].concat());
        let said = words(&output);
        assert!([Some(2), Some(78)].contains(&output.status.code()), "{source} {model}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{source} {model}: {said}");
        assert!(!dir.path().join("w.toml").exists(), "{source} {model}: {said}");
    }
    let outside = ["--untested", "--model", "leptonnet-digits", "--meter-region", "600,400,200,60", "--digits", "5"];
    let output = here(&[&["./photos"][..], &outside].concat());
    let said = words(&output);
    assert!(output.status.code() == Some(78) && said.contains("reaches outside of the picture"), "{said}");
    assert!(said.contains("x 0 to 640, y 0 to 480"), "{said}");
}

#[test]
fn a_table_is_watched_without_a_model() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("log.csv"), "boiler,pump\n61.0,3.1\n60.5,3.2\n").unwrap();
    let here = |args: &[&str]| {
        let mut command = common::leptond();
        command.current_dir(dir.path()).args(["setup", "--config", "w.toml", "--yes", "--untested"]);
        command.args(["--broker", "localhost", "--source"]).args(args).output().unwrap()
    };
    let output = here(&["synthetic", "--baseline"]);
    assert!(
        output.status.code() == Some(2) && words(&output).contains("the source gives pictures"),
        "{}",
        words(&output)
    );
    let output = here(&["log.csv", "interval_ms=0", "--baseline", "--learn", "6h", "--name", "logger"]);
    assert!(output.status.success(), "{}", words(&output));
    let text = std::fs::read_to_string(dir.path().join("w.toml")).unwrap();
    assert!(text.contains("type = \"baseline\"\nlearn_s = 21600.0") && !text.contains("model"), "{text}");
    let mut check = common::leptond();
    let check = check.current_dir(dir.path()).args(["check", "--config", "w.toml"]).output().unwrap();
    assert!(check.status.success() && words(&check).contains("OK: 1 pipeline"), "{}", words(&check));
}

#[test]
fn a_row_of_digits_is_found_in_the_source_s_own_picture() {
    let Some(broker) = Mosquitto::with("setup of a folder", |_| "allow_anonymous true\n".into()) else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("photos")).unwrap();
    let mut jpeg = Vec::new();
    let mut scene = Scene::with_dials(3100, 640, 480, None, Knock { shift: [4.0, -6.0], degrees: 3.0 });
    scene.render_positions(&Gears::new(3100).at(23_414_823.5), 0, &mut jpeg).unwrap();
    std::fs::write(dir.path().join("photos/meter.jpg"), jpeg).unwrap();
    let address = format!("127.0.0.1:{}", broker.port);
    let mut command = common::leptond();
    command.current_dir(dir.path()).args(["setup", "--config", "w.toml", "--yes", "--broker", &address]);
    command.args(["--source", "photos", "--model", "leptonnet-digits", "--kind", "water", "--name", "water"]);
    let output = command.output().unwrap();
    let said = words(&output);
    assert!(output.status.success() && said.contains("5 digits and 4 dials; I read 02341.4823"), "{said}");
    let text = std::fs::read_to_string(dir.path().join("w.toml")).unwrap();
    assert!(text.contains("[[meter]]") && text.contains("kind = \"water\"") && text.contains("loop = true"), "{text}");
    let mut tried = common::leptond();
    let output = tried.current_dir(dir.path()).args(["try", "-c", "w.toml", "photos"]).output().unwrap();
    assert!(output.status.success() && words(&output).contains("02341.4823 m³"), "{}", words(&output));
}

#[test]
fn a_password_is_tried_and_kept_out_of_the_configuration() {
    let program =
        ["/usr/bin/mosquitto_passwd", "mosquitto_passwd"].into_iter().find(|p| Command::new(p).output().is_ok());
    let Some(program) = program else {
        return common::skip("setup password", "mosquitto_passwd is not installed");
    };
    let broker = Mosquitto::with("setup password", |dir| {
        let file = dir.join("passwords");
        assert!(Command::new(program).args(["-b", "-c"]).arg(&file).args(["u", "s3cret"]).status().unwrap().success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    let Some(broker) = broker else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, secret) = (dir.path().join("leptond.toml"), dir.path().join("typed"));
    let address = format!("127.0.0.1:{}", broker.port);
    let typed = secret.display().to_string();
    let args = [
        "--yes",
        "--broker",
        &address,
        "--username",
        "u",
        "--password-file",
        &typed,
        "--source",
        "synthetic",
        "--model",
        "leptonnet-digits",
    ];
    std::fs::write(&secret, "wrong\n").unwrap();
    let output = setup(&file, &args);
    assert!(output.status.code() == Some(1) && !file.exists(), "{}", words(&output));
    std::fs::write(&secret, "s3cret\n").unwrap();
    let output = setup(&file, &args);
    assert!(output.status.success(), "{}", words(&output));
    assert!(!words(&output).contains("s3cret") && !std::fs::read_to_string(&file).unwrap().contains("s3cret"));
    let kept = dir.path().join("mqtt-password");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "s3cret\n");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Types into the program at a pseudo-terminal, one answer a prompt; gives its exit status in the last line.
const TYPIST: &str = r#"
import os, pty, select, sys, time
answers = [a.encode().decode("unicode_escape") for a in sys.argv[1].split("|")]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, at, end = b"", 0, time.monotonic() + 60
while time.monotonic() < end:
    ready, _, _ = select.select([fd], [], [], 0.5)
    if ready:
        try: data = os.read(fd, 4096)
        except OSError: break
        if not data: break
        seen += data
    prompt = answers[0].split("=", 1) if answers else None
    if prompt and prompt[0].encode() in seen[at:]:
        at = len(seen); answers.pop(0)
        if prompt[1] == "\x1a":
            os.close(fd)
            break
        os.write(fd, (prompt[1] + ("" if prompt[1] == "\x03" else "\r")).encode())
else: os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
sys.stdout.write(seen.decode(errors="replace") + "\nstatus %d %d" % (os.WIFEXITED(status) and os.WEXITSTATUS(status), os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
"#;

/// Answers `setup` of `leptond.toml` in `dir` at a terminal, for a board without devices; gives what is seen.
fn type_in(dir: &Path, answers: &str, flags: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", TYPIST, answers, env!("CARGO_BIN_EXE_leptond"), "setup", "--root"]);
    command.arg(dir.join("other")).arg("--config").arg(dir.join("leptond.toml")).args(flags);
    words(&command.env("STATE_DIRECTORY", env!("CARGO_TARGET_TMPDIR")).output().unwrap())
}

#[test]
fn a_person_takes_answers_back() {
    if !Command::new("python3").args(["-c", "import pty"]).status().is_ok_and(|s| s.success()) {
        return common::skip("setup at a terminal, back", "python3 is not installed");
    }
    let Some(broker) = Mosquitto::with("setup, back", |_| "allow_anonymous true\n".into()) else { return };
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("other")).unwrap();
    // A port where nothing answers is told before a name and a password are asked for, and what was typed can be mended.
    let answers = format!(
        "Name of this computer=attic|MQTT broker=127.0.0.1:1|What now=1|MQTT broker=127.0.0.1:{}|User name=-|Source=1|Model=1|\
         Name of the pipeline=all|Turn on the page=no|Write this=back|Name of this computer=|MQTT broker=|User name=|Source=1|Model=|\
         Name of the pipeline=every|Turn on the page=no|Write this=yes",
        broker.port
    );
    let said = type_in(dir.path(), &answers, &[]);
    assert!(said.contains("status 0 0") && said.contains("broker 127.0.0.1:1:"), "{said}");
    let before = &said[..said.find("User name").unwrap_or(said.len())];
    assert!(before.contains("What now?"), "the address comes first: {said}");
    let text = std::fs::read_to_string(dir.path().join("leptond.toml")).unwrap();
    for part in ["name = \"attic\"", "host = \"127.0.0.1\"", &format!("port = {}", broker.port), "name = \"every\""] {
        assert!(text.contains(part), "{part} is not in\n{text}\n{said}");
    }
    assert!(!text.contains("\"all\"") && text.matches("[[pipeline]]").count() == 1, "{text}");
}

#[test]
fn a_person_at_a_terminal_is_led_through_and_may_leave() {
    if !Command::new("python3").args(["-c", "import pty"]).status().is_ok_and(|s| s.success()) {
        return common::skip("setup at a terminal", "python3 is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, "# mine\n").unwrap();
    let type_in = |answers: &str| type_in(dir.path(), answers, &["--untested"]);
    std::fs::create_dir(dir.path().join("other")).unwrap();
    let said = type_in("Name of this computer=attic|MQTT broker=\\x03");
    assert!(said.contains("nothing was changed") && said.contains("status 130 0"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n", "{said}");
    // The connection closed in the middle of a password: the program ends, and nothing lies about.
    let said = type_in("Name of this computer=attic|MQTT broker=10.9.8.7|User name=u|Password=\\x1a");
    assert!(said.contains("status 130 0") || said.contains("status 1 0"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n", "{said}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let said = type_in(
        "Name of this computer=attic|MQTT broker=10.9.8.7|User name=-|Source=1|Model=1|Name of the pipeline=all|Turn on the page=no|Write this=yes",
    );
    assert!(said.contains("status 0 0"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    for part in ["# mine", "name = \"attic\"", "host = \"10.9.8.7\"", "name = \"all\"", "machine-anomaly", "window = 8"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_second_run_keeps_regions_and_finds_the_broker_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, "mqtt.host = \"localhost\"\n").unwrap();
    let run = |more: &[&str]| {
        let fixed = ["--yes", "--untested", "--no-download", "--model", "leptonnet-digits", "--name", "water"];
        words(&setup(&file, &[&fixed[..], more].concat()))
    };
    let regions = || std::fs::read_to_string(&file).unwrap().matches("rect =").count();
    let said = run(&["--source", "/dev/video7", "--meter-region", "10,20,100,40", "--digits", "5"]);
    assert_eq!(regions(), 5, "{said}");
    let said = run(&["--source", "/dev/video7", "fps=2", "--replace"]);
    assert!(regions() == 5 && said.contains("5 regions of meter \"water\" stay"), "{said}");
    let said = run(&["--source", "/dev/video7", "width=320", "height=240", "--replace"]);
    assert!(regions() == 5 && said.contains("places in other pictures") && said.contains("--meter-region"), "{said}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("320"), "nothing was written: {said}");
}

#[test]
fn a_model_of_the_catalog_is_installed_when_it_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let name = "other";
    let catalog = dir.path().join("catalog.toml");
    std::fs::write(&catalog, crate::model_add::catalog_of("m.onnx").replacen("\"m\"", "\"other\"", 1)).unwrap();
    std::fs::write(dir.path().join("m.onnx"), crate::model_add::cifar().0).unwrap();
    let file = dir.path().join("leptond.toml");
    let models = dir.path().join("models");
    std::fs::write(&file, format!("[models]\ndirs = [{models:?}]\n")).unwrap();
    let catalog = catalog.display().to_string();
    let run = |more: &[&str]| {
        let fixed = ["--yes", "--untested", "--broker", "localhost", "--source", "synthetic", "--catalog", &catalog];
        setup(&file, &[&fixed[..], &["--model", name], more].concat())
    };
    let output = run(&["--no-download"]);
    assert!(output.status.code() == Some(1) && words(&output).contains("leptond model add"), "{}", words(&output));
    let output = run(&["--dry-run"]);
    assert!(output.status.success() && !models.exists(), "{}", words(&output));
    let output = run(&[]);
    assert!(output.status.success() && models.join(name).is_dir(), "{}", words(&output));
    assert!(std::fs::read_to_string(&file).unwrap().contains(&format!("model = \"{name}\"")));
}
