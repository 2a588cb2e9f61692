//! `leptond doctor`: the findings of [`crate::diagnose`] in words, each with the command that mends it.

mod board;
mod broker;
mod camera;
mod clock;
mod configuration;
#[cfg(feature = "fleet")]
mod fleet;
mod model;
mod sensor;
mod service;
mod shown;
mod storage;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::progress::{loading, spinner};
use super::{Failure, say};
use crate::board::LinuxBoard;
use crate::config::Config;
use crate::diagnose::machine::Machine;
use crate::diagnose::survey::Report;
use crate::diagnose::{self, Level, storage::SERVICE_STATE};
use crate::runtime::status;
use shown::{Group, Shown};

/// Arguments of `leptond doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at board, configuration, clock, camera, sensors, broker, models, storage and service, and changes nothing \
                  (what it measures of a model is remembered, as by the daemon). Each finding is ok, note, unknown, warning or \
                  TROUBLE, with the command that mends it below. Exit status: 0 without TROUBLE, 1 with. With sudo it sees \
                  more: who holds a camera, the password of the service, throttling since boot."
)]
pub struct Args {
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object: `ok`, `trouble`, `warnings`, `unknown`, `file`, `board`, and `groups` with `name` and `findings`
    #[arg(long)]
    json: bool,
    /// Look at a copy of another machine's /proc, /sys, /dev, /etc, /boot and /usr below this directory
    #[arg(long, hide = true, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// CPU use needs two looks at the counters this far apart.
const CPU_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(root) = args.root.as_ref().filter(|r| !r.is_dir()) {
        return Err(Failure::Usage(format!("--root: {} is not a directory", root.display())));
    }
    let machine = Machine::new(args.root.as_deref());
    let mut looked = LinuxBoard::new(machine.roots.clone());
    if machine.is_here() {
        std::thread::sleep(CPU_INTERVAL);
    }
    let configuration = diagnose::configuration::gather(&machine, args.config);
    if let Some(config) = &configuration.config {
        looked.set_zone(&config.node.thermal_zone);
    }
    let report = spinner("looking at the board", || Report::gather(&mut looked, args.root.as_deref()));
    let mut groups = examine(&machine, &report, &configuration);
    if !configuration.of_service {
        shown::for_file(&mut groups, &configuration.file);
    }
    let count = |level| groups.iter().flat_map(|g| &g.findings).filter(|f| f.level == level).count();
    let trouble = count(Level::Trouble);
    if args.json {
        let object = json!({
            "ok": trouble == 0,
            "trouble": trouble,
            "warnings": count(Level::Warning),
            "unknown": count(Level::Unknown),
            "file": configuration.file,
            "board": report.board.model,
            "groups": groups,
        });
        say(&object.to_string())?;
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colour = std::io::stdout().is_terminal() && !plain;
        let name = Some(report.board.model.as_str()).filter(|m| !m.is_empty()).unwrap_or("unknown board");
        say(&format!("{name}, {}, Linux {}\n\n{}", report.system, report.board.kernel, shown::text(&groups, colour)))?;
    }
    match trouble {
        0 => Ok(()),
        _ => Err(anyhow::anyhow!("{}", shown::summary(&groups)).into()),
    }
}

/// Looks at every area and puts its findings into words.
fn examine(machine: &Machine, report: &Report, configuration: &diagnose::configuration::Facts) -> Vec<Group> {
    let status = if machine.is_here() { status::running() } else { None };
    let config = configuration.config.clone();
    let defaults = Config::default();
    let limits = config.as_ref().map_or(&defaults.governor, |c| &c.governor);
    let own_cpu_percent = status.as_ref().and_then(|s| s.own_cpu_percent);
    let of_service = configuration.of_service;
    let mut groups = Vec::new();
    let mut add = |name, findings: Vec<Shown>| groups.push(Group { name, findings });
    let of_board = diagnose::board::judge(&diagnose::board::gather(machine, report, limits, own_cpu_percent));
    add("board", of_board.iter().map(board::shown).collect());
    let in_words = |finding: &_| configuration::shown(finding, &configuration.file, of_service);
    add("configuration", diagnose::configuration::judge(configuration).iter().map(in_words).collect());
    let tls = config.as_ref().is_some_and(|c| c.mqtt.tls.is_some());
    add("clock", vec![clock::shown(&diagnose::clock::judge(&diagnose::clock::gather(machine, tls)))]);
    let state_dir = diagnose::storage::directory(&config.as_ref().unwrap_or(&defaults).node, of_service);
    if let Some(config) = &config {
        let cameras = spinner("looking through the cameras", || {
            diagnose::camera::gather(machine, report, config, of_service, status.as_ref())
        });
        add("camera", diagnose::camera::judge(cameras, report).iter().map(camera::shown).collect());
        let sensors = diagnose::sensor::judge(diagnose::sensor::gather(machine, config));
        add("sensors", sensors.iter().map(sensor::shown).collect());
        let tried =
            spinner("trying the broker", || diagnose::broker::gather(machine, config, of_service, status.as_ref()));
        let told = configuration.problems.iter().any(|p| p.key.starts_with("mqtt."));
        add("broker", diagnose::broker::judge(tried, told).iter().map(broker::shown).collect());
        #[cfg(feature = "fleet")]
        if let Some(found) = spinner("trying the group", || diagnose::fleet::examine(machine, config)) {
            add("fleet", found.iter().map(fleet::shown).collect());
        }
        if machine.is_here() {
            let models = diagnose::model::gather(config, state_dir.clone(), status.as_ref(), &loading);
            add("models", diagnose::model::judge(&models).iter().map(model::shown).collect());
        }
    }
    let state_dir = state_dir.unwrap_or_else(|| SERVICE_STATE.into());
    let disk = diagnose::storage::judge(&diagnose::storage::gather(machine, &state_dir, of_service));
    add("storage", disk.iter().map(storage::shown).collect());
    let daemon = status.as_ref().map(|s| s.pid);
    if machine.is_here() {
        let unit = diagnose::service::judge(&diagnose::service::gather(machine, of_service, daemon));
        add("service", unit.iter().map(service::shown).collect());
    }
    groups
}
