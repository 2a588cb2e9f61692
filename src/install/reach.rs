//! Servers of the catalog's models.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::catalog::{Entry, Location};

/// Longest time to reach a server of the catalog.
const REACH: Duration = Duration::from_secs(3);
/// Servers that are tried at most.
const MOST_SERVERS: usize = 4;

/// Servers that do not answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be reached from here", .0.join(", "))]
pub struct Unreachable(pub Vec<String>);

/// Finds out that one of `entries` could be fetched now: a file beside the catalog, or a server that answers, asked all at the
/// same time in bounded time. Behind a proxy that is not known before it is tried.
///
/// # Errors
/// [`Unreachable`] with the servers that do not answer.
pub fn reachable<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<(), Unreachable> {
    let mut servers: Vec<(String, u16)> = Vec::new();
    for place in entries.flat_map(|entry| &entry.locations) {
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
    Err(Unreachable(servers.into_iter().map(|(host, _)| host).collect()))
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
