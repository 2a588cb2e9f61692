//! Memory of what a task has learnt of its source, kept over the end of the process: `baseline-NAME.json` in the state directory.
//!
//! It is written every hour and at the stop, by a short-lived thread so that no reading waits for a slow disk. To begin anew, stop leptond and
//! delete the file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::frame::PipelineName;
use crate::model::warn_unkept;
use crate::sys::{atomic, file};

/// A larger file was not written here.
const MAX_BYTES: u64 = 32 << 20;

/// Time between two writes; the first one comes sooner.
const WRITE_EVERY: Duration = Duration::from_secs(3600);
const FIRST_AFTER: Duration = Duration::from_secs(300);

/// The file of one pipeline.
pub(super) struct Learnt {
    file: PathBuf,
    due: Instant,
}

impl Learnt {
    /// That of `pipeline` in the directory `dir`.
    pub(super) fn new(dir: &Path, pipeline: &PipelineName) -> Learnt {
        let file = dir.join(format!("baseline-{pipeline}.json"));
        atomic::sweep(&file);
        Learnt { file, due: Instant::now() + FIRST_AFTER }
    }

    /// Memory of an earlier run; `None` where there is none.
    pub(super) fn recall(&self) -> Option<String> {
        let bytes = match file::read_regular(&self.file, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return None,
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "what was learnt before is not known: it is learnt anew");
                return None;
            }
        };
        String::from_utf8(bytes).ok()
    }

    /// Has `learnt` written where that is due; returns at once.
    pub(super) fn turn(&mut self, now: Instant, learnt: impl FnOnce() -> Option<String>) {
        if now < self.due {
            return;
        }
        self.due = now + WRITE_EVERY;
        if let Some(text) = learnt() {
            let file = self.file.clone();
            let thread = std::thread::Builder::new().name("learnt".into()).spawn(move || write(&file, &text));
            if let Err(error) = thread {
                tracing::warn!(%error, "no thread to write what was learnt");
            }
        }
    }

    /// Writes `text`.
    pub(super) fn write(&self, text: &str) {
        write(&self.file, text);
    }
}

fn write(file: &Path, text: &str) {
    if let Err(error) = atomic::replace_durably(file, text.as_bytes()) {
        warn_unkept(file, &error);
    }
}
