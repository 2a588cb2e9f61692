//! `leptond demo`: the whole thing at work on embedded defaults, without a file or a device.

mod blocks;
mod inside;
mod names;
mod screen;
mod summary;
mod view;

use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::output::tell;
use super::span::span;
use super::{Failure, say, watch};
use crate::config::{Config, Loaded, NodeConfig, PipelineConfig};
use crate::frame::{NodeName, PipelineName, Quantity, Sink};
use crate::pipeline::{DialConfig, MeterConfig, motion};
use crate::publish::BrokerConfig;
use crate::publish::stdout::Printer;
use crate::publish::terminal::Terminal;
use crate::runtime;
use crate::source::{self, SensorConfig, SensorKind, SyntheticConfig, SyntheticScene};
use crate::{model, page, preprocess, scene, task, telemetry};
use leptond_governor as governor;
use names::{MACHINE, METER, NODE, reached};

/// Customary address of an MQTT broker.
const USUAL: &str = "127.0.0.1:1883";

/// Customary address of the page.
const USUAL_PAGE: &str = "127.0.0.1:8099";

/// Pixels around digits and dials that are shown with them.
const EDGE: f32 = 10.0;

/// Time that the terminal has for its last lines.
const LAST_LINES_WITHIN: Duration = Duration::from_millis(500);

/// Arguments of `leptond demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop by itself after this time, for instance `20s`; without it, `q` or Ctrl-C does
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    run_for: Option<Duration>,
    /// Address of the broker; port 0 takes a free one [default: 127.0.0.1:1883, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Print results as they come instead of drawing a screen; so it is anyway where the output is no terminal
    #[arg(long)]
    plain: bool,
    /// Print one JSON object at the end instead of results as they come
    #[arg(long)]
    json: bool,
    /// Another meter: its font, light and perspective follow from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Pictures per second of the synthetic camera
    #[arg(long, value_name = "N", default_value_t = 15.0)]
    fps: f64,
    /// Show figures as well, and say what happens inside: in the screen's log, else on standard error
    #[arg(long, short)]
    verbose: bool,
}

/// Runs until Ctrl-C or `--for`.
pub fn run(args: Args) -> Result<(), Failure> {
    if !(args.fps > 0.0 && args.fps <= 240.0) {
        return Err(Failure::Usage(format!("--fps {}: above 0 and at most 240 is allowed", args.fps)));
    }
    let level = if args.verbose { "info" } else { "warn" };
    let log = telemetry::Config { level: level.into(), ..telemetry::Config::default() };
    let name = |name: &str| PipelineName::new(name).map_err(|e| Failure::Config(e.to_string()));
    let is_screen = !args.plain && !args.json && watch::is_terminal();
    // Before anything is told: what is told of a taken port belongs into the log.
    let recent = is_screen.then(|| telemetry::init_recent(level)).transpose();
    let recent = recent.map_err(|e| Failure::Config(e.to_string()))?;
    let kept = (!is_screen).then(|| telemetry::init(&log)).transpose().map_err(|e| Failure::Config(e.to_string()))?;
    let listen = args.listen.map_or_else(|| usual_or_free(USUAL), |address| address.to_string());
    // A name of its own: the installed service may come to this broker as well, under that of the computer.
    let node = NodeConfig { name: NodeName::new(NODE).ok(), ..NodeConfig::default() };
    let config = Config {
        node,
        log,
        broker: BrokerConfig { enabled: true, listen },
        page: page::Config { enabled: true, listen: usual_or_free(USUAL_PAGE), ..page::Config::default() },
        pipelines: vec![meter(name(METER)?, args.seed, args.fps).pipeline(), machine(name(MACHINE)?)],
        ..Config::default()
    };
    if let Some(recent) = recent {
        let report = screen::run(Loaded::built_in(config), args.run_for, shown_part(), recent, args.verbose)?;
        return report.map_or(Ok(()), |report| say(&summary::summary(&report)));
    }
    lines(&args, config, kept)
}

