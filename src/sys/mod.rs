//! The thin layer over Linux: ioctls, `/proc` and `/sys` readers with an injectable root, child processes, files that may be anything.

pub mod atomic;
pub mod beneath;
pub mod child;
pub mod file;
pub mod landlock;
pub mod mask;
mod mmap;
pub mod owned;
pub mod proc;
pub mod sysfs;
pub mod v4l2;
pub mod vcio;

use std::path::PathBuf;

pub use mask::Mask;

/// Where `/proc` and `/sys` are found; tests and replays point them elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
    /// Usually `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Roots { proc: "/proc".into(), sys: "/sys".into(), dev: "/dev".into() }
    }
}
