//! Classification of connection failures, the back-off after them, and their log messages. Pure: errors and times in, decisions
//! out.
//!
//! ```text
//!            ┌────────────── back-off, growing ◀──────────────┐
//!            ▼                                                │
//!  start ─▶ connecting ──ConnAck──▶ connected ──lost──▶ lived under 10 s ?
//!            ▲    │ failed: back-off, growing                 │ no
//!            └────┴───────────── back-off, first step ◀───────┘
//! ```

use std::io;
use std::time::{Duration, Instant};

use super::wire::WireError;

/// First and longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Lifetime of a good connection.
const GOOD: Duration = Duration::from_secs(10);
/// Time until the same failure is logged again; any kind of failure is logged at most once per [`QUIET`].
const REMIND: Duration = Duration::from_secs(600);
const QUIET: Duration = Duration::from_secs(60);

/// Kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The broker's name could not be resolved.
    Name,
    /// Nothing listens at the address.
    Refused,
    /// No route to the broker, or no answer.
    Unreachable,
    /// TLS failed.
    Tls(TlsFailure),
    /// User name or password is wrong.
    Credentials,
    /// The broker refuses the client id.
    ClientId,
    /// The broker refuses the connection for another reason.
    Rejected,
    /// The broker, or a device in between, closed the connection.
    Closed,
    /// The connection broke: the network, or a broker that closed it in the middle of a message.
    Reset,
    /// The broker does not answer any more.
    Silent,
    /// Another client connected with this client id, and the broker says so (MQTT 5).
    TakenOver,
    /// The broker does not speak this version of MQTT.
    Version,
    /// The other side makes no WebSocket of the connection.
    WebSocket,
    /// The other side does not follow MQTT.
    Protocol,
}

/// Cause of a TLS failure; each has a remedy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// The broker's certificate has expired, by this computer's clock.
    Expired,
    /// The broker's certificate is not valid yet, by this computer's clock.
    NotYetValid,
    /// The broker's certificate is for another name.
    NameMismatch,
    /// The configured authority did not sign the broker's certificate.
    Untrusted,
    /// The port speaks plain MQTT.
    PlainPort,
    /// The port speaks TLS, and the connection is configured without.
    TlsPort,
    /// Any other cause.
    Other,
}

