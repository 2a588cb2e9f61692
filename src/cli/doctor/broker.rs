//! The broker, tried as the daemon would use it.

use std::path::Path;
use std::time::Duration;

use super::super::setup::password::{KEPT, Kept, as_the_service};
use super::finding::Finding;
use super::machine::Machine;
use crate::config::Config;
use crate::publish;
use crate::publish::mqtt::attempt::{Attempt, attempt};
use crate::publish::mqtt::link::{Failure as Trouble, FailureKind as Kind, TlsFailure};
use crate::runtime::status::Status;

/// How long the whole test may take.
const LIMIT: Duration = Duration::from_secs(8);

/// What is known of the broker.
pub struct Facts {
    /// `host:port`.
    pub address: String,
    /// Its host.
    pub host: String,
    /// Name of this computer in topics.
    pub node: String,
    /// First level of every topic.
    pub prefix: String,
    /// User name; empty = none.
    pub username: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether the daemon that runs here says that it is connected.
    pub connected: Option<bool>,
    /// What came of the attempt.
    pub outcome: Outcome,
}

/// What came of it.
pub enum Outcome {
    /// It was tried.
    Tried(Attempt),
    /// A file or setting cannot be used.
    Unusable(String),
    /// The password is for root only.
    Secret(String),
    /// It lives in a daemon that does not run.
    Embedded,
    /// Of another machine.
    NotTried,
}

/// Tries it. `status` is of the daemon that runs here, and with it its embedded broker.
pub fn gather(machine: &Machine, config: &Config, of_service: bool, status: Option<&Status>) -> Facts {
    let mut mqtt = config.mqtt.clone();
    if config.broker.enabled
        && let Some((host, port)) = config.broker.listen.rsplit_once(':')
    {
        mqtt.host = host.trim_matches(['[', ']']).replace("0.0.0.0", "127.0.0.1");
        mqtt.port = port.parse().unwrap_or(mqtt.port);
        mqtt.tls = None;
    }
    let node = config.node.name_or_default(machine.root().unwrap_or(Path::new("/"))).to_string();
    let outcome = if !machine.is_here() {
        Outcome::NotTried
    } else if config.broker.enabled && status.is_none() {
        Outcome::Embedded
    } else {
        try_it(&mut mqtt, &node, of_service)
    };
    Facts {
        address: format!("{}:{}", mqtt.host, mqtt.port),
        host: mqtt.host,
        node,
        prefix: mqtt.prefix,
        username: mqtt.username,
        tls: mqtt.tls.is_some(),
        connected: status.and_then(|s| s.connected),
        outcome,
    }
}

fn try_it(mqtt: &mut publish::Config, node: &str, of_service: bool) -> Outcome {
    if as_the_service(mqtt, of_service, Path::new(KEPT)) == Kept::Denied {
        return Outcome::Secret(KEPT.into());
    }
    match attempt(mqtt, node, LIMIT) {
        Ok(attempt) => Outcome::Tried(attempt),
        Err(error) => Outcome::Unusable(error.to_string()),
    }
}

