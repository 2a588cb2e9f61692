//! The catalog's models beside those that are here already: which fit, whether they can be fetched now, and installing one.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::model::{CatalogArgs, add_of_catalog, size, word};
use super::Failure;
use super::probe::Choice;
use crate::catalog::{self, Entry, Location};
use crate::frame::TaskKind;
use crate::model::manifest::InputKind;
use crate::source;

/// How long it is tried to reach a server of the catalog.
const REACH: Duration = Duration::from_secs(3);
/// Servers that are tried at most.
const MOST_SERVERS: usize = 4;

/// The models of the catalog that fit `source` and are not among `here`.
///
/// # Errors
/// Why there is no catalog, for people.
pub fn choices(
    catalog: &CatalogArgs,
    source: &source::Config,
    here: &[Choice],
) -> Result<Vec<(Choice, Entry)>, Failure> {
    let catalog = catalog.open()?;
    let fits = |entry: &&Entry| {
        let window = entry.manifest.input.kind == Some(InputKind::Window);
        let anomaly = entry.manifest.task == TaskKind::Anomaly && entry.manifest.input.rows.is_some();
        if source.kind().frames().are_windows() { window || anomaly } else { !window }
    };
    let entries = catalog.entries().filter(fits).filter(|e| here.iter().all(|c| c.name != e.name()));
    Ok(entries.map(|entry| (choice(entry), entry.clone())).collect())
}

fn choice(entry: &Entry) -> Choice {
    let manifest = &entry.manifest;
    let licence = if manifest.licence.is_empty() { "licence not known" } else { &manifest.licence };
    let accuracy = manifest.accuracy.as_ref().map(|a| format!(", {} {}", a.metric, a.value)).unwrap_or_default();
    let task = word(manifest.task);
    let about = format!("{task}, {} to fetch, {licence}{accuracy}", size(entry.bytes));
    let label = format!("{}: {} ({about})", entry.name(), manifest.description.trim_end_matches('.'));
    Choice { name: entry.name().into(), label, rows: manifest.input.rows }
}

/// Whether one of `entries` could be fetched now: a file beside the catalog, or a server that answers, asked all at the
/// same time in bounded time. Behind a proxy that is not known before it is tried.
///
/// # Errors
/// The servers that do not answer.
pub fn reachable(entries: &[(Choice, Entry)]) -> Result<(), String> {
    let mut servers: Vec<(String, u16)> = Vec::new();
    for place in entries.iter().flat_map(|(_, entry)| &entry.locations) {
        match place {
            Location::File(path) if path.exists() => return Ok(()),
            Location::File(_) => {}
            Location::Url(url) => servers.extend(server(url).filter(|s| !servers.contains(s))),
        }
    }
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    if proxies.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Ok(());
    }
    servers.truncate(MOST_SERVERS);
    let (found, answers) = mpsc::channel();
    for (host, port) in servers.clone() {
        let found = found.clone();
        // A resolver cannot be interrupted: a thread that outlives its answer only finds the channel closed.
        std::thread::spawn(move || {
            let mut addresses = (host.as_str(), port).to_socket_addrs().into_iter().flatten().take(4);
            let open = addresses.any(|address| TcpStream::connect_timeout(&address, REACH).is_ok());
            let _nobody_waits = found.send(open);
        });
    }
    drop(found);
    let end = Instant::now() + REACH;
    while let Ok(open) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if open {
            return Ok(());
        }
    }
    let names: Vec<&str> = servers.iter().map(|(host, _)| host.as_str()).collect();
    Err(format!("{} cannot be reached from here", names.join(", ")))
}

/// Host and port of an address.
fn server(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let usual = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    Some((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Where a model would be installed.
///
/// # Errors
/// Why this user may not.
pub fn directory(dirs: &[PathBuf]) -> Result<PathBuf, String> {
    catalog::choose(dirs).map_err(|error| error.to_string())
}

/// The command that installs `name`.
pub fn command(name: &str) -> String {
    let sudo = if rustix::process::geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}leptond model add {name}")
}

/// Installs `name` as `leptond model add` does.
///
/// # Errors
/// As that command's.
pub fn install(name: &str, dirs: &[PathBuf], catalog: &CatalogArgs) -> Result<(), Failure> {
    let dir = directory(dirs).map_err(|reason| Failure::Failed(anyhow::anyhow!(reason)))?;
    add_of_catalog(name, dir, catalog)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_from_addresses() {
        for (url, expected) in [
            ("https://a.example/x/y.onnx", Some(("a.example", 443))),
            ("http://u:p@a.example:81?x", Some(("a.example", 81))),
            ("HTTP://[::1]:8080/", Some(("::1", 8080))),
            ("https://[::1]/", Some(("::1", 443))),
            ("none", None),
        ] {
            let found = server(url);
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), expected, "{url}");
        }
    }
}
