//! The connection to a server of the group: login, encryption, version, and what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::watch;

use super::config::Config;
use super::error::FleetError;
use super::version::Version;
use crate::sys::file;

/// A larger file holds no secret.
const MOST_BYTES: u64 = 1 << 20;
/// Time for a connection, and for an answer of the server.
const WITHIN: Duration = Duration::from_secs(5);
/// Time to the next attempt after a lost connection, first and longest.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(4)];
/// Silence after which the connection is probed.
const PING: Duration = Duration::from_secs(10);

/// Messages of a subscription that wait to be read; further ones are dropped.
const WAITING: usize = 1024;

/// State of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// It is up.
    pub(super) connected: bool,
    /// Counts connections; another number is another connection.
    pub(super) connections: u64,
}

/// A connection that comes back for ever.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) jetstream: Context,
    /// Version of the server at the begin.
    pub(super) version: Version,
    link: watch::Receiver<Link>,
    refusal: Arc<Mutex<Option<String>>>,
}

impl Connection {
    /// Connects once, as `name`.
    ///
    /// # Errors
    /// [`FleetError`] with the setting, file, server or version that is the reason.
    pub(super) async fn open(config: &Config, name: &str) -> Result<Connection, FleetError> {
        let (sender, link) = watch::channel(Link { connected: false, connections: 0 });
        let refusal = Arc::new(Mutex::new(None));
        let (sender, keeper) = (Arc::new(sender), refusal.clone());
        let options = options(config)?
            .name(format!("leptond {name}"))
            .connection_timeout(WITHIN)
            .request_timeout(Some(WITHIN))
            .ping_interval(PING)
            .max_reconnects(None)
            .subscription_capacity(WAITING)
            .reconnect_delay_callback(|attempts| {
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                AGAIN[0].saturating_mul(1 << attempts.min(6)).min(AGAIN[1])
            })
            .event_callback(move |event| {
                note(&event, &sender, &keeper);
                std::future::ready(())
            });
        let servers = config.servers.join(", ");
        let client = options.connect(&config.servers[..]).await.map_err(|error| {
            let reason = words(&error);
            match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    FleetError::Login { servers, reason }
                }
                _ => FleetError::Unreachable { servers, reason },
            }
        })?;
        let version = check(&client)?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(WITHIN)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Connection { client, jetstream, version, link, refusal })
    }

    /// Follows the state of the connection.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Checks the server of the present connection, which may be another one than the first.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) fn check(&self) -> Result<Version, FleetError> {
        check(&self.client)
    }

    /// The last right that the server refused since the last call, in its words.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The error for a request to do `what` that failed for `reason`: of several reasons a refused right is the true one.
    pub(super) fn failed(&self, what: &str, reason: &dyn std::error::Error) -> FleetError {
        let what = what.to_owned();
        match self.take_refusal() {
            Some(reason) => FleetError::Rights { what, reason },
            None => FleetError::Server { what, reason: words(reason) },
        }
    }
}

/// An error and its causes, each once.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

fn note(event: &Event, link: &watch::Sender<Link>, refusal: &Mutex<Option<String>>) {
    match event {
        Event::Connected => {
            link.send_modify(|link| *link = Link { connected: true, connections: link.connections + 1 });
        }
        Event::Disconnected | Event::Closed => link.send_modify(|link| link.connected = false),
        Event::ServerError(ServerError::Other(words)) => {
            tracing::warn!(server = words, "nats");
            if words.to_ascii_lowercase().contains("permissions violation") {
                *refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.clone());
            }
        }
        other => tracing::debug!(event = %other, "nats"),
    }
}

fn check(client: &Client) -> Result<Version, FleetError> {
    let info = client.server_info();
    let Some(version) = Version::parse(&info.version) else { return Err(FleetError::NoVersion(info.version)) };
    if version.is_refused() {
        return Err(FleetError::Version { found: version });
    }
    if !info.jetstream {
        return Err(FleetError::NoJetStream(String::new()));
    }
    Ok(version)
}

fn options(config: &Config) -> Result<ConnectOptions, FleetError> {
    let mut options = ConnectOptions::new();
    if let Some(path) = &config.nkey_file {
        options = options.nkey(secret(path)?);
    } else if let Some(path) = &config.credentials_file {
        let text = file::read_text(path, MOST_BYTES).map_err(|e| unusable(path, &e))?;
        options = options.credentials(&text).map_err(|e| unusable(path, &e))?;
    } else if !config.user.is_empty() {
        let password = config.password_file.as_deref().map(secret).transpose()?;
        options = options.user_and_password(config.user.clone(), password.unwrap_or(config.password.clone()));
    }
    let Some(tls) = &config.tls else { return Ok(options) };
    options = options.require_tls(true);
    if let Some(path) = &tls.ca_file {
        options = options.add_root_certificates(pem(path)?);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Ok(options.add_client_certificate(pem(cert)?, pem(key)?)),
        (None, None) => Ok(options),
        _ => Err(FleetError::Setting { key: "fleet.tls", reason: "cert_file and key_file belong together".into() }),
    }
}

/// The first line of a file.
fn secret(path: &Path) -> Result<String, FleetError> {
    let text = file::read_text(path, MOST_BYTES).map_err(|e| unusable(path, &e))?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(unusable(path, &"its first line is empty")),
    }
}

/// A file that the client reads itself, whose words on a wrong one would not name it.
fn pem(path: &Path) -> Result<PathBuf, FleetError> {
    let text = file::read_text(path, MOST_BYTES).map_err(|e| unusable(path, &e))?;
    if text.contains("-----BEGIN ") { Ok(path.to_owned()) } else { Err(unusable(path, &"not a PEM file")) }
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> FleetError {
    FleetError::File { path: path.to_owned(), reason: reason.to_string() }
}