/// What to make of it. `told`: the configuration was already found wrong about it.
pub fn judge(facts: &Facts, told: bool) -> Vec<Finding> {
    let Facts { address, node, prefix, username, .. } = facts;
    let what = "broker";
    let who = if username.is_empty() { "without a user name".into() } else { format!("as {username:?}") };
    let access = if username.is_empty() { String::new() } else { format!("user {username}, ") };
    let acl = |topic: &str| {
        format!(
            "in the broker's access list ({access}mosquitto: acl_file), allow: topic {topic} — then restart the broker"
        )
    };
    let finding = match &facts.outcome {
        Outcome::NotTried => Finding::unknown(what, format!("{address} is not tried from another machine")),
        Outcome::Embedded => {
            Finding::note(what, format!("inside leptond at {address}; it is there while leptond runs"))
        }
        Outcome::Secret(file) => Finding::unknown(what, format!("{address}: the password in {file} is for root"))
            .command("sudo leptond doctor"),
        Outcome::Unusable(_) if told => {
            Finding::unknown(what, format!("{address} can be tried when the configuration is mended"))
        }
        Outcome::Unusable(reason) => Finding::trouble(what, reason).command("leptond check"),
        Outcome::Tried(Attempt::Works { connect_ms, published }) => {
            let text = format!("{address} lets us in {who}, after {connect_ms:.1} ms");
            if *published {
                Finding::ok(what, format!("{text}; a message came back"))
            } else {
                Finding::ok(
                    what,
                    format!("{text}; whether it takes messages cannot be seen (it refuses to send us any)"),
                )
            }
        }
        Outcome::Tried(Attempt::RequestsDenied { filter }) => {
            let text =
                format!("{address} lets us in {who}, but refuses the subscription to {filter}: requests are not heard");
            Finding::trouble(what, text).advice(acl(&format!("read {filter}")))
        }
        Outcome::Tried(Attempt::NotReturned { topic }) => {
            let text = format!(
                "{address} lets us in {who}, but a message on {topic} did not come back: its access list forbids to publish \
                 or to read below {prefix}/{node}"
            );
            Finding::trouble(what, text).advice(acl(&format!("readwrite {prefix}/{node}/#")))
        }
        Outcome::Tried(Attempt::Failed(trouble)) => failed(facts, trouble),
    };
    let works = matches!(facts.outcome, Outcome::Tried(Attempt::Works { .. }));
    let away = works && facts.connected == Some(false);
    let told = away.then(|| {
        Finding::warning("connection", "the leptond that runs here is not connected, although the broker lets us in")
            .command("journalctl -u leptond -n 30 --no-pager")
    });
    [Some(finding), told].into_iter().flatten().collect()
}

fn failed(facts: &Facts, trouble: &Trouble) -> Finding {
    let Facts { address, host, username, tls, .. } = facts;
    let local = ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
    let finding = Finding::trouble("broker", format!("{address}: {}", trouble.words));
    let elsewhere = if local { String::new() } else { format!("on {host}: ") };
    match trouble.kind {
        Kind::Name if host.ends_with(".local") => finding
            .advice("names that end in .local need mDNS on this computer; or give the address in mqtt.host")
            .command("sudo apt install avahi-daemon libnss-mdns")
            .command(format!("getent hosts {host}")),
        Kind::Name => finding.advice("is mqtt.host spelt right, is there a network?").command(format!("getent hosts {host}")),
        Kind::Refused if local => finding
            .advice("no broker runs on this computer")
            .command("sudo apt install mosquitto")
            .command("systemctl status mosquitto"),
        Kind::Refused => finding.advice(format!(
            "{elsewhere}does the broker run (systemctl status mosquitto), at this port, and not for that computer alone? \
             mosquitto 2 needs the lines \"listener 1883\" and a password_file (or allow_anonymous true)"
        )),
        Kind::Silent => finding.advice(format!(
            "{elsewhere}a broker that hangs (sudo systemctl restart mosquitto), or another program: mqtt.host and mqtt.port"
        )),
        Kind::Unreachable => {
            finding.advice("wrong address, other network, or a firewall in between").command(format!("ping -c 3 {host}"))
        }
        Kind::Credentials if username.is_empty() => {
            finding.advice("the broker wants a user name and a password").command("sudo leptond setup")
        }
        Kind::Credentials => finding
            .advice(format!("{elsewhere}a new password for mosquitto: sudo mosquitto_passwd /etc/mosquitto/passwd {username}"))
            .command("sudo leptond setup"),
        Kind::ClientId => finding.advice("set mqtt.client_id to one that the broker takes, or a shorter node.name"),
        Kind::Closed | Kind::Reset | Kind::Protocol if !tls => finding
            .advice("is this port for TLS (8883 usually is)? Then give --tls-ca FILE, or [mqtt.tls] ca_file")
            .command("sudo leptond setup"),
        Kind::Closed | Kind::Reset => finding.advice(format!("{elsewhere}the broker's log says why")).command("journalctl -u mosquitto -n 20"),
        Kind::Tls(cause) => tls_trouble(finding, facts, cause),
        Kind::Rejected => finding.advice(format!("{elsewhere}the broker's log says why: journalctl -u mosquitto -n 20")),
        Kind::Protocol => finding.advice("another program listens there: mqtt.host and mqtt.port"),
    }
}

