//! `leptond bench --startup`: what a start takes, from the beginning of the process to the first result of every pipeline.
//!
//! The daemon is started as systemd would start it, as a process of its own, and says at which point it is; see
//! [`crate::telemetry::startup`]. It is told to use no broker: a start does not wait for one, and a running daemon is not disturbed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::cli::progress::Counter;
use crate::cli::{Failure, say};
use crate::config;
use crate::telemetry::startup::{self, SOCKET};

/// A start that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(120);
/// How long the daemon may take to stop again.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Width of the bars, in characters.
const BAR: usize = 40;

/// The camera model that comes with the program, on pictures of a counter.
const DEFAULT: &str =
    "[[pipeline]]\nname = \"digits\"\nmodel = \"leptonnet-digits\"\n\n[pipeline.source]\ntype = \"synthetic\"\n";

/// One phase of a start.
#[derive(Clone, Debug, Serialize)]
struct Phase {
    /// What was reached, with the pipeline before it where it is one's own.
    name: String,
    /// Milliseconds from the beginning of the process.
    at_ms: f64,
    /// Milliseconds since the phase before was over.
    took_ms: f64,
}

/// Several starts of one kind.
#[derive(Debug, Serialize)]
struct Starts {
    runs: usize,
    /// Median and longest time to the first result of every pipeline.
    median_ms: f64,
    worst_ms: f64,
    /// The phases of the start in the middle.
    phases: Vec<Phase>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Configuration that was started with; `None` = the one that comes with the program.
    config: Option<PathBuf>,
    /// Nothing remembered: models are raced and measured.
    first: Starts,
    /// With what the first start remembered.
    later: Starts,
}

/// Runs the subcommand.
pub(super) fn run(config: Option<&Path>, runs: u32, json: bool) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let file = match config {
        Some(file) => file.to_path_buf(),
        None => {
            let file = scratch.0.join("leptond.toml");
            std::fs::write(&file, DEFAULT).map_err(|e| failed(&file, &e))?;
            file
        }
    };
    let loaded = config::load(&config::Options::from_process(Some(file.clone()), Vec::new()))
        .map_err(|e| Failure::Config(e.to_string()))?;
    let pipelines: BTreeSet<String> = loaded.config.pipelines.iter().map(|p| p.name.clone()).collect();
    let mut counter = Counter::new("starts");
    let total = 2 * runs as usize;
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for round in 0..total {
        let fresh = round < runs as usize;
        let state = scratch.0.join(format!("state-{}", if fresh { round } else { 0 }));
        std::fs::create_dir_all(&state).map_err(|e| failed(&state, &e))?;
        let phases = start(&scratch.0, &file, &state, &pipelines)?;
        if fresh {
            first.push(phases)
        } else {
            later.push(phases)
        }
        counter.set(round + 1, total);
    }
    drop(counter);
    let report = Report { config: config.map(Path::to_path_buf), first: starts(first), later: starts(later) };
    if json { say(&serde_json::to_string(&report).map_err(anyhow::Error::from)?) } else { say(&text(&report)) }
}

/// Starts the daemon once, until every pipeline has given a result.
fn start(scratch: &Path, file: &Path, state: &Path, pipelines: &BTreeSet<String>) -> Result<Vec<Phase>, Failure> {
    let path = scratch.join("marks");
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).map_err(|e| failed(&path, &e))?;
    let program = std::env::current_exe().map_err(anyhow::Error::from)?;
    let log = scratch.join("log");
    let stderr = File::create(&log).map_err(|e| failed(&log, &e))?;
    // A port where nobody listens: taken from the system, and given back.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(anyhow::Error::from)?.port();
    let mut command = Command::new(&program);
    command.args(["run", "--set", "mqtt.host=127.0.0.1", "--set", &format!("mqtt.port={port}")]);
    command.args(["--set", "broker.enabled=false", "--config"]).arg(file);
    command.env(SOCKET, &path).env("STATE_DIRECTORY", state).env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let begin = startup::clock();
    let mut daemon = Daemon(command.spawn().map_err(|e| failed(&program, &e))?);
    let marks = listen(&socket, &mut daemon, pipelines).map_err(|reached| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
        Failure::Failed(anyhow::anyhow!("no result: {reached}; the daemon's last words:\n  {last}"))
    })?;
    daemon.stop();
    Ok(phases(begin, marks))
}

