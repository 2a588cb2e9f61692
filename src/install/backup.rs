//! Copies of a configuration before it is changed.

use std::path::{Path, PathBuf};

use crate::sys::owned::{self, WriteError};

/// Most copies with one time in their names.
const MOST_COPIES: u32 = 100;

/// A copy that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read, or its copy not be written.
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
    let name = path.display().to_string();
    for number in 0..MOST_COPIES {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let copy = PathBuf::from(format!("{name}.bak-{time}{suffix}"));
        if copy.exists() {
            continue;
        }
        owned::copy(path, &copy)?;
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
