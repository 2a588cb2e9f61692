//! Atomic replacement of small files; a failed write leaves nothing behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Makes temporary names unique among the threads of a process.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// Replaces `file` with `bytes` atomically: readers see the old or the new content, also when two processes write at once. The
/// parent directory is created. A failed write removes its temporary file, since a full disk would otherwise keep an empty file
/// of each attempt.
///
/// # Errors
/// The system's error; `file` is then unchanged.
pub fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    put(file, bytes, |_| Ok(()))
}

/// [`replace`] that returns once the content is on the disk, so that a power loss leaves the old or the new content. An SD card
/// may take seconds for it.
///
/// # Errors
/// The same.
pub fn replace_durably(file: &Path, bytes: &[u8]) -> io::Result<()> {
    put(file, bytes, File::sync_all)?;
    // The new name is durable once its directory is. Without that, a power loss leaves the old content.
    if let Some(dir) = file.parent() {
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
    }
    Ok(())
}

fn put(file: &Path, bytes: &[u8], settle: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let partial = file.with_extension(format!("{}-{}.part", std::process::id(), WRITTEN.fetch_add(1, Relaxed)));
    let write = || {
        let mut new = File::create(&partial)?;
        new.write_all(bytes)?;
        settle(&new)?;
        std::fs::rename(&partial, file)
    };
    write().inspect_err(|_| {
        // The file may never have been created.
        let _ = std::fs::remove_file(&partial);
    })
}

/// Removes temporary files of `file` that killed processes left.
pub fn sweep(file: &Path) {
    let (Some(dir), Some(stem)) = (file.parent(), file.file_stem()) else { return };
    let left: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_left(&entry.file_name(), stem))
        .map(|entry| entry.path())
        .collect();
    for path in left {
        // Another process may have removed it first.
        let _ = std::fs::remove_file(path);
    }
}

/// Matches `<stem>.<pid>-<number>.part` of a process that has ended, or of an earlier one with our process id.
fn is_left(name: &OsStr, stem: &OsStr) -> bool {
    let ours = || {
        let rest = name.to_str()?.strip_prefix(stem.to_str()?)?.strip_prefix('.')?.strip_suffix(".part")?;
        let (pid, number) = rest.split_once('-')?;
        Some((pid.parse::<i32>().ok()?, number.parse::<u32>().ok()?))
    };
    let Some((pid, number)) = ours() else { return false };
    if u32::try_from(pid) == Ok(std::process::id()) {
        return number >= WRITTEN.load(Relaxed);
    }
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("made/numbers.json");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        // A directory in its place cannot be replaced: as with a full disk, nothing is left of the attempt.
        let taken = dir.path().join("made/taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"three").is_err());
        assert_eq!(names(&dir.path().join("made")), ["numbers.json", "taken"]);
    }

    #[test]
    fn what_killed_processes_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let (gone, alive) = (gone.id(), std::os::unix::process::parent_id());
        let stays = [
            format!("numbers.{alive}-0.part"),
            format!("other.{gone}-0.part"),
            "numbers.json".into(),
            "numbers.x-0.part".into(),
            "numbers.part".into(),
            format!("numbers.{gone}-0.json"),
        ];
        let goes = [format!("numbers.{gone}-0.part"), format!("numbers.{}-{}.part", std::process::id(), u32::MAX)];
        for name in stays.iter().chain(&goes) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        sweep(&dir.path().join("numbers.json"));
        let mut expected = stays.to_vec();
        expected.sort();
        assert_eq!(names(dir.path()), expected);
    }
}
