//! The broker that is meant: the configuration's, changed by flags.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::args::Args;
use crate::cli::Failure;
use crate::config::{self, Options};
use crate::credentials as password;
use crate::frame::names::NameKind;
use crate::frame::{NodeName, TopicFilter};
use crate::publish::{self, TlsConfig, Transport};
use crate::sys::file::{FileError, open_regular};

/// The broker: the configuration file's if there is one, changed by flags.
pub fn settings(args: &Args) -> Result<publish::Config, Failure> {
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
        // A configured Unix socket leads to no host.
        if mqtt.transport == Transport::Unix {
            (mqtt.transport, mqtt.path) = (Transport::Tcp, String::new());
        }
    }
    mqtt.port = args.port.unwrap_or(mqtt.port);
    if let Some(name) = &args.username {
        mqtt.username.clone_from(name);
    }
    if args.password_file.is_some() {
        mqtt.password_file.clone_from(&args.password_file);
    }
    if let Some(ca_file) = &args.ca_file {
        mqtt.tls = Some(TlsConfig { ca_file: Some(ca_file.clone()), ..TlsConfig::default() });
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

/// The broker as people know it: its address, or the Unix socket.
pub fn broker(mqtt: &publish::Config) -> String {
    match mqtt.transport {
        Transport::Unix => mqtt.path.clone(),
        Transport::Tcp | Transport::WebSocket => format!("{}:{}", mqtt.host, mqtt.port),
    }
}

/// The topics that are printed.
pub fn filter(args: &Args, mqtt: &publish::Config) -> Result<TopicFilter, Failure> {
    if let Some(filter) = &args.topic {
        return TopicFilter::new(filter).map_err(|e| Failure::Usage(format!("--topic: {e}")));
    }
    TopicFilter::new(&format!("{}/{}/#", mqtt.prefix, node(args)?)).map_err(|e| Failure::Usage(e.to_string()))
}

/// The topics of a screen: everything that is shown, and no pictures, which are large.
pub fn filters(args: &Args, mqtt: &publish::Config) -> Result<Vec<TopicFilter>, Failure> {
    const SHOWN: [&str; 9] =
        ["state", "info", "health", "governor", "+/result", "+/event", "+/state", "+/detect/state", "response/#"];
    let node = node(args)?;
    let filter = |topic| TopicFilter::new(&format!("{}/{node}/{topic}", mqtt.prefix));
    SHOWN.into_iter().map(filter).collect::<Result<_, _>>().map_err(|e| Failure::Usage(e.to_string()))
}

/// The level of the node in a filter.
fn node(args: &Args) -> Result<String, Failure> {
    let Some(name) = &args.node else { return Ok("+".into()) };
    NodeName::new(name).map(|name| name.to_string()).map_err(|e| Failure::Usage(format!("--node: {e}")))
}

/// Unlike any other watcher's, so that two of them do not throw each other out.
pub fn client_id() -> String {
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
