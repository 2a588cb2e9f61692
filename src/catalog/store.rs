//! A directory of bundles, changed by one process at a time and only atomically.
//!
//! Unfinished files are below `.partial` in the same file system: partial downloads, and the staged bundle. A bundle is added,
//! replaced and removed by one `rename` each. After a crash, the next process that opens the directory cleans up.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, CWD, FlockOperation, RenameFlags};

use super::fault::StoreError;
use crate::model::{Bundle, ModelError};

/// Directory of unfinished files.
const PARTIAL: &str = ".partial";

/// Age after which an unused partial download is deleted.
const KEEP_PARTIAL: Duration = Duration::from_secs(7 * 24 * 3600);

/// An exclusively locked models directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

/// A bundle being assembled.
#[derive(Debug)]
pub struct Stage {
    path: PathBuf,
}

impl Store {
    /// Opens and locks a models directory, creates it if necessary, and cleans up after killed processes. When another process
    /// holds the lock, calls `waiting` and then waits for it.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, now: SystemTime, waiting: impl FnOnce()) -> Result<Store, StoreError> {
        let partial = dir.join(PARTIAL);
        make_dirs(&partial)?;
        let path = partial.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| fault(&path, &e))?;
        give(&path, dir, 0o644)?;
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            waiting();
            rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| fault(&path, &e.into()))?;
        }
        let store = Store { dir: dir.into(), _lock: lock };
        store.clear_up(now)?;
        Ok(store)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Directory of partial downloads.
    pub fn partial(&self) -> PathBuf {
        self.dir.join(PARTIAL)
    }

    fn clear_up(&self, now: SystemTime) -> Result<(), StoreError> {
        remove_all(&self.partial().join("stage"))?;
        remove_all(&self.partial().join("gone"))?;
        // On file systems that cannot exchange two directories, a replaced bundle waits here until the new one is in place.
        let old = self.partial().join("old");
        for entry in fs::read_dir(&old).into_iter().flatten().flatten() {
            let target = self.dir.join(entry.file_name());
            if !target.exists() {
                fs::rename(entry.path(), &target).map_err(|e| fault(&target, &e))?;
            }
        }
        remove_all(&old)?;
        for entry in fs::read_dir(self.partial()).into_iter().flatten().flatten() {
            let path = entry.path();
            let unfinished = path.extension().is_some_and(|e| e == "part" || e == "json");
            let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| now.duration_since(t).ok());
            if unfinished && age.is_some_and(|age| age > KEEP_PARTIAL) {
                fs::remove_file(&path).map_err(|e| fault(&path, &e))?;
            }
        }
        Ok(())
    }

    /// An empty bundle of this name, to be filled and [installed](Store::install).
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stage(&self, name: &str) -> Result<Stage, StoreError> {
        let path = self.partial().join("stage").join(name);
        remove_all(&path)?;
        // Private until it is proven; `settle` opens its permissions.
        let mut private = DirBuilder::new();
        private.recursive(true).mode(0o700).create(&path).map_err(|e| fault(&path, &e))?;
        Ok(Stage { path })
    }

    /// Installs a bundle, on disk before it becomes visible. `replace` allows it to replace an existing one.
    ///
    /// # Errors
    /// [`StoreError::Occupied`], or [`StoreError::Io`]; the directory is then unchanged.
    pub fn install(&self, stage: Stage, replace: bool) -> Result<PathBuf, StoreError> {
        let target = self.dir.join(stage.path.file_name().unwrap_or_default());
        if target.symlink_metadata().is_ok() && !replace {
            return Err(StoreError::Occupied { path: target });
        }
        settle(&stage.path, &self.dir)?;
        self.put(&stage.path, &target)?;
        sync(&self.dir)?;
        remove_all(&self.partial().join("stage"))?;
        remove_all(&self.partial().join("old"))?;
        Ok(target)
    }

    fn put(&self, new: &Path, target: &Path) -> Result<(), StoreError> {
        if target.symlink_metadata().is_err() {
            return fs::rename(new, target).map_err(|e| fault(target, &e));
        }
        if rustix::fs::renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
        let old = self.partial().join("old");
        fs::create_dir_all(&old).map_err(|e| fault(&old, &e))?;
        let old = old.join(target.file_name().unwrap_or_default());
        fs::rename(target, &old).map_err(|e| fault(target, &e))?;
        fs::rename(new, target).map_err(|e| {
            let _ = fs::rename(&old, target);
            fault(target, &e)
        })
    }

    /// Removes a bundle or a bare model file.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the bundle then still exists.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let target = self.dir.join(name);
        let gone = self.partial().join("gone");
        fs::create_dir_all(&gone).map_err(|e| fault(&gone, &e))?;
        fs::rename(&target, gone.join(name)).map_err(|e| fault(&target, &e))?;
        sync(&self.dir)?;
        remove_all(&gone)
    }
}

