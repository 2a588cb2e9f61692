//! `leptond demo` and `leptond run` at a terminal, which script(1) makes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::common;
use crate::screen::Screen;

/// Everything that a command wrote to its terminal, and every screen that was on it, one after another.
struct Seen {
    output: String,
    screens: String,
    code: Option<i32>,
}

/// `leptond ARGS` at a terminal of `[columns, rows]` with `env`; `keys` are pressed once `until` is on the screen.
fn at_a_terminal(
    test: &str,
    args: &str,
    size: [usize; 2],
    env: &[(&str, &str)],
    until: &str,
    keys: &[u8],
) -> Option<Seen> {
    let [columns, rows] = size;
    let program = env!("CARGO_BIN_EXE_leptond");
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("stty cols {columns} rows {rows}; exec {program} {args}"), "/dev/null"]);
    command
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .env("XDG_RUNTIME_DIR", "none")
        .env_remove("NO_COLOR");
    command.env("STATE_DIRECTORY", env!("CARGO_TARGET_TMPDIR")).envs(env.iter().copied());
    let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        common::skip(test, "script is not installed (apt-get install bsdutils)");
        return None;
    };
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut bytes, mut part, mut pressed) = (Vec::new(), [0; 4096], false);
    let mut screens = String::new();
    while let Ok(count @ 1..) = output.read(&mut part) {
        bytes.extend_from_slice(&part[..count]);
        let screen = Screen::after(&String::from_utf8_lossy(&bytes), size).text();
        if !pressed && (screen.contains(until) || String::from_utf8_lossy(&bytes).contains(until)) {
            pressed = true;
            input.write_all(keys).unwrap();
        }
        screens.push_str(&screen);
    }
    let output = String::from_utf8_lossy(&bytes).into_owned();
    assert!(pressed, "{until:?} is nowhere in\n{output}");
    Some(Seen { output, screens, code: child.wait().unwrap().code() })
}

/// Text that was written behind the last screen, without commands of the terminal.
fn behind(output: &str) -> String {
    let rest = output.rsplit("\x1b[?1049l").next().unwrap_or_default();
    rest.replace("\x1b[?25h", "").replace('\r', "")
}

#[test]
fn the_demo_draws_a_screen_and_gives_the_terminal_back() {
    let test = "the_demo_draws_a_screen";
    for (size, key) in [([80, 24], &b"\x03"[..]), ([120, 30], b"q")] {
        let args = "demo --listen 127.0.0.1:0 --for 60s";
        let Some(seen) = at_a_terminal(test, args, size, &[], "m³", key) else { return };
        let Seen { output, screens, code } = seen;
        assert_eq!(code, Some(0), "{output}");
        for part in ["http://127.0.0.1:", "the camera", "this computer", "anything unusual?", "Ctrl-C ends it", "▀"] {
            assert!(screens.contains(part), "{part} is nowhere in\n{screens}");
        }
        let (entered, left) = (output.find("\x1b[?1049h"), output.rfind("\x1b[?1049l"));
        assert!(entered.is_some() && left > entered, "the other screen, and back");
        assert!(output.rfind("\x1b[?25h") > output.rfind("\x1b[?25l"), "the cursor is back");
        let told = behind(&output);
        assert!(told.contains("messages published"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    }
}

#[test]
fn the_demo_without_utf8_and_colours_shows_the_same() {
    let args = "demo --listen 127.0.0.1:0 --for 60s";
    let env = [("LC_ALL", "C"), ("NO_COLOR", "1")];
    let Some(seen) = at_a_terminal("the_demo_without_utf8", args, [80, 24], &env, "m3", b"q") else { return };
    assert!(seen.output.is_ascii(), "{}", seen.output);
    assert!(!seen.output.contains("\x1b[38") && !seen.output.contains("\x1b[31"), "{}", seen.output);
    assert!(seen.screens.contains("-- the camera -"), "{}", seen.screens);
}

#[test]
fn a_demo_that_cannot_begin_gives_the_terminal_back_and_says_why() {
    // An address for examples (RFC 5737), which no computer has.
    let args = "demo --listen 192.0.2.1:18831 --for 60s";
    let Some(seen) = at_a_terminal("a_demo_that_cannot_begin", args, [80, 24], &[], "error", b"") else { return };
    assert!(seen.code.is_some_and(|code| code != 0), "{}", seen.output);
    assert!(behind(&seen.output).contains("192.0.2.1:18831"), "{}", seen.output);
}

#[test]
fn the_demo_scrolls_where_no_screen_can_be() {
    let plain =
        at_a_terminal("the_demo_scrolls", "demo --plain --listen 127.0.0.1:0 --for 4s", [80, 24], &[], "result", b"");
    let dumb = at_a_terminal(
        "the_demo_scrolls",
        "demo --listen 127.0.0.1:0 --for 4s",
        [80, 24],
        &[("TERM", "dumb")],
        "result",
        b"",
    );
    for Seen { output, code, .. } in [plain, dumb].into_iter().flatten() {
        assert_eq!(code, Some(0), "{output}");
        assert!(!output.contains("\x1b[?1049h") && output.contains("mosquitto_sub"), "{output}");
        let bare = |line: &str| {
            line.replace("\x1b[0m", "")
                .replace("\x1b[2m", "")
                .replace("\x1b[31m", "")
                .replace("\x1b[32m", "")
                .replace("\x1b[33m", "")
        };
        let long: Vec<String> = output.lines().map(bare).filter(|line| line.trim_end().chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}

const MACHINE: &str = r#"
    [node]
    name = "test"
    [broker]
    enabled = true
    listen = "127.0.0.1:0"
    [[pipeline]]
    name = "machine"
    model = "machine-anomaly"
    source = { type = "sensor", kind = "machine", interval_ms = 100, window = 8, stride = 1 }
"#;

#[test]
fn a_run_at_a_terminal_says_where_to_look_and_the_first_results_and_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    std::fs::write(&file, MACHINE).unwrap();
    let args = format!("run --config {} --for 8s", file.display());
    let Some(seen) = at_a_terminal("a_run_at_a_terminal", &args, [100, 30], &[], "score", b"") else { return };
    let Seen { output, code, .. } = seen;
    assert_eq!(code, Some(0), "{output}");
    for part in [
        "1 pipeline of",
        "Ctrl-C stops it",
        "leptond watch --host 127.0.0.1 --port",
        "machine    score",
        "only what goes wrong is told",
    ] {
        assert!(output.contains(part), "{part} is not in {output}");
    }
    assert_eq!(output.matches("machine    score").count(), 1, "{output}");
    assert!(!output.contains("INFO"), "{output}");
    // A level that is asked for is obeyed, and without a terminal everything is as ever.
    let args = format!("{args} --set log.level=info");
    let Some(seen) = at_a_terminal("a_run_at_a_terminal", &args, [100, 30], &[], "machine    score", b"\x03") else {
        return;
    };
    assert!(seen.output.contains("INFO"), "{}", seen.output);
    let output = common::leptond().args(["run", "--for", "1s", "--config"]).arg(&file).output().unwrap();
    assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("INFO"));
}
