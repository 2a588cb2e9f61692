//! The clock: a Raspberry Pi without a battery wakes up in the past, and TLS then trusts nobody.

use std::time::{Duration, SystemTime};

use super::finding::Finding;
use super::machine::Machine;
use crate::frame::rfc3339;

/// No version of this program is older: 2025-01-01.
const OLDEST: Duration = Duration::from_secs(1_735_689_600);

/// What is known of the clock.
pub struct Facts {
    /// What it shows; `None` for a copy of another machine.
    pub now: Option<SystemTime>,
    /// When this program was put on the machine or built.
    pub program: Option<SystemTime>,
    /// `timedatectl show`.
    pub timedatectl: Option<String>,
    /// systemd-timesyncd has synchronised it once since boot.
    pub timesync: bool,
    /// Whether certificates are checked by it.
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

/// What to make of it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let value = |key: &str| {
        let lines = facts.timedatectl.as_deref()?.lines();
        lines.filter_map(|line| line.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v == "yes")
    };
    let tls = if facts.tls { ", and the broker's certificate is refused" } else { "" };
    let on = "sudo timedatectl set-ntp true";
    let oldest = facts.program.map_or(SystemTime::UNIX_EPOCH + OLDEST, |p| p.max(SystemTime::UNIX_EPOCH + OLDEST));
    let shown = facts
        .now
        .map(|now| format!("{} UTC, ", rfc3339(now).get(..19).unwrap_or_default().replace('T', " ")))
        .unwrap_or_default();
    // A day is what a zone that was set wrongly can make of a file's time.
    if facts.now.is_some_and(|now| now + Duration::from_secs(86_400) < oldest) {
        let text = format!("{shown}which is before this program was made: times in messages are wrong{tls}");
        return vec![Finding::trouble("clock", text).command(on).command("timedatectl timesync-status")];
    }
    let synchronised = value("NTPSynchronized").or(facts.timesync.then_some(true));
    let finding = match (synchronised, value("NTP"), value("CanNTP")) {
        (Some(true), ..) => Finding::ok("clock", format!("{shown}synchronised")),
        (_, _, Some(false)) => Finding::warning("clock", format!("{shown}and no program keeps it right{tls}"))
            .command("sudo apt install systemd-timesyncd"),
        (Some(false), Some(false), _) => {
            Finding::warning("clock", format!("{shown}not synchronised: that is switched off")).command(on)
        }
        (Some(false), ..) => {
            Finding::warning("clock", format!("{shown}not synchronised yet: no time server was reached"))
                .command("timedatectl timesync-status")
        }
        (None, ..) => Finding::unknown("clock", format!("{shown}nothing here says whether it is synchronised")),
    };
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn check(timedatectl: Option<&str>, now_s: u64, level: Level, part: &str) {
        let facts = Facts {
            now: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(now_s)),
            program: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)),
            timedatectl: timedatectl.map(str::to_owned),
            timesync: false,
            tls: true,
        };
        let findings = judge(&facts);
        let shown = format!("{findings:?}");
        assert!(findings.len() == 1 && findings[0].level == level && shown.contains(part), "{part}: {shown}");
    }

    #[test]
    fn what_the_clock_says() {
        let now = 1_790_100_000;
        let told = |ntp: &str, synchronised: &str| {
            format!("Timezone=Europe/Berlin\nLocalRTC=no\nCanNTP=yes\nNTP={ntp}\nNTPSynchronized={synchronised}\n")
        };
        check(Some(&told("yes", "yes")), now, Level::Ok, "synchronised");
        check(Some(&told("no", "no")), now, Level::Warning, "set-ntp true");
        check(Some(&told("yes", "no")), now, Level::Warning, "timesync-status");
        check(Some(&told("no", "no").replace("CanNTP=yes", "CanNTP=no")), now, Level::Warning, "apt install");
        check(None, now, Level::Unknown, "nothing here says");
        check(Some("garbage"), now, Level::Unknown, "nothing here says");
        for past in [0, 1_500_000_000, 1_789_000_000] {
            check(Some(&told("yes", "no")), past, Level::Trouble, "certificate is refused");
        }
    }
}
