//! The clock: a Raspberry Pi without a battery wakes up in the past, and TLS then trusts nobody.

use std::time::{Duration, SystemTime};

use super::Level;
use super::machine::Machine;

/// No version of this program is older: 2025-01-01.
const OLDEST: Duration = Duration::from_secs(1_735_689_600);

/// Facts about the clock.
pub struct Facts {
    /// The time that it shows; `None` for a copy of another machine.
    pub now: Option<SystemTime>,
    /// Time of the program's own file.
    pub program: Option<SystemTime>,
    /// `timedatectl show`.
    pub timedatectl: Option<String>,
    /// systemd-timesyncd has synchronised it once since boot.
    pub timesync: bool,
    /// Certificates are checked by it.
    pub tls: bool,
}

/// Reads it.
pub fn gather(machine: &Machine, tls: bool) -> Facts {
    let program = std::env::current_exe().and_then(|path| path.metadata()?.modified()).ok();
    Facts {
        now: machine.is_here().then(SystemTime::now),
        program: program.filter(|_| machine.is_here()),
        timedatectl: machine.output("timedatectl", &["show"]),
        timesync: machine.path("/run/systemd/timesync/synchronized".as_ref()).exists(),
        tls,
    }
}

/// A finding about the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The time that it shows; `None` for a copy of another machine.
    pub now: Option<SystemTime>,
    /// Certificates are checked by it.
    pub tls: bool,
    /// State of its synchronisation.
    pub state: State,
}

/// State of the clock's synchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It shows a time from before the program was made.
    Past,
    /// It is synchronised.
    Synchronised,
    /// No program that could synchronise it is installed.
    NoProgram,
    /// Synchronisation is switched off.
    SwitchedOff,
    /// Synchronisation is on, and no server was reached yet.
    NotYet,
    /// The system does not tell.
    Unknown,
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self.state {
            State::Past => Level::Trouble,
            State::NoProgram | State::SwitchedOff | State::NotYet => Level::Warning,
            State::Unknown => Level::Unknown,
            State::Synchronised => Level::Ok,
        }
    }
}

/// The finding that the facts give.
pub fn judge(facts: &Facts) -> Finding {
    let value = |key: &str| {
        let lines = facts.timedatectl.as_deref()?.lines();
        lines.filter_map(|line| line.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v == "yes")
    };
    let oldest = facts.program.map_or(SystemTime::UNIX_EPOCH + OLDEST, |p| p.max(SystemTime::UNIX_EPOCH + OLDEST));
    let synchronised = value("NTPSynchronized").or(facts.timesync.then_some(true));
    let state = match (synchronised, value("NTP"), value("CanNTP")) {
        // A day is what a zone that was set wrongly can make of a file's time.
        _ if facts.now.is_some_and(|now| now + Duration::from_secs(86_400) < oldest) => State::Past,
        (Some(true), ..) => State::Synchronised,
        (_, _, Some(false)) => State::NoProgram,
        (Some(false), Some(false), _) => State::SwitchedOff,
        (Some(false), ..) => State::NotYet,
        (None, ..) => State::Unknown,
    };
    Finding { now: facts.now, tls: facts.tls, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(timedatectl: Option<&str>, now_s: u64, level: Level, state: State) {
        let facts = Facts {
            now: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(now_s)),
            program: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)),
            timedatectl: timedatectl.map(str::to_owned),
            timesync: false,
            tls: true,
        };
        let finding = judge(&facts);
        assert_eq!((finding.level(), finding.state), (level, state), "{timedatectl:?}");
    }

    #[test]
    fn a_clock_is_right_only_when_something_keeps_it() {
        let now = 1_790_100_000;
        let told = |ntp: &str, synchronised: &str| {
            format!("Timezone=Europe/Berlin\nLocalRTC=no\nCanNTP=yes\nNTP={ntp}\nNTPSynchronized={synchronised}\n")
        };
        check(Some(&told("yes", "yes")), now, Level::Ok, State::Synchronised);
        check(Some(&told("no", "no")), now, Level::Warning, State::SwitchedOff);
        check(Some(&told("yes", "no")), now, Level::Warning, State::NotYet);
        check(Some(&told("no", "no").replace("CanNTP=yes", "CanNTP=no")), now, Level::Warning, State::NoProgram);
        check(None, now, Level::Unknown, State::Unknown);
        check(Some("garbage"), now, Level::Unknown, State::Unknown);
        for past in [0, 1_500_000_000, 1_789_000_000] {
            check(Some(&told("yes", "no")), past, Level::Trouble, State::Past);
        }
    }
}
