//! The broker, tried as the daemon would use it.

use std::path::Path;
use std::time::Duration;

use super::Level;
use super::machine::Machine;
use crate::config::Config;
use crate::credentials::{KEPT, Kept, as_the_service};
use crate::frame::status::HomeAssistant;
use crate::publish;
use crate::publish::mqtt::attempt::{Attempt, attempt};
use crate::publish::requests::{Effect, Requests, Verb};
use crate::runtime::status::Status;

/// Longest time of the whole test.
const LIMIT: Duration = Duration::from_secs(8);

/// Facts about the broker.
#[derive(Clone, Debug, PartialEq)]
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
    /// The connection is encrypted.
    pub tls: bool,
    /// State of the connection, as the daemon that runs here tells it.
    pub connected: Option<bool>,
    /// The requests that everyone may make who may publish there, but for those that change nothing.
    pub requests: Vec<&'static str>,
    /// Discovery by Home Assistant, as the daemon that runs here tells it.
    pub home_assistant: HomeAssistant,
    /// Topics of the discovery: the message, and Home Assistant's birth.
    pub discovery: [String; 2],
    /// Result of the attempt.
    pub outcome: Outcome,
}

/// Result of an attempt.
#[derive(Clone, Debug, PartialEq)]
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
    let discovery = [mqtt.home_assistant.topic(&node), mqtt.home_assistant.birth_topic()];
    Facts {
        address: format!("{}:{}", mqtt.host, mqtt.port),
        host: mqtt.host,
        node,
        prefix: mqtt.prefix,
        username: mqtt.username,
        tls: mqtt.tls.is_some(),
        connected: status.and_then(|s| s.connected),
        requests: changing(&config.mqtt.requests),
        home_assistant: status.map(|s| s.home_assistant).unwrap_or_default(),
        discovery,
        outcome,
    }
}

/// Names of the permitted requests that change something.
fn changing(requests: &Requests) -> Vec<&'static str> {
    let changes = |verb: &Verb| verb.entry().effect != Effect::Read;
    requests.permitted().into_iter().filter(changes).map(Verb::name).collect()
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

/// A finding about the broker.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// Result of the attempt; `told`: the configuration was already found wrong about it.
    Attempt { facts: Facts, told: bool },
    /// The daemon that runs here is not connected, although the broker lets us in.
    DaemonAway,
    /// Discovery by Home Assistant is wanted; `topics` are those of the message and of Home Assistant's birth.
    Discovery { standing: HomeAssistant, topics: [String; 2] },
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::DaemonAway => Level::Warning,
            Finding::Discovery { standing, .. } => match (standing.published, standing.seen) {
                (true, true) => Level::Ok,
                (true, false) => Level::Note,
                (false, _) => Level::Warning,
            },
            Finding::Attempt { facts, told } => match facts.outcome {
                Outcome::NotTried | Outcome::Secret(_) => Level::Unknown,
                Outcome::Embedded => Level::Note,
                Outcome::Unusable(_) if *told => Level::Unknown,
                Outcome::Tried(Attempt::Works { .. }) => Level::Ok,
                Outcome::Unusable(_) | Outcome::Tried(_) => Level::Trouble,
            },
        }
    }
}

/// The findings that the facts give. `told`: the configuration was already found wrong about the broker.
pub fn judge(facts: Facts, told: bool) -> Vec<Finding> {
    let works = matches!(facts.outcome, Outcome::Tried(Attempt::Works { .. }));
    let away = works && facts.connected == Some(false);
    let tells = works && facts.connected == Some(true) && facts.home_assistant.enabled;
    let discovery = || Finding::Discovery { standing: facts.home_assistant, topics: facts.discovery.clone() };
    let discovery = tells.then(discovery);
    let attempt = Finding::Attempt { facts, told };
    [Some(attempt), away.then_some(Finding::DaemonAway), discovery].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::mqtt::link::{Failure as Trouble, FailureKind as Kind};

    fn facts(connected: Option<bool>, home_assistant: HomeAssistant, outcome: Outcome) -> Facts {
        Facts {
            address: "ha:1883".into(),
            host: "ha".into(),
            node: "attic".into(),
            prefix: "leptond".into(),
            username: String::new(),
            tls: false,
            connected,
            requests: Vec::new(),
            home_assistant,
            discovery: Default::default(),
            outcome,
        }
    }

    #[test]
    fn each_outcome_has_its_level() {
        let works = Outcome::Tried(Attempt::Works { connect_ms: 12.0, published: false });
        let failed = Outcome::Tried(Attempt::Failed(Trouble::new(Kind::Refused, "x")));
        for (outcome, connected, told, expected) in [
            (works.clone(), None, false, &[Level::Ok][..]),
            (works.clone(), Some(true), false, &[Level::Ok]),
            (works, Some(false), false, &[Level::Ok, Level::Warning]),
            (failed, Some(false), false, &[Level::Trouble]),
            (Outcome::Tried(Attempt::RequestsDenied { filter: "f".into() }), None, false, &[Level::Trouble]),
            (Outcome::Tried(Attempt::NotReturned { topic: "t".into() }), None, false, &[Level::Trouble]),
            (Outcome::Embedded, None, false, &[Level::Note]),
            (Outcome::NotTried, None, false, &[Level::Unknown]),
            (Outcome::Secret("/f".into()), None, false, &[Level::Unknown]),
            (Outcome::Unusable("gone".into()), None, false, &[Level::Trouble]),
            (Outcome::Unusable("gone".into()), None, true, &[Level::Unknown]),
        ] {
            let facts = facts(connected, HomeAssistant::default(), outcome);
            let findings = judge(facts, told);
            let levels: Vec<Level> = findings.iter().map(Finding::level).collect();
            assert_eq!(levels, expected, "{findings:?}");
        }
    }

    #[test]
    fn discovery_is_told_of_where_it_is_wanted() {
        for (enabled, published, seen, expected) in [
            (false, false, false, &[Level::Ok][..]),
            (true, false, false, &[Level::Ok, Level::Warning]),
            (true, true, false, &[Level::Ok, Level::Note]),
            (true, true, true, &[Level::Ok, Level::Ok]),
        ] {
            let works = Outcome::Tried(Attempt::Works { connect_ms: 1.0, published: true });
            let facts = facts(Some(true), HomeAssistant { enabled, published, seen }, works);
            let levels: Vec<Level> = judge(facts, false).iter().map(Finding::level).collect();
            assert_eq!(levels, expected);
        }
    }
}
