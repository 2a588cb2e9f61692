//! The status file for `leptond probe --watch` and `doctor` on the same machine: `governor.json` in the service's runtime
//! directory, which lies in memory. Nothing is written to a disk or an SD card.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::status::{HomeAssistant, NodeStatus};
use crate::frame::{Emission, Sink};
use crate::publish::payload::Governor;
use crate::sys::file;
use crate::telemetry::monotonic_ns;

const FILE: &str = "governor.json";

/// A larger file was not written here.
const MOST_BYTES: u64 = 4 << 20;

/// Runtime directory of a system service (`RuntimeDirectory=leptond`).
const SYSTEM_DIR: &str = "/run/leptond";

/// A file that is older than this, and than two turns of its writer, was left behind.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// The part of a [`NodeStatus`] that the file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's process.
    pub pid: u32,
    /// Time of writing, on the machine's clock since it booted.
    pub written_ms: u64,
    /// Time that it holds.
    pub valid_ms: u64,
    /// As on the topic `governor`.
    pub governor: Governor,
    /// CPU use of the daemon and its children, 0 to 100 of the whole machine.
    pub own_cpu_percent: Option<f32>,
    /// The connection to the broker is there.
    pub connected: Option<bool>,
    /// Discovery by Home Assistant.
    #[serde(default)]
    pub home_assistant: HomeAssistant,
    /// Share of the queue of messages that is filled, 0 to 1.
    pub backlog: Option<f32>,
    /// Latency of each pipeline, 95 % of its latest results, in ms.
    pub p95_ms: BTreeMap<String, f32>,
}

impl Status {
    /// Of `status`, in this process and now; `None` without pipelines.
    fn of(status: &NodeStatus) -> Option<Status> {
        let p95 = status.pipelines.iter().filter_map(|p| Some((p.name.to_string(), p.recent_p95_ms?)));
        Some(Status {
            pid: std::process::id(),
            written_ms: since_boot_ms(),
            valid_ms: valid_ms(status.every),
            governor: Governor::of(status, None)?,
            own_cpu_percent: status.board.own_cpu_percent,
            connected: Some(status.publisher.connected),
            home_assistant: status.publisher.home_assistant,
            backlog: Some(status.publisher.backlog),
            p95_ms: p95.collect(),
        })
    }
}

/// The sink that writes the file. It lies in memory, and each status takes the place of the one before.
pub(super) struct StatusFile {
    path: Option<PathBuf>,
}

impl StatusFile {
    /// In the directory that the service manager or the session gives (`RUNTIME_DIRECTORY`, else `XDG_RUNTIME_DIR`), else in one of
    /// this user's own; where there is none, or it does not lie in memory, nothing is written.
    pub(super) fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let dir = dirs(var).into_iter().next();
        let dir =
            dir.or_else(|| own_dirs(&|name| var(name).is_some()).into_iter().find(|dir| make(dir) && is_ours(dir)));
        // The service manager has made its own; that of a session is made here, for this user alone.
        let path = dir.filter(|dir| make(dir) && in_memory(dir)).map(|dir| dir.join(FILE));
        tracing::debug!(?path, "status file");
        StatusFile { path }
    }
}

impl Sink for StatusFile {
    fn take(&self, emission: &Emission) {
        let Some(path) = &self.path else { return };
        match emission {
            Emission::Status(status) => {
                if let Some(status) = Status::of(status)
                    && let Err(error) = replace(path, &status)
                {
                    tracing::debug!(path = %path.display(), %error, "the status file cannot be written");
                }
            }
            // One that was never written need not be removed.
            Emission::Stopped(_) => _ = std::fs::remove_file(path),
            Emission::Output(_) | Emission::Events { .. } | Emission::Removed(_) => {}
        }
    }
}

/// The status of a daemon that runs on this machine now, if there is one; of several the newest.
pub fn running() -> Option<Status> {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let mut dirs = dirs(var);
    dirs.extend(own_dirs(&|name| var(name).is_some()).into_iter().filter(|dir| is_ours(dir)));
    dirs.push(SYSTEM_DIR.into());
    let now_ms = since_boot_ms();
    dirs.iter().filter_map(|dir| read(&dir.join(FILE), now_ms)).max_by_key(|status| status.written_ms)
}

/// Milliseconds since the machine booted.
fn since_boot_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

/// Time that a status holds which is written so often.
fn valid_ms(every: Duration) -> u64 {
    STALE_AFTER.max(2 * every).as_millis() as u64
}

/// `RUNTIME_DIRECTORY` may hold several directories; the first one is ours.
fn dirs(var: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let service = var("RUNTIME_DIRECTORY").and_then(|dirs| std::env::split_paths(&dirs).next());
    let session = var("XDG_RUNTIME_DIR").filter(|dir| dir.is_absolute()).map(|dir| dir.join("leptond"));
    [service.filter(|dir| dir.is_absolute()), session].into_iter().flatten().collect()
}

