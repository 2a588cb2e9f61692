//! Files opened beneath a directory and nowhere else.
//!
//! A bundle, or an ONNX file with external data, names files and may come from an untrusted source. A name that leads out of its
//! directory (by `..`, as an absolute path or through a symbolic link) would let it read everything that the process may read.
//! `openat2(2)` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS` resolves a name in one step without a race. On kernels before
//! 5.6, emulators and container filters without that call, each component is opened in turn with `O_NOFOLLOW`.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::file::{FileError, read_open, regular, text};

const ABSOLUTE: &str = "an absolute path, the name of a file beneath its directory is wanted";
const UPWARDS: &str = "leads out of its directory by \"..\"";
const NO_NAME: &str = "not the name of a file";
const LINK: &str = "leads through a symbolic link, which is not followed here";
const FOREIGN: &str = "another user's file with a second name here (a hard link)";

/// An open directory, unaffected by changes to its name.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory. Its own path may lead through symbolic links, since a person chose it.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn open(path: &Path) -> Result<Directory, FileError> {
        let path_or_here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path_or_here, flags, Mode::empty()).map_err(std::io::Error::from)?;
        Ok(Directory { fd, path: path.into() })
    }

    /// Path as given, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file. `name` is relative and leads through no link; it may name subdirectories.
    ///
    /// # Errors
    /// [`FileError::Outside`], [`FileError::Kind`] or [`FileError::Io`].
    pub fn open_file(&self, name: &str) -> Result<File, FileError> {
        self.open_by(name, openat2)
    }

    /// Reads a file of at most `limit_bytes`.
    ///
    /// # Errors
    /// As [`Directory::open_file`], or [`FileError::TooLarge`].
    pub fn read(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
        read_open(&self.open_file(name)?, limit_bytes)
    }

    /// [`Directory::read`] as text.
    ///
    /// # Errors
    /// The same, or [`FileError::NotText`].
    pub fn read_text(&self, name: &str, limit_bytes: u64) -> Result<String, FileError> {
        text(self.read(name, limit_bytes)?)
    }

    /// [`Directory::read`] for a file that will be copied to a place that others can read. Also refuses another user's file with
    /// a second hard link, since any user can create such a link without permission to read the file.
    ///
    /// # Errors
    /// The same.
    pub fn read_own(&self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, FileError> {
        let file = self.open_file(name)?;
        let about = file.metadata()?;
        let owner = rustix::fs::fstat(&self.fd).map_err(std::io::Error::from)?.st_uid;
        if about.nlink() > 1 && about.uid() != owner {
            return Err(FileError::Outside(FOREIGN));
        }
        read_open(&file, limit_bytes)
    }

    fn open_by(&self, name: &str, open: Open) -> Result<File, FileError> {
        let path = plain(name)?;
        // Checked before opening: opening a device may have side effects, and opening a FIFO wakes its writer.
        let found = self.resolve(path, OFlags::PATH, open)?;
        let about = rustix::fs::fstat(&found).map_err(std::io::Error::from)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(FileError::Outside(LINK)),
            _ => regular(&File::from(found).metadata()?)?,
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.resolve(path, flags, open)?);
        regular(&file.metadata()?)?;
        Ok(file)
    }

    fn resolve(&self, path: &Path, flags: OFlags, open: Open) -> Result<OwnedFd, FileError> {
        match open(self.fd.as_fd(), path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC) {
            Ok(fd) => Ok(fd),
            Err(Errno::NOSYS | Errno::PERM) => self.step_by_step(path, flags),
            Err(Errno::LOOP | Errno::XDEV) => Err(FileError::Outside(LINK)),
            Err(error) => Err(FileError::Io(error.into())),
        }
    }

    /// Opens each directory of `path` relative to its parent.
    fn step_by_step(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, FileError> {
        let mut above: Option<OwnedFd> = None;
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            let dir = above.as_ref().map_or(self.fd.as_fd(), OwnedFd::as_fd);
            let last = parts.peek().is_none();
            let flags = if last { flags } else { OFlags::PATH | OFlags::DIRECTORY };
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(dir, part.as_os_str(), flags, Mode::empty());
            let fd =
                opened.map_err(|error| match rustix::fs::statat(dir, part.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(about) if FileType::from_raw_mode(about.st_mode) == FileType::Symlink => {
                        FileError::Outside(LINK)
                    }
                    _ => FileError::Io(error.into()),
                })?;
            if last {
                return Ok(fd);
            }
            above = Some(fd);
        }
        Err(FileError::Outside(NO_NAME))
    }
}

/// Resolves a name beneath a directory.
type Open = fn(BorrowedFd<'_>, &Path, OFlags) -> Result<OwnedFd, Errno>;

fn openat2(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)
}

