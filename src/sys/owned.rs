//! Files of a person or the service, replaced in one step with owner and mode kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file or directory that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct WriteError {
    /// The file or directory.
    pub path: PathBuf,
    /// The system's reason.
    pub reason: io::Error,
}

/// Readers of a file that did not exist before.
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
/// [`WriteError`] with the file or directory that cannot be written.
pub fn replace(path: &Path, bytes: &[u8], kind: FileKind) -> Result<(), WriteError> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|reason| WriteError { path: dir.into(), reason })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let result = write(&temporary, &path, bytes, kind);
    if result.is_err() {
        let _already_gone = fs::remove_file(&temporary);
    }
    result.map_err(|reason| WriteError { path, reason })
}

/// Puts a copy of `path` in the place of `copy` in one step, with the owner and mode of the original.
///
/// # Errors
/// [`WriteError`] with the file that cannot be read or written.
pub fn copy(path: &Path, copy: &Path) -> Result<(), WriteError> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |reason| WriteError { path, reason }
    };
    let old = fs::metadata(path).map_err(at(path))?;
    replace(copy, &fs::read(path).map_err(at(path))?, FileKind::Secret)?;
    let as_before = || -> io::Result<()> {
        let file = File::open(copy)?;
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
    };
    as_before().map_err(at(copy))
}

fn write(temporary: &Path, path: &Path, bytes: &[u8], kind: FileKind) -> io::Result<()> {
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
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    // The rename itself is on the disk only when the directory is.
    if let Some(dir) = path.parent() {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
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
