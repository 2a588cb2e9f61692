//! Copies of a configuration before it is changed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::sys::owned::{self, FileKind, WriteError};

/// Most copies with one time in their names.
const MOST_COPIES: u32 = 100;

/// A copy that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read, or its owner and mode not be given to the copy.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// The copy cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// All names are taken.
    #[error("{0}: there are a hundred copies already")]
    TooMany(String),
}

/// Copies `path` beside itself, with `time` in the name; gives the name of the copy.
///
/// # Errors
/// [`BackupError`] with the file.
pub fn backup(path: &Path, time: &str) -> Result<PathBuf, BackupError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |reason| BackupError::Io { path, reason }
    };
    let name = path.display().to_string();
    for number in 0..MOST_COPIES {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let copy = PathBuf::from(format!("{name}.bak-{time}{suffix}"));
        if copy.exists() {
            continue;
        }
        let old = fs::metadata(path).map_err(at(path))?;
        owned::replace(&copy, &fs::read(path).map_err(at(path))?, FileKind::Secret)?;
        let as_before = || -> io::Result<()> {
            let file = File::open(&copy)?;
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
        };
        as_before().map_err(at(&copy))?;
        return Ok(copy);
    }
    Err(BackupError::TooMany(format!("{name}.bak-{time}")))
}

/// `20261124-153012` of `2026-11-24T15:30:12.5Z`.
pub fn stamp(rfc3339: &str) -> String {
    let digits: String = rfc3339.chars().take(19).filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at(digits.len().min(8));
    format!("{date}-{time}")
}

/// Reports that this user could put `path` in place.
pub fn writable(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let Some(dir) = absolute.ancestors().skip(1).find(|dir| dir.exists()) else { return false };
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}
