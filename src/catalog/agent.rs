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
        if let Some(error) = rustls_error(error) {
            return self.tls(url, tls_reason(error));
        }
        match error {
            Error::Http(e) => FetchError::Address { url: at(), reason: e.to_string() },
            Error::BadUri(reason) => FetchError::Address { url: at(), reason: reason.clone() },
            Error::HostNotFound => FetchError::Name { url: at(), host: host(url) },
            Error::Timeout(_) => broken(self.silent()),
            Error::Tls(reason) => self.tls(url, (*reason).to_string()),
            Error::TooManyRedirects | Error::RedirectFailed => {
                FetchError::Answer { url: at(), reason: "it is redirected too often".into() }
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

    fn tls(&self, url: &str, reason: String) -> FetchError {
        let no_roots = "this computer has no root certificates; install them with: sudo apt install ca-certificates";
        FetchError::Tls { url: url.into(), reason: if self.has_roots { reason } else { no_roots.into() } }
    }
}

/// The rustls error of a failed request; certificate and handshake errors are wrapped in an I/O error.
fn rustls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    }
}

/// Cause of a TLS failure, with its remedy where there is one.
fn tls_reason(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => format!("{error}; is this computer's clock right? (date)"),
        rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer
            | Certificate::UnsupportedSignatureAlgorithmContext { .. }
            | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => "its certificate is of no authority that this computer knows (one of your own goes to \
              /usr/local/share/ca-certificates, then: sudo update-ca-certificates)"
            .into(),
        rustls::Error::InvalidMessage(_) => format!("{error}; does the server speak https at all?"),
        other => other.to_string(),
    }
}

/// The host of an address, for messages.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::{CertificateError, InvalidMessage};

    use super::*;

    #[test]
    fn each_tls_failure_names_its_remedy() {
        let limits = Limits { silence: Duration::from_secs(1), retries: 0, total: Duration::from_secs(1) };
        let server = Server { has_roots: true, ..Server::new(limits) };
        let cases = [
            (rustls::Error::InvalidCertificate(CertificateError::Expired), "clock"),
            (rustls::Error::InvalidCertificate(CertificateError::NotValidYet), "clock"),
            (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer), "update-ca-certificates"),
            (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), "https"),
        ];
        for (error, word) in cases {
            for wrapped in [Error::Rustls(error.clone()), Error::Io(std::io::Error::other(error.clone()))] {
                let fault = server.fault("https://h/m", &wrapped);
                let FetchError::Tls { reason, .. } = &fault else { panic!("{fault}") };
                assert!(reason.contains(word), "{word:?} is missing in: {reason}");
            }
        }
        let bare = Server { has_roots: false, ..server };
        let fault = bare.fault("https://h/m", &Error::Tls("no"));
        assert!(fault.to_string().contains("apt install ca-certificates"), "{fault}");
    }
}