/// Directories of this user alone, where neither the service manager nor the session gives one (`su`, `cron`, containers): that of
/// the user's sessions where it has one, else in the shared memory of all. `set` tells which variables are set.
pub(super) fn own_dirs(set: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    if ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].into_iter().any(set) {
        return Vec::new();
    }
    let user = rustix::process::geteuid().as_raw();
    let session = PathBuf::from(format!("/run/user/{user}"));
    let session = session.is_dir().then(|| session.join("leptond"));
    session.into_iter().chain([PathBuf::from(format!("/dev/shm/leptond-{user}"))]).collect()
}

fn make(dir: &Path) -> bool {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).is_ok()
}

/// The directory is no link, and nobody else may write to it: others may have made one of this name where everybody may.
fn is_ours(dir: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let about = std::fs::symlink_metadata(dir);
    about.is_ok_and(|about| about.is_dir() && about.uid() == user && about.permissions().mode() & 0o022 == 0)
}

fn in_memory(dir: &Path) -> bool {
    // statfs(2): tmpfs and ramfs.
    const MAGIC: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|fs| MAGIC.contains(&((fs.f_type as u64) & 0xffff_ffff)))
}

fn replace(path: &Path, status: &Status) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let written = std::fs::write(&new, serde_json::to_vec(status)?)
        // Nothing in it is secret, and who looks at the board is seldom the service's user.
        .and_then(|()| std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644)))
        .and_then(|()| std::fs::rename(&new, path));
    written.inspect_err(|_| {
        // It may never have been made.
        let _ = std::fs::remove_file(&new);
    })
}

fn read(path: &Path, now_ms: u64) -> Option<Status> {
    let status: Status = serde_json::from_slice(&file::read_regular(path, MOST_BYTES).ok()?).ok()?;
    // A time that is yet to come is from before the last boot.
    (now_ms.checked_sub(status.written_ms)? <= status.valid_ms).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::payload::{Rung, Standing};

    fn status(written_ms: u64) -> Status {
        let rung = Rung {
            rung: 1,
            of: 4,
            reason: "76.9 °C".into(),
            since: "2026-01-01T00:00:00.000Z".into(),
            interval_ms: 200,
            capture: None,
            resolution: Some(96),
            batch: 1,
            model: "digits".into(),
            threads: 2,
            paused: false,
        };
        let governor = Governor {
            standing: Standing { mode: "auto".into(), state: "reduced".into() },
            pipeline: "meter".into(),
            changed: rung.clone(),
            forecast: None,
            pipelines: BTreeMap::from([("meter".into(), rung)]),
        };
        let p95_ms = BTreeMap::from([("meter".into(), 34.0)]);
        let (own_cpu_percent, connected, backlog) = (Some(31.5), None, None);
        let valid_ms = valid_ms(Duration::from_millis(500));
        let home_assistant = HomeAssistant::default();
        Status { pid: 1, written_ms, valid_ms, governor, own_cpu_percent, connected, home_assistant, backlog, p95_ms }
    }

    #[test]
    fn it_is_replaced_whole_and_believed_while_it_is_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(read(&path, 0), None, "there is none");
        replace(&path, &status(10_000)).unwrap();
        replace(&path, &status(20_000)).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(read(&path, 20_000), Some(status(20_000)));
        assert_eq!(read(&path, 25_000), Some(status(20_000)));
        assert_eq!(read(&path, 25_001), None, "left behind");
        assert_eq!(read(&path, 19_999), None, "from before the last boot");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path, 20_000), None, "damaged");
    }

    #[test]
    fn it_lies_where_the_service_manager_or_the_session_says() {
        let check = |service: &str, session: &str, expected: &[&str]| {
            let var = |name: &str| {
                let value = if name == "RUNTIME_DIRECTORY" { service } else { session };
                Some(PathBuf::from(value)).filter(|v| !v.as_os_str().is_empty())
            };
            assert_eq!(dirs(var), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        check("/run/leptond", "", &["/run/leptond"]);
        check("/run/leptond:/run/other", "/run/user/7", &["/run/leptond", "/run/user/7/leptond"]);
        check("", "/run/user/7", &["/run/user/7/leptond"]);
        check("", "", &[]);
        check("here", "there", &[]);
    }

    #[test]
    fn without_service_and_session_it_lies_in_a_directory_of_the_user_s_own() {
        assert!(own_dirs(&|name| name == "XDG_RUNTIME_DIR").is_empty());
        let user = rustix::process::geteuid().as_raw();
        let own = own_dirs(&|_| false);
        assert_eq!(own.last(), Some(&PathBuf::from(format!("/dev/shm/leptond-{user}"))));

        let dir = tempfile::tempdir().unwrap();
        let (own, link, open) = (dir.path().join("own"), dir.path().join("link"), dir.path().join("open"));
        assert!(make(&own) && is_ours(&own) && make(&open));
        std::os::unix::fs::symlink(&own, &link).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_ours(&link) && !is_ours(&open) && !is_ours(&dir.path().join("absent")));
    }

    #[test]
    fn slow_writers_are_waited_for() {
        assert_eq!([500, 60_000].map(|ms| valid_ms(Duration::from_millis(ms))), [5000, 120_000]);
    }
}