impl Stage {
    /// Directory of the staged bundle.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of the bundle; `file` may contain directories.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path_of(file)?;
        fs::write(&path, bytes).map_err(|e| fault(&path, &e))
    }

    /// Adds a downloaded file of the same file system to the bundle and keeps the original.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn link(&self, file: &str, from: &Path) -> Result<(), StoreError> {
        let path = self.path_of(file)?;
        // Some file systems have no hard links.
        fs::hard_link(from, &path).or_else(|_| fs::copy(from, &path).map(drop)).map_err(|e| fault(&path, &e))
    }

    fn path_of(&self, file: &str) -> Result<PathBuf, StoreError> {
        let path = self.path.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| fault(parent, &e))?;
        }
        Ok(path)
    }
}

impl Drop for Stage {
    /// Deletes a bundle that was not installed, which frees its space.
    fn drop(&mut self) {
        // On failure, the next process that opens the directory tries again.
        let _ = remove_all(&self.path);
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// The first writable one of `dirs`. Directories of packages are excluded.
///
/// # Errors
/// [`StoreError::NotWritable`] with the reason of each.
pub fn choose(dirs: &[PathBuf]) -> Result<PathBuf, StoreError> {
    let mut reasons = Vec::new();
    for dir in dirs {
        let why = if is_packaged(dir) { "belongs to a package".into() } else { not_writable(dir) };
        if why.is_empty() {
            return Ok(dir.clone());
        }
        reasons.push((dir.clone(), why));
    }
    Err(StoreError::NotWritable { dirs: reasons })
}

/// Reason for which this user may not write there; empty if they may, or could create the directory.
fn not_writable(dir: &Path) -> String {
    // The last ancestor of a relative path is empty and means the current directory.
    let above = dir.ancestors().map(|a| if a.as_os_str().is_empty() { Path::new(".") } else { a });
    let there = above.into_iter().find(|a| a.symlink_metadata().is_ok()).unwrap_or(dir);
    if !there.is_dir() {
        return if there == dir { "not a directory".into() } else { format!("{} is not a directory", there.display()) };
    }
    match rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => String::new(),
        Err(error) => words(&error.into()),
    }
}

/// `true` for files of a package manager.
pub fn is_packaged(path: &Path) -> bool {
    path.starts_with("/usr") && !path.starts_with("/usr/local")
}

/// Files of a bundle.
pub fn files_of(bundle: &Bundle) -> Vec<String> {
    let manifest = bundle.manifest();
    let mut files: Vec<String> = bundle.variants().into_iter().map(|rung| rung.file).collect();
    files.extend(manifest.labels_file.clone());
    files.extend(manifest.output.anchors.clone());
    files.extend(bundle.goldens().iter().map(|golden| golden.file.clone()));
    if !bundle.is_bare() {
        files.push("model.toml".into());
    }
    files.sort();
    files.dedup();
    files
}

/// `true` when two bundles are equal, byte for byte.
///
/// # Errors
/// A file of either bundle cannot be read.
pub fn same_files(a: &Bundle, b: &Bundle) -> Result<bool, ModelError> {
    let files = files_of(a);
    if files != files_of(b) {
        return Ok(false);
    }
    for file in files {
        if a.read(&file)? != b.read(&file)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Creates a directory and its ancestors, each owned as its parent is.
fn make_dirs(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_dirs(parent)?;
    }
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fault(dir, &e)),
        _ => {}
    }
    give(dir, parent.unwrap_or(Path::new(".")), 0o755)
}

/// Makes a bundle readable for the service, owned as the models directory is, and durable.
fn settle(path: &Path, dir: &Path) -> Result<(), StoreError> {
    let is_dir = path.is_dir();
    give(path, dir, if is_dir { 0o755 } else { 0o644 })?;
    if is_dir {
        for entry in fs::read_dir(path).map_err(|e| fault(path, &e))?.flatten() {
            settle(&entry.path(), dir)?;
        }
    }
    sync(path)
}

/// Sets the mode and, as root, the owner of `like`.
fn give(path: &Path, like: &Path, mode: u32) -> Result<(), StoreError> {
    if rustix::process::geteuid().is_root() {
        let meta = fs::metadata(like).map_err(|e| fault(like, &e))?;
        std::os::unix::fs::chown(path, Some(meta.uid()), Some(meta.gid())).map_err(|e| fault(path, &e))?;
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        // Another user's lock or directory keeps its mode.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result.map_err(|e| fault(path, &e)),
    }
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| fault(path, &e))
}

fn remove_all(path: &Path) -> Result<(), StoreError> {
    let result = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fault(path, &e)),
        _ => Ok(()),
    }
}

fn fault(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io { path: path.into(), reason: words(error) }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        _ => error.to_string(),
    }
}
