//! What went wrong with the connection, when to try again and what to tell. Pure: errors and times in, decisions out.
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

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, mqttbytes};

/// First and longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A connection that lived this long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// The same trouble is told again after this time, and no kind of trouble more often than [`QUIET`].
const REMIND: Duration = Duration::from_secs(600);
const QUIET: Duration = Duration::from_secs(60);

/// Kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The broker's name could not be resolved.
    Name,
    /// Nothing listens there.
    Refused,
    /// No way to it, or no answer.
    Unreachable,
    /// TLS failed.
    Tls,
    /// User name or password.
    Credentials,
    /// The broker does not let us in for another reason.
    Rejected,
    /// The broker, or something between, closed the connection.
    Closed,
    /// The broker stopped answering.
    Silent,
    /// A message that came in is larger than `max_packet_bytes`.
    Oversize,
    /// What was received is not MQTT 3.1.1.
    Protocol,
}

/// Why an attempt or a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its kind.
    pub kind: Kind,
    /// For people.
    pub words: String,
}

impl Trouble {
    /// Trouble of a kind.
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Trouble { kind, words: words.into() }
    }

    /// What an error of the client library means.
    pub fn of(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::Io(e) => Self::of_io(e),
            ConnectionError::Tls(e) => Trouble::new(Kind::Tls, format!("TLS failed: {}", tls_words(e))),
            ConnectionError::NetworkTimeout => Trouble::new(Kind::Unreachable, "no answer"),
            ConnectionError::FlushTimeout => Trouble::new(Kind::Silent, "the broker takes no more data"),
            ConnectionError::ConnectionRefused(code) => Self::of_code(*code),
            ConnectionError::MqttState(e) => Self::of_state(e),
            other => Trouble::new(Kind::Protocol, format!("the other side does not speak MQTT 3.1.1: {other}")),
        }
    }

    fn of_code(code: ConnectReturnCode) -> Self {
        match code {
            ConnectReturnCode::BadUserNamePassword => {
                Trouble::new(Kind::Credentials, "the broker does not accept this user name and password")
            }
            ConnectReturnCode::NotAuthorized => {
                Trouble::new(Kind::Credentials, "the broker does not let us in: user name or password wrong or missing")
            }
            ConnectReturnCode::BadClientId => Trouble::new(Kind::Rejected, "the broker does not accept the client id"),
            ConnectReturnCode::ServiceUnavailable => Trouble::new(Kind::Rejected, "the broker is not ready to serve"),
            other => Trouble::new(Kind::Rejected, format!("the broker rejects the connection: {other:?}")),
        }
    }

    fn of_state(error: &StateError) -> Self {
        match error {
            StateError::ConnectionAborted => Trouble::new(Kind::Closed, "the broker closed the connection"),
            StateError::AwaitPingResp => Trouble::new(Kind::Silent, "the broker stopped answering"),
            StateError::Io(e) | StateError::Deserialization(mqttbytes::Error::Io(e)) => Self::of_io(e),
            StateError::Deserialization(mqttbytes::Error::PayloadSizeLimitExceeded(bytes)) => {
                Trouble::new(Kind::Oversize, format!("a message of {bytes} bytes came in, over max_packet_bytes"))
            }
            other => Trouble::new(Kind::Protocol, format!("the other side does not follow MQTT 3.1.1: {other}")),
        }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as E;
        let words = error.to_string();
        match error.kind() {
            E::ConnectionRefused => Trouble::new(Kind::Refused, "connection refused: no broker listens there"),
            E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::UnexpectedEof => {
                Trouble::new(Kind::Closed, "the connection was closed by the other side")
            }
            E::HostUnreachable | E::NetworkUnreachable | E::TimedOut | E::NetworkDown => {
                Trouble::new(Kind::Unreachable, words)
            }
            _ if words.contains("lookup address") || words.contains("resolve") => {
                Trouble::new(Kind::Name, format!("the broker's name cannot be resolved: {words}"))
            }
            _ => Trouble::new(Kind::Unreachable, words),
        }
    }
}

