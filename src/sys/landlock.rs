//! Landlock: permanent restriction of file access for the process and its children.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use super::proc;

/// `true` once this process is restricted.
static IN_FORCE: AtomicBool = AtomicBool::new(false);

/// Paths that stay accessible, each with everything beneath it. Missing paths are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Read, list and execute.
    pub read: Vec<PathBuf>,
    /// Create, change and remove.
    pub write: Vec<PathBuf>,
    /// Open for reading and writing and send ioctls, without create or remove.
    pub devices: Vec<PathBuf>,
}

impl Allowed {
    /// `true` when all of `path` may be read. Symbolic links are followed as the kernel does.
    pub fn reads(&self, path: &Path) -> bool {
        let real = real(path);
        [&self.read, &self.write, &self.devices].into_iter().flatten().any(|root| real.starts_with(self::real(root)))
    }

    /// `true` when files may be created beneath `path`.
    pub fn writes(&self, path: &Path) -> bool {
        let real = real(path);
        self.write.iter().any(|root| real.starts_with(self::real(root)))
    }
}

/// Target of `path`; for a missing path, of its longest existing prefix.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (_, Some(parent), Some(name)) if !parent.as_os_str().is_empty() => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Extent of the restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything requested.
    Full,
    /// The part that this kernel supports.
    Partial,
    /// Landlock is absent or disabled at boot.
    Missing,
    /// The process was confined already, by a seccomp filter of systemd or a container.
    Confined,
}

/// Restricts this thread and everything it starts to `allowed`. Call it before other threads exist.
///
/// # Errors
/// The kernel has landlock and refuses.
pub fn restrict(allowed: &Allowed) -> Result<Standing, RulesetError> {
    if proc::seccomp_filtered() {
        return Ok(Standing::Confined);
    }
    let abi = ABI::V5;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(&allowed.read, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(&allowed.write, AccessFs::from_all(abi) & !AccessFs::Execute))?
        .add_rules(path_beneath_rules(&allowed.devices, device))?
        .restrict_self()?;
    IN_FORCE.store(status.ruleset != RulesetStatus::NotEnforced, Relaxed);
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Standing::Full,
        RulesetStatus::PartiallyEnforced => Standing::Partial,
        RulesetStatus::NotEnforced => Standing::Missing,
    })
}

/// The directory that a file lies in, `.` for a bare name: files are often replaced by renaming a new one over them, and only
/// their directory stays the same.
pub fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.into(),
        None => file.into(),
    }
}

/// Appends a hint about landlock to `reason` when a restriction is in force, because its denials look like those of file
/// permissions.
pub fn told(reason: String) -> String {
    if IN_FORCE.load(Relaxed) { with_remark(reason) } else { reason }
}

fn with_remark(reason: String) -> String {
    if !reason.to_ascii_lowercase().contains("permission denied") || reason.contains("landlock") {
        return reason;
    }
    reason
        + " (by the file's own permissions, or by landlock because the configuration did not name its directory at the \
           start: node.sandbox = \"off\" ends that)"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_known_beneath_and_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["in", "out", "state"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::os::unix::fs::symlink(at("in"), at("out/to-in")).unwrap();
        std::os::unix::fs::symlink(at("out"), at("in/to-out")).unwrap();
        let allowed = Allowed { read: vec![at("in")], write: vec![at("state")], devices: Vec::new() };
        for (path, reads, writes) in [
            ("in", true, false),
            ("in/yet/to/come", true, false),
            ("inner", false, false),
            ("out/to-in/x", true, false),
            ("in/to-out/x", false, false),
            ("state/new", true, true),
            ("out", false, false),
        ] {
            assert_eq!((allowed.reads(&at(path)), allowed.writes(&at(path))), (reads, writes), "{path}");
        }
    }

    #[test]
    fn a_denial_is_told_once_and_nothing_else_is_changed() {
        let told = with_remark("/srv/x.png: Permission denied (os error 13)".into());
        assert!(told.starts_with("/srv/x.png: Permission denied (os error 13) (by the file's own"), "{told}");
        assert!(told.ends_with("node.sandbox = \"off\" ends that)"), "{told}");
        assert_eq!(with_remark(told.clone()), told);
        assert_eq!(with_remark("/srv/x.png: no such file".into()), "/srv/x.png: no such file");
    }
}
