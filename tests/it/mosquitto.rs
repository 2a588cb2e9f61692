//! A real mosquitto broker on 127.0.0.1, for tests: started on a free port, killed, started again on the same port.

#![allow(dead_code, reason = "each test module uses what it needs")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::common;

/// How long a test waits for something that should happen at once on an idle machine.
pub const SOON: Duration = Duration::from_secs(30);

/// One message that the broker gave to a [`Listener`].
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
}

impl Received {
    /// The payload as JSON (`Null` when it is none).
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// A broker; killed when dropped.
pub struct Mosquitto {
    pub port: u16,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker that lets everybody in, or says on standard error that `test` is skipped because there is none.
    pub fn start(test: &str) -> Option<Self> {
        Self::with(test, |_| "allow_anonymous true\n".into())
    }

    /// Starts a broker with further lines of configuration, made by `config` from its directory (for password and
    /// certificate files).
    pub fn with(test: &str, config: impl FnOnce(&std::path::Path) -> String) -> Option<Self> {
        if program().is_none() {
            common::skip(test, "mosquitto is not installed (apt-get install mosquitto mosquitto-clients)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let lines = config(dir.path());
        let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let text = format!("listener {port} 127.0.0.1\n{user}persistence false\nlog_dest stderr\n{lines}");
        std::fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Mosquitto { port, dir, child: None };
        broker.restart();
        Some(broker)
    }

    /// Starts the killed broker again on the same port (it has forgotten everything), and waits until it listens.
    pub fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let child = Command::new(program().expect("checked in with()"))
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_until("mosquitto listens", || {
            let child = self.child.as_mut().unwrap();
            assert!(child.try_wait().unwrap().is_none(), "mosquitto ended: {}", self.log());
            TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).is_ok()
        });
    }

    /// Kills the broker without a word to anybody.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered.
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Its directory: configuration, log, and what the test put there.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Subscribes to `filter` as a client of its own and collects what comes.
    pub fn listen(&self, filter: &str) -> Listener {
        Listener::start(self.port, filter, &[])
    }

    /// As [`Mosquitto::listen`], with further arguments for `mosquitto_sub`.
    pub fn listen_with(&self, filter: &str, args: &[&str]) -> Listener {
        Listener::start(self.port, filter, args)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.as_ref().expect("running").id();
        let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Collects the messages of one subscription (a `mosquitto_sub` child, so that it shares no code with us).
pub struct Listener {
    child: Child,
    shared: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Default)]
struct Collected {
    /// The marker came: the broker has made the subscription.
    ready: bool,
    messages: Vec<Received>,
}

impl Listener {
    fn start(port: u16, filter: &str, args: &[&str]) -> Self {
        // A marker published after the subscription proves that the broker has made it.
        let marker = "listener/ready";
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", filter, "-t", marker])
            .args(["-F", "%r %q %t %x"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub (apt-get install mosquitto-clients)");
        let shared: Arc<(Mutex<Collected>, Condvar)> = Arc::default();
        let (out, copy) = (child.stdout.take().unwrap(), shared.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let Some(message) = parse(&line) else { continue };
                let mut collected = copy.0.lock().unwrap();
                if message.topic == marker {
                    collected.ready = true;
                } else {
                    collected.messages.push(message);
                }
                drop(collected);
                copy.1.notify_all();
            }
        });
        let listener = Listener { child, shared };
        let deadline = Instant::now() + SOON;
        while !listener.wait_some(Duration::ZERO, |c| c.ready) {
            assert!(Instant::now() < deadline, "mosquitto_sub did not subscribe to {filter}");
            let _ = Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", marker, "-m", "x"])
                .args(args)
                .stderr(Stdio::null())
                .status();
            listener.wait_some(Duration::from_millis(100), |c| c.ready);
        }
        listener
    }

    /// All messages so far, in the order they came.
    pub fn messages(&self) -> Vec<Received> {
        self.shared.0.lock().unwrap().messages.clone()
    }

    /// Waits until the messages satisfy `predicate` and gives them all; fails the test after [`SOON`].
    pub fn wait_for(&self, what: &str, predicate: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        self.wait_within(SOON, what, predicate)
    }

    /// As [`Listener::wait_for`] with a time limit of its own.
    pub fn wait_within(&self, limit: Duration, what: &str, predicate: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let satisfied = self.satisfied_within(limit, predicate);
        let messages = self.messages();
        let last: Vec<_> = messages.iter().rev().take(8).map(|m| (&m.topic, m.payload.len())).collect();
        assert!(
            satisfied,
            "no {what} within {limit:?}; {} messages, the last (topic, bytes): {last:?}",
            messages.len()
        );
        messages
    }

    /// Waits until the messages satisfy `predicate`, for `limit` at most; whether they do.
    pub fn satisfied_within(&self, limit: Duration, predicate: impl Fn(&[Received]) -> bool) -> bool {
        self.wait_some(common::patiently(limit), |c| predicate(&c.messages))
    }

    fn wait_some(&self, limit: Duration, predicate: impl Fn(&Collected) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut collected = self.shared.0.lock().unwrap();
        while !predicate(&collected) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            collected = self.shared.1.wait_timeout(collected, left).unwrap().0;
        }
        true
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `mosquitto_pub`, as a client that shares no code with us.
pub struct Client;

impl Client {
    /// Says on standard error that `test` is skipped when it is not installed.
    pub fn find(test: &str) -> Option<Self> {
        let found = Command::new("mosquitto_pub").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            common::skip(test, "mosquitto_pub is not installed (apt-get install mosquitto-clients)");
            return None;
        }
        Some(Client)
    }

    /// Publishes as `args` say; whether the broker took it.
    pub fn publish(&self, port: u16, args: &[&str]) -> bool {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Polls `condition` until it holds; fails the test after [`SOON`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + common::patiently(SOON);
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn program() -> Option<&'static str> {
    ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file())
}

/// A line `retain qos topic hex`; topics in tests have no spaces.
fn parse(line: &str) -> Option<Received> {
    let mut words = line.split(' ');
    let retain = words.next()? == "1";
    let qos = words.next()?.parse().ok()?;
    let topic = words.next()?.to_string();
    let hex = words.next().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let payload = hex.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some(Received { topic, payload, qos, retain })
}
