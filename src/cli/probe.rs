//! `leptond probe`: the parts of this board, the absent ones and their meaning for the daemon.

mod live;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Failure;
use super::output::written;
use super::words::{listed, mib};
use crate::board::LinuxBoard;
use crate::diagnose::machine;
use crate::diagnose::survey::{Report, Waiting};
use crate::frame::rfc3339;
use crate::runtime::status;
use leptond_governor::Board;
use live::Look;

/// Arguments of `leptond probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: one object, or with --watch one per line and second
    #[arg(long)]
    json: bool,
    /// Show what changes once a second, with what a leptond on this board predicts and does, until interrupted
    #[arg(long)]
    watch: bool,
    /// Look at a copy of another machine's /proc, /sys, /dev, /etc and /usr below this directory
    #[arg(long, hide = true, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// CPU use needs two looks at the counters this far apart.
const CPU_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(root) = args.root.as_ref().filter(|r| !r.is_dir()) {
        return Err(Failure::Usage(format!("--root: {} is not a directory", root.display())));
    }
    let mut out = io::stdout().lock();
    let result = if args.watch { watch(&mut out, &args) } else { once(&mut out, &args) };
    written(result).map(drop)
}

fn once(out: &mut impl Write, args: &Args) -> io::Result<()> {
    let mut board = LinuxBoard::new(machine::roots(args.root.as_deref()));
    if args.root.is_none() {
        std::thread::sleep(CPU_INTERVAL);
    }
    let report = Report::gather(&mut board, args.root.as_deref());
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)
    } else {
        out.write_all(text(&report).as_bytes())
    }
}

fn watch(out: &mut (impl Write + IsTerminal), args: &Args) -> io::Result<()> {
    let mut board = LinuxBoard::new(machine::roots(args.root.as_deref()));
    let name = Some(board.info().model.clone()).filter(|m| !m.is_empty()).unwrap_or_else(|| board.info().cpu.clone());
    let in_place = !args.json && out.is_terminal();
    let mut drawn = 0;
    let mut wait = CPU_INTERVAL;
    loop {
        std::thread::sleep(wait);
        wait = Duration::from_secs(1);
        let (reading, throttle) = (board.read(), board.throttle());
        // A copy of another machine has no daemon.
        let status = if args.root.is_none() { status::running() } else { None };
        let time = rfc3339(SystemTime::now());
        let look = Look { time: &time, board: &name, reading: &reading, throttle: &throttle, status: status.as_ref() };
        if args.json {
            writeln!(out, "{}", look.json())?;
        } else if in_place {
            let lines = look.screen();
            out.write_all(redrawn(&lines, drawn).as_bytes())?;
            drawn = lines.len();
        } else {
            writeln!(out, "{}", look.line())?;
        }
        out.flush()?;
    }
}

/// Lines that take the place of the last `drawn` ones (ECMA-48: CPL, EL, ED), so that what was on the terminal before stays.
fn redrawn(lines: &[String], drawn: usize) -> String {
    let up = if drawn > 0 { format!("\x1b[{drawn}F") } else { String::new() };
    let lines: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("{up}{lines}\x1b[J")
}

/// The report for people: aligned names, values, and at the end what is absent.
fn text(report: &Report) -> String {
    let mut lines = Lines::default();
    let board = &report.board;
    let unknown = |s: &str| if s.is_empty() { "unknown".to_owned() } else { s.to_owned() };
    lines.add("board", &unknown(&board.model));
    lines.add("system", &format!("{}, Linux {}", unknown(&report.system), unknown(&board.kernel)));
    let mut processor = format!("{} × {}", board.cores, unknown(&board.cpu));
    if let (Some(min), Some(max)) = (board.min_mhz, board.max_mhz) {
        processor += &format!(", {min:.0} to {max:.0} MHz");
    }
    if let Some(now) = report.reading.clock_mhz {
        processor += &format!(", now {now:.0} MHz");
    }
    lines.add("processor", &processor);
    lines.add("for inference", &listed(&report.inference_features, "no vector extension known"));
    let available = report.reading.available_bytes.map_or(String::new(), |v| format!(", {} MiB available", mib(v)));
    lines.add("memory", &board.memory_bytes.map_or("unknown".into(), |v| format!("{} MiB{available}", mib(v))));
    if let Some(cpu) = report.reading.cpu_percent {
        lines.add("cpu use", &format!("{cpu:.0} %"));
    }
    for (resource, pressure) in &report.pressure {
        let text = match pressure {
            Waiting::Known { avg10_percent } => format!("{avg10_percent:.1} % of the last 10 s"),
            Waiting::Unknown { reason } => format!("not available: {reason}"),
        };
        lines.add(&format!("{resource} pressure"), &text);
    }
    if let Some(celsius) = report.reading.soc_celsius {
        lines.add("soc temperature", &format!("{celsius:.1} °C from {}", report.soc_sensors.join(", ")));
    }
    if !report.soc_choice.is_empty() {
        lines.add("its sensor", &report.soc_choice);
    }
    if report.throttle_known {
        lines.add("throttled now", &listed(&report.throttled_now, "no"));
        if report.throttle.word.is_some() {
            let before = if report.throttle.since_boot { "since boot" } else { "lately" };
            lines.add(before, &listed(&report.throttled_before, "no"));
        }
    }
    for camera in &report.cameras {
        lines.add("camera", &format!("{} {}", camera.device, camera.describe()));
        for format in &camera.formats {
            lines.add("camera", &format!("  {format}"));
        }
    }
    for (program, path) in &report.programs {
        if let Some(path) = path {
            lines.add(program, path);
        }
    }
    for line in &report.csi_cameras {
        lines.add("csi camera", line);
    }
    for sensor in &report.sensors {
        let value = sensor.value.map_or("unreadable".into(), |v| format!("{v:.3}"));
        lines.add("sensor", &format!("{} {} = {value}", sensor.kind, sensor.name));
    }
    for absent in &report.absent {
        lines.add("absent", &format!("{}: {}", absent.what, absent.meaning));
    }
    lines.text
}

/// Lines of a name and a value; a name is not repeated.
#[derive(Default)]
struct Lines {
    text: String,
    last: String,
}

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        let shown = if self.last == name { "" } else { name };
        self.text += &format!("{shown:<16}  {value}\n");
        name.clone_into(&mut self.last);
    }
}
