//! The service, as systemd tells of it.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::machine::Machine;

/// What is asked of `systemctl show`.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,NRestarts,UnitFileState,\
                          WatchdogUSec,ActiveEnterTimestamp,StatusText,NeedDaemonReload";
const LOG: &str = "journalctl -u leptond -n 30 --no-pager";

/// What is known of the service.
pub struct Facts {
    /// Whether systemd runs the machine.
    pub systemd: bool,
    /// `systemctl show leptond`.
    pub shown: Option<String>,
    /// Whether the configuration that is looked at is the service's.
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

/// What to make of it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let by_hand = facts.daemon.map(|pid| format!("leptond runs (process {pid})"));
    if !facts.systemd {
        let text = "systemd does not run this machine, so there is no service to look at";
        return vec![Finding::note("service", by_hand.unwrap_or_else(|| text.into()))];
    }
    let Some(shown) = facts.shown.as_deref().filter(|shown| shown.contains('=')) else {
        return vec![Finding::unknown("service", "systemctl does not answer")];
    };
    let properties: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let get = |key: &str| properties.get(key).copied().unwrap_or_default();
    if get("LoadState") == "not-found" {
        let text = by_hand.unwrap_or_else(|| "not installed: leptond is run by hand here".into());
        return vec![Finding::note("service", text)];
    }
    let mut all = vec![state(facts, &get)];
    let restarts: u64 = get("NRestarts").parse().unwrap_or(0);
    if restarts > 0 {
        let last = ended(&get).map(|why| format!(", the last time because it {why}")).unwrap_or_default();
        all.push(Finding::warning("restarts", format!("systemd started it anew {restarts} times{last}")).command(LOG));
    }
    if get("WatchdogUSec") == "0" {
        let text = "the unit has no WatchdogSec=: a hung leptond is not noticed";
        all.push(Finding::warning("watchdog", text).command("systemctl cat leptond"));
    }
    if get("NeedDaemonReload") == "yes" {
        let text = "the unit's files have changed since systemd read them";
        all.push(
            Finding::warning("unit", text).command("sudo systemctl daemon-reload && sudo systemctl restart leptond"),
        );
    }
    all
}

fn state<'a>(facts: &Facts, get: &dyn Fn(&str) -> &'a str) -> Finding {
    let at_boot = get("UnitFileState") == "enabled";
    let since = Some(get("ActiveEnterTimestamp")).filter(|t| !t.is_empty());
    match get("ActiveState") {
        "active" | "reloading" => {
            let since = since.map(|t| format!(" since {t}")).unwrap_or_default();
            let says = Some(get("StatusText")).filter(|t| !t.is_empty()).map(|t| format!(": {t}")).unwrap_or_default();
            if at_boot {
                return Finding::ok("service", format!("active{since}{says}"));
            }
            Finding::warning("service", format!("active{since}, but not started at boot"))
                .command("sudo systemctl enable leptond")
        }
        "failed" => {
            let why = ended(get).unwrap_or_else(|| "failed".into());
            let finding = Finding::trouble("service", format!("failed: it {why}"));
            if get("ExecMainStatus") == "78" {
                return finding.command("sudo leptond check").command("sudo systemctl restart leptond");
            }
            finding.command(LOG).command("sudo systemctl reset-failed leptond && sudo systemctl start leptond")
        }
        "activating" if get("SubState") == "auto-restart" => {
            let why = ended(get).unwrap_or_else(|| "ended".into());
            Finding::trouble("service", format!("is being started again: it {why}")).command(LOG)
        }
        "activating" => Finding::note("service", "is starting").command("systemctl status leptond"),
        "" => Finding::unknown("service", "systemctl says nothing of it"),
        other => match facts.daemon {
            Some(pid) => Finding::note("service", format!("{other}, but a leptond runs by hand (process {pid})")),
            None => {
                let level = if facts.of_service { Finding::warning } else { Finding::note };
                level("service", format!("{other}: it does not run")).command("sudo systemctl enable --now leptond")
            }
        },
    }
}

