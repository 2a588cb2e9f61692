//! The daemon as a child, with the sockets that it reports to.

use std::io::{ErrorKind, Read as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use super::parts::{Mark, Start, breakdown};
use crate::telemetry::{MARKS_VARIABLE, monotonic_ns};

/// A start that takes longer than this has failed.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Calibration ends by itself before this, on the slowest board with the largest model.
const CALIBRATED_WITHIN: Duration = Duration::from_secs(120);

/// Time between two looks at a daemon that may have ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// From SIGTERM to the end; the daemon's own bound is 2 s.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The configuration that is measured without `--config`: nothing listens at the discard port of this computer.
const CONFIG: &str = "[mqtt]\nhost = \"127.0.0.1\"\nport = 9\n\n[[pipeline]]\nname = \"meter\"\nmodel = \"leptonnet-digits\"\n\
                      source = { type = \"synthetic\" }\n";

/// A directory of its own for one board that starts for the first time; it goes when this is dropped.
pub(super) struct Place {
    dir: PathBuf,
    config: PathBuf,
}

impl Place {
    /// The `number`-th of this process.
    pub(super) fn new(config: Option<&Path>, number: u32) -> anyhow::Result<Place> {
        let dir = std::env::temp_dir().join(format!("leptond-start-{}-{number}", process::id()));
        let said = || format!("a directory for the state of the start that is measured: {}", dir.display());
        // Not one that is there already: it may be somebody else's.
        std::fs::create_dir(&dir).with_context(said)?;
        let own = dir.join("leptond.toml");
        let place = Place { config: config.map_or_else(|| own.clone(), Path::to_owned), dir };
        std::fs::create_dir(place.dir.join("state")).context("a state directory")?;
        if config.is_none() {
            std::fs::write(&own, CONFIG).with_context(|| own.display().to_string())?;
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A daemon that is starting or runs.
pub(super) struct Child {
    process: process::Child,
    listener: UnixListener,
    /// Once it has connected.
    marks: Option<UnixStream>,
    /// Output after the last whole line.
    rest: Vec<u8>,
    /// Open for the daemon to tell; what it tells is in the marks.
    _notify: UnixDatagram,
    log: PathBuf,
    began_ns: u64,
    seen: Vec<Mark>,
}

impl Child {
    pub(super) fn start(place: &Place) -> anyhow::Result<Child> {
        let path = |name: &str| place.dir.join(name);
        let free = |name: &str| {
            // Left by the start before.
            let _ = std::fs::remove_file(path(name));
            path(name)
        };
        let named = |name: &str| path(name).display().to_string();
        let listener = UnixListener::bind(free("marks")).with_context(|| named("marks"))?;
        listener.set_nonblocking(true)?;
        // Nobody reads it: the few datagrams of a start fit into the socket's buffer.
        let notify = UnixDatagram::bind(free("notify")).with_context(|| named("notify"))?;
        let log = path("log");
        let file = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.args(["run", "--config"]).arg(&place.config);
        command.env("STATE_DIRECTORY", path("state")).env("RUNTIME_DIRECTORY", path("state"));
        command.env(MARKS_VARIABLE, path("marks")).env("NOTIFY_SOCKET", path("notify"));
        for name in ["WATCHDOG_USEC", "WATCHDOG_PID", "CACHE_DIRECTORY"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let began_ns = monotonic_ns();
        let process = command.spawn().context("cannot start the daemon")?;
        Ok(Child { process, listener, marks: None, rest: Vec::new(), _notify: notify, log, began_ns, seen: Vec::new() })
    }

    /// Waits for the first result and READY=1.
    pub(super) fn first_result(&mut self) -> anyhow::Result<Start> {
        let until = Instant::now() + START_WITHIN;
        loop {
            if let Some(start) = breakdown(self.began_ns, &self.seen) {
                return Ok(start);
            }
            self.next(until)?;
        }
    }

    /// Waits until every pipeline has been measured, so that the next start remembers.
    pub(super) fn calibrated(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + CALIBRATED_WITHIN;
        let count = |seen: &[Mark], name: &str| seen.iter().filter(|mark| mark.name == name).count();
        while count(&self.seen, "calibrated") < count(&self.seen, "plan compiled") {
            self.next(until)?;
        }
        Ok(())
    }

    /// More marks, waited for until `until`.
    fn next(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            if self.receive()? {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(self.failed(&format!("the daemon ended ({status}) during its start")));
            }
            if Instant::now() >= until {
                let last = self.seen.last().map_or("nothing", |mark| mark.name.as_str());
                return Err(self.failed(&format!("the start takes too long; the last part that ended: {last}")));
            }
        }
    }

    /// Waits [`LOOK_EVERY`] for the daemon to tell something; whether it did.
    fn receive(&mut self) -> anyhow::Result<bool> {
        let mut marks = match &self.marks {
            Some(marks) => marks,
            None => match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(LOOK_EVERY))?;
                    self.marks.insert(stream)
                }
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(2));
                    return Ok(false);
                }
            },
        };
        let mut bytes = [0; 4096];
        match marks.read(&mut bytes) {
            // Its end is seen by the process itself.
            Ok(0) => std::thread::sleep(Duration::from_millis(2)),
            Ok(len) => self.rest.extend(&bytes[..len]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("the marks of the start"),
        }
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(false) };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        self.seen.extend(String::from_utf8_lossy(&lines).lines().filter_map(Mark::parse));
        Ok(true)
    }

    /// The error, with the last words of the daemon.
    fn failed(&self, what: &str) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        anyhow!("{what}; its last lines:\n{}", lines[lines.len().saturating_sub(8)..].join("\n"))
    }

    /// SIGTERM, and waits for the end.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let until = Instant::now() + STOP_WITHIN;
        while self.process.try_wait()?.is_none() {
            if Instant::now() >= until {
                return Err(self.failed("the daemon does not stop"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Where something went wrong before its end: no daemon is left behind.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
