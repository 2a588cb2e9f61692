//! Signals as flags that a loop looks at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

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

/// From now on SIGINT, SIGTERM and SIGHUP set a flag; so does SIGTSTP with `screen`, where the terminal has to be restored first.
///
/// # Errors
/// The system's, where it gives no thread or no descriptor.
pub fn catch(screen: bool) -> io::Result<Arc<Asked>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
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
                _ = interrupt.recv() => seen.stop.store(true, Relaxed),
                _ = terminate.recv() => seen.stop.store(true, Relaxed),
                _ = hangup.recv() => seen.stop.store(true, Relaxed),
                _ = suspended => seen.suspend.store(true, Relaxed),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(watch))?;
    Ok(asked)
}
