//! Signals as flags that a loop looks at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Time that the loop has for its end. It may be in a write to a terminal or a pipe that takes no more.
const GRACE: Duration = Duration::from_secs(2);

/// Wishes of signals.
#[derive(Debug, Default)]
pub struct Asked {
    stop: AtomicBool,
    suspend: AtomicBool,
}

impl Asked {
    /// SIGINT, SIGTERM or SIGHUP came.
    pub fn stops(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// SIGTSTP came since the last look.
    pub fn suspends(&self) -> bool {
        self.suspend.swap(false, Relaxed)
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP set a flag, and end the process where that does not: after `abandon`, which must not
/// wait. SIGTSTP sets a flag with `screen`, where the terminal has to be given back first.
///
/// # Errors
/// The system's, where it gives no thread or no descriptor.
pub fn catch(screen: bool, abandon: impl FnOnce() + Send + 'static) -> io::Result<Arc<Asked>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let asked = Arc::new(Asked::default());
    let seen = asked.clone();
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut suspend = if screen { Some(signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?) } else { None };
    drop(guard);
    let watch = async move {
        loop {
            let suspended = async {
                match &mut suspend {
                    Some(suspend) => suspend.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = hangup.recv() => break,
                _ = suspended => seen.suspend.store(true, Relaxed),
            }
        }
        seen.stop.store(true, Relaxed);
        tokio::time::sleep(GRACE).await;
        abandon();
        std::process::exit(0);
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(watch))?;
    Ok(asked)
}