/// A failed attempt, or the end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// Message for people.
    pub words: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Failure { kind, words: words.into() }
    }

    /// Classifies the end of an attempt or a connection as `client_id`.
    pub fn of(failure: &WireError, client_id: &str) -> Self {
        match failure {
            WireError::Name(e) => Failure::new(FailureKind::Name, format!("the broker's name cannot be resolved: {e}")),
            WireError::Connect(e) => Self::of_connect(e),
            WireError::Tls(e) => {
                let (cause, words) = tls_failure(e);
                Failure::new(FailureKind::Tls(cause), format!("TLS failed: {words}"))
            }
            WireError::NoAnswer => Failure::new(FailureKind::Unreachable, "no answer"),
            WireError::Silent => Failure::new(FailureKind::Silent, "the broker stopped answering"),
            WireError::NotTaken => Failure::new(FailureKind::Silent, "the broker takes no more data"),
            WireError::WebSocket(what) => {
                Failure::new(FailureKind::WebSocket, format!("the other side speaks no MQTT over WebSocket: {what}"))
            }
            WireError::Refused { code, reason } => Self::of_code(*code, reason.as_deref(), client_id),
            WireError::Disconnected { code, reason } => Self::of_disconnect(*code, reason.as_deref(), client_id),
            WireError::Closed => Failure::new(FailureKind::Closed, "the broker closed the connection"),
            WireError::Broken(e) => Failure::new(FailureKind::Reset, format!("the connection broke: {e}")),
            WireError::Protocol(what) => {
                Failure::new(FailureKind::Protocol, format!("the other side does not follow MQTT: {what}"))
            }
        }
    }

    /// `true` when a retry may succeed.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self.kind,
            FailureKind::Tls(_)
                | FailureKind::Credentials
                | FailureKind::ClientId
                | FailureKind::Version
                | FailureKind::WebSocket
                | FailureKind::Protocol
        )
    }

    /// Codes of CONNACK (MQTT 3.1.1, section 3.2.2.3; MQTT 5, section 3.2.2.2).
    fn of_code(code: u8, reason: Option<&str>, client_id: &str) -> Self {
        let (kind, words) = match code {
            1 => (FailureKind::Version, "the broker does not speak this version of MQTT".into()),
            0x84 => (FailureKind::Version, "the broker does not speak MQTT 5".into()),
            2 | 0x85 => {
                let words = format!(
                    "the broker does not accept the client id {client_id:?} ({} characters): set mqtt.client_id, or a shorter \
                     node.name (brokers have to take up to 23 letters and digits)",
                    client_id.chars().count()
                );
                (FailureKind::ClientId, words)
            }
            3 | 0x88 | 0x89 => (FailureKind::Rejected, "the broker is not ready to serve".into()),
            4 | 0x86 => (FailureKind::Credentials, "the broker does not accept this user name and password".into()),
            5 | 0x87 => {
                (FailureKind::Credentials, "the broker refuses access: user name or password wrong or missing".into())
            }
            0x8a => (FailureKind::Rejected, "the broker has banned this client".into()),
            0x9f => (FailureKind::Rejected, "the broker takes no more connections in this time".into()),
            _ => (FailureKind::Rejected, "the broker refuses the connection".into()),
        };
        let says = reason.map(|reason| format!("; it says {reason:?}")).unwrap_or_default();
        Failure::new(kind, format!("{words} ({} {code}){says}", if code < 128 { "return code" } else { "reason code" }))
    }

    /// Reason codes of DISCONNECT (MQTT 5, section 3.14.2.1).
    fn of_disconnect(code: u8, reason: Option<&str>, client_id: &str) -> Self {
        let (kind, words) = match code {
            0x8e => (
                FailureKind::TakenOver,
                format!(
                    "another client connected with the client id {client_id:?} (two nodes of one name? set node.name or \
                     mqtt.client_id)"
                ),
            ),
            0x8b => (FailureKind::Closed, "the broker shuts down".into()),
            0x95 => (FailureKind::Closed, "the broker closed the connection: a message was too large for it".into()),
            0x87 => (FailureKind::Closed, "the broker closed the connection: not allowed".into()),
            0x8d => (FailureKind::Closed, "the broker closed the connection: it heard nothing for too long".into()),
            _ => (FailureKind::Closed, "the broker closed the connection".into()),
        };
        let says = reason.map(|reason| format!("; it says {reason:?}")).unwrap_or_default();
        Failure::new(kind, format!("{words} (reason code {code}){says}"))
    }

    fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                Failure::new(FailureKind::Refused, "connection refused: no broker listens there")
            }
            _ => Failure::new(FailureKind::Unreachable, error.to_string()),
        }
    }
}

/// Log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Recovered, nothing lost so far.
    Warn,
    /// A person is needed.
    Error,
}

/// End of an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Lifetime.
    pub lived: Duration,
    /// Something was acknowledged, and nothing was in flight.
    pub idle: bool,
}

/// Reaction to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Wait before the next attempt.
    pub pause: Duration,
    /// Log message, unless it was logged lately.
    pub tell: Option<(Severity, String)>,
}

/// History of the connection.
#[derive(Debug)]
pub struct Link {
    client_id: String,
    random: u64,
    /// Failures since the last good connection.
    failures: u32,
    /// Connections in a row that were closed by the broker within [`GOOD`] without a message in flight.
    kicked: u32,
    last: Option<FailureKind>,
    /// Time of the last log message of each kind.
    told: Vec<(FailureKind, Instant)>,
    told_takeover: Option<Instant>,
}

impl Link {
    /// `seed` spreads the attempts of several nodes in time.
    pub fn new(client_id: &str, seed: u64) -> Self {
        Link {
            client_id: client_id.into(),
            random: seed | 1,
            failures: 0,
            kicked: 0,
            last: None,
            told: Vec::new(),
            told_takeover: None,
        }
    }

