//! Writing what was decided, whole or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Who may read a file that did not exist before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FileKind {
    /// The owner only, also where the file existed with other rights.
    Secret,
    /// The owner and the service's group; as it was where it existed.
    Config,
}

/// Puts `bytes` in the place of `path` in one step: a reader sees the old file or the new one, and a power cut leaves one
/// of them. A symbolic link is followed, and stays.
///
/// # Errors
/// What cannot be written, with its name.
pub fn write_atomically(path: &Path, bytes: &[u8], kind: FileKind) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let result = write(&temporary, &path, bytes, kind);
    if result.is_err() {
        let _already_gone = fs::remove_file(&temporary);
    }
    result.with_context(|| path.display().to_string())
}

fn write(temporary: &Path, path: &Path, bytes: &[u8], kind: FileKind) -> anyhow::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    let old = fs::metadata(path).ok().filter(|_| kind != FileKind::Secret);
    let (owner, mode) = match (&old, kind) {
        (Some(old), _) => (Some((old.uid(), old.gid())), old.mode() & 0o7777),
        (None, FileKind::Secret) => (None, 0o600),
        (None, FileKind::Config) => match service_group() {
            Some(group) if rustix::process::geteuid().is_root() => (Some((0, group)), 0o640),
            _ => (None, 0o600),
        },
    };
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(&file, Some(user), Some(group)).context("keeping its owner")?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    // The rename itself is on the disk only when the directory is.
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// The number of the group `leptond`.
fn service_group() -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.starts_with("leptond:"))?;
    line.split(':').nth(2)?.parse().ok()
}

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
        write_atomically(&copy, &fs::read(path).with_context(|| name.clone())?, FileKind::Secret)?;
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
