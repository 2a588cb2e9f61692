//! The machine that facts come from: this one, or a copy of another one's files, on which no program is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sys::{Roots, file};

/// Longest file that is looked at.
const MOST_BYTES: u64 = 4 << 20;

/// Longest time for a program of the system to answer.
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
        Machine { root: root.map(Path::to_path_buf), roots: roots(root) }
    }

    /// Reports the machine that this program runs on.
    pub fn is_here(&self) -> bool {
        self.root.is_none()
    }

    /// The directory of the copy.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The place of an absolute path of the machine.
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

    /// Standard output of a program; `None` where it is not there, takes too long, or the machine is a copy.
    pub fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        find_program(program, None).filter(|_| self.is_here())?;
        output_within(Command::new(program).args(args).env("LC_ALL", "C"), ANSWER)
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

    /// Reports a machine that systemd runs.
    pub fn has_systemd(&self) -> bool {
        self.path(Path::new("/run/systemd/system")).is_dir()
    }

    /// The file whose line the Raspberry Pi's firmware gives to the kernel at the next boot.
    pub fn boot_cmdline(&self) -> Option<&'static str> {
        ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"].into_iter().find(|p| self.path(Path::new(p)).is_file())
    }
}

/// `/proc`, `/sys` and `/dev`, of this machine or below `root`.
pub fn roots(root: Option<&Path>) -> Roots {
    root.map_or_else(Roots::default, |r| Roots { proc: r.join("proc"), sys: r.join("sys"), dev: r.join("dev") })
}

/// A program on PATH, or in the usual places below `root`.
pub fn find_program(name: &str, root: Option<&Path>) -> Option<PathBuf> {
    let dirs: Vec<PathBuf> = match root {
        Some(root) => ["usr/bin", "usr/local/bin", "bin"].map(|d| root.join(d)).to_vec(),
        None => std::env::split_paths(&std::env::var_os("PATH")?).collect(),
    };
    dirs.into_iter().map(|d| d.join(name)).find(|p| p.is_file())
}

/// Standard output of a program that has ended by itself in time; else it is killed.
pub fn output_within(command: &mut Command, limit: Duration) -> Option<String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.ok()?;
    let end = Instant::now() + limit;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= end {
            let _already_dead = child.kill();
            let _status = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
