//! Where facts come from: this machine, or a copy of another one's files, on which no program is run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::probe::gather;
use crate::sys::{Roots, file};

/// Longest file that is looked at.
const MOST_BYTES: u64 = 4 << 20;

/// How long a program of the system may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A machine that is looked at.
pub struct Machine {
    root: Option<PathBuf>,
    /// Its `/proc`, `/sys` and `/dev`.
    pub roots: Roots,
}

impl Machine {
    /// This machine, or the copy below `root`.
    pub fn new(root: Option<&Path>) -> Self {
        Machine { root: root.map(Path::to_path_buf), roots: gather::roots(root) }
    }

    /// Whether it is the machine that this program runs on.
    pub fn is_here(&self) -> bool {
        self.root.is_none()
    }

    /// The directory of the copy.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Where an absolute path of the machine is found.
    pub fn path(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_path_buf(),
        }
    }

    /// A small text file; `None` where it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = file::read_regular(&self.path(Path::new(path)), MOST_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a program prints; `None` where it is not there, takes too long, or the machine is a copy.
    pub fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        gather::find_program(program, None).filter(|_| self.is_here())?;
        gather::output_within(Command::new(program).args(args).env("LC_ALL", "C"), ANSWER)
    }

    /// Name of the user who runs this program.
    pub fn user(&self) -> Option<String> {
        let id = rustix::process::geteuid().as_raw().to_string();
        let users = self.text("/etc/passwd")?;
        users.lines().find(|line| line.split(':').nth(2) == Some(&id))?.split(':').next().map(str::to_owned)
    }

    /// User and group number of a user.
    pub fn ids(&self, user: &str) -> Option<[u32; 2]> {
        let users = self.text("/etc/passwd")?;
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let mut numbers = line.split(':').skip(2).map_while(|field| field.parse().ok());
        Some([numbers.next()?, numbers.next()?])
    }

    /// Whether systemd runs the machine.
    pub fn has_systemd(&self) -> bool {
        self.path(Path::new("/run/systemd/system")).is_dir()
    }

    /// The file whose line the Raspberry Pi's firmware gives to the kernel at the next boot.
    pub fn boot_cmdline(&self) -> Option<&'static str> {
        ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"].into_iter().find(|p| self.path(Path::new(p)).is_file())
    }
}
