//! Files that may be anything: a path names a FIFO or a device as easily as a file, and a size that was asked for says nothing of
//! what a read gives.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's word. [`std::io::ErrorKind::NotFound`] and others of the kind may pass.
    #[error("{}", words(.0))]
    Io(#[from] io::Error),
    /// It is no regular file.
    #[error("is {0}, a regular file is wanted")]
    Kind(&'static str),
    /// It has, or gave, more than is taken.
    #[error("more than {limit_bytes} bytes, the most that is read")]
    TooLarge {
        /// What is taken at most.
        limit_bytes: u64,
    },
    /// It is not text.
    #[error("not UTF-8 text (from byte {valid_bytes} on)")]
    NotText {
        /// Bytes before the first one that is wrong.
        valid_bytes: usize,
    },
    /// The name leads out of the directory that it has to be in.
    #[error("{0}")]
    Outside(&'static str),
}

impl FileError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, FileError::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the same may succeed later although nobody changes what was asked for: nothing is there yet, the system has no room,
    /// a disk does not answer.
    pub fn may_pass(&self) -> bool {
        matches!(self, FileError::Io(_))
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        // Some files of /proc wait for something to happen.
        io::ErrorKind::WouldBlock => "gives nothing to read now, as a regular file would".into(),
        _ => error.to_string(),
    }
}

/// Opens a regular file; symbolic links are followed. A FIFO, a device or a directory is named instead, and nothing that can wait is
/// waited for.
///
/// # Errors
/// [`FileError::Io`] or [`FileError::Kind`].
pub fn open_regular(path: &Path) -> Result<File, FileError> {
    // Asked first: to open a device may already do something, and to open a FIFO wakes its writer.
    regular(&std::fs::metadata(path)?)?;
    // It may be another file by now.
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

/// Whether a path leads to `/dev/null`, which by convention stands for a file that says nothing.
pub fn is_null(path: &Path) -> bool {
    // Device numbers of Linux: Documentation/admin-guide/devices.txt.
    let null = rustix::fs::makedev(1, 3);
    std::fs::metadata(path).is_ok_and(|about| about.file_type().is_char_device() && about.rdev() == null)
}

/// All of a regular file, of at most `limit_bytes`.
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

/// Everything of an open file from its first byte on, whatever was read of it before. The bound holds for what is read: the size that
/// the system tells is 0 for files of `/proc`, and is out of date for one that grows.
///
/// # Errors
/// [`FileError::Io`] or [`FileError::TooLarge`].
pub fn read_open(file: &File, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    read_open_into(file, limit_bytes, &mut bytes)?;
    Ok(bytes)
}

/// [`read_open`] behind what `bytes` holds already, for a buffer that is used again.
///
/// # Errors
/// The same; what was read until then stays in `bytes`.
pub fn read_open_into(file: &File, limit_bytes: u64, bytes: &mut Vec<u8>) -> Result<(), FileError> {
    let said = file.metadata()?.len();
    if said > limit_bytes {
        return Err(FileError::TooLarge { limit_bytes });
    }
    bytes.try_reserve(usize::try_from(said).unwrap_or(usize::MAX).saturating_add(1)).map_err(no_memory)?;
    let read = FromStart { file, at: 0 }.take(limit_bytes.saturating_add(1)).read_to_end(bytes)?;
    if read as u64 > limit_bytes {
        return Err(FileError::TooLarge { limit_bytes });
    }
    Ok(())
}

fn no_memory(_: std::collections::TryReserveError) -> io::Error {
    io::Error::from(io::ErrorKind::OutOfMemory)
}

/// Reads by position, so that threads that share a file do not share its place.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
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
    fn the_bound_is_of_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read_regular(&path, 1 << 20), Err(FileError::TooLarge { limit_bytes: 1_048_576 })));
        // Their size is 0, and they have something to say.
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
        // Read again from the start, also by a second reader.
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
