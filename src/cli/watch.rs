//! `leptond watch`: messages of nodes, as a live screen or as lines. Like any other client, it knows only the messages.

mod args;
pub(super) mod ascii;
pub(super) mod big;
mod feed;
mod history;
pub(super) mod journal;
mod keys;
mod lines;
mod messages;
pub(super) mod node;
mod screen;
mod settings;
mod signals;
pub(super) mod terminal;
pub(super) mod text;
pub(super) mod view;
pub(super) mod watched;

use std::io::IsTerminal;
use std::time::Instant;

use anyhow::Context;

use super::Failure;
use crate::telemetry;

pub use args::Args;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let mqtt = settings::settings(&args)?;
    let filter = settings::filter(&args, &mqtt)?;
    let filters = settings::filters(&args, &mqtt)?;
    let is_screen = !args.wants_lines() && is_terminal();
    let deadline = args.for_time.map(|time| Instant::now() + time);
    let asked = signals::catch(is_screen, terminal::abandon).context("catching signals")?;
    let level = telemetry::Config { level: "warn".into(), ..telemetry::Config::default() };
    if is_screen {
        // Lines on standard error would be written across the screen.
        let log = telemetry::init_recent(&level.level).context("starting the log")?;
        return screen::run(&mqtt, &filters, &log, &asked, deadline);
    }
    telemetry::init(&level).context("starting the log")?;
    lines::run(&args, &mqtt, &filter, &asked, deadline)
}

/// Input and output are a terminal that can be drawn on.
pub(super) fn is_terminal() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !is_dumb
}