/// `name` as a path of plain components only.
fn plain(name: &str) -> Result<&Path, FileError> {
    let path = Path::new(name);
    let mut parts = 0;
    for part in path.components() {
        match part {
            Component::Normal(_) => parts += 1,
            Component::CurDir => {}
            Component::ParentDir => return Err(FileError::Outside(UPWARDS)),
            Component::RootDir | Component::Prefix(_) => return Err(FileError::Outside(ABSOLUTE)),
        }
    }
    if parts == 0 || name.ends_with('/') || name.contains('\0') {
        return Err(FileError::Outside(NO_NAME));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A kernel without the call, and a filter that forbids it.
    const WAYS: [Open; 3] = [openat2, |_, _, _| Err(Errno::NOSYS), |_, _, _| Err(Errno::PERM)];

    fn outside(error: &FileError) -> bool {
        matches!(error, FileError::Outside(_))
    }

    #[test]
    fn a_name_leads_nowhere_but_down() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("bundle");
        std::fs::create_dir_all(dir.join("golden/deep")).unwrap();
        std::fs::create_dir(outer.path().join("elsewhere")).unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        std::fs::write(outer.path().join("elsewhere/x"), "secret").unwrap();
        std::fs::write(dir.join("file"), "inside").unwrap();
        std::fs::write(dir.join("golden/deep/file"), "deeper").unwrap();
        symlink("../secret", dir.join("relative")).unwrap();
        symlink(outer.path().join("secret"), dir.join("absolute")).unwrap();
        symlink("file", dir.join("inner")).unwrap();
        symlink("../elsewhere", dir.join("way")).unwrap();
        symlink("golden", dir.join("inner-way")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        symlink("/proc/self/fd/0", dir.join("magic")).unwrap();
        let secret = outer.path().join("secret").display().to_string();
        let directory = Directory::open(&dir).unwrap();
        for way in WAYS {
            let read = |name: &str| directory.open_by(name, way).and_then(|file| read_open(&file, 100));
            assert_eq!(read("file").unwrap(), b"inside");
            assert_eq!(read("./file").unwrap(), b"inside");
            assert_eq!(read("golden/deep/file").unwrap(), b"deeper");
            for name in [
                "../secret",
                "golden/../../secret",
                "golden/../file",
                secret.as_str(),
                "relative",
                "absolute",
                "inner",
                "way/x",
                "inner-way/deep/file",
                "dangling",
                "magic",
                "",
                ".",
                "/",
                "file/",
                "fi\0le",
            ] {
                let error = read(name).unwrap_err();
                assert!(outside(&error), "{name:?}: {error:?}");
            }
            assert!(read("none").unwrap_err().is_missing());
            assert!(read("golden/none").unwrap_err().is_missing());
            assert!(matches!(read("golden").unwrap_err(), FileError::Kind("a directory")));
            assert!(matches!(read("file/x").unwrap_err(), FileError::Io(_)));
        }
    }

    #[test]
    fn what_is_no_file_is_named_and_waited_for_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert!(std::process::Command::new("mkfifo").arg(dir.path().join("fifo")).status().unwrap().success());
        let directory = Directory::open(dir.path()).unwrap();
        for way in WAYS {
            assert!(matches!(directory.open_by("fifo", way), Err(FileError::Kind("a FIFO"))));
        }
        let devices = Directory::open(Path::new("/dev")).unwrap();
        for way in WAYS {
            assert!(matches!(devices.open_by("zero", way), Err(FileError::Kind("a device"))));
        }
    }

    #[test]
    fn the_directory_is_the_one_that_was_opened() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        for name in ["one", "two"] {
            std::fs::create_dir(at(name)).unwrap();
            std::fs::write(at(name).join("file"), name).unwrap();
        }
        symlink("one", at("current")).unwrap();
        let directory = Directory::open(&at("current")).unwrap();
        symlink("two", at("next")).unwrap();
        std::fs::rename(at("next"), at("current")).unwrap();
        assert_eq!(directory.read_text("file", 10).unwrap(), "one");
        assert_eq!(Directory::open(&at("current")).unwrap().read_text("file", 10).unwrap(), "two");
    }

    #[test]
    fn another_users_file_is_not_copied_through_a_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("mine"), "mine").unwrap();
        std::fs::hard_link(at("mine"), at("also-mine")).unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        assert_eq!(directory.read_own("also-mine", 10).unwrap(), b"mine");
        if !rustix::process::geteuid().is_root() {
            return;
        }
        std::fs::write(at("theirs"), "theirs").unwrap();
        std::os::unix::fs::chown(at("theirs"), Some(1), None).unwrap();
        assert_eq!(
            directory.read_own("theirs", 10).unwrap(),
            b"theirs",
            "one name: it was put here by its owner, or by root"
        );
        std::fs::hard_link(at("theirs"), at("linked")).unwrap();
        assert!(outside(&directory.read_own("linked", 10).unwrap_err()));
    }
}