/// Prints results as they come.
fn lines(args: &Args, config: Config, kept: Option<telemetry::LogHandle>) -> Result<(), Failure> {
    let terminal = if args.json {
        None
    } else {
        let node = config.node.name_or_default(Path::new("/"));
        let printer = Printer::for_stdout(false, &config.mqtt.prefix).fitted(terminal_columns());
        Some(Arc::new(Terminal::new(node, printer, std::io::stdout()).context("starting the terminal's thread")?))
    };
    let quiet = args.json;
    let options = runtime::Options {
        run_for: args.run_for,
        sinks: terminal.iter().map(|terminal| terminal.clone() as Arc<dyn Sink>).collect(),
        log: kept,
        on_page: Some(Box::new(move |address| {
            if !quiet && let Some(address) = address {
                // Whoever does not read this has not asked for it.
                let _unread = say(&format!("http://{address}/ shows what it sees; open it in a browser"));
            }
        })),
        on_broker: Some(Box::new(move |address| {
            if !quiet {
                greet(address);
            }
        })),
        ..runtime::Options::default()
    };
    let report = runtime::run(Loaded::built_in(config), options);
    let missing = terminal.map_or(0, |terminal| terminal.finish(Instant::now() + LAST_LINES_WITHIN));
    if missing > 0 {
        tell(&format!("{missing} lines came faster than they could be written and are missing"));
    }
    let report = report.map_err(super::run::failure)?;
    if args.json {
        let json = serde_json::to_string(&report).map_err(|e| Failure::Failed(e.into()))?;
        say(&json)
    } else {
        say(&summary::summary(&report))
    }
}

/// Columns of the terminal that standard output is; `None` where it is none.
fn terminal_columns() -> Option<usize> {
    let size = std::io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    size.and_then(Result::ok).map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// The part of the meter's pictures with its digits and dials: `[x, y, width, height]` in pixels.
fn shown_part() -> [f32; 4] {
    let SyntheticConfig { width, height, .. } = SyntheticConfig::default();
    let places = scene::regions(width, height).into_iter().chain(scene::dial_regions(width, height));
    let all = places.fold([f32::MAX, f32::MAX, 0.0, 0.0], |[left, top, right, bottom], [x, y, w, h]| {
        [left.min(x), top.min(y), right.max(x + w), bottom.max(y + h)]
    });
    let [left, top, right, bottom] = all;
    [left - EDGE, top - EDGE, right - left + 2.0 * EDGE, bottom - top + 2.0 * EDGE]
}

/// A water meter seen by a synthetic camera: its digits and dials are read from one picture and joined to one number.
fn meter(name: PipelineName, seed: u64, fps: f64) -> MeterConfig {
    let camera = SyntheticConfig { seed, fps, scene: SyntheticScene::Dials, ..SyntheticConfig::default() };
    let [width, height] = [camera.width, camera.height];
    let dial = |rect| DialConfig { rect: Some(rect), quad: None, clockwise: true };
    MeterConfig {
        kind: Some(Quantity::Water),
        digits: scene::regions(width, height).map(preprocess::Region::Rect).to_vec(),
        dials: scene::dial_regions(width, height).map(dial).to_vec(),
        governor: governor::PipelineConfig { interval_ms: 1, deadline_ms: 250, ..governor::PipelineConfig::default() },
        ..MeterConfig::new(name, source::Config::Synthetic(camera).into())
    }
}

/// This computer's own readings, watched for anything unusual.
fn machine(name: PipelineName) -> PipelineConfig {
    PipelineConfig {
        name,
        model: Some("machine-anomaly".into()),
        engine: model::Engine::Auto,
        threads: 1,
        source: source::Config::Sensor(SensorConfig {
            kind: SensorKind::Machine,
            interval_ms: 500,
            window: 8,
            stride: 1,
            ..SensorConfig::default()
        })
        .into(),
        motion: motion::Config::default(),
        preprocess: preprocess::Config::default(),
        task: task::Config::default(),
        // It costs next to nothing, and overload, which it is there to tell of, is when the governor would thin it out.
        track: Default::default(),
        zones: Vec::new(),
        lines: Vec::new(),
        event: Default::default(),
        offload: true,
        meter: None,
        governor: governor::PipelineConfig { min_fps: 2.0, ..governor::PipelineConfig::default() },
    }
}

/// An address with a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse::<u16>().map_or_else(|_| "1883".to_owned(), |port| port.to_string());
    text.parse().map_err(|_| {
        format!(
            "not an address with a port: 127.0.0.1:{port} is for this computer, 0.0.0.0:{port} for the whole network"
        )
    })
}

/// The usual address, or any free port of this machine where something else listens there.
fn usual_or_free(usual: &str) -> String {
    match TcpListener::bind(usual) {
        Ok(_) => usual.into(),
        Err(error) => {
            tracing::info!(address = usual, %error, "taken: a free port instead");
            "127.0.0.1:0".into()
        }
    }
}

fn greet(address: SocketAddr) {
    let (host, port) = (reached(address.ip()), address.port());
    let version = env!("CARGO_PKG_VERSION");
    // Whoever does not read this has not asked for it.
    let _unread = say(&format!(
        "leptond {version}: a camera on a meter, this machine's sensors, three int8 models\n\
         broker at {address}; from another terminal:\n  \
         leptond watch --host {host} --port {port}\n  \
         mosquitto_sub -h {host} -p {port} -v -t 'leptond/+/+/result'\n\
         Ctrl-C stops it."
    ))
    .and_then(|()| say(""));
}
