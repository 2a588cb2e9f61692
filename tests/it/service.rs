//! The systemd unit and its fragments, judged by systemd's own tools on a staged root directory.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::skip;

const UNIT: &str = include_str!("../../systemd/leptond.service");

/// Whether `tool` can be run; says that `test` is skipped when not.
fn has(test: &str, tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        skip(test, &format!("{tool} is not installed (Debian package systemd)"));
    }
    there
}

/// A root directory with the unit and the programs that it names, as a package would install them.
fn stage(unit: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str, mode: u32| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("usr/lib/systemd/system/leptond.service", unit, 0o644);
    write("usr/bin/leptond", "#!/bin/sh\n", 0o755);
    write("bin/kill", "#!/bin/sh\n", 0o755);
    write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644);
    write("etc/group", "root:x:0:\nvideo:x:44:\naudio:x:29:\n", 0o644);
    root
}

fn systemd(tool: &str, args: &[&str], root: &Path) -> (bool, String) {
    let root = format!("--root={}", root.display());
    let Output { status, stdout, stderr } = Command::new(tool).args(args).arg(root).output().unwrap();
    (status.success(), [stdout, stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat())
}

/// What `systemd-analyze verify` says about a unit. Without `--root` it answers 0 for a misspelt key.
fn verify(unit: &str) -> (bool, String) {
    let root = stage(unit);
    systemd("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", "leptond.service"], root.path())
}

#[test]
fn the_unit_is_without_fault() {
    if has("the_unit_is_without_fault", "systemd-analyze") {
        assert_eq!(verify(UNIT), (true, String::new()));
    }
}

/// `leptond run` ends with 75 when a request asks for a restart.
#[test]
fn the_unit_starts_again_when_a_request_asks_for_it() {
    assert!(UNIT.contains("\nRestartForceExitStatus=75\n") && UNIT.contains("\nSuccessExitStatus=75\n"));
}

#[test]
fn a_fault_in_the_unit_would_be_found() {
    if !has("a_fault_in_the_unit_would_be_found", "systemd-analyze") {
        return;
    }
    for (right, wrong, words) in [
        ("WatchdogSec=", "WatchdgSec=", "Unknown key 'WatchdgSec'"),
        ("WatchdogSec=30", "WatchdogSec=soon", "Failed to parse"),
        ("[Install]", "[Instal]", "Unknown section 'Instal'"),
        ("/usr/bin/leptond run", "/usr/bin/leptnd run", "not executable"),
    ] {
        assert!(UNIT.contains(right), "{right}");
        let (good, said) = verify(&UNIT.replace(right, wrong));
        assert!(!good && said.contains(words), "{wrong}: {said}");
    }
}

#[test]
fn the_sandbox_is_as_tight_as_it_was() {
    if !has("the_sandbox_is_as_tight_as_it_was", "systemd-analyze") {
        return;
    }
    let root = stage(UNIT);
    let unit = root.path().join("usr/lib/systemd/system/leptond.service");
    let exposure = |threshold: u32| {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager", &format!("--threshold={threshold}")]).arg(&unit);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // Of 10, with systemd 252: what is left is the network, the devices, and the host's user and process space.
    let (good, said) = exposure(17);
    assert!(good, "{said}");
    assert!(!exposure(5).0, "the threshold is not looked at");
}

/// Rules that no tool checks and that cost a night when they are lost.
#[test]
fn the_unit_keeps_its_promises() {
    let has = |line: &str| UNIT.lines().any(|l| l == line);
    for line in [
        "Type=notify",
        "Restart=on-failure",
        "RestartPreventExitStatus=78",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "User=leptond",
        "SupplementaryGroups=video audio",
        "DevicePolicy=closed",
        // Names of character devices are those that the kernel's drivers register, as in /proc/devices.
        "DeviceAllow=char-video4linux rw",
        "DeviceAllow=char-media rw",
        "DeviceAllow=char-dma_heap rw",
        "DeviceAllow=/dev/udmabuf rw",
        "DeviceAllow=/dev/vcio rw",
        "DeviceAllow=char-alsa rw",
        "DeviceAllow=char-iio r",
        "DeviceAllow=char-gpiochip rw",
        "ProtectSystem=strict",
        "ReadOnlyPaths=-/var/lib/leptond/models -/usr/share/leptond",
        "StateDirectory=leptond",
        "RuntimeDirectory=leptond",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
        "CPUWeight=50",
        "IOWeight=50",
        "TasksMax=256",
        "MemoryMax=50%",
        "OOMScoreAdjust=300",
        "LogRateLimitIntervalSec=30",
        "LogRateLimitBurst=200",
        // The second is what makes the file of the first optional before systemd 254.
        "LoadCredential=mqtt-password:/etc/leptond/mqtt-password",
        r"SetCredential=mqtt-password:\n",
        "LoadCredential=page-password:/etc/leptond/page-password",
        r"SetCredential=page-password:\n",
    ] {
        assert!(has(line), "{line}");
    }
    // What must not be there: a check that is retried for ever, /proc without /proc/stat and /proc/pressure, a /dev without cameras,
    // a directory that hides the state, and what systemd 252 does not know.
    for key in
        ["ExecStartPre=", "ProcSubset=", "PrivateDevices=", "DynamicUser=", "ImportCredential=", "PrivateNetwork="]
    {
        assert!(!UNIT.lines().any(|l| l.starts_with(key)), "{key}");
    }
}

#[test]
fn user_and_directories_are_made() {
    let test = "user_and_directories_are_made";
    if !has(test, "systemd-sysusers") || !has(test, "systemd-tmpfiles") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skip(test, "making users in a staged root directory needs root");
    }
    let root = stage(UNIT);
    std::fs::create_dir_all(root.path().join("etc/leptond")).unwrap();
    let config = root.path().join("etc/leptond/leptond.toml");
    std::fs::write(&config, "").unwrap();
    let fragment = |name: &str| format!("{}/systemd/leptond.{name}.conf", env!("CARGO_MANIFEST_DIR"));
    let run = |tool, args: &[&str]| {
        let (good, said) = systemd(tool, args, root.path());
        assert!(good, "{tool}: {said}");
    };
    run("systemd-sysusers", &[&fragment("sysusers")]);
    let read = |path: &str| std::fs::read_to_string(root.path().join(path)).unwrap();
    let passwd = read("etc/passwd");
    let user: Vec<&str> = passwd.lines().find(|l| l.starts_with("leptond:")).unwrap().split(':').collect();
    assert_eq!((user[4], user[5]), ("leptond inference daemon", "/var/lib/leptond"));
    let groups = read("etc/group");
    assert!(groups.contains("\nvideo:x:44:leptond\n") && groups.contains("\naudio:x:29:leptond\n"), "{groups}");

    run("systemd-tmpfiles", &["--create", &fragment("tmpfiles")]);
    use std::os::unix::fs::MetadataExt;
    let (uid, gid): (u32, u32) = (user[2].parse().unwrap(), user[3].parse().unwrap());
    let owned = |path: &str| {
        let m = std::fs::metadata(root.path().join(path)).unwrap();
        (m.mode() & 0o7777, m.uid(), m.gid())
    };
    assert_eq!(owned("var/lib/leptond/models"), (0o750, uid, gid));
    assert_eq!(owned("etc/leptond/leptond.toml"), (0o640, 0, gid));
}
