//! A state directory that cannot be written: said once, and nothing of the attempts stays.

use std::process::{Command, Stdio};

use crate::common;
use crate::mosquitto::free_port;

/// Runs `leptond run` with a state directory that `mount` makes in a namespace of its own; what was said, and what is in the directory
/// afterwards. `None` where nothing can be mounted.
fn run_on(test: &str, mount: &str) -> Option<(String, Vec<String>)> {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let config = dir.path().join("c.toml");
    let text = format!(
        "[node]\nsandbox = \"off\"\n[mqtt]\nport = {}\n[[pipeline]]\nname = \"p\"\nmodel = \"leptonnet-digits\"\n\
         [pipeline.source]\ntype = \"synthetic\"\nfps = 5.0\n[[pipeline]]\nname = \"q\"\nmodel = \"leptonnet-digits\"\nthreads = 2\n\
         [pipeline.source]\ntype = \"synthetic\"\nfps = 5.0\n",
        free_port()
    );
    std::fs::write(&config, text).unwrap();
    // What was measured is known once both pipelines are: their ladders are said.
    let script = format!(
        "{mount} || exit 99; : >\"$3\"; \"$0\" run --config \"$1\" >\"$3\" 2>&1 & pid=$!; i=0; \
         while [ $(grep -c \"governor's ladder\" \"$3\") -lt 2 ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done; \
         kill $pid; wait $pid; ls -A \"$2\""
    );
    let log = dir.path().join("log");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_leptond")]).args([&config, &state, &log]);
    let output = command.env("STATE_DIRECTORY", &state).stdin(Stdio::null()).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        common::skip(test, "a file system cannot be mounted here (needs root and unshare)");
        return None;
    };
    let said = std::fs::read_to_string(log).unwrap();
    Some((said, String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()))
}

#[test]
fn a_full_disk_is_warned_of_once_and_left_as_it_was() {
    let full = "mount -t tmpfs -o size=64k tmpfs \"$2\" && { dd if=/dev/zero of=\"$2/fill\" bs=1k count=999 2>/dev/null; true; }";
    let read_only = "mount -t tmpfs -o ro tmpfs \"$2\"";
    let left =
        "mount -t tmpfs tmpfs \"$2\" && touch \"$2/calibration.999999999-1.part\" \"$2/engines.999999999-0.part\"";
    for (mount, words, files) in
        [(full, "the disk is full", &["fill"][..]), (read_only, "read-only", &[]), (left, "", &["calibration.json"])]
    {
        let Some((said, found)) = run_on("a_full_disk_is_warned_of_once_and_left_as_it_was", mount) else { return };
        let warned = said.lines().filter(|l| l.contains("WARN") && l.contains("state directory")).collect::<Vec<_>>();
        assert_eq!(warned.len(), usize::from(!words.is_empty()), "{said}");
        assert!(warned.iter().all(|l| l.contains(words) && l.contains("calibration.json")), "{said}");
        let others = ["engines", "outbox", "retained"];
        let is_ours = |file: &&str| !others.iter().any(|other| file.starts_with(other));
        let found: Vec<&str> = found.iter().map(String::as_str).filter(is_ours).collect();
        assert_eq!(found, files, "{said}");
    }
}
