//! `[fleet]`.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::Group;
use crate::frame::diagnostic::{Diagnostic, quoted};

/// `[fleet]`: work for other nodes, over NATS JetStream. Without this table nothing of it runs.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Servers, `nats://HOST:PORT` or `tls://HOST:PORT`; of several any one that answers.
    pub servers: Vec<String>,
    /// Nodes of one group work for each other.
    pub group: Group,
    /// Compute for other nodes what is left over here.
    pub assist: bool,
    /// Give frames of the pipelines to other nodes, where the governor would have less work done.
    pub offload: bool,
    /// Fate of a frame for which no answer came by half the pipeline's deadline, or 500 ms without one.
    pub overdue: Overdue,
    /// Models to compute with for others, beside those of the pipelines: paths or names.
    pub models: Vec<String>,
    /// Threads for the work of others; 0 = one beside pipelines, else all cores.
    #[schemars(range(max = 64))]
    pub threads: u32,
    /// Pictures of one inference; as many are taken from the queue at once.
    #[schemars(range(min = 1, max = 64))]
    pub batch: u32,
    /// Processor time that others may have: `idle` = what this computer leaves idle, `any` = all that the governor allows.
    #[serde(rename = "use")]
    pub takes: Use,
    /// User name; empty = none.
    pub user: String,
    /// Password; prefer `password_file`.
    #[schemars(extend("writeOnly" = true))]
    pub password: String,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// File with a user's JWT and key, as `nsc` writes it.
    pub credentials_file: Option<PathBuf>,
    /// File with the seed of a user's nkey.
    pub nkey_file: Option<PathBuf>,
    /// Encryption with own certificates; absent = as the scheme of the server says, with the system's authorities.
    pub tls: Option<TlsConfig>,
    /// Largest picture or answer in bytes; no more than the server's `max_payload`.
    #[schemars(range(min = 4096, max = 67_108_864))]
    pub max_payload_bytes: usize,
    /// Time after which work of a node that is silent goes to another one, in s.
    #[schemars(range(min = 1, max = 3600))]
    pub lease_s: u32,
    /// Deliveries of one picture at most: one that ended so many nodes is given up.
    #[schemars(range(min = 1, max = 100))]
    pub max_deliveries: u32,
    /// Time after which live frames that nobody took are thrown away, in s.
    #[schemars(range(min = 1, max = 3600))]
    pub work_age_s: u32,
    /// Time after which files of `leptond map` that nobody took are thrown away, in s.
    #[schemars(range(min = 60, max = 2_592_000))]
    pub map_age_s: u32,
    /// Room of each of the group's two queues at the server, in bytes; a full one refuses more.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub queue_bytes: u64,
    /// Servers of a cluster that keep each message.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: u32,
}

/// `[fleet] use`: processor time that the work of others may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// The share of time that this computer is idle beside it.
    #[default]
    Idle,
    /// All that the governor allows.
    Any,
}

/// `[fleet] overdue`: fate of a frame that no other node answered in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overdue {
    /// It is computed here.
    #[default]
    Compute,
    /// It is dropped.
    Drop,
}

/// `[fleet.tls]`: encryption to the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate authority that signed the server's certificate; absent = those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our own certificate, where the server asks for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            servers: Vec::new(),
            group: Group::default(),
            assist: false,
            offload: false,
            overdue: Overdue::default(),
            models: Vec::new(),
            threads: 0,
            batch: 1,
            takes: Use::default(),
            user: String::new(),
            password: String::new(),
            password_file: None,
            credentials_file: None,
            nkey_file: None,
            tls: None,
            max_payload_bytes: 1_000_000,
            lease_s: 30,
            max_deliveries: 5,
            work_age_s: 10,
            map_age_s: 86_400,
            queue_bytes: 64 << 20,
            replicas: 1,
        }
    }
}

impl Config {
    /// Files that are read for the connection, with their keys.
    pub fn files(&self) -> Vec<(&'static str, &PathBuf)> {
        let tls = self.tls.as_ref();
        [
            ("password_file", self.password_file.as_ref()),
            ("credentials_file", self.credentials_file.as_ref()),
            ("nkey_file", self.nkey_file.as_ref()),
            ("tls.ca_file", tls.and_then(|tls| tls.ca_file.as_ref())),
            ("tls.cert_file", tls.and_then(|tls| tls.cert_file.as_ref())),
            ("tls.key_file", tls.and_then(|tls| tls.key_file.as_ref())),
        ]
        .into_iter()
        .filter_map(|(key, file)| Some((key, file?)))
        .collect()
    }

