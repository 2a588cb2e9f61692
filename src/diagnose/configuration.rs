//! The configuration: its problems, and the users who may read it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Level;
use super::machine::Machine;
use crate::config::{self, Config, ConfigErrors, Options, Problem};
use crate::sys::file::{FileError, open_regular};

/// Facts about the configuration.
pub struct Facts {
    /// The file.
    pub file: PathBuf,
    /// Its values, as far as it can be understood; files that it names may be missing.
    pub config: Option<Config>,
    /// Errors, models apart.
    pub problems: Vec<Problem>,
    /// Warnings, cameras apart.
    pub warnings: Vec<Problem>,
    /// There is no file, or this user may not read it.
    pub unreadable: Option<Unreadable>,
    /// It is the service's.
    pub of_service: bool,
    /// The service's user may not read it.
    pub shut: bool,
    /// A password in a file that others may read.
    pub open_password: Option<PathBuf>,
}

/// Reason for having none.
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

/// The service's user may not read the file.
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

/// A finding about the configuration.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// It may be run.
    Good { pipelines: usize },
    /// It cannot be read.
    Unreadable(Unreadable),
    /// It cannot be run.
    Error(Problem),
    /// It may be run, and something in it is questionable.
    Questionable(Problem),
    /// The service's user may not read it.
    ServiceDenied,
    /// A file with a password that other users may read.
    OpenPassword(PathBuf),
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::Good { .. } => Level::Ok,
            Finding::Unreadable(Unreadable::Denied) => Level::Unknown,
            Finding::Questionable(_) | Finding::OpenPassword(_) => Level::Warning,
            Finding::Unreadable(Unreadable::Missing) | Finding::Error(_) | Finding::ServiceDenied => Level::Trouble,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    if let Some(unreadable) = facts.unreadable {
        return vec![Finding::Unreadable(unreadable)];
    }
    let mut all = Vec::new();
    if facts.problems.is_empty() && !facts.shut {
        all.push(Finding::Good { pipelines: facts.config.as_ref().map_or(0, |config| config.pipelines.len()) });
    }
    all.extend(facts.problems.iter().cloned().map(Finding::Error));
    all.extend(facts.warnings.iter().cloned().map(Finding::Questionable));
    all.extend(facts.shut.then_some(Finding::ServiceDenied));
    all.extend(facts.open_password.clone().map(Finding::OpenPassword));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_the_daemon_is_trouble_and_the_rest_is_less() {
        let facts = |unreadable, problems: &[&str], shut| Facts {
            file: "/etc/leptond/leptond.toml".into(),
            config: Some(Config::default()),
            problems: problems.iter().map(|key| Problem::new(*key, "wrong")).collect(),
            warnings: vec![Problem::new("log.level", "doubtful")],
            unreadable,
            of_service: true,
            shut,
            open_password: Some("/p".into()),
        };
        let levels = |facts: &Facts| judge(facts).iter().map(Finding::level).collect::<Vec<_>>();
        let (ok, warning, trouble) = (Level::Ok, Level::Warning, Level::Trouble);
        assert_eq!(levels(&facts(None, &[], false)), [ok, warning, warning]);
        assert_eq!(levels(&facts(None, &["mqtt.port"], false)), [trouble, warning, warning]);
        assert_eq!(levels(&facts(None, &[], true)), [warning, trouble, warning]);
        assert_eq!(judge(&facts(Some(Unreadable::Missing), &[], false)), [Finding::Unreadable(Unreadable::Missing)]);
        assert_eq!(levels(&facts(Some(Unreadable::Denied), &[], false)), [Level::Unknown]);
    }
}