    /// Sets the client id.
    pub fn rename(&mut self, client_id: &str) {
        self.client_id = client_id.into();
    }

    /// Notes a failed attempt or the end of a connection.
    pub fn failed(&mut self, failure: &Failure, ended: Option<Ended>, now: Instant) -> Retry {
        let short = ended.is_some_and(|ended| ended.lived < GOOD);
        if let Some(ended) = ended {
            // For another client with our id, the broker closes an idle connection. A connection that breaks is the network's
            // fault; one closed with a message in flight may be closed because of the message.
            match (short, failure.kind) {
                (_, FailureKind::TakenOver) => self.kicked = 0,
                (true, FailureKind::Closed) if ended.idle => self.kicked += 1,
                (true, FailureKind::Closed) => {}
                _ => self.kicked = 0,
            }
            if !short {
                self.failures = 0;
            }
        }
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        Retry { pause, tell: self.tell(failure, now) }
    }

    fn tell(&mut self, failure: &Failure, now: Instant) -> Option<(Severity, String)> {
        let due = |at: Option<Instant>, after| at.is_none_or(|at| now.saturating_duration_since(at) >= after);
        if self.kicked >= 2 && due(self.told_takeover, REMIND) {
            self.told_takeover = Some(now);
            let id = &self.client_id;
            let words = format!(
                "the broker accepted the connection, acknowledged what was sent and closed it within {} s, {} times in a row: \
                 most likely another client uses the client id {id:?} (two nodes of one name? set node.name or \
                 mqtt.client_id)",
                GOOD.as_secs(),
                self.kicked
            );
            return Some((Severity::Error, words));
        }
        if failure.kind == FailureKind::TakenOver {
            let told = due(self.told_takeover, REMIND);
            self.told_takeover = Some(now).filter(|_| told).or(self.told_takeover);
            return told.then(|| (Severity::Error, failure.words.clone()));
        }
        let same = self.last == Some(failure.kind);
        self.last = Some(failure.kind);
        let at = self.told.iter().find(|(kind, _)| *kind == failure.kind).map(|(_, at)| *at);
        if !due(at, if same { REMIND } else { QUIET }) {
            return None;
        }
        self.told.retain(|(kind, _)| *kind != failure.kind);
        self.told.push((failure.kind, now));
        Some((Severity::Warn, failure.words.clone()))
    }

    /// Doubles with each failure up to the longest pause; a random factor between one half and one spreads the attempts.
    fn pause(&mut self) -> Duration {
        let (first, longest) = PAUSE;
        let full = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        // xorshift64 (Marsaglia 2003): sufficient to spread nodes in time.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = 0.5 + (self.random % 1000) as f64 / 2000.0;
        full.mul_f64(share)
    }
}

/// Cause and message of a TLS failure.
fn tls_failure(error: &io::Error) -> (TlsFailure, String) {
    // rustls hands its own errors through as I/O errors.
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_failure(why),
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            (TlsFailure::PlainPort, "no TLS there: the answer is not encrypted".into())
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            (TlsFailure::Other, format!("the broker refuses it: {alert:?} (its log says more)"))
        }
        _ => (TlsFailure::Other, error.to_string()),
    }
}

fn certificate_failure(why: &rustls::CertificateError) -> (TlsFailure, String) {
    use rustls::CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => {
            (TlsFailure::Expired, "the broker's certificate has expired, by this computer's clock".into())
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            (TlsFailure::NotYetValid, "the broker's certificate is not valid yet, by this computer's clock".into())
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            (TlsFailure::NameMismatch, format!("the broker's certificate is for another name than mqtt.host: {why}"))
        }
        E::UnknownIssuer | E::BadSignature => (
            TlsFailure::Untrusted,
            "the broker's certificate is not trusted: no known authority signed it (mqtt.tls.ca_file, or the system's)"
                .into(),
        ),
        other => (TlsFailure::Other, format!("the broker's certificate is not accepted: {other}")),
    }
}

#[cfg(test)]
mod tests;
