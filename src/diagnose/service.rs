//! The service, as systemd tells of it.

use std::collections::BTreeMap;

use super::Level;
use super::machine::Machine;

/// Properties asked of `systemctl show`.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,NRestarts,UnitFileState,\
                          WatchdogUSec,ActiveEnterTimestamp,StatusText,NeedDaemonReload";

/// Facts about the service.
pub struct Facts {
    /// systemd runs the machine.
    pub systemd: bool,
    /// `systemctl show leptond`.
    pub shown: Option<String>,
    /// The configuration that is looked at is the service's.
    pub of_service: bool,
    /// Process of a daemon that runs and says so in its runtime directory.
    pub daemon: Option<u32>,
}

/// Reads it.
pub fn gather(machine: &Machine, of_service: bool, daemon: Option<u32>) -> Facts {
    let systemd = machine.has_systemd();
    let shown = machine.output("systemctl", &["show", "leptond.service", "--property", PROPERTIES]);
    Facts { systemd, shown: shown.filter(|_| systemd), of_service, daemon }
}

/// A finding about the service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// systemd does not run this machine; the process of a daemon that runs by hand.
    NoSystemd { daemon: Option<u32> },
    /// systemctl does not answer, or says nothing of the unit.
    Silent { answered: bool },
    /// No unit is installed.
    NotInstalled { daemon: Option<u32> },
    /// It runs.
    Active { since: Option<String>, status: Option<String>, at_boot: bool },
    /// It failed and stays down; `refused`: its configuration is wrong.
    Failed { ended: Option<Ended>, refused: bool },
    /// It ended and is being started again.
    Restarting { ended: Option<Ended> },
    /// It is starting.
    Starting,
    /// It does not run, in a state of systemd's; `wanted`: the configuration is the service's.
    Inactive { state: String, daemon: Option<u32>, wanted: bool },
    /// Number of times that systemd started it anew.
    Restarts { count: u64, ended: Option<Ended> },
    /// The unit has no watchdog.
    NoWatchdog,
    /// The unit's files changed since systemd read them.
    UnitChanged,
}

/// End of the service's last run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The watchdog ended it.
    Watchdog,
    /// It was killed for want of memory.
    OutOfMemory,
    /// It took too long to start or to stop.
    Timeout,
    /// It failed too often in a short time.
    StartLimit,
    /// A signal ended it.
    Signal(String),
    /// It could not be given what its unit asks for.
    Resources,
    /// It refused its configuration: exit status 78.
    Configuration,
    /// It ended with another exit status.
    Status(String),
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::Failed { .. } | Finding::Restarting { .. } => Level::Trouble,
            Finding::Active { at_boot: false, .. }
            | Finding::Restarts { .. }
            | Finding::NoWatchdog
            | Finding::UnitChanged
            | Finding::Inactive { daemon: None, wanted: true, .. } => Level::Warning,
            Finding::Silent { .. } => Level::Unknown,
            Finding::NoSystemd { .. } | Finding::NotInstalled { .. } | Finding::Starting | Finding::Inactive { .. } => {
                Level::Note
            }
            Finding::Active { at_boot: true, .. } => Level::Ok,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    if !facts.systemd {
        return vec![Finding::NoSystemd { daemon: facts.daemon }];
    }
    let Some(shown) = facts.shown.as_deref().filter(|shown| shown.contains('=')) else {
        return vec![Finding::Silent { answered: false }];
    };
    let properties: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let get = |key: &str| properties.get(key).copied().unwrap_or_default();
    if get("LoadState") == "not-found" {
        return vec![Finding::NotInstalled { daemon: facts.daemon }];
    }
    let mut all = vec![state(facts, &get)];
    let count: u64 = get("NRestarts").parse().unwrap_or(0);
    all.extend((count > 0).then(|| Finding::Restarts { count, ended: ended(&get) }));
    all.extend((get("WatchdogUSec") == "0").then_some(Finding::NoWatchdog));
    all.extend((get("NeedDaemonReload") == "yes").then_some(Finding::UnitChanged));
    all
}

fn state<'a>(facts: &Facts, get: &dyn Fn(&str) -> &'a str) -> Finding {
    let text = |key: &str| Some(get(key)).filter(|text| !text.is_empty()).map(str::to_owned);
    match get("ActiveState") {
        "active" | "reloading" => Finding::Active {
            since: text("ActiveEnterTimestamp"),
            status: text("StatusText"),
            at_boot: get("UnitFileState") == "enabled",
        },
        "failed" => Finding::Failed { ended: ended(get), refused: get("ExecMainStatus") == "78" },
        "activating" if get("SubState") == "auto-restart" => Finding::Restarting { ended: ended(get) },
        "activating" => Finding::Starting,
        "" => Finding::Silent { answered: true },
        other => Finding::Inactive { state: other.into(), daemon: facts.daemon, wanted: facts.of_service },
    }
}

