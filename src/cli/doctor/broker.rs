//! Words about the broker.

use super::shown::Shown;
use crate::diagnose::Level;
use crate::diagnose::broker::{Facts, Finding, Outcome};
use crate::frame::status::HomeAssistant;
use crate::publish::mqtt::attempt::Attempt;
use crate::publish::mqtt::link::{Failure as Trouble, FailureKind as Kind, TlsFailure};

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let (facts, told) = match finding {
        Finding::Attempt { facts, told } => (facts, told),
        Finding::DaemonAway => {
            let text = "the leptond that runs here is not connected, although the broker lets us in";
            return Shown::new(finding.level(), "connection", text).command("journalctl -u leptond -n 30 --no-pager");
        }
        Finding::Discovery { standing, topics } => return discovery(finding.level(), *standing, topics),
    };
    let shown = |text: String| Shown::new(finding.level(), "broker", text);
    let Facts { address, node, prefix, username, .. } = facts;
    let who = if username.is_empty() { "without a user name".into() } else { format!("as {username:?}") };
    let access = if username.is_empty() { String::new() } else { format!("user {username}, ") };
    let acl = |topic: &str| {
        format!(
            "in the broker's access list ({access}mosquitto: acl_file), allow: topic {topic} — then restart the broker"
        )
    };
    match &facts.outcome {
        Outcome::NotTried => shown(format!("{address} is not tried from another machine")),
        Outcome::Embedded => shown(format!("inside leptond at {address}; it is there while leptond runs")),
        Outcome::Secret(file) => {
            shown(format!("{address}: the password in {file} is for root")).command("sudo leptond doctor")
        }
        Outcome::Unusable(_) if *told => shown(format!("{address} can be tried when the configuration is mended")),
        Outcome::Unusable(reason) => shown(reason.clone()).command("leptond check"),
        Outcome::Tried(Attempt::Works { connect_ms, published }) => {
            let text = format!("{address} lets us in {who}, after {connect_ms:.1} ms{}", everyone(facts));
            if *published {
                shown(format!("{text}; a message came back"))
            } else {
                shown(format!("{text}; whether it takes messages cannot be seen (it refuses to send us any)"))
            }
        }
        Outcome::Tried(Attempt::RequestsDenied { filter }) => {
            let text =
                format!("{address} lets us in {who}, but refuses the subscription to {filter}: requests are not heard");
            shown(text).advice(acl(&format!("read {filter}")))
        }
        Outcome::Tried(Attempt::NotReturned { topic }) => {
            let text = format!(
                "{address} lets us in {who}, but a message on {topic} did not come back: its access list forbids to publish \
                 or to read below {prefix}/{node}"
            );
            shown(text).advice(acl(&format!("readwrite {prefix}/{node}/#")))
        }
        Outcome::Tried(Attempt::Failed(trouble)) => failed(facts, trouble),
    }
}

/// Consequence of a broker without passwords for the requests that are permitted.
fn everyone(facts: &Facts) -> String {
    if !facts.username.is_empty() || facts.requests.is_empty() {
        return String::new();
    }
    let requests = facts.requests.join(", ");
    format!("; so it does everyone who reaches it, who may then ask this node for {requests} (mqtt.requests)")
}

fn discovery(level: Level, standing: HomeAssistant, [message, birth]: &[String; 2]) -> Shown {
    let shown = |text: String| Shown::new(level, "Home Assistant", text);
    match (standing.published, standing.seen) {
        (true, true) => shown(format!("is there, and the broker has the discovery message ({message})")),
        (true, false) => shown(format!(
            "the broker has the discovery message ({message}); Home Assistant has not said that it is there since leptond started \
             ({birth})"
        )),
        (false, _) => shown(format!("the discovery message on {message} did not come back from the broker")).advice(format!(
            "in the broker's access list (mosquitto: acl_file), allow: topic readwrite {message} and topic read {birth}; or set \
             mqtt.home_assistant.enabled = false"
        )),
    }
}

fn failed(facts: &Facts, trouble: &Trouble) -> Shown {
    let Facts { address, host, username, tls, .. } = facts;
    let local = ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
    let finding = Shown::new(Level::Trouble, "broker", format!("{address}: {}", trouble.words));
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
        Kind::Version => finding.advice("set mqtt.protocol = \"auto\""),
        Kind::TakenOver => finding.advice("set mqtt.client_id, or node.name where two nodes have one name"),
        Kind::WebSocket => finding.advice("is this a port for WebSocket? mqtt.port, mqtt.path, mqtt.transport"),
        Kind::Protocol => finding.advice("another program listens there: mqtt.host and mqtt.port"),
    }
}

fn tls_trouble(finding: Shown, facts: &Facts, cause: TlsFailure) -> Shown {
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
            .advice("mqtt.tls.ca_file has to hold the authority that signed the broker's certificate, where the system's do not")
            .command(show),
        TlsFailure::Other => finding.command(show),
    }
}
