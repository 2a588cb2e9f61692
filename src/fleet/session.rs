//! The thread of the network: connects, works every queue, and begins again when that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::bench::{Bench, Ready};
use super::config::Config;
use super::connect::Connection;
use super::error::FleetError;
use super::names::Lane;
use super::retries::Retries;
use super::tally::Tally;
use super::worker::{Common, Puller};
use crate::frame::NodeName;

/// Time between two looks at what the server refused.
const LOOK: Duration = Duration::from_secs(1);
/// Time for the pullers to end.
const END_WITHIN: Duration = Duration::from_millis(800);
/// Time for what they said last to reach the server.
const FLUSH_WITHIN: Duration = Duration::from_millis(400);

/// The parts that outlive a connection.
pub(super) struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) node: NodeName,
    pub(super) tally: Tally,
    pub(super) bench: Bench,
    pub(super) ready: mpsc::Receiver<Ready>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Worker {
    /// Works until told to stop.
    pub(super) async fn run(mut self) {
        let mut models = Vec::new();
        let mut retries = Retries::new("the group cannot be worked for");
        while !*self.stop.borrow() {
            let begun = Instant::now();
            let Err(error) = self.session(&mut models).await else { continue };
            let (wait, error) = retries.failed(&error, begun.elapsed());
            self.tally.fault(error);
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.stop.changed() => {}
            }
        }
        self.tally.disconnected();
    }

    /// One connection, until it cannot be used or a stop.
    async fn session(&mut self, models: &mut Vec<Ready>) -> Result<(), FleetError> {
        let opening = Connection::open(&self.config, &self.node);
        let connection = tokio::select! {
            opened = opening => Arc::new(opened?),
            _ = self.stop.changed() => return Ok(()),
        };
        tracing::info!(server = %connection.version, group = %self.config.group, "connected to the group");
        self.tally.connected(connection.version.to_string());
        let (end, ended) = watch::channel(false);
        let common = Common {
            connection: connection.clone(),
            config: self.config.clone(),
            node: self.node.clone(),
            tally: self.tally.clone(),
            bench: self.bench.clone(),
            stop: ended,
        };
        let mut pullers = JoinSet::new();
        let begin = |pullers: &mut JoinSet<_>, ready: &Ready| {
            for lane in Lane::ALL {
                pullers.spawn(Puller::new(common.clone(), ready.clone(), lane, Instant::now()).run());
            }
        };
        models.iter().for_each(|ready| begin(&mut pullers, ready));
        let mut link = connection.link();
        let mut look = interval(LOOK);
        let mut opening = true;
        let result = loop {
            tokio::select! {
                _ = self.stop.changed() => break Ok(()),
                ready = self.ready.recv(), if opening => match ready {
                    Some(ready) => {
                        begin(&mut pullers, &ready);
                        models.push(ready);
                    }
                    None => opening = false,
                },
                ended = pullers.join_next(), if !pullers.is_empty() => match ended {
                    Some(Ok(Err(error))) => break Err(error),
                    Some(Err(error)) => break Err(FleetError::System(format!("a queue was left: {error}"))),
                    Some(Ok(Ok(()))) | None => {}
                },
                changed = link.changed() => {
                    let now = *link.borrow_and_update();
                    if changed.is_err() || !now.connected {
                        self.tally.disconnected();
                        continue;
                    }
                    match connection.check() {
                        Ok(version) => self.tally.connected(version.to_string()),
                        Err(error) => break Err(error),
                    }
                }
                _ = look.tick() => if let Some(reason) = connection.take_refusal() {
                    break Err(FleetError::Rights { what: "work for the group".into(), reason });
                },
            }
        };
        // The receivers are the pullers: where none is left there is nobody to tell.
        let _ = end.send(true);
        let ending = async { while pullers.join_next().await.is_some() {} };
        let _ = timeout(END_WITHIN, ending).await;
        let _ = timeout(FLUSH_WITHIN, connection.client.flush()).await;
        result
    }
}
