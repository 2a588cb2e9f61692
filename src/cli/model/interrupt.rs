//! Ctrl-C while a file comes: what is there is kept, and the person is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::tell;

/// Exit code of a command that a signal ended.
const INTERRUPTED: i32 = 130;

/// Bytes that are kept of the file on its way.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<AtomicU64>);

impl Kept {
    /// So many bytes are on the disk.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// From now on Ctrl-C and SIGTERM end the process with a word about what is kept. It may end at any moment: whatever is
/// unfinished is continued or cleared up by the next one.
pub fn watch() -> Kept {
    let kept = Kept::default();
    let seen = kept.clone();
    let wait = move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            Ok(())
        })
    };
    let run = move || {
        if wait().is_ok() {
            let bytes = seen.0.load(Ordering::Relaxed);
            let rest = if bytes > 0 {
                format!(" {bytes} bytes are kept; the same command goes on from there")
            } else {
                String::new()
            };
            tell(&format!("\ninterrupted: nothing was changed.{rest}"));
            std::process::exit(INTERRUPTED);
        }
    };
    // Without the thread, a signal ends the process without a word.
    let _ = std::thread::Builder::new().name("interrupt".into()).spawn(run);
    kept
}
