//! A real nats-server on 127.0.0.1, for tests: started on a free port, killed, started again on the same port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common;
use crate::mosquitto::wait_until;

/// A server; killed when dropped.
pub struct Nats {
    pub port: u16,
    dir: tempfile::TempDir,
    lines: String,
    child: Option<Child>,
}

/// The program that `tests/fleet/server` put there, or the one that `LEPTOND_NATS_SERVER` names.
pub fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fleet/nats-server");
    std::env::var_os("LEPTOND_NATS_SERVER").map(PathBuf::from).or(Some(own)).filter(|path| path.exists())
}

impl Nats {
    /// Starts a server that lets everybody in, or says that `test` is skipped because there is none.
    pub fn start(test: &str) -> Option<Nats> {
        Self::with(test, "")
    }

    /// Starts a server with further lines of configuration.
    pub fn with(test: &str, lines: &str) -> Option<Nats> {
        if program().is_none() {
            common::skip(test, "there is no current nats-server (tests/fleet/server fetches one)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut server = Nats { port: 0, dir, lines: lines.to_owned(), child: None };
        server.restart();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts it, again on the same port, with what it has on disk.
    pub fn restart(&mut self) {
        self.kill();
        let dir = self.dir.path().to_owned();
        let port = if self.port == 0 { -1 } else { i32::from(self.port) };
        let (store, lines) = (dir.join("store"), &self.lines);
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{}\"\njetstream {{ store_dir: \"{}\" }}\n{lines}\n",
            dir.display(),
            store.display()
        );
        std::fs::write(dir.join("nats.conf"), text).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = Command::new(program().expect("checked in with()"));
        command.arg("-c").arg(dir.join("nats.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap();
        let ports = dir.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        let mut found = None;
        wait_until("nats-server listens", || {
            let text = std::fs::read_to_string(&ports).unwrap_or_default();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let url = json["nats"][0].as_str().map(str::to_owned);
            found = url.and_then(|url| url.rsplit(':').next()?.parse().ok());
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "nats-server ended: {}", std::fs::read_to_string(dir.join("log")).unwrap());
            found.is_some()
        });
        self.port = found.unwrap();
    }

    /// Kills it without a word to anybody.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}
