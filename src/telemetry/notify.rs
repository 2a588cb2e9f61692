//! The service manager: readiness, status, reload, stop and the watchdog, over `sd_notify(3)`'s socket.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::{Heartbeats, Overdue, TelemetryError, monotonic_ns};

/// Notifies the service manager. Without one (no `NOTIFY_SOCKET`) every call succeeds and does nothing.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Configures itself from systemd's environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    ///
    /// # Errors
    /// [`TelemetryError::Notify`] when the named socket cannot be used.
    pub fn from_env() -> Result<Self, TelemetryError> {
        Self::new(std::env::var_os("NOTIFY_SOCKET").as_deref(), sd_notify::watchdog_enabled())
    }

    /// Uses the given socket (a path, or `@name` for an abstract one) and watchdog period.
    ///
    /// # Errors
    /// [`TelemetryError::Notify`] when the socket cannot be used.
    pub fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Result<Self, TelemetryError> {
        let connected = |address: &OsStr| {
            connect(address).map_err(|e| TelemetryError::Notify {
                address: address.to_string_lossy().into_owned(),
                reason: e.to_string(),
            })
        };
        let socket = socket.filter(|s| !s.is_empty()).map(connected).transpose()?;
        Ok(Notifier { watchdog: watchdog.filter(|_| socket.is_some()), socket })
    }

    /// There is a service manager.
    pub fn is_managed(&self) -> bool {
        self.socket.is_some()
    }

    /// Interval of [`Notifier::feed`]: a third of the watchdog's period, so that one late call does no harm
    /// (`sd_watchdog_enabled(3)` asks for half at most). `None` = no watchdog.
    pub fn feed_interval(&self) -> Option<Duration> {
        self.watchdog.map(|period| period / 3)
    }

    /// Started (or reloaded) and working.
    ///
    /// # Errors
    /// The service manager cannot be reached.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))])
    }

    /// Status line of `systemctl status`.
    ///
    /// # Errors
    /// The service manager cannot be reached.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&[NotifyState::Status(&one_line(status))])
    }

    /// A reload begins; [`Notifier::ready`] ends it. Carries the time, as `Type=notify-reload` requires.
    ///
    /// # Errors
    /// The service manager cannot be reached.
    pub fn reloading(&self) -> io::Result<()> {
        // sd-notify's own clock counts µs in the platform's `time_t`: on 32 bits that is too small after 36 minutes.
        let now = i128::from(monotonic_ns() / 1000);
        self.send(&[NotifyState::Reloading, NotifyState::MonotonicUsec(now)])
    }

    /// The stop begins.
    ///
    /// # Errors
    /// The service manager cannot be reached.
    pub fn stopping(&self, status: &str) -> io::Result<()> {
        self.send(&[NotifyState::Stopping, NotifyState::Status(&one_line(status))])
    }

    /// Feeds the watchdog unless a thread is overdue. Otherwise reports the thread in the status, and the service manager will
    /// act.
    ///
    /// # Errors
    /// The service manager cannot be reached.
    pub fn feed(&self, heartbeats: &Heartbeats, now: Instant) -> io::Result<Option<Overdue>> {
        let overdue = heartbeats.overdue(now);
        match &overdue {
            None if self.watchdog.is_some() => self.send(&[NotifyState::Watchdog])?,
            None => {}
            Some(overdue) => self.status(&overdue.to_string())?,
        }
        Ok(overdue)
    }

    fn send(&self, states: &[NotifyState<'_>]) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let message: String = states.iter().map(|s| format!("{s}\n")).collect();
        socket.send(message.as_bytes()).map(drop)
    }
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A service manager that does not read must not block the thread that watches the others.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

/// `text` on one line: a line break would begin another assignment in the protocol.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Option<Duration> = Some(Duration::from_secs(30));

    fn received(socket: &UnixDatagram) -> Option<String> {
        socket.set_nonblocking(true).unwrap();
        let mut bytes = [0; 1024];
        let n = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..n]).into_owned())
    }

    #[test]
    fn the_protocol_as_systemd_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.as_os_str()), PERIOD).unwrap();
        assert_eq!(notifier.feed_interval(), Some(Duration::from_secs(10)));
        notifier.ready("2 pipelines").unwrap();
        assert_eq!(received(&manager).unwrap(), "READY=1\nSTATUS=2 pipelines\n");
        notifier.reloading().unwrap();
        let reload = received(&manager).unwrap();
        let usec = reload.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let told = Duration::from_micros(usec.trim_end().parse().unwrap());
        let now = Duration::from_nanos(monotonic_ns());
        assert!(told <= now && told + Duration::from_secs(10) > now, "{reload}");
        notifier.status("bad\nWATCHDOG=1").unwrap();
        assert_eq!(received(&manager).unwrap(), "STATUS=bad WATCHDOG=1\n", "a status cannot forge an assignment");
        notifier.stopping("flushing").unwrap();
        assert_eq!(received(&manager).unwrap(), "STOPPING=1\nSTATUS=flushing\n");
    }

    #[test]
    fn an_abstract_socket_works_too() {
        let name = format!("leptond-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), None).unwrap();
        notifier.ready("up").unwrap();
        assert_eq!(received(&manager).unwrap(), "READY=1\nSTATUS=up\n");
    }

    #[test]
    fn the_watchdog_is_fed_only_while_nothing_is_overdue() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.as_os_str()), PERIOD).unwrap();
        let start = Instant::now();
        let heartbeats = Heartbeats::new(start);
        let heart = heartbeats.register("model door", Duration::from_secs(2), start);
        assert_eq!(notifier.feed(&heartbeats, start).unwrap(), None);
        assert_eq!(received(&manager).unwrap(), "WATCHDOG=1\n");
        let later = start + Duration::from_secs(3);
        assert_eq!(notifier.feed(&heartbeats, later).unwrap().unwrap().thread, "model door");
        assert_eq!(received(&manager).unwrap(), "STATUS=thread model door is 1000 ms late\n");
        assert_eq!(received(&manager), None);
        heart.idle("paused");
        notifier.feed(&heartbeats, later).unwrap();
        assert_eq!(received(&manager).unwrap(), "WATCHDOG=1\n");
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        let notifier = Notifier::new(None, PERIOD).unwrap();
        assert_eq!(notifier.feed_interval(), None);
        notifier.ready("up").unwrap();
        notifier.stopping("down").unwrap();
        let error = Notifier::new(Some(OsStr::new("/nowhere/notify")), None).unwrap_err().to_string();
        assert!(error.starts_with("cannot notify the service manager at /nowhere/notify: "), "{error}");
    }
}