/// End of the last run; `None` for one that ended well, or never.
fn ended<'a>(get: &dyn Fn(&str) -> &'a str) -> Option<Ended> {
    let status = get("ExecMainStatus");
    Some(match get("Result") {
        "success" | "" if status == "0" || status.is_empty() => return None,
        "watchdog" => Ended::Watchdog,
        "oom-kill" => Ended::OutOfMemory,
        "timeout" => Ended::Timeout,
        "start-limit-hit" => Ended::StartLimit,
        "signal" | "core-dump" => Ended::Signal(status.into()),
        "resources" => Ended::Resources,
        _ if status == "78" => Ended::Configuration,
        _ => Ended::Status(status.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: &str = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nExecMainCode=0\n\
                          ExecMainStatus=0\nNRestarts=0\nUnitFileState=enabled\nWatchdogUSec=30s\n\
                          ActiveEnterTimestamp=Wed 2026-11-25 12:00:00 UTC\nStatusText=\nNeedDaemonReload=no\n";

    fn check(changes: &[(&str, &str)], expected: &[(Level, Finding)]) {
        let shown = changes.iter().fold(ACTIVE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let findings = judge(&Facts { systemd: true, shown: Some(shown), of_service: true, daemon: None });
        let findings: Vec<_> = findings.into_iter().map(|finding| (finding.level(), finding)).collect();
        assert_eq!(findings, expected);
    }

    #[test]
    fn each_state_of_the_unit() {
        let failed = ("ActiveState=active", "ActiveState=failed");
        let active =
            |at_boot| Finding::Active { since: Some("Wed 2026-11-25 12:00:00 UTC".into()), status: None, at_boot };
        let inactive = Finding::Inactive { state: "inactive".into(), daemon: None, wanted: true };
        let fallen = |ended, refused| Finding::Failed { ended: Some(ended), refused };
        check(&[], &[(Level::Ok, active(true))]);
        check(&[("=enabled", "=disabled")], &[(Level::Warning, active(false))]);
        check(
            &[failed, ("Result=success", "Result=exit-code"), ("ExecMainStatus=0", "ExecMainStatus=78")],
            &[(Level::Trouble, fallen(Ended::Configuration, true))],
        );
        check(
            &[failed, ("Result=success", "Result=start-limit-hit"), ("ExecMainStatus=0", "ExecMainStatus=1")],
            &[(Level::Trouble, fallen(Ended::StartLimit, false))],
        );
        check(&[failed, ("Result=success", "Result=oom-kill")], &[(Level::Trouble, fallen(Ended::OutOfMemory, false))]);
        check(
            &[("NRestarts=0", "NRestarts=3"), ("Result=success", "Result=watchdog")],
            &[
                (Level::Ok, active(true)),
                (Level::Warning, Finding::Restarts { count: 3, ended: Some(Ended::Watchdog) }),
            ],
        );
        check(
            &[
                ("=active", "=activating"),
                ("=running", "=auto-restart"),
                ("Result=success", "Result=signal"),
                ("ExecMainStatus=0", "ExecMainStatus=11"),
            ],
            &[(Level::Trouble, Finding::Restarting { ended: Some(Ended::Signal("11".into())) })],
        );
        check(&[("=active", "=inactive")], &[(Level::Warning, inactive)]);
        check(&[("=loaded", "=not-found")], &[(Level::Note, Finding::NotInstalled { daemon: None })]);
        check(&[("=30s", "=0")], &[(Level::Ok, active(true)), (Level::Warning, Finding::NoWatchdog)]);
        check(
            &[("NeedDaemonReload=no", "NeedDaemonReload=yes")],
            &[(Level::Ok, active(true)), (Level::Warning, Finding::UnitChanged)],
        );
    }

    #[test]
    fn without_systemd_or_an_answer_nothing_is_wrong() {
        for (systemd, shown, daemon, level, expected) in [
            (false, None, None, Level::Note, Finding::NoSystemd { daemon: None }),
            (false, None, Some(7), Level::Note, Finding::NoSystemd { daemon: Some(7) }),
            (true, None, None, Level::Unknown, Finding::Silent { answered: false }),
            (true, Some("nonsense".to_owned()), None, Level::Unknown, Finding::Silent { answered: false }),
        ] {
            let findings = judge(&Facts { systemd, shown, of_service: true, daemon });
            assert_eq!((findings[0].level(), &findings[0]), (level, &expected));
        }
    }
}
