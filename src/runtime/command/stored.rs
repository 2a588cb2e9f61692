//! The configuration file of a change: written in one step beside a copy of the former one, and put back.
//!
//! `leptond.toml.previous` is the former file. `leptond.toml.trial` stands beside it while a change is on trial: a process that finds it at its
//! start knows that the one before did not live to judge the change, and takes it back ([`recover`]).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sys::file;
use crate::sys::owned::{self, FileKind, WriteError};

/// Largest configuration file, as [`config::load`](crate::config::load()) reads it.
const MOST_BYTES: u64 = 4 << 20;

/// A configuration file that cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// The service is not allowed to write it: a person allows it.
    #[error(
        "{} may not be written by leptond ({reason}): see \"A configuration that leptond may write\" in docs/commands.md",
        path.display()
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// It was changed by others meanwhile: it is theirs.
    #[error("{} was changed by others meanwhile and stays as it is", .0.display())]
    Changed(PathBuf),
    /// It cannot be read or written now.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        let WriteError { path, reason } = error;
        match reason.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy => {
                StoreError::Forbidden { path, reason: reason.to_string() }
            }
            _ => StoreError::Io { path, reason: reason.to_string() },
        }
    }
}

/// A change that was written.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
    /// Digest of what was written.
    written: String,
}

/// The trial's file.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    /// Digest of what was written.
    written: String,
    /// Identifier of who asked for it.
    transaction: Option<String>,
}

/// A change that was taken back at the start of the process.
#[derive(Debug)]
pub struct Recovered {
    /// The outcome, for the log and for who asked for the change.
    pub words: String,
    /// Identifier of who asked for it.
    pub(super) transaction: Option<String>,
}

impl Stored {
    /// Writes `text` into the place of the configuration at `path`, and keeps a copy of the former file.
    pub(super) fn write(path: &Path, text: &str, transaction: Option<String>) -> Result<Stored, StoreError> {
        let stored = Stored { path: path.to_owned(), written: digest(text.as_bytes()) };
        owned::copy(path, &stored.previous())?;
        let marker = Marker { written: stored.written.clone(), transaction };
        let marker = serde_json::to_vec(&marker).unwrap_or_default();
        owned::replace(&beside(path, "trial"), &marker, FileKind::Secret)?;
        let result = owned::replace(path, text.as_bytes(), FileKind::Config);
        if result.is_err() {
            stored.keep();
        }
        result.map(|()| stored).map_err(StoreError::from)
    }

    /// The copy of the former file.
    pub(super) fn previous(&self) -> PathBuf {
        beside(&self.path, "previous")
    }

    /// Ends the trial: the file stays as it is.
    pub(super) fn keep(&self) {
        let marker = beside(&self.path, "trial");
        if let Err(error) = fs::remove_file(&marker) {
            tracing::warn!(%error, "{} cannot be removed: the next start takes the change back", marker.display());
        }
    }

    /// Puts the former file back.
    pub(super) fn restore(&self) -> Result<(), StoreError> {
        let now = file::read_regular(&self.path, MOST_BYTES).unwrap_or_default();
        if digest(&now) != self.written {
            self.keep();
            return Err(StoreError::Changed(self.path.clone()));
        }
        let previous = self.previous();
        let former = file::read_regular(&previous, MOST_BYTES)
            .map_err(|error| StoreError::Io { path: previous, reason: error.to_string() })?;
        owned::replace(&self.path, &former, FileKind::Config)?;
        self.keep();
        Ok(())
    }
}

/// Takes back a change of the configuration at `path` whose trial was cut short: the process was killed, it failed, or there was no power.
/// `None` where there was no trial.
pub fn recover(path: &Path) -> Option<Recovered> {
    let marker = file::read_regular(&beside(path, "trial"), MOST_BYTES).ok()?;
    let Marker { written, transaction } = serde_json::from_slice(&marker).ok()?;
    let stored = Stored { path: path.to_owned(), written };
    let content = |path: &Path| file::read_regular(path, MOST_BYTES).ok();
    if content(path).is_some_and(|now| Some(now) == content(&stored.previous())) {
        // It ended before the change was written.
        stored.keep();
        return None;
    }
    let words = match stored.restore() {
        Ok(()) => {
            "rolled back: leptond ended before the change had been watched for a minute; the former configuration applies"
                .to_owned()
        }
        Err(error) => format!("leptond ended before the change had been watched for a minute, and it is not rolled back: {error}"),
    };
    Some(Recovered { words, transaction })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn transaction() -> Option<String> {
        Some("7".into())
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_change_is_kept_or_put_back_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leptond.toml");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        let stored = Stored::write(&path, "two", transaction()).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("two", 0o640));
        assert_eq!((fs::read_to_string(stored.previous()).unwrap().as_str(), mode(&stored.previous())), ("one", 0o640));
        stored.keep();
        assert_eq!(names(dir.path()), ["leptond.toml", "leptond.toml.previous"]);
        assert!(recover(&path).is_none());

        let stored = Stored::write(&path, "three", transaction()).unwrap();
        stored.restore().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("two", 0o640));
        assert_eq!(names(dir.path()), ["leptond.toml", "leptond.toml.previous"]);
    }

    #[test]
    fn a_trial_that_was_cut_short_is_taken_back_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leptond.toml");
        fs::write(&path, "one").unwrap();
        Stored::write(&path, "two", transaction()).unwrap();
        let recovered = recover(&path).unwrap();
        assert!(recovered.words.starts_with("rolled back"), "{}", recovered.words);
        assert_eq!((recovered.transaction.as_deref(), fs::read_to_string(&path).unwrap().as_str()), (Some("7"), "one"));
        assert!(recover(&path).is_none(), "once");
        Stored::write(&path, "two", transaction()).unwrap();
        fs::write(&path, "one").unwrap();
        assert!(recover(&path).is_none(), "there is nothing to take back");
        assert!(!beside(&path, "trial").exists());
    }

    #[test]
    fn what_a_person_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leptond.toml");
        fs::write(&path, "one").unwrap();
        let stored = Stored::write(&path, "two", transaction()).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(matches!(stored.restore(), Err(StoreError::Changed(_))));
        Stored::write(&path, "three", transaction()).unwrap();
        fs::write(&path, "mine again").unwrap();
        assert!(recover(&path).unwrap().words.contains("changed by others"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine again");
        assert!(recover(&path).is_none());
    }

    #[test]
    fn a_directory_that_may_not_be_written_is_said_and_nothing_changes() {
        if rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leptond.toml");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let error = Stored::write(&path, "two", transaction()).unwrap_err();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            matches!(error, StoreError::Forbidden { .. }) && error.to_string().contains("docs/commands.md"),
            "{error}"
        );
        assert_eq!(names(dir.path()), ["leptond.toml"]);
    }
}