/// How the last run ended, to be read after "it".
fn ended<'a>(get: &dyn Fn(&str) -> &'a str) -> Option<String> {
    let status = get("ExecMainStatus");
    Some(match get("Result") {
        "success" | "" if status == "0" || status.is_empty() => return None,
        "watchdog" => "hung, and the watchdog ended it".into(),
        "oom-kill" => "was killed because no memory was left (MemoryMax= of the unit, or the machine's)".into(),
        "timeout" => "took too long to start or to stop".into(),
        "start-limit-hit" => "failed too often in a short time, and is not started any more".into(),
        "signal" | "core-dump" => format!("was ended by signal {status}"),
        "resources" => "could not be given what its unit asks for".into(),
        _ if status == "78" => "refuses its configuration (exit status 78)".into(),
        _ => format!("ended with exit status {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const ACTIVE: &str = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nExecMainCode=0\n\
                          ExecMainStatus=0\nNRestarts=0\nUnitFileState=enabled\nWatchdogUSec=30s\n\
                          ActiveEnterTimestamp=Wed 2026-11-25 12:00:00 UTC\nStatusText=\nNeedDaemonReload=no\n";

    fn check(changes: &[(&str, &str)], expected: &[(Level, &str)]) {
        let shown = changes.iter().fold(ACTIVE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let findings = judge(&Facts { systemd: true, shown: Some(shown), of_service: true, daemon: None });
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, (level, part)) in findings.iter().zip(expected) {
            assert!(finding.level == *level && format!("{finding:?}").contains(part), "{part}: {finding:?}");
        }
    }

    #[test]
    fn what_systemd_tells() {
        let failed = ("ActiveState=active", "ActiveState=failed");
        check(&[], &[(Level::Ok, "active since Wed")]);
        check(&[("=enabled", "=disabled")], &[(Level::Warning, "systemctl enable leptond")]);
        check(
            &[failed, ("Result=success", "Result=exit-code"), ("ExecMainStatus=0", "ExecMainStatus=78")],
            &[(Level::Trouble, "sudo leptond check")],
        );
        check(
            &[failed, ("Result=success", "Result=start-limit-hit"), ("ExecMainStatus=0", "ExecMainStatus=1")],
            &[(Level::Trouble, "reset-failed")],
        );
        check(&[failed, ("Result=success", "Result=oom-kill")], &[(Level::Trouble, "no memory was left")]);
        check(
            &[("NRestarts=0", "NRestarts=3"), ("Result=success", "Result=watchdog")],
            &[(Level::Ok, "active"), (Level::Warning, "3 times, the last time because it hung")],
        );
        check(
            &[
                ("=active", "=activating"),
                ("=running", "=auto-restart"),
                ("Result=success", "Result=signal"),
                ("ExecMainStatus=0", "ExecMainStatus=11"),
            ],
            &[(Level::Trouble, "ended by signal 11")],
        );
        check(&[("=active", "=inactive")], &[(Level::Warning, "enable --now leptond")]);
        check(&[("=loaded", "=not-found")], &[(Level::Note, "by hand")]);
        check(&[("=30s", "=0")], &[(Level::Ok, "active"), (Level::Warning, "WatchdogSec")]);
    }

    #[test]
    fn without_systemd_or_an_answer_nothing_is_wrong() {
        let facts = |systemd, shown: Option<&str>, daemon| Facts {
            systemd,
            shown: shown.map(str::to_owned),
            of_service: true,
            daemon,
        };
        for (facts, level, part) in [
            (facts(false, None, None), Level::Note, "no service"),
            (facts(false, None, Some(7)), Level::Note, "process 7"),
            (facts(true, None, None), Level::Unknown, "does not answer"),
            (facts(true, Some("nonsense"), None), Level::Unknown, "does not answer"),
        ] {
            let findings = judge(&facts);
            assert!(findings[0].level == level && findings[0].text.contains(part), "{findings:?}");
        }
    }
}
