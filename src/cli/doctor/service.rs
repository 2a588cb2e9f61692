//! Words about the service.

use super::shown::Shown;
use crate::diagnose::service::{Ended, Finding};

const LOG: &str = "journalctl -u leptond -n 30 --no-pager";

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let about = |what, text: String| Shown::new(finding.level(), what, text);
    let shown = |text: String| about("service", text);
    let by_hand = |daemon: &Option<u32>, otherwise: &str| match daemon {
        Some(pid) => format!("leptond runs (process {pid})"),
        None => otherwise.to_owned(),
    };
    let why = |ended: &Option<Ended>, otherwise: &str| ended.as_ref().map_or(otherwise.to_owned(), words);
    match finding {
        Finding::NoSystemd { daemon } => {
            shown(by_hand(daemon, "systemd does not run this machine, so there is no service to look at"))
        }
        Finding::Silent { answered: false } => shown("systemctl does not answer".into()),
        Finding::Silent { answered: true } => shown("systemctl says nothing of it".into()),
        Finding::NotInstalled { daemon } => shown(by_hand(daemon, "not installed: leptond is run by hand here")),
        Finding::Active { since, status, at_boot } => {
            let since = since.as_ref().map(|time| format!(" since {time}")).unwrap_or_default();
            if !at_boot {
                return shown(format!("active{since}, but not started at boot"))
                    .command("sudo systemctl enable leptond");
            }
            let status = status.as_ref().map(|status| format!(": {status}")).unwrap_or_default();
            shown(format!("active{since}{status}"))
        }
        Finding::Failed { ended, refused } => {
            let shown = shown(format!("failed: it {}", why(ended, "failed")));
            match refused {
                true => shown.command("sudo leptond check").command("sudo systemctl restart leptond"),
                false => {
                    shown.command(LOG).command("sudo systemctl reset-failed leptond && sudo systemctl start leptond")
                }
            }
        }
        Finding::Restarting { ended } => {
            shown(format!("is being started again: it {}", why(ended, "ended"))).command(LOG)
        }
        Finding::Starting => shown("is starting".into()).command("systemctl status leptond"),
        Finding::Inactive { state, daemon: Some(pid), .. } => {
            shown(format!("{state}, but a leptond runs by hand (process {pid})"))
        }
        Finding::Inactive { state, daemon: None, .. } => {
            shown(format!("{state}: it does not run")).command("sudo systemctl enable --now leptond")
        }
        Finding::Restarts { count, ended } => {
            let last = ended.as_ref().map(|ended| format!(", the last time because it {}", words(ended)));
            about("restarts", format!("systemd started it anew {count} times{}", last.unwrap_or_default())).command(LOG)
        }
        Finding::NoWatchdog => about("watchdog", "the unit has no WatchdogSec=: a hung leptond is not noticed".into())
            .command("systemctl cat leptond"),
        Finding::UnitChanged => about("unit", "the unit's files have changed since systemd read them".into())
            .command("sudo systemctl daemon-reload && sudo systemctl restart leptond"),
    }
}

/// The end of a run, to be read after "it".
fn words(ended: &Ended) -> String {
    match ended {
        Ended::Watchdog => "hung, and the watchdog ended it".into(),
        Ended::OutOfMemory => "was killed because no memory was left (MemoryMax= of the unit, or the machine's)".into(),
        Ended::Timeout => "took too long to start or to stop".into(),
        Ended::StartLimit => "failed too often in a short time, and is not started any more".into(),
        Ended::Signal(signal) => format!("was ended by signal {signal}"),
        Ended::Resources => "could not be given what its unit asks for".into(),
        Ended::Configuration => "refuses its configuration (exit status 78)".into(),
        Ended::Status(status) => format!("ended with exit status {status}"),
    }
}
