//! Work that nothing can cut short, on a thread of its own, so that the control loop hears of a stop meanwhile.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::DaemonError;

/// The signals that the daemon answers.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when the daemon is told to stop; by which signal.
    pub(super) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// What came of waiting.
pub(super) enum Awaited<T> {
    Done(T),
    /// The daemon is to stop, by this signal. The work goes on; the end of the process ends it.
    Stop(&'static str),
}

/// Begins `work` on a thread called `name`.
///
/// # Errors
/// [`DaemonError::Failed`] without a thread.
pub(super) fn begin<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, DaemonError> {
    let (tell, told) = oneshot::channel();
    let run = move || {
        // Nobody waits for it any more where the daemon was told to stop.
        let _ = tell.send(work());
    };
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map(|_| told).map_err(|e| DaemonError::Failed(format!("no thread for {name}: {e}")))
}

/// Waits for what was [begun](begin), or for the wish to stop.
///
/// # Errors
/// [`DaemonError::Failed`] when the work panicked.
pub(super) async fn finish<T>(told: oneshot::Receiver<T>, signals: &mut Signals) -> Result<Awaited<T>, DaemonError> {
    tokio::select! {
        done = told => done.map(Awaited::Done).map_err(|_| DaemonError::Failed("internal failure: a thread panicked".into())),
        signal = signals.stop() => Ok(Awaited::Stop(signal)),
    }
}
