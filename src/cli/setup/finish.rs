//! Writing what was decided, whole or not at all.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::sys::owned::{self, FileKind};

/// Keeps `text`, the present content of `path`, beside it; gives the name of the copy.
///
/// # Errors
/// What cannot be written, with its name.
pub fn backup(path: &Path, time: &str) -> anyhow::Result<PathBuf> {
    let name = path.display().to_string();
    for number in 0..100 {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let copy = PathBuf::from(format!("{name}.bak-{time}{suffix}"));
        if copy.exists() {
            continue;
        }
        let old = fs::metadata(path).with_context(|| name.clone())?;
        owned::replace(&copy, &fs::read(path).with_context(|| name.clone())?, FileKind::Secret)?;
        let as_before = || -> std::io::Result<()> {
            let file = File::open(&copy)?;
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
        };
        as_before().with_context(|| copy.display().to_string())?;
        return Ok(copy);
    }
    anyhow::bail!("{name}.bak-{time}: there are a hundred copies already")
}

/// `20261124-153012` of `2026-11-24T15:30:12.5Z`.
pub fn stamp(rfc3339: &str) -> String {
    let digits: String = rfc3339.chars().take(19).filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at(digits.len().min(8));
    format!("{date}-{time}")
}

/// Whether this user could put `path` in place.
pub fn writable(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let Some(dir) = absolute.ancestors().skip(1).find(|dir| dir.exists()) else { return false };
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}
