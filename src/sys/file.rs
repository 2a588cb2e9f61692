//! Reading of untrusted paths: a path may name a FIFO or a device, and the reported size is no bound on what a read returns.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's error. [`std::io::ErrorKind::NotFound`] and similar ones may be temporary.
    #[error("{}", words(.0))]
    Io(#[from] io::Error),
    /// Not a regular file.
    #[error("is {0}, a regular file is wanted")]
    Kind(&'static str),
    /// Larger than the limit.
    #[error("more than {limit_bytes} bytes, the most that is read")]
    TooLarge {
        /// Largest size accepted.
        limit_bytes: u64,
    },
    /// Not text.
    #[error("not UTF-8 text (from byte {valid_bytes} on)")]
    NotText {
        /// Bytes before the first invalid one.
        valid_bytes: usize,
    },
    /// The name leads out of its directory.
    #[error("{0}")]
    Outside(&'static str),
}

impl FileError {
    /// `true` for a file that does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, FileError::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// `true` for errors that may vanish without a change of configuration: the file does not exist yet, the system is out of
    /// resources, a disk does not answer.
    pub fn may_pass(&self) -> bool {
        matches!(self, FileError::Io(_))
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        // Some files of /proc block until an event.
        io::ErrorKind::WouldBlock => "gives nothing to read now, as a regular file would".into(),
        _ => error.to_string(),
    }
}

/// Opens a regular file, following symbolic links, without blocking. Refuses FIFOs, devices and directories.
///
/// # Errors
/// [`FileError::Io`] or [`FileError::Kind`].
pub fn open_regular(path: &Path) -> Result<File, FileError> {
    // Checked before opening: opening a device may have side effects, and opening a FIFO wakes its writer.
    regular(&std::fs::metadata(path)?)?;
    // The path may name another file by now.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

pub(super) fn regular(about: &std::fs::Metadata) -> Result<(), FileError> {
    let kind = about.file_type();
    Err(FileError::Kind(match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_symlink() => "a symbolic link",
        _ => "something else",
    }))
}

/// `true` for a path to `/dev/null`, the conventional empty file.
pub fn is_null(path: &Path) -> bool {
    // Device numbers of Linux: Documentation/admin-guide/devices.txt.
    let null = rustix::fs::makedev(1, 3);
    std::fs::metadata(path).is_ok_and(|about| about.file_type().is_char_device() && about.rdev() == null)
}

/// Reads a regular file of at most `limit_bytes`.
///
/// # Errors
/// [`FileError`]; the caller names the path.
pub fn read_regular(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    read_open(&open_regular(path)?, limit_bytes)
}

/// [`read_regular`] as text.
///
/// # Errors
/// The same, or [`FileError::NotText`].
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String, FileError> {
    text(read_regular(path, limit_bytes)?)
}

pub(super) fn text(bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|e| FileError::NotText { valid_bytes: e.utf8_error().valid_up_to() })
}

/// Bytes that a buffer grows by, at least, where a file turns out to be longer than the system said.
const READ_STEP: usize = 1 << 13;

/// Reads an open file from its first byte, regardless of its position. The limit applies to the bytes read, because the reported
/// size is 0 for files of `/proc` and stale for a growing file.
///
/// # Errors
/// [`FileError::Io`] or [`FileError::TooLarge`].
pub fn read_open(file: &File, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    read_open_into(file, limit_bytes, &mut bytes)?;
    Ok(bytes)
}

/// [`read_open`] that appends to a reused buffer.
///
/// # Errors
/// The same; bytes read before the error stay in `bytes`.
pub fn read_open_into(file: &File, limit_bytes: u64, bytes: &mut Vec<u8>) -> Result<(), FileError> {
    let said = file.metadata()?.len();
    if said > limit_bytes {
        return Err(FileError::TooLarge { limit_bytes });
    }
    // By position, so that threads can share a file; one byte more than there should be shows the end.
    let mut wanted = if said == 0 { READ_STEP } else { usize::try_from(said).unwrap_or(usize::MAX).saturating_add(1) };
    let mut at = 0;
    loop {
        bytes.try_reserve(wanted).map_err(no_memory)?;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(bytes), at) {
            Ok(0) => return Ok(()),
            Ok(read) => at += read as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        if at > limit_bytes {
            return Err(FileError::TooLarge { limit_bytes });
        }
        wanted = READ_STEP;
    }
}

/// Size and times of a file's content, which tell whether it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of an open file; `None` where it cannot be read.
    pub fn of(file: &File) -> Option<Stamp> {
        let about = file.metadata().ok()?;
        Some(Stamp {
            len: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    /// True where any change from `now` on shows in the stamp: file systems keep times in steps of some milliseconds, some of two
    /// seconds, and two changes within one step have the same.
    pub fn is_settled(&self, now: SystemTime) -> bool {
        const STEP: Duration = Duration::from_secs(3);
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1)) else {
            return false;
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        now.duration_since(changed).is_ok_and(|age| age >= STEP)
    }
}

fn no_memory(_: std::collections::TryReserveError) -> io::Error {
    io::Error::from(io::ErrorKind::OutOfMemory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fifo(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn only_a_regular_file_is_read_and_the_rest_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        fifo(&at("fifo"));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_text(&at("file"), 4).unwrap(), "text");
        assert_eq!(read_text(&at("link"), 4).unwrap(), "text");
        for (path, kind) in [
            (at("fifo"), "a FIFO"),
            (dir.path().into(), "a directory"),
            ("/dev/zero".into(), "a device"),
            ("/dev/null".into(), "a device"),
            (at("socket"), "a socket"),
        ] {
            let error = read_regular(&path, 4).unwrap_err();
            assert!(matches!(error, FileError::Kind(k) if k == kind), "{}: {error}", path.display());
            assert!(!error.may_pass());
        }
        assert!(read_regular(&at("none"), 4).unwrap_err().is_missing());
        symlink("/dev/null", at("masked")).unwrap();
        assert!(is_null(Path::new("/dev/null")) && is_null(&at("masked")));
        assert!(!is_null(Path::new("/dev/zero")) && !is_null(&at("file")) && !is_null(&at("none")));
    }

    #[test]
    fn a_settled_stamp_shows_a_change_of_equal_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        std::fs::write(&path, "before").unwrap();
        let file = File::open(&path).unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let now = SystemTime::now();
        assert!(!stamp.is_settled(now), "just written");
        assert!(stamp.is_settled(now + Duration::from_secs(10)));
        assert_eq!(Stamp::of(&file), Some(stamp));
        std::thread::sleep(Duration::from_millis(50));
        std::fs::write(&path, "behind").unwrap();
        assert_ne!(Stamp::of(&file), Some(stamp));
    }

    #[test]
    fn the_bound_is_of_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read_regular(&path, 1 << 20), Err(FileError::TooLarge { limit_bytes: 1_048_576 })));
        // Their reported size is 0, yet they have content.
        let status = Path::new("/proc/self/status");
        assert_eq!(std::fs::metadata(status).unwrap().len(), 0);
        assert!(read_text(status, 1 << 20).unwrap().starts_with("Name:"));
        assert!(matches!(read_regular(status, 10), Err(FileError::TooLarge { limit_bytes: 10 })));
        // Nothing is mapped at address 0.
        assert!(matches!(read_regular(Path::new("/proc/self/mem"), 10), Err(FileError::Io(_))));
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_comes_to_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grows");
        std::fs::write(&path, "x").unwrap();
        let file = open_regular(&path).unwrap();
        std::fs::write(&path, vec![b'x'; 100]).unwrap();
        assert!(matches!(read_open(&file, 50), Err(FileError::TooLarge { .. })));
        // A second read starts at the first byte again.
        assert_eq!(read_open(&file, 100).unwrap().len(), 100);
        assert_eq!(read_open(&file, 100).unwrap().len(), 100);
    }

    #[test]
    fn what_is_no_text_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(matches!(read_text(&path, 10), Err(FileError::NotText { valid_bytes: 2 })));
    }
}
