//! A computer of its own for `leptond model`, and what came of a command there.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common;

/// A computer of its own: a models directory, a catalog, a configuration.
pub struct Home {
    pub dir: TempDir,
}

impl Home {
    pub fn new() -> Home {
        Home { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `leptond model …` with this home's models directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = common::leptond();
        command.current_dir(self.dir.path()).arg("model").args(args).arg("--dir").arg(self.path("models"));
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// `model add` of a model of this home's catalog.
    pub fn add(&self, name: &str, more: &[&str]) -> Ran {
        self.run(&[&["add", name, "--catalog", "catalog.toml", "--timeout", "5s"], more].concat())
    }

    /// What is in the models directory, without what is hidden.
    pub fn installed(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("models")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    /// Bytes of the files on their way.
    pub fn partial_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.path("models/.partial")).into_iter().flatten().flatten();
        entries.filter(|e| e.path().extension().is_some_and(|e| e == "part")).map(|e| e.metadata().unwrap().len()).sum()
    }
}

/// What came of a command.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Ran {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in: {}", self.err);
        }
        self
    }
}

/// Waits for a condition, at most a minute.
#[track_caller]
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < crate::common::patiently(Duration::from_secs(60)), "waited a minute for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
