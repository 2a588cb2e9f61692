//! The run itself: gives files while there is room, writes what comes back, and tells how far it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::picture;
use super::results::Results;
use super::shares::Shares;
use crate::cli::Failure;
use crate::cli::output::tell;
use crate::cli::progress::Counter;
use crate::fleet::{Assist, Config, FleetError, Giver, ModelDigest, Told};
use crate::frame::NodeName;

/// Time without an answer after which it is looked for nodes at work.
const QUIET: Duration = Duration::from_secs(5);
/// Time to the next attempt to reach a server.
const AGAIN: Duration = Duration::from_secs(2);

/// Facts about a run.
pub(super) struct Drive<'a> {
    pub(super) fleet: &'a Config,
    pub(super) node: &'a NodeName,
    pub(super) model: &'a ModelDigest,
    /// `[width, height]` of the model's input.
    pub(super) size: [u32; 2],
    /// Files of an earlier run.
    pub(super) kept: usize,
    pub(super) begun: Instant,
    /// This computer as a worker.
    pub(super) local: Option<&'a Assist>,
}

/// The end of a run.
pub(super) struct Ended {
    pub(super) shares: Shares,
    /// It was told to stop.
    pub(super) interrupted: bool,
}

impl Drive<'_> {
    /// Gives every file of `todo` and writes a line for each.
    ///
    /// # Errors
    /// [`Failure`] when the group cannot be worked with, or a line cannot be written.
    pub(super) fn run(&self, todo: Vec<PathBuf>, results: Results) -> Result<Ended, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| anyhow::Error::from(e).context("no runtime"))?;
        runtime.block_on(async {
            let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
                return Err(anyhow::anyhow!("no signal handlers").into());
            };
            let stop = async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            self.all(todo, results, stop).await
        })
    }

    async fn all(
        &self,
        todo: Vec<PathBuf>,
        mut results: Results,
        stop: impl Future<Output = ()>,
    ) -> Result<Ended, Failure> {
        let mut shares = Shares::new(self.kept);
        if todo.is_empty() {
            return Ok(Ended { shares, interrupted: false });
        }
        tokio::pin!(stop);
        let mut giver = tokio::select! {
            () = &mut stop => return Ok(Ended { shares, interrupted: true }),
            giver = self.reach() => giver?,
        };
        let all = todo.len();
        let mut progress = Counter::new("files");
        let mut left = todo.into_iter();
        let mut quiet = Quiet { since: Instant::now(), said: false };
        let mut written = 0;
        let interrupted = loop {
            while giver.is_connected()
                && giver.has_room()
                && let Some(file) = left.next()
            {
                match picture::read(&file, self.size, giver.most_bytes()) {
                    Ok(picture) => giver.give(file, picture, Instant::now()).await.map_err(anyhow::Error::from)?,
                    Err(reason) => {
                        results.error(&file, &reason, None)?;
                        shares.add_failed();
                        written += 1;
                    }
                }
            }
            progress.set(written, all);
            if written == all {
                break false;
            }
            let told = tokio::select! {
                () = &mut stop => break true,
                told = giver.next() => told.map_err(anyhow::Error::from)?,
            };
            match told {
                Told::Answered { tag: file, answer, total } => {
                    if results.answer(&file, &answer, total)? {
                        shares.add(&answer);
                    } else {
                        shares.add_failed();
                    }
                    quiet = Quiet { since: Instant::now(), said: false };
                    written += 1;
                }
                Told::Failed { tag: file, reason } => {
                    results.error(&file, &reason, None)?;
                    shares.add_failed();
                    written += 1;
                }
                Told::Nothing => quiet.look(&mut giver, self).await,
            }
        };
        drop(progress);
        shares.end(self.begun.elapsed(), giver.trouble().clone());
        if interrupted {
            giver.withdraw().await;
        }
        Ok(Ended { shares, interrupted })
    }

    /// Connects; a server that is not there is waited for.
    async fn reach(&self) -> Result<Giver<PathBuf>, Failure> {
        let mut said = false;
        loop {
            match Giver::open(self.fleet, self.node.clone(), self.model.clone(), Instant::now()).await {
                Ok(giver) => {
                    if !giver.server().is_recommended() {
                        tell(&format!("nats-server {}: 2.12.12 or 2.14.3 and later are recommended", giver.server()));
                    }
                    return Ok(giver);
                }
                Err(error @ (FleetError::Unreachable { .. } | FleetError::Server { .. })) => {
                    if !said {
                        tell(&format!("{error}; waiting for it"));
                    }
                    said = true;
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(anyhow::Error::from(error).into()),
            }
        }
    }
}

/// A time without answers.
struct Quiet {
    since: Instant,
    said: bool,
}

impl Quiet {
    /// Says once why nothing comes.
    async fn look(&mut self, giver: &mut Giver<PathBuf>, drive: &Drive<'_>) {
        if self.said || self.since.elapsed() < QUIET {
            return;
        }
        let Drive { model, fleet, .. } = drive;
        let local = drive.local.map(|local| local.status(Instant::now()));
        if let Some(reason) = local.and_then(|status| status.unusable.into_iter().next().or(status.fault)) {
            tell(&format!("this computer does not compute: {reason}"));
        }
        if !giver.is_connected() {
            tell("the connection to the server is lost; waiting for it");
        } else if giver.at_it().await == 0 {
            tell(&format!("no node of the group {} works with the model {model} now; waiting for one", fleet.group));
        } else {
            // Somebody is at it: that takes what it takes.
            self.since = Instant::now();
            return;
        }
        self.said = true;
    }
}
