//! From `[mqtt]` to the client library's options: address, credentials, certificates. All errors of files are found here, before
//! a connection is tried.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::wire::{Options, Version, Way};
use crate::publish::{Config, Protocol, PublishError, TlsConfig, Transport};
use crate::sys;

/// Largest password or certificate file; a computer's whole list of authorities has 250 kB.
const MOST_BYTES: u64 = 8 << 20;

/// Timeout of a connection attempt, and of the socket taking one packet.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Options of each connection. `will` is topic and payload.
///
/// # Errors
/// [`PublishError`] naming the file or key.
pub(crate) fn options(
    config: &Config,
    client_id: &str,
    will: Option<(String, Vec<u8>)>,
) -> Result<Options, PublishError> {
    let key = |key, reason: &str| PublishError::Setting { key, reason: reason.into() };
    if config.transport != Transport::Unix && config.host.trim().is_empty() {
        return Err(key("mqtt.host", "is empty: name or address of the broker"));
    }
    let password = password(config)?;
    if config.username.is_empty() && !password.is_empty() {
        return Err(key(
            "mqtt.username",
            "is empty, but there is a password: MQTT 3.1.1 knows no password without a user name",
        ));
    }
    Ok(Options {
        host: config.host.clone(),
        port: config.port,
        way: way(config)?,
        version: if config.protocol == Protocol::V311 { Version::V311 } else { Version::V5 },
        may_fall_back: config.protocol == Protocol::Auto,
        client_id: client_id.to_owned(),
        login: (!config.username.is_empty()).then(|| (config.username.clone(), password)),
        will,
        keep_alive: Duration::from_secs(u64::from(config.keep_alive_s.max(1))),
        packet_bytes: config.max_packet_bytes,
        tls: config.tls.as_ref().map(client_config).transpose()?.map(Arc::new),
        timeout: TIMEOUT,
    })
}

/// Checks that transport, path and encryption fit each other.
///
/// # Errors
/// [`PublishError::Setting`].
pub fn check_way(config: &Config) -> Result<(), PublishError> {
    way(config).map(|_| ())
}

/// The way to the broker.
fn way(config: &Config) -> Result<Way, PublishError> {
    let setting = |key, reason: &str| Err(PublishError::Setting { key, reason: reason.into() });
    let path = config.path.as_str();
    match config.transport {
        Transport::Tcp if path.is_empty() => Ok(Way::Tcp),
        Transport::Tcp => {
            setting("mqtt.path", "means nothing with transport = \"tcp\": remove it, or set mqtt.transport")
        }
        Transport::WebSocket if path.is_empty() => Ok(Way::WebSocket("/mqtt".into())),
        Transport::WebSocket if !path.starts_with('/') || path.contains(|c: char| !c.is_ascii_graphic()) => {
            setting("mqtt.path", "is no path of a WebSocket: it begins with / and has visible ASCII characters only")
        }
        Transport::WebSocket => Ok(Way::WebSocket(path.into())),
        Transport::Unix if path.is_empty() => {
            setting("mqtt.path", "is empty: the path of the broker's socket, for transport = \"unix\"")
        }
        Transport::Unix if config.tls.is_some() => {
            setting("mqtt.tls", "cannot be used with transport = \"unix\", which leaves no computer")
        }
        Transport::Unix => Ok(Way::Unix(path.into())),
    }
}

/// Name of the credential that the unit loads from `/etc/leptond/mqtt-password`.
const CREDENTIAL: &str = "mqtt-password";

/// The configured password, else the credential of the service manager.
fn password(config: &Config) -> Result<String, PublishError> {
    let Some(path) = &config.password_file else {
        let dir = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| config.password.is_empty());
        return dir.map_or(Ok(config.password.clone()), |dir| credential(Path::new(&dir), &config.username));
    };
    let text = sys::file::read_text(path, MOST_BYTES).map_err(|e| unread(path, &e))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_string()),
        _ => Err(file(path, "its first line is empty; it should be the password")),
    }
}

/// The first line of the credential in `dir`; empty for a missing credential or an empty one, which stands for a file that was
/// never written.
fn credential(dir: &Path, username: &str) -> Result<String, PublishError> {
    let path = dir.join(CREDENTIAL);
    let text = match sys::file::read_text(&path, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(String::new()),
        Err(error) => return Err(unread(&path, &error)),
    };
    let line = text.lines().next().unwrap_or_default();
    if username.is_empty() && !line.is_empty() {
        tracing::warn!(
            "the credential {CREDENTIAL} is not used: mqtt.username is empty; set it, or remove the credential"
        );
        return Ok(String::new());
    }
    Ok(line.to_owned())
}

/// `true` when the service manager's password is sent unencrypted. A password of the configuration has a warning of its own.
pub(crate) fn credential_in_the_clear(config: &Config, options: &Options) -> bool {
    let configured = !config.password.is_empty() || config.password_file.is_some();
    let given = options.login.as_ref().is_some_and(|(_, password)| !password.is_empty());
    given && !configured && options.tls.is_none() && !config.is_local()
}

fn client_config(tls: &TlsConfig) -> Result<ClientConfig, PublishError> {
    let roots = roots(tls)?;
    let key = |e: rustls::Error| PublishError::Setting { key: "mqtt.tls", reason: e.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(key)?
        .with_root_certificates(roots);
    match (&tls.cert_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let text = sys::file::read_regular(key, MOST_BYTES).map_err(|e| unread(key, &e))?;
            let private = PrivateKeyDer::from_pem_slice(&text).map_err(|e| file(key, pem_words(&e, "private key")))?;
            builder.with_client_auth_cert(certificates(cert)?, private).map_err(|e| file(cert, e))
        }
        _ => Err(PublishError::Setting {
            key: "mqtt.tls",
            reason: "cert_file and key_file belong together: give both or none".into(),
        }),
    }
}

/// The authorities of `ca_file`, else those of the system.
fn roots(tls: &TlsConfig) -> Result<RootCertStore, PublishError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|e| file(path, e))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    // A list of the system may hold certificates that no library takes any more.
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(PublishError::Setting {
            key: "mqtt.tls",
            reason: format!(
                "this computer knows no certificate authorities{why}: install them (apt-get install ca-certificates) or set \
                 ca_file"
            ),
        });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PublishError> {
    let text = sys::file::read_regular(path, MOST_BYTES).map_err(|e| unread(path, &e))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|e| file(path, pem_words(&e, "certificate")))?;
    if found.is_empty() {
        return Err(file(path, "there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)"));
    }
    Ok(found)
}

fn pem_words(error: &rustls::pki_types::pem::Error, what: &str) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(e) => e.to_string(),
        Error::NoItemsFound => format!("there is no {what} in it (PEM)"),
        other => format!("not a PEM file with a {what}: {other}"),
    }
}

fn unread(path: &Path, error: &sys::file::FileError) -> PublishError {
    if error.may_pass() {
        PublishError::Unavailable { path: path.into(), reason: error.to_string() }
    } else {
        file(path, error)
    }
}

fn file(path: &Path, reason: impl std::fmt::Display) -> PublishError {
    PublishError::File { path: path.into(), reason: reason.to_string() }
}
