//! Words about the configuration.

use std::path::Path;

use super::shown::Shown;
use crate::config::Problem;
use crate::diagnose::configuration::{Finding, Unreadable};

/// The finding for people. `file` is the configuration, `of_service` says that it is the service's.
pub fn shown(finding: &Finding, file: &Path, of_service: bool) -> Shown {
    let file = file.display();
    let shown = |text: String| Shown::new(finding.level(), "configuration", text);
    match finding {
        Finding::Good { pipelines: 1 } => shown(format!("{file}: 1 pipeline")),
        Finding::Good { pipelines } => shown(format!("{file}: {pipelines} pipelines")),
        Finding::Unreadable(Unreadable::Missing) => shown(format!("{file} is not there")).command(match of_service {
            true => "sudo leptond setup".into(),
            false => format!("leptond setup --config {file}"),
        }),
        Finding::Unreadable(Unreadable::Denied) => {
            let text = format!("{file} is not for this user to read, so what it names was not looked at");
            shown(text).command("sudo leptond doctor")
        }
        Finding::Error(problem) => helped(shown(text(problem)), problem).command(match of_service {
            true => "sudo leptond check".into(),
            false => format!("leptond check --config {file}"),
        }),
        Finding::Questionable(problem) => helped(shown(text(problem)), problem),
        Finding::ServiceDenied => shown(format!("{file} cannot be read by the service's user leptond"))
            .command(format!("sudo chgrp leptond {file} && sudo chmod 640 {file}")),
        Finding::OpenPassword(password) => {
            let password = password.display();
            let text = format!("{password} holds a password, and other users may read it");
            Shown::new(finding.level(), "password", text).command(format!("sudo chmod 600 {password}"))
        }
    }
}

fn text(problem: &Problem) -> String {
    let place = Problem { found: None, allowed: None, help: None, ..problem.clone() };
    let found = problem.found.as_ref().map(|found| format!(", found {found}")).unwrap_or_default();
    let allowed = problem.allowed.as_ref().map(|allowed| format!("; allowed: {allowed}")).unwrap_or_default();
    format!("{place}{found}{allowed}")
}

fn helped(shown: Shown, problem: &Problem) -> Shown {
    match problem.help.as_deref() {
        Some(help) if help.starts_with("chmod ") => shown.command(format!("sudo {help}")),
        Some(help) => shown.advice(help),
        None => shown,
    }
}