/// Takes marks until every pipeline has given a result; else says how far it came.
fn listen(
    socket: &UnixDatagram,
    daemon: &mut Daemon,
    pipelines: &BTreeSet<String>,
) -> Result<Vec<(Duration, String)>, String> {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
    let deadline = Instant::now() + WITHIN;
    let (mut marks, mut waiting) = (Vec::new(), pipelines.clone());
    let mut buffer = [0; 1024];
    while !waiting.is_empty() {
        if let Ok(length) = socket.recv(&mut buffer) {
            let line = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            let mut parts = line.splitn(3, '\t');
            let (Some(Ok(us)), Some(pipeline), Some(phase)) =
                (parts.next().map(str::parse::<u64>), parts.next(), parts.next())
            else {
                continue;
            };
            if phase == "first result" {
                waiting.remove(pipeline);
            }
            // With one pipeline it is clear whose phase it is.
            let whose = if pipeline.is_empty() || pipelines.len() == 1 { "" } else { &format!("{pipeline}: ") };
            marks.push((Duration::from_micros(us), format!("{whose}{phase}")));
            continue;
        }
        let reached = marks.last().map_or("nothing", |(_, phase)| phase.as_str());
        if let Ok(Some(status)) = daemon.0.try_wait() {
            return Err(format!("the daemon ended ({status}) after {reached:?}"));
        }
        if Instant::now() >= deadline {
            let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
            return Err(format!("{} gave none in {} s, after {reached:?}", waiting.join(", "), WITHIN.as_secs()));
        }
    }
    marks.sort();
    Ok(marks)
}

fn phases(begin: Duration, marks: Vec<(Duration, String)>) -> Vec<Phase> {
    let mut before_ms = 0.0;
    let one = |(at, name): (Duration, String)| {
        let at_ms = at.saturating_sub(begin).as_secs_f64() * 1e3;
        let took_ms = at_ms - before_ms;
        before_ms = at_ms;
        Phase { name, at_ms: super::round(at_ms), took_ms: super::round(took_ms) }
    };
    marks.into_iter().map(one).collect()
}

fn starts(mut runs: Vec<Vec<Phase>>) -> Starts {
    let total = |phases: &Vec<Phase>| phases.last().map_or(0.0, |p| p.at_ms);
    runs.sort_by(|a, b| total(a).total_cmp(&total(b)));
    let (count, worst_ms) = (runs.len(), runs.last().map_or(0.0, total));
    let middle = runs.into_iter().nth(count / 2).unwrap_or_default();
    Starts { runs: count, median_ms: total(&middle), worst_ms, phases: middle }
}

fn text(report: &Report) -> String {
    let what =
        report.config.as_ref().map_or("leptonnet-digits on synthetic pictures".into(), |f| f.display().to_string());
    let mut text = format!("{what}, without a broker, to the first result\n");
    for (starts, title) in [(&report.first, "nothing remembered"), (&report.later, "each later start")] {
        let Starts { runs, median_ms, worst_ms, phases } = starts;
        let _ =
            writeln!(text, "\n{title}: {:.3} s median, {:.3} s at most, of {runs}", median_ms / 1e3, worst_ms / 1e3);
        let width = phases.iter().map(|p| p.name.chars().count()).max().unwrap_or(0);
        let scale = BAR as f64 / median_ms.max(1e-3);
        for Phase { name, at_ms, took_ms } in phases {
            let before = ((at_ms - took_ms) * scale) as usize;
            let bar = "█".repeat(((at_ms * scale) as usize).saturating_sub(before).max(1));
            let _ = writeln!(text, "  {name:width$} {at_ms:8.1} ms {took_ms:+8.1}  {}{bar}", " ".repeat(before));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(anyhow::anyhow!("{}: {error}", path.display()))
}

/// The daemon under measurement; it does not outlive us.
struct Daemon(Child);

impl Daemon {
    /// As systemd does it.
    fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline && !matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("leptond-startup-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|e| failed(&dir, &e))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
