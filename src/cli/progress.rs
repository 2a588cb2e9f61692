//! Progress on standard error for what takes longer than a second; nothing where that is not a terminal.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time after which progress is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs `work`; shows a spinner with `message` from its first second on.
pub fn spinner<T>(message: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let bar = ProgressBar::new_spinner().with_message(message.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                let _ = waiting.recv();
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Runs `work` on a model; shows its name as [`spinner`] does.
pub fn loading(model: &str, work: &mut dyn FnMut()) {
    spinner(&format!("loading {model}"), work);
}

/// A bar that counts; it appears after a second.
pub struct Counter {
    started: Instant,
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Counter {
    /// Counts `what` (a plural noun).
    pub fn new(what: &'static str) -> Self {
        Counter { started: Instant::now(), what, bar: None }
    }

    /// `done` of `all`.
    pub fn set(&mut self, done: usize, all: usize) {
        if self.bar.is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {eta} left");
            let bar = ProgressBar::new(all as u64).with_message(self.what);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_position(done as u64);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
