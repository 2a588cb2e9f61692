//! The thin layer over Linux: ioctls, `/proc` and `/sys` readers with an injectable root, child processes, untrusted files.

pub mod atomic;
pub mod beneath;
pub mod child;
pub mod file;
pub mod gpio;
pub mod landlock;
pub mod mask;
mod mmap;
pub mod owned;
pub mod proc;
pub mod random;
pub mod sysfs;
pub mod v4l2;
pub mod vcio;

use std::path::PathBuf;

pub use mask::Mask;

/// Locations of `/proc`, `/sys` and `/dev`; tests and replays use copies.
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
