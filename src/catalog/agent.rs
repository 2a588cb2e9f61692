//! The HTTP client: this computer's certificates, the proxy of the environment, and strict timeouts.

use std::sync::Arc;

use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Error};

use super::fault::FetchError;
use super::limits::Limits;
use super::pace::TooSlow;

/// An HTTP client with its limits.
pub struct Server {
    pub(super) agent: Agent,
    pub(super) limits: Limits,
    /// This computer has root certificates.
    has_roots: bool,
}

impl Server {
    /// A client with these limits.
    pub fn new(limits: Limits) -> Server {
        let found = rustls_native_certs::load_native_certs();
        let roots: Vec<Certificate<'static>> =
            found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        let has_roots = !roots.is_empty();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .user_agent(concat!("leptond/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(limits.silence))
            .timeout_connect(Some(limits.silence))
            .timeout_recv_response(Some(limits.silence))
            .timeout_per_read(Some(limits.silence))
            .build()
            .new_agent();
        Server { agent, limits, has_roots }
    }

    /// The [`FetchError`] of a request that failed before or during the body.
    pub(super) fn fault(&self, url: &str, error: &Error) -> FetchError {
        use std::io::ErrorKind;
        let at = || url.to_string();
        let broken = |reason: String| FetchError::Broken { url: at(), reason, kept_bytes: 0, total_bytes: None };
        match error {
            Error::Http(e) => FetchError::Address { url: at(), reason: e.to_string() },
            Error::BadUri(reason) => FetchError::Address { url: at(), reason: reason.clone() },
            Error::HostNotFound => FetchError::Name { url: at(), host: host(url) },
            Error::Timeout(_) => broken(self.silent()),
            Error::Tls(reason) => self.tls(url, reason),
            Error::Rustls(reason) => self.tls(url, &reason.to_string()),
            Error::TooManyRedirects | Error::RedirectFailed => {
                FetchError::Answer { url: at(), reason: "it is redirected in a circle, or too often".into() }
            }
            Error::InvalidProxyUrl | Error::ConnectProxyFailed(_) => FetchError::Connect {
                url: at(),
                reason: format!(
                    "{error}; the proxy comes from https_proxy, http_proxy or all_proxy in the environment"
                ),
            },
            Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<TooSlow>()) => broken(e.to_string()),
            Error::Io(e) => match e.kind() {
                ErrorKind::ConnectionRefused => {
                    FetchError::Connect { url: at(), reason: "connection refused: nothing answers on that port".into() }
                }
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
                    FetchError::Connect { url: at(), reason: format!("{e}: check whether this computer is online") }
                }
                ErrorKind::TimedOut | ErrorKind::WouldBlock => broken(self.silent()),
                // rustls wraps certificate and handshake errors in an I/O error.
                ErrorKind::InvalidData if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                    self.tls(url, &e.to_string())
                }
                // The resolver reports an unreachable name server and a wrong name alike.
                _ if e.to_string().contains("failed to lookup address") => {
                    FetchError::Name { url: at(), host: host(url) }
                }
                ErrorKind::UnexpectedEof => broken("the connection was closed before the end".into()),
                _ => broken(e.to_string()),
            },
            Error::Protocol(e) => broken(format!("not an answer in HTTP: {e}")),
            other => broken(other.to_string()),
        }
    }

    fn silent(&self) -> String {
        format!("nothing came for {} s", self.limits.silence.as_secs_f64())
    }

    fn tls(&self, url: &str, reason: &str) -> FetchError {
        let reason = if !self.has_roots {
            "this computer has no certificates of authorities; install them with: sudo apt install ca-certificates"
                .into()
        } else if reason.contains("Expired") || reason.contains("NotValidYet") || reason.contains("not valid yet") {
            format!("{reason}; is this computer's clock right? (date)")
        } else if reason.contains("UnknownIssuer") || reason.contains("UnsupportedSignatureAlgorithm") {
            "its certificate is of no authority that this computer knows (one of your own goes to \
             /usr/local/share/ca-certificates, then: sudo update-ca-certificates)"
                .into()
        } else if reason.contains("corrupt message") || reason.contains("InvalidContentType") {
            format!("{reason}; does the server speak https at all?")
        } else {
            reason.to_string()
        };
        FetchError::Tls { url: url.into(), reason }
    }
}

/// The host of an address, for messages.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_string()
}
