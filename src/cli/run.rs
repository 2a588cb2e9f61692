//! `leptond run`: the daemon.

mod told;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Failure;
use super::span::span;
use crate::config::{self, Override};
use crate::frame::Sink;
use crate::runtime::{self, DaemonError, sandbox};
use crate::sys::landlock;
use crate::telemetry;
use told::Told;

/// Arguments of `leptond run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a value on top of file and environment, for instance `mqtt.port=1884`; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::set)]
    overrides: Vec<Override>,
    /// Stop by itself after this time, for instance `90s` or `10m`
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    run_for: Option<std::time::Duration>,
    /// A file without its flag
    #[arg(value_name = "FILE", hide = true)]
    bare: Option<PathBuf>,
}

/// Runs until SIGTERM, SIGINT or the end of all sources.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { config: file, overrides, run_for, bare } = args;
    if let Some(bare) = bare {
        let words = format!("a configuration is given by --config: leptond run --config {}", bare.display());
        return Err(Failure::Usage(words));
    }
    let path = file.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    let recovered = runtime::command::recover(&path);
    let options = config::Options { waits: true, ..config::Options::from_process(file, overrides) };
    let (of_load, of_text) = (options.clone(), options);
    let load = move |skip_files| config::load(&config::Options { skip_files, ..of_load.clone() });
    let marks = telemetry::open_marks(std::env::var_os(telemetry::MARKS_VARIABLE).as_deref());
    telemetry::mark("program");
    let loaded = load(false).map_err(|e| Failure::Config(e.to_string()))?;
    telemetry::mark("configuration");
    let env = |name: &str| std::env::var_os(name);
    // Before the first thread: those that exist already would keep what is given up here.
    let given = sandbox::restrict(&loaded, &env);
    telemetry::mark("sandbox");
    let told = std::io::stdout().is_terminal().then(|| Told::new(&loaded.config, std::io::stdout()));
    let told = told.transpose().map_err(anyhow::Error::from)?.map(Arc::new);
    let log = telemetry::init(&log_of(&loaded, told.is_some())).map_err(|e| Failure::Config(e.to_string()))?;
    if let Err(error) = marks {
        tracing::warn!(%error, "{} names a socket that cannot be used: this start is not measured", telemetry::MARKS_VARIABLE);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = loaded.path.as_deref().map(|p| p.display().to_string()),
        "leptond"
    );
    tracing::info!("{}", given.said);
    if let Some(recovered) = &recovered {
        tracing::error!("config/set: {}", recovered.words);
    }
    // Where everything comes from the environment and flags there is no file to change.
    let config_file = loaded.path.as_ref().map(|_| runtime::ConfigFile {
        read: {
            let path = path.clone();
            Arc::new(move || config::text(&path).map_err(|e| e.to_string()))
        },
        check: Arc::new(move |text| config::load_text(text, &of_text).map_err(|e| e.to_string())),
        path,
    });
    if let Some(told) = &told {
        told.start(&loaded.config, loaded.path.as_deref());
    }
    let (of_page, of_broker) = (told.clone(), told.clone());
    let reload: runtime::Reload = Arc::new(move || {
        let env = |name: &str| std::env::var_os(name);
        // First whether its files are within reach: those that are not would only seem to be absent.
        given.check(&load(true).map_err(|e| e.to_string())?, &env)?;
        load(false).map_err(|e| e.to_string())
    });
    let options = runtime::Options {
        run_for,
        reload: Some(reload),
        config_file,
        recovered,
        log: Some(log),
        waits: true,
        sinks: told.into_iter().map(|told| told as Arc<dyn Sink>).collect(),
        on_broker: of_broker.map(|told| Box::new(move |address| told.broker(address)) as Box<dyn FnOnce(SocketAddr)>),
        on_page: of_page.map(|told| Box::new(move |address| told.page(address)) as runtime::OnPage),
        ..runtime::Options::default()
    };
    let report = runtime::run(loaded, options).map_err(failure)?;
    tracing::info!(
        frames = report.frames,
        inferences = report.inferences,
        dropped = report.dropped,
        errors = report.errors,
        published = report.published,
        acknowledged = report.acknowledged,
        "stopped"
    );
    if report.restart { Err(Failure::Restart) } else { Ok(()) }
}

/// The log as configured; at a terminal, which is told of results, only what goes wrong, unless a level is asked for.
fn log_of(loaded: &config::Loaded, is_terminal: bool) -> telemetry::Config {
    let log = loaded.config.log.clone();
    if is_terminal && std::io::stderr().is_terminal() && !loaded.sources.contains_key("log.level") {
        return telemetry::Config { level: "warn".into(), ..log };
    }
    log
}

/// The exit code that the daemon's error means.
pub(super) fn failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Config(reason) => Failure::Config(landlock::told(reason)),
        DaemonError::NotNow(reason) | DaemonError::Failed(reason) => {
            Failure::Failed(anyhow::anyhow!(landlock::told(reason)))
        }
    }
}
