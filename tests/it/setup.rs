//! `leptond setup` as a person uses it: by flags, and at a terminal.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

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
seen, at, end = b"", 0, time.time() + 60
while time.time() < end:
    ready, _, _ = select.select([fd], [], [], 0.5)
    if ready:
        try: data = os.read(fd, 4096)
        except OSError: break
        if not data: break
        seen += data
    prompt = answers[0].split("=", 1) if answers else None
    if prompt and prompt[0].encode() in seen[at:]:
        at = len(seen); answers.pop(0)
        os.write(fd, (prompt[1] + ("" if prompt[1] == "\x03" else "\r")).encode())
else: os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
sys.stdout.write(seen.decode(errors="replace") + "\nstatus %d %d" % (os.WIFEXITED(status) and os.WEXITSTATUS(status), os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
"#;

#[test]
fn a_person_at_a_terminal_is_led_through_and_may_leave() {
    if !Command::new("python3").args(["-c", "import pty"]).status().is_ok_and(|s| s.success()) {
        return common::skip("setup at a terminal", "python3 is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, "# mine\n").unwrap();
    let type_in = |answers: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", TYPIST, answers, env!("CARGO_BIN_EXE_leptond"), "setup", "--untested", "--root"]);
        command
            .arg(dir.path().join("other"))
            .arg("--config")
            .arg(&file)
            .env("STATE_DIRECTORY", env!("CARGO_TARGET_TMPDIR"));
        words(&command.output().unwrap())
    };
    std::fs::create_dir(dir.path().join("other")).unwrap();
    let said = type_in("Name of this computer=attic|MQTT broker=\\x03");
    assert!(!said.contains("status 0 0"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n", "{said}");
    let said = type_in(
        "Name of this computer=attic|MQTT broker=10.9.8.7|User name=-|Source=1|Model=1|Name of the pipeline=all|Write this=yes",
    );
    assert!(said.contains("status 0 0"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    for part in ["# mine", "name = \"attic\"", "host = \"10.9.8.7\"", "name = \"all\"", "machine-anomaly", "window = 8"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
