//! `[page]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::diagnostic::{Diagnostic, quoted};
use crate::sys::file;

/// A password file that is larger holds something else.
const MOST_BYTES: u64 = 1 << 20;
/// Fewer characters are soon guessed by whoever reaches the page.
const FEW_CHARACTERS: usize = 8;

/// `[page]`: a page for browsers inside the process, with metrics for Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Serve it.
    pub enabled: bool,
    /// Address and port it listens on; port 0 takes a free one. Beyond this computer it needs a password.
    pub listen: String,
    /// Password, with any user name; prefer `password_file`.
    #[schemars(extend("writeOnly" = true))]
    pub password: String,
    /// File whose first line is the password (systemd: `LoadCredential`).
    pub password_file: Option<PathBuf>,
    /// Names by which browsers may ask for it, beside addresses, `localhost`, names below `.local` and the computer's own name.
    pub hosts: Vec<String>,
    /// Regions, zones, lines and marks may be drawn on it and saved.
    pub edit: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: false,
            listen: "127.0.0.1:8099".into(),
            password: String::new(),
            password_file: None,
            hosts: Vec::new(),
            edit: true,
        }
    }
}

/// Reason for which the password cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("page.password_file {file}: {reason}")]
pub struct PasswordError {
    file: String,
    reason: String,
}

impl Config {
    /// Checks the values against each other.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if !self.password.is_empty() && self.password_file.is_some() {
            found.push(
                Diagnostic::error("password", "the password is given twice, here and by password_file")
                    .help("remove one; password_file is the safer"),
            );
        }
        match self.listen.parse::<SocketAddr>() {
            Ok(address) if self.enabled && !address.ip().is_loopback() && !self.asks() => found.push(
                Diagnostic::error("listen", "the page is open to the network and asks for no password")
                    .found(quoted(&self.listen))
                    .help("set page.password_file (or page.password), or listen on 127.0.0.1"),
            ),
            Ok(_) => {}
            Err(_) => found.push(
                Diagnostic::error("listen", "not an address with a port")
                    .found(quoted(&self.listen))
                    .allowed("ADDRESS:PORT such as 127.0.0.1:8099, 0.0.0.0:8099 or [::]:8099"),
            ),
        }
        let few = self.password.chars().count() < FEW_CHARACTERS;
        if !self.password.is_empty() && few {
            found.push(
                Diagnostic::warning("password", format!("a password of fewer than {FEW_CHARACTERS} characters"))
                    .help("take a longer one"),
            );
        }
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 253
                && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        };
        for (index, name) in self.hosts.iter().enumerate().filter(|(_, name)| !is_name(name)) {
            found.push(
                Diagnostic::error(format!("hosts[{index}]"), "not a host name")
                    .found(quoted(name))
                    .allowed("a name without scheme, port and path, such as camera.example.org"),
            );
        }
        found
    }

    /// True where a password is configured.
    fn asks(&self) -> bool {
        !self.password.is_empty() || self.password_file.is_some()
    }

    /// The password; `None` where none is asked for.
    ///
    /// # Errors
    /// [`PasswordError`] where the file cannot be read, or its first line is empty.
    pub fn secret(&self) -> Result<Option<String>, PasswordError> {
        let Some(path) = &self.password_file else {
            return Ok(Some(self.password.clone()).filter(|password| !password.is_empty()));
        };
        first_line(path).map(Some).map_err(|reason| PasswordError { file: path.display().to_string(), reason })
    }
}

fn first_line(path: &Path) -> Result<String, String> {
    let text = file::read_text(path, MOST_BYTES).map_err(|error| error.to_string())?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { Err("its first line is empty; it should be the password".into()) } else { Ok(line.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &Config) -> Vec<String> {
        config.check().into_iter().map(|one| one.key).collect()
    }

    #[test]
    fn a_page_for_the_network_has_a_password() {
        let open = Config { enabled: true, listen: "0.0.0.0:8099".into(), ..Config::default() };
        assert_eq!(found(&open), ["listen"]);
        assert_eq!(found(&Config { password: "long enough".into(), ..open.clone() }), [""; 0]);
        assert_eq!(found(&Config { password_file: Some("/f".into()), ..open.clone() }), [""; 0]);
        assert_eq!(found(&Config { enabled: false, ..open.clone() }), [""; 0]);
        assert_eq!(found(&Config { listen: "[::1]:0".into(), ..open.clone() }), [""; 0]);
        assert_eq!(found(&Config { listen: "here".into(), ..open.clone() }), ["listen"]);
        let twice = Config { password: "short".into(), password_file: Some("/f".into()), ..Config::default() };
        assert_eq!(found(&twice), ["password", "password"]);
        let hosts = vec!["a.example".into(), "http://b".into(), String::new()];
        assert_eq!(found(&Config { hosts, ..Config::default() }), ["hosts[1]", "hosts[2]"]);
    }

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("page-password");
        let config = Config { password_file: Some(file.clone()), ..Config::default() };
        assert!(config.secret().is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(config.secret().is_err(), "an empty line is no password, and never means that none is asked for");
        std::fs::write(&file, "correct horse\nmore\n").unwrap();
        assert_eq!(config.secret().unwrap().as_deref(), Some("correct horse"));
        assert_eq!(Config::default().secret().unwrap(), None);
    }
}