fn tls_trouble(finding: Finding, facts: &Facts, cause: TlsFailure) -> Finding {
    let show = format!("openssl s_client -connect {} -showcerts </dev/null", facts.address);
    match cause {
        TlsFailure::TlsPort => finding
            .advice("give the authority that signed its certificate: --tls-ca FILE, or [mqtt.tls] ca_file")
            .command("sudo leptond setup"),
        TlsFailure::PlainPort => finding
            .advice("the port is a plain one: remove [mqtt.tls], or give the broker's TLS port (8883 usually is)"),
        TlsFailure::Expired => finding
            .advice("renew the broker's certificate, or set this computer's clock if it is wrong")
            .command("timedatectl"),
        TlsFailure::NotYetValid => finding
            .advice("this computer's clock is behind, or the certificate is from the future")
            .command("sudo timedatectl set-ntp true"),
        TlsFailure::NameMismatch => {
            finding.advice("mqtt.host has to be a name that is in the certificate").command(show)
        }
        TlsFailure::Untrusted => finding
            .advice("mqtt.tls.ca_file has to hold the authority that signed the broker's certificate")
            .command(show),
        TlsFailure::Other => finding.command(show),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn check(host: &str, username: &str, outcome: Outcome, level: Level, parts: &[&str]) {
        let facts = Facts {
            address: format!("{host}:1883"),
            host: host.into(),
            node: "attic".into(),
            prefix: "leptond".into(),
            username: username.into(),
            connected: None,
            tls: false,
            outcome,
        };
        let findings = judge(&facts, false);
        let shown = format!("{findings:?}");
        assert!(findings.len() == 1 && findings[0].level == level, "{shown}");
        parts.iter().for_each(|part| assert!(shown.contains(part), "{part}: {shown}"));
    }

    #[test]
    fn each_outcome_has_its_remedy() {
        let failed = |kind, words: &str| Outcome::Tried(Attempt::Failed(Trouble::new(kind, words)));
        let works = |published| Outcome::Tried(Attempt::Works { connect_ms: 12.0, published });
        check("localhost", "", works(true), Level::Ok, &["came back", "12.0 ms"]);
        check("localhost", "u", works(false), Level::Ok, &["cannot be seen", "as \\\"u\\\""]);
        check("localhost", "", failed(Kind::Refused, "x"), Level::Trouble, &["apt install mosquitto"]);
        check("nas", "", failed(Kind::Refused, "x"), Level::Trouble, &["on nas: ", "listener 1883"]);
        check("ha.local", "", failed(Kind::Name, "x"), Level::Trouble, &["libnss-mdns"]);
        check("ha", "", failed(Kind::Name, "x"), Level::Trouble, &["getent hosts ha"]);
        check("ha", "", failed(Kind::Unreachable, "x"), Level::Trouble, &["ping -c 3 ha"]);
        check("ha", "", failed(Kind::Credentials, "x"), Level::Trouble, &["wants a user name"]);
        check("ha", "pi", failed(Kind::Credentials, "x"), Level::Trouble, &["mosquitto_passwd", "passwd pi"]);
        check("ha", "", failed(Kind::Closed, "x"), Level::Trouble, &["for TLS"]);
        check("ha", "", failed(Kind::Tls(TlsFailure::Expired), "x"), Level::Trouble, &["renew"]);
        check("ha", "", failed(Kind::Tls(TlsFailure::PlainPort), "x"), Level::Trouble, &["a plain one"]);
        check("ha", "", failed(Kind::Tls(TlsFailure::TlsPort), "x"), Level::Trouble, &["--tls-ca FILE"]);
        let denied = Outcome::Tried(Attempt::RequestsDenied { filter: "leptond/attic/request/#".into() });
        check("ha", "pi", denied, Level::Trouble, &["topic read leptond/attic/request/#", "user pi"]);
        let lost = Outcome::Tried(Attempt::NotReturned { topic: "leptond/attic/try/1".into() });
        check("ha", "", lost, Level::Trouble, &["topic readwrite leptond/attic/#"]);
        check("ha", "", Outcome::Embedded, Level::Note, &["inside leptond"]);
        check("ha", "", Outcome::NotTried, Level::Unknown, &["not tried"]);
        check("ha", "", Outcome::Secret("/f".into()), Level::Unknown, &["sudo leptond doctor"]);
        check("ha", "", Outcome::Unusable("/ca.pem: gone".into()), Level::Trouble, &["/ca.pem: gone"]);
    }
}
