//! Work that nothing can cut short, on a thread of its own, so that the control loop hears of a stop meanwhile.

use std::os::unix::net::UnixStream;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::DaemonError;

/// Pairs of descriptors that have to be free at the start: what signals, clock, broker, a source and a model take.
const SPARE_PAIRS: usize = 12;

/// Checks that the system has descriptors to spare for a start. Tokio panics where it gets none for its signals, and other libraries where
/// they get none a little later.
///
/// # Errors
/// [`DaemonError::Failed`] with what the system says.
pub(super) fn spare_descriptors() -> Result<(), DaemonError> {
    let pairs: std::io::Result<Vec<_>> = (0..SPARE_PAIRS).map(|_| UnixStream::pair()).collect();
    pairs.map(drop).map_err(|e| DaemonError::Failed(format!("no descriptors for files and connections: {e}")))
}

/// The signals that the daemon answers.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
}

impl Signals {
    /// From now on the signals are caught.
    ///
    /// # Errors
    /// Those of the system.
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

/// The outcome of waiting.
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
