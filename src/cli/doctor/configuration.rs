//! The configuration: what `check` says of it, and who may read it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::machine::Machine;
use crate::config::{self, Config, ConfigErrors, Options, Problem};
use crate::sys::file::{FileError, open_regular};

/// What is known of the configuration.
pub struct Facts {
    /// The file.
    pub file: PathBuf,
    /// What it says, as far as it can be understood; files that it names may be missing.
    pub config: Option<Config>,
    /// What is wrong, models apart.
    pub problems: Vec<Problem>,
    /// What is questionable, cameras apart.
    pub warnings: Vec<Problem>,
    /// Whether there is no file, or this user may not read it.
    pub unreadable: Option<Unreadable>,
    /// Whether it is the service's.
    pub of_service: bool,
    /// The service's user may not read it.
    pub shut: bool,
    /// A password in a file that others may read.
    pub open_password: Option<PathBuf>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// No such file.
    Missing,
    /// For other users.
    Denied,
}

/// Reads it as the daemon does.
pub fn gather(machine: &Machine, given: Option<PathBuf>) -> Facts {
    let of_service = given.is_none() || given.as_deref() == Some(Path::new(config::DEFAULT_FILE));
    let file = given.clone().unwrap_or_else(|| machine.path(Path::new(config::DEFAULT_FILE)));
    let mut facts = Facts {
        config: None,
        problems: Vec::new(),
        warnings: Vec::new(),
        unreadable: match open_regular(&file) {
            Err(error) if error.is_missing() => Some(Unreadable::Missing),
            Err(FileError::Io(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Some(Unreadable::Denied)
            }
            _ => None,
        },
        of_service,
        shut: of_service && machine.is_here() && shut(machine, &file),
        open_password: None,
        file,
    };
    let asked = given.or_else(|| (!machine.is_here()).then(|| facts.file.clone()));
    let mut options = Options::from_process(asked, Vec::new());
    if !machine.is_here() {
        options.env.clear();
        options.skip_files = true;
    }
    match config::load(&options) {
        Ok(loaded) => {
            // The environment may say everything.
            facts.unreadable = facts.unreadable.filter(|_| loaded.path.is_some());
            facts.warnings = loaded.warnings;
            facts.config = Some(loaded.config);
        }
        Err(ConfigErrors { problems }) => {
            facts.problems = problems;
            options.skip_files = true;
            facts.config = config::load(&options).ok().map(|loaded| loaded.config);
        }
    }
    if facts.config.is_some() {
        // Each of these has a group that looks closer.
        let elsewhere = |p: &Problem| p.key.ends_with("].model") && p.message.contains("no such model");
        facts.problems.retain(|p| !elsewhere(p));
        let camera = |p: &Problem| [".source.device", ".source.program"].iter().any(|key| p.key.ends_with(key));
        facts.warnings.retain(|p| !camera(p));
        facts.problems.retain(|p| !credential(p));
        facts.warnings.retain(|p| !credential(p));
    }
    facts.open_password = facts.config.as_ref().and_then(open_password);
    facts
}

/// systemd's credential is there only while the service runs, and for nobody else.
fn credential(problem: &Problem) -> bool {
    problem.key == "mqtt.password_file" && problem.found.as_deref().is_some_and(|f| f.contains("/run/credentials/"))
}

/// Whether the service's user may not read the file.
fn shut(machine: &Machine, file: &Path) -> bool {
    let (Some([user, group]), Ok(meta)) = (machine.ids("leptond"), file.metadata()) else { return false };
    let mode = meta.mode();
    let may = match (meta.uid() == user, meta.gid() == group) {
        (true, _) => mode & 0o400 != 0,
        (false, true) => mode & 0o040 != 0,
        (false, false) => mode & 0o004 != 0,
    };
    !may
}

fn open_password(config: &Config) -> Option<PathBuf> {
    let usual = PathBuf::from("/etc/leptond/mqtt-password");
    let files = [config.mqtt.password_file.clone(), Some(usual)].into_iter().flatten();
    files.into_iter().find(|file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o044 != 0))
}

/// What to make of it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let (what, file) = ("configuration", facts.file.display());
    match facts.unreadable {
        Some(Unreadable::Missing) if facts.of_service => {
            return vec![Finding::trouble(what, format!("{file} is not there")).command("sudo leptond setup")];
        }
        Some(Unreadable::Missing) => {
            let finding = Finding::trouble(what, format!("{file} is not there"));
            return vec![finding.command(format!("leptond setup --config {file}"))];
        }
        Some(Unreadable::Denied) => {
            let text = format!("{file} is not for this user to read, so what it names was not looked at");
            return vec![Finding::unknown(what, text).command("sudo leptond doctor")];
        }
        None => {}
    }
    let check = match facts.of_service {
        true => "sudo leptond check".into(),
        false => format!("leptond check --config {file}"),
    };
    let said = |level: fn(&'static str, String) -> Finding, problem: &Problem| {
        let place = Problem { found: None, allowed: None, help: None, ..problem.clone() };
        let mut text = place.to_string();
        if let Some(found) = &problem.found {
            text += &format!(", found {found}");
        }
        if let Some(allowed) = &problem.allowed {
            text += &format!("; allowed: {allowed}");
        }
        let finding = level(what, text);
        match problem.help.as_deref() {
            Some(help) if help.starts_with("chmod ") => finding.command(format!("sudo {help}")),
            Some(help) => finding.advice(help),
            None => finding,
        }
    };
    let mut all: Vec<Finding> =
        facts.problems.iter().map(|p| said(Finding::trouble, p).command(check.clone())).collect();
    all.extend(facts.warnings.iter().map(|p| said(Finding::warning, p)));
    if facts.shut {
        let text = format!("{file} cannot be read by the service's user leptond");
        let mend = format!("sudo chgrp leptond {file} && sudo chmod 640 {file}");
        all.push(Finding::trouble(what, text).command(mend));
    }
    if let Some(password) = &facts.open_password {
        let text = format!("{} holds a password, and other users may read it", password.display());
        all.push(Finding::warning("password", text).command(format!("sudo chmod 600 {}", password.display())));
    }
    if facts.problems.is_empty() && !facts.shut {
        let pipelines = facts.config.as_ref().map_or(0, |c| c.pipelines.len());
        let plural = if pipelines == 1 { "1 pipeline".into() } else { format!("{pipelines} pipelines") };
        all.insert(0, Finding::ok(what, format!("{file}: {plural}")));
    }
    all
}