/// How loud something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Recovered by itself, nothing lost so far.
    Warn,
    /// A person is needed.
    Error,
}

/// What to do after trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How long to wait before the next attempt.
    pub pause: Duration,
    /// What to log, unless it was told lately.
    pub tell: Option<(Volume, String)>,
}

/// Remembers how the connection has been doing.
#[derive(Debug)]
pub struct Link {
    client_id: String,
    random: u64,
    /// Failures since the last good connection.
    failures: u32,
    /// Good connections cut off by the broker within [`GOOD`], in a row.
    kicked: u32,
    last: Option<Kind>,
    /// When each kind was told last.
    told: Vec<(Kind, Instant)>,
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

    /// An attempt failed (`lived` is `None`) or a connection ended after it had lived that long.
    pub fn failed(&mut self, trouble: &Trouble, lived: Option<Duration>, now: Instant) -> Verdict {
        let short = lived.is_some_and(|l| l < GOOD);
        if lived.is_some() {
            self.kicked = if short && trouble.kind == Kind::Closed { self.kicked + 1 } else { 0 };
        }
        if lived.is_some() && !short {
            self.failures = 0;
        }
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        Verdict { pause, tell: self.tell(trouble, now) }
    }

    fn tell(&mut self, trouble: &Trouble, now: Instant) -> Option<(Volume, String)> {
        let due = |at: Option<Instant>, after| at.is_none_or(|at| now.saturating_duration_since(at) >= after);
        if self.kicked >= 2 && due(self.told_takeover, REMIND) {
            self.told_takeover = Some(now);
            let id = &self.client_id;
            let words = format!(
                "the broker accepted the connection and closed it within {} s, {} times in a row: most likely another \
                 client uses the client id {id:?} (two nodes of one name?), else the broker does not accept what is sent",
                GOOD.as_secs(),
                self.kicked
            );
            return Some((Volume::Error, words));
        }
        let same = self.last == Some(trouble.kind);
        self.last = Some(trouble.kind);
        let at = self.told.iter().find(|(kind, _)| *kind == trouble.kind).map(|(_, at)| *at);
        if !due(at, if same { REMIND } else { QUIET }) {
            return None;
        }
        self.told.retain(|(kind, _)| *kind != trouble.kind);
        self.told.push((trouble.kind, now));
        let volume = match trouble.kind {
            Kind::Oversize => Volume::Error,
            _ => Volume::Warn,
        };
        Some((volume, trouble.words.clone()))
    }

    /// Doubles with each failure up to the longest pause; of that a random share between one half and the whole.
    fn pause(&mut self) -> Duration {
        let (first, longest) = PAUSE;
        let full = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        // xorshift64 (Marsaglia 2003): enough to keep nodes apart.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = 0.5 + (self.random % 1000) as f64 / 2000.0;
        full.mul_f64(share)
    }
}

/// For people, with a word that says which remedy it is: expired, not valid yet, another name, not trusted, no TLS there.
fn tls_words(error: &rumqttc::TlsError) -> String {
    // rustls hands its own errors through as I/O errors; their text is the useful part.
    let rumqttc::TlsError::Io(e) = error else { return error.to_string() };
    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_words(why),
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            "no TLS there: what answers is not encrypted".into()
        }
        Some(rustls::Error::AlertReceived(alert)) => format!("the broker refuses it: {alert:?} (its log says more)"),
        _ => e.to_string(),
    }
}

fn certificate_words(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => {
            "the broker's certificate has expired, by this computer's clock".into()
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet, by this computer's clock".into()
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("the broker's certificate is for another name than mqtt.host: {why}")
        }
        E::UnknownIssuer | E::BadSignature => {
            "the broker's certificate is not trusted: the authority in mqtt.tls.ca_file did not sign it".into()
        }
        other => format!("the broker's certificate is not accepted: {other}"),
    }
}

#[cfg(test)]
mod tests;
