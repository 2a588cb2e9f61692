//! Interrupted questions: nothing is changed or left behind, the terminal is as it was, and a sentence says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::tell;

/// Exit code of a command that a signal ended.
const INTERRUPTED: i32 = 130;

/// Things to take back, and to say, at an interruption.
#[derive(Debug, Default)]
struct State {
    /// As `stty -g` says it; `None` without a terminal.
    terminal: Option<String>,
    temporary: Vec<PathBuf>,
    models: Vec<String>,
    written: bool,
}

/// The end before the end. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Mutex<State>>);

/// While it lives, nothing interrupts: files are being put in place.
pub struct Writing<'a>(MutexGuard<'a, State>);

impl Writing<'_> {
    /// The configuration is in place.
    pub fn done(mut self) {
        self.0.written = true;
    }
}

impl Stop {
    /// From now on Ctrl-C, a closed connection and SIGTERM end the process with a word about what was changed.
    pub fn watch() -> Stop {
        let stop = Stop::default();
        stop.state().terminal = settings();
        let seen = stop.clone();
        let wait = || -> std::io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut interrupt = signal(SignalKind::interrupt())?;
                let mut terminate = signal(SignalKind::terminate())?;
                let mut hang_up = signal(SignalKind::hangup())?;
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hang_up.recv() => {} }
                Ok(())
            })
        };
        let run = move || {
            if wait().is_ok() {
                // Waits for files that are being put in place.
                let mut state = seen.state();
                let words = state.end();
                tell(&format!("\n{words}"));
                std::process::exit(INTERRUPTED);
            }
        };
        // Without the thread, a signal ends the process without a word.
        let _ = std::thread::Builder::new().name("interrupt".into()).spawn(run);
        stop
    }

    /// Registers a file that is removed when the questions end early.
    pub fn temporary(&self, path: &Path) {
        self.state().temporary.push(path.into());
    }

    /// A model was installed, and stays.
    pub fn installed(&self, name: &str) {
        self.state().models.push(name.into());
    }

    /// Files are put in place now.
    pub fn writing(&self) -> Writing<'_> {
        Writing(self.state())
    }

    /// Takes back what there is; gives the closing sentence.
    pub fn end(&self) -> String {
        self.state().end()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&mut self) -> String {
        if let Some(terminal) = &self.terminal {
            let _gone = Command::new("stty").arg(terminal).stderr(Stdio::null()).status();
        }
        for path in self.temporary.drain(..) {
            let _already_gone = std::fs::remove_file(path);
        }
        match (self.written, &self.models[..]) {
            (true, _) => "the configuration is written; what was asked after that is left undone".into(),
            (false, []) => "nothing was changed".into(),
            (false, models) => {
                let names = models.join(", ");
                format!(
                    "the configuration was not changed; installed stays {names} (leptond model remove takes it away)"
                )
            }
        }
    }
}

/// The settings of the terminal, echo among them.
fn settings() -> Option<String> {
    let output = Command::new("stty").arg("-g").stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