    /// Checks the values against each other.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if self.servers.is_empty() {
            found.push(
                Diagnostic::error("servers", "there is no server")
                    .help("servers = [\"nats://HOST:4222\"]; docs/fleet.md says how to install one"),
            );
        }
        for (index, server) in self.servers.iter().enumerate() {
            let key = format!("servers[{index}]");
            if server.contains('@') {
                found.push(
                    Diagnostic::error(key, "a server's address has no user and password in it")
                        .help("set fleet.user and fleet.password_file"),
                );
            } else if let Err(reason) = address(server) {
                found.push(
                    Diagnostic::error(key, reason).found(quoted(server)).allowed("nats://HOST:PORT or tls://HOST:PORT"),
                );
            }
        }
        let has_password = !self.password.is_empty() || self.password_file.is_some();
        let logs_in = has_password || !self.user.is_empty();
        let first = match (&self.nkey_file, &self.credentials_file) {
            (Some(_), _) => "nkey_file",
            (None, Some(_)) => "credentials_file",
            (None, None) => "user",
        };
        let others = [("credentials_file", self.credentials_file.is_some()), ("user", logs_in)];
        for (key, _) in others.into_iter().filter(|(key, given)| *given && *key != first) {
            found.push(Diagnostic::warning(key, format!("has no effect beside {first}")).help("leave one"));
        }
        if !self.password.is_empty() && self.password_file.is_some() {
            found.push(
                Diagnostic::error("password", "the password is given twice, here and by password_file")
                    .help("remove one; password_file is the safer"),
            );
        }
        if first == "user" && has_password == self.user.is_empty() && logs_in {
            found.push(Diagnostic::warning("user", "user and password belong together").help("set both"));
        }
        let encrypted = |server: &String| self.tls.is_some() || server.starts_with("tls://");
        let open = |server: &&String| !encrypted(server) && !is_here(server);
        if let Some(server) = self.servers.iter().find(open).filter(|_| has_password && first == "user") {
            found.push(
                Diagnostic::warning("password", format!("the password goes to {server} without encryption")).help(
                    "write tls://, where the server speaks TLS, or use nkey_file, whose key never leaves this computer",
                ),
            );
        }
        if let Some(tls) = &self.tls
            && tls.cert_file.is_some() != tls.key_file.is_some()
        {
            found.push(
                Diagnostic::error("tls.cert_file", "cert_file and key_file belong together")
                    .help("a client certificate needs both; remove both if the server does not ask for one"),
            );
        }
        if !self.assist && !self.models.is_empty() {
            found.push(Diagnostic::warning("models", "has no effect without assist").help("set fleet.assist = true"));
        }
        if self.queue_bytes < self.max_payload_bytes as u64 {
            found.push(Diagnostic::error("queue_bytes", "less than max_payload_bytes: no picture would find room"));
        }
        found
    }
}

/// Checks the form of a server's address.
fn address(server: &str) -> Result<(), String> {
    let Some((scheme, rest)) = server.split_once("://") else { return Err("a scheme is missing".into()) };
    if !matches!(scheme, "nats" | "tls") {
        return Err(format!("the scheme {scheme:?} is none that is spoken"));
    }
    let host = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            port.parse::<u16>().ok().filter(|port| *port > 0).ok_or("the port is no number from 1 to 65535")?;
            host
        }
        _ => rest,
    };
    if host.is_empty() || host.contains(['/', ' ', '?', '#']) {
        return Err("the host is missing, or is none".into());
    }
    Ok(())
}

/// True where what goes to `server` leaves no computer.
fn is_here(server: &str) -> bool {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host).trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for Config {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("group", &self.group)
            .field("assist", &self.assist)
            .field("offload", &self.offload)
            .field("models", &self.models)
            .field("user", &self.user)
            .field("password", if self.password.is_empty() { &"" } else { &"***" })
            .field("files", &self.files())
            .field("max_payload_bytes", &self.max_payload_bytes)
            .field("lease_s", &self.lease_s)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &Config) -> Vec<String> {
        config.check().into_iter().map(|one| one.key).collect()
    }

    #[test]
    fn what_cannot_work_is_named() {
        let good = Config { servers: vec!["nats://127.0.0.1:4222".into()], assist: true, ..Config::default() };
        assert_eq!(found(&good), [""; 0]);
        assert_eq!(found(&Config { servers: Vec::new(), ..good.clone() }), ["servers"]);
        for server in
            ["127.0.0.1:4222", "http://a:1", "nats://", "nats://a:0", "nats://a:x", "nats://a/b", "nats://u:p@a"]
        {
            assert_eq!(found(&Config { servers: vec![server.into()], ..good.clone() }), ["servers[0]"], "{server}");
        }
        for server in ["nats://a", "tls://a.example:4222", "nats://[::1]:4222", "nats://[::1]"] {
            assert_eq!(found(&Config { servers: vec![server.into()], ..good.clone() }), [""; 0], "{server}");
        }
        let user = Config { user: "u".into(), ..good.clone() };
        assert_eq!(found(&user), ["user"], "without a password");
        let login = Config { password: "p".into(), ..user };
        assert_eq!(found(&login), [""; 0]);
        assert_eq!(found(&Config { nkey_file: Some("/n".into()), ..login.clone() }), ["user"], "which has no effect");
        let creds = Config { credentials_file: Some("/c".into()), ..good.clone() };
        assert_eq!(found(&Config { nkey_file: Some("/n".into()), ..creds }), ["credentials_file"]);
        assert_eq!(found(&Config { password_file: Some("/n".into()), ..login.clone() }), ["password"]);
        assert_eq!(
            found(&Config { servers: vec!["nats://far:4222".into()], ..login.clone() }),
            ["password"],
            "in the clear"
        );
        assert_eq!(found(&Config { servers: vec!["tls://far:4222".into()], ..login }), [""; 0]);
        let half = TlsConfig { cert_file: Some("/c".into()), ..TlsConfig::default() };
        assert_eq!(found(&Config { tls: Some(half), ..good.clone() }), ["tls.cert_file"]);
        assert_eq!(found(&Config { assist: false, models: vec!["m".into()], ..good.clone() }), ["models"]);
        assert_eq!(found(&Config { queue_bytes: 1, ..good }), ["queue_bytes"]);
    }

    #[test]
    fn the_password_is_not_in_its_debug_form() {
        let config = Config { password: "s3cret".into(), ..Config::default() };
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
