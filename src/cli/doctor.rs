//! `leptond doctor`: what is wrong, each with the command that mends it.
//!
//! Each group reads its facts first (`gather`), then judges them (`judge`), which is pure.

mod board;
mod broker;
mod camera;
mod clock;
mod configuration;
mod finding;
mod holder;
mod machine;
mod model;
mod sensor;
mod service;
mod storage;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::probe::gather::Report;
use super::progress::spinner;
use super::{Failure, say};
use crate::board::LinuxBoard;
use crate::config::{Config, NodeConfig};
use crate::runtime::status;
use finding::{Finding, Group, Level};
use machine::Machine;

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

/// `StateDirectory=` of the unit.
const SERVICE_STATE: &str = "/var/lib/leptond";

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
    let configuration = configuration::gather(&machine, args.config);
    if let Some(config) = &configuration.config {
        looked.set_zone(&config.node.thermal_zone);
    }
    let report = spinner("looking at the board", || Report::gather(&mut looked, args.root.as_deref()));
    let mut groups = examine(&machine, &report, &configuration);
    if !configuration.of_service {
        finding::for_file(&mut groups, &configuration.file);
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
        say(&format!(
            "{name}, {}, Linux {}\n\n{}",
            report.system,
            report.board.kernel,
            finding::text(&groups, colour)
        ))?;
    }
    match trouble {
        0 => Ok(()),
        _ => Err(anyhow::anyhow!("{}", finding::summary(&groups)).into()),
    }
}

/// Where the state is kept: what the configuration names, else the service's own directory, else that of a run by hand.
fn state_dir(node: &NodeConfig, of_service: bool) -> Option<PathBuf> {
    let of_unit = || Some(PathBuf::from(SERVICE_STATE)).filter(|dir| of_service && dir.is_dir());
    Some(node.state_dir.clone()).filter(|dir| !dir.as_os_str().is_empty()).or_else(of_unit).or_else(|| node.state_dir())
}

fn examine(machine: &Machine, report: &Report, configuration: &configuration::Facts) -> Vec<Group> {
    let status = if machine.is_here() { status::running() } else { None };
    let config = configuration.config.clone();
    let defaults = Config::default();
    let limits = config.as_ref().map_or(&defaults.governor, |c| &c.governor);
    let own_cpu_percent = status.as_ref().and_then(|s| s.own_cpu_percent);
    let of_service = configuration.of_service;
    let mut groups = vec![
        Group { name: "board", findings: board::judge(&board::gather(machine, report, limits, own_cpu_percent)) },
        Group { name: "configuration", findings: configuration::judge(configuration) },
    ];
    let mut add = |name, findings: Vec<Finding>| groups.push(Group { name, findings });
    let tls = config.as_ref().is_some_and(|c| c.mqtt.tls.is_some());
    add("clock", clock::judge(&clock::gather(machine, tls)));
    let state_dir = state_dir(&config.as_ref().unwrap_or(&defaults).node, of_service);
    if let Some(config) = &config {
        let cameras = spinner("looking through the cameras", || {
            camera::gather(machine, report, config, of_service, status.as_ref())
        });
        add("camera", camera::judge(&cameras, report));
        add("sensors", sensor::judge(&sensor::gather(machine, config)));
        let broker = spinner("trying the broker", || broker::gather(machine, config, of_service, status.as_ref()));
        add("broker", broker::judge(&broker, configuration.problems.iter().any(|p| p.key.starts_with("mqtt."))));
        if machine.is_here() {
            add("models", model::judge(&model::gather(config, state_dir.clone(), status.as_ref())));
        }
    }
    let state_dir = state_dir.unwrap_or_else(|| SERVICE_STATE.into());
    add("storage", storage::judge(&storage::gather(machine, &state_dir, of_service)));
    let daemon = status.as_ref().map(|s| s.pid);
    if machine.is_here() {
        add("service", service::judge(&service::gather(machine, of_service, daemon)));
    }
    groups
}
