//! `leptond watch`: subscribes to nodes and prints their messages.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};

use super::Failure;
use super::output::{tell, written};
use crate::config::{self, Options};
use crate::credentials as password;
use crate::frame::names::NameKind;
use crate::frame::{NodeName, TopicFilter};
use crate::publish::mqtt::Mqtt;
use crate::publish::stdout::Printer;
use crate::publish::{self, Publisher};
use crate::sys::file::{FileError, open_regular};
use crate::telemetry;

/// Messages waiting to be printed at most; a terminal is slower than a broker.
const WAITING: usize = 2048;
/// Time between two looks at the clock.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `leptond watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or address of the broker [default: the configuration's, else localhost]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Port of the broker [default: the configuration's, else 1883]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// User name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Take broker, credentials and encryption from this configuration file [default: the service's
    /// /etc/leptond/leptond.toml, if it is there and --host is not given]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// First level of the topics [default: the configuration's, else leptond]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only this node [default: all]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Subscribe to this topic filter instead of the nodes' topics
    #[arg(long, value_name = "FILTER", conflicts_with = "node")]
    topic: Option<String>,
    /// One JSON object per message: `topic`, `payload`, `retain`
    #[arg(long)]
    json: bool,
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, for instance 20s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    for_time: Option<Duration>,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let mqtt = settings(&args)?;
    let filter = filter(&args, &mqtt)?;
    let log = telemetry::Config { level: "warn".into(), ..telemetry::Config::default() };
    telemetry::init(&log).context("starting the log")?;
    let client = Mqtt::listen(&mqtt, &client_id()).map_err(|e| Failure::Config(e.to_string()))?;
    let messages = client.subscribe(&filter, WAITING).map_err(|e| Failure::Config(e.to_string()))?;
    let printer = Printer::for_stdout(args.json, &mqtt.prefix);
    let deadline = args.for_time.map(|time| Instant::now() + time);
    let mut printed = 0;
    let mut stdout = std::io::stdout().lock();
    while args.count.is_none_or(|count| printed < count) {
        let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()).min(LOOK));
        match messages.recv_timeout(left) {
            Ok(message) => {
                let line = printer.line(&message.topic, &message.payload, message.retain, SystemTime::now());
                if !written(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))? {
                    break;
                }
                printed += 1;
            }
            Err(RecvTimeoutError::Timeout) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("the connection to the broker ended").into()),
        }
    }
    let stats = client.stats();
    client.stop(Instant::now() + Duration::from_secs(1));
    if stats.received_dropped > 0 {
        let missing = stats.received_dropped;
        tell(&format!("{missing} messages came faster than they could be printed and are missing"));
    }
    if stats.connects == 0 {
        return Err(anyhow!("there was no connection to a broker at {}:{} in that time", mqtt.host, mqtt.port).into());
    }
    Ok(())
}

/// The broker: the configuration file's if there is one, changed by flags.
fn settings(args: &Args) -> Result<publish::Config, Failure> {
    let mut mqtt = publish::Config::default();
    let mut of_service = false;
    if let Some(file) = file(args, Path::new(config::DEFAULT_FILE))? {
        of_service = password::is_of_service(&file);
        let mut options = Options::from_process(Some(file), Vec::new());
        options.skip_files = true;
        let config = config::load(&options).map_err(|e| Failure::Config(e.to_string()))?.config;
        mqtt = config.mqtt;
        if config.broker.enabled {
            (mqtt.host, mqtt.port) = reachable(&config.broker.listen)?;
        }
    }
    if let Some(host) = &args.host {
        mqtt.host.clone_from(host);
    }
    mqtt.port = args.port.unwrap_or(mqtt.port);
    if let Some(name) = &args.username {
        mqtt.username.clone_from(name);
    }
    if args.password_file.is_some() {
        mqtt.password_file.clone_from(&args.password_file);
    }
    if password::as_the_service(&mut mqtt, of_service, Path::new(password::KEPT)) == password::Kept::Denied {
        return Err(anyhow!(
            "the broker's password is in {}, which this user may not read: sudo leptond watch, or --password-file FILE",
            password::KEPT
        )
        .into());
    }
    if let Some(prefix) = &args.prefix {
        NameKind::Prefix.check(prefix).map_err(|e| Failure::Usage(e.to_string()))?;
        mqtt.prefix.clone_from(prefix);
    }
    Ok(mqtt)
}

/// The configuration file whose broker is meant: the one that is given, else the service's, unless a broker is named.
fn file(args: &Args, service: &Path) -> Result<Option<PathBuf>, Failure> {
    if args.config.is_some() || args.host.is_some() {
        return Ok(args.config.clone());
    }
    match open_regular(service) {
        Ok(_) => Ok(Some(service.to_owned())),
        Err(FileError::Io(e)) if e.kind() == ErrorKind::PermissionDenied => Err(anyhow!(
            "{} says which broker, and this user may not read it: sudo leptond watch, or --host HOST",
            service.display()
        )
        .into()),
        Err(_) => Ok(None),
    }
}

/// Host and port under which this computer reaches a broker that listens on `listen`.
fn reachable(listen: &str) -> Result<(String, u16), Failure> {
    let split = listen.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match split {
        Some((_, 0)) | None => Err(Failure::Usage(format!(
            "broker.listen = {listen:?} does not say which port the broker is on: give it by --host and --port"
        ))),
        Some(("0.0.0.0" | "[::]" | "", port)) => Ok(("localhost".into(), port)),
        Some((host, port)) => Ok((host.trim_matches(['[', ']']).into(), port)),
    }
}

/// The topics that are asked for.
fn filter(args: &Args, mqtt: &publish::Config) -> Result<TopicFilter, Failure> {
    if let Some(filter) = &args.topic {
        return TopicFilter::new(filter).map_err(|e| Failure::Usage(format!("--topic: {e}")));
    }
    let node =
        args.node.as_deref().map(NodeName::new).transpose().map_err(|e| Failure::Usage(format!("--node: {e}")))?;
    TopicFilter::new(&format!("{}/{}/#", mqtt.prefix, node.as_deref().unwrap_or("+")))
        .map_err(|e| Failure::Usage(e.to_string()))
}

/// Unlike any other watcher's, so that two of them do not throw each other out.
fn client_id() -> String {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("leptond-watch-{:08x}", random as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_service_s_configuration_is_meant_unless_a_file_or_a_broker_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (there, absent) = (directory.path().join("leptond.toml"), directory.path().join("absent.toml"));
        std::fs::write(&there, "").unwrap();
        for (line, service, expected) in [
            (&["watch"][..], &there, Some(there.clone())),
            (&["watch"], &absent, None),
            (&["watch", "--host", "broker"], &there, None),
            (&["watch", "--config", "mine.toml"], &there, Some("mine.toml".into())),
        ] {
            let args = <Line as clap::Parser>::try_parse_from(line).unwrap().args;
            assert_eq!(file(&args, service).ok(), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn a_listening_address_becomes_one_to_connect_to() {
        let cases = [
            ("127.0.0.1:1884", Some(("127.0.0.1", 1884))),
            ("0.0.0.0:1883", Some(("localhost", 1883))),
            ("[::]:1883", Some(("localhost", 1883))),
            ("[::1]:1883", Some(("::1", 1883))),
            ("127.0.0.1:0", None),
            ("nonsense", None),
        ];
        for (listen, expected) in cases {
            let found = reachable(listen).ok();
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{listen}");
        }
    }
}
