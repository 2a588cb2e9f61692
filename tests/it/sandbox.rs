//! Landlock around a run by hand: the real binary, where the kernel has it.

use std::path::Path;

use crate::common::skip;
use crate::daemon::{Daemon, meter};
use crate::mosquitto::free_port;

/// Pictures from `{dir}/pictures`, again and again, on a port where no broker listens.
fn pictures(node: &str, path: &str) -> String {
    format!(
        r#"
        [node]
        {node}
        [mqtt]
        host = "127.0.0.1"
        port = {}
        [governor]
        mode = "manual"
        [[pipeline]]
        name = "p"
        model = "leptonnet-digits"
        [pipeline.source]
        type = "files"
        path = "{path}"
        loop = true
        fps = 20.0
        "#,
        free_port()
    )
}

fn picture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-digits/golden/1.png")
}

/// A directory with a picture, and a link to one that lies elsewhere.
fn fill(dir: &Path, elsewhere: &Path) {
    let from = picture();
    let name = from.file_name().unwrap();
    std::fs::create_dir(dir.join("pictures")).unwrap();
    std::fs::copy(&from, dir.join("pictures").join(name)).unwrap();
    std::fs::copy(&from, elsewhere.join(name)).unwrap();
    std::os::unix::fs::symlink(elsewhere.join(name), dir.join("pictures/zz-elsewhere.png")).unwrap();
}

/// Whether landlock holds `daemon`; says that `test` is skipped when not.
fn held(test: &str, daemon: &Daemon) -> bool {
    daemon.wait_log("landlock: ");
    let held = daemon.log().contains("landlock: in force");
    if !held {
        skip(test, "the kernel has no landlock, or the tests run in a sandbox already");
    }
    held
}

#[test]
fn what_the_configuration_does_not_name_cannot_be_read() {
    let (elsewhere, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = pictures("", "{dir}/pictures");
    let mut daemon = Daemon::start_with(
        &config,
        |dir| fill(dir, elsewhere.path()),
        |command| {
            command.env("STATE_DIRECTORY", state.path());
        },
    );
    if !held("what_the_configuration_does_not_name_cannot_be_read", &daemon) {
        return;
    }
    daemon.wait_log("zz-elsewhere.png");
    daemon.wait_log("Permission denied");
    daemon.wait_log("or by landlock because the configuration did not name its directory");
    daemon.wait_log("the governor's ladder");
    daemon.signal("TERM");
    assert!(daemon.wait().0.success());
    assert!(state.path().join("calibration.json").is_file(), "state can be written");
}

#[test]
fn switched_off_it_reads_what_the_user_may() {
    let elsewhere = tempfile::tempdir().unwrap();
    let config = pictures("sandbox = \"off\"", "{dir}/pictures");
    let mut daemon = Daemon::start_with(&config, |dir| fill(dir, elsewhere.path()), |_| {});
    daemon.wait_log("landlock: not in force: node.sandbox is \"off\"");
    daemon.wait_log("capturing");
    daemon.signal("TERM");
    assert!(daemon.wait().0.success());
    assert!(!daemon.log().contains("Permission denied"), "{}", daemon.log());
}

#[test]
fn a_reload_reads_the_replaced_file_and_refuses_what_is_out_of_reach() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(&meter(free_port(), ""));
    if !held("a_reload_reads_the_replaced_file_and_refuses_what_is_out_of_reach", &daemon) {
        return;
    }
    daemon.wait_log("capturing");
    std::fs::copy(picture(), elsewhere.path().join("1.png")).unwrap();
    daemon.replace_config(&pictures("", &elsewhere.path().display().to_string()));
    daemon.signal("HUP");
    daemon.wait_log("is out of reach since the start (landlock); restart leptond");
    daemon.replace_config(&meter(free_port(), "").replace("fps = 10.0", "fps = 9.0"));
    daemon.signal("HUP");
    daemon.wait_log("the connection changes, everything starts again");
    daemon.signal("TERM");
    assert!(daemon.wait().0.success());
}
