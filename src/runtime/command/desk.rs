//! Changes and readings that the page of this process asks for, looked at by the control loop like requests over MQTT; who asked for a
//! change.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::config_set::ConfigSet;
use super::response::Ticket;
use crate::runtime::state::lock;

/// The answer to a change.
pub(in crate::runtime) type Answer = Result<Value, String>;

/// A change that is asked for, and the place for its first answer.
pub(super) struct Wish {
    pub(super) change: ConfigSet,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// The one who asked for a change.
#[derive(Debug)]
pub(super) enum Asker {
    /// A client of the broker.
    Client(Ticket),
    /// The page, which waits for the first answer; the second one is left at its desk.
    Page(Option<oneshot::Sender<Answer>>),
}

impl Asker {
    /// The client's identifier of the request.
    pub(super) fn transaction(&self) -> Option<String> {
        match self {
            Asker::Client(ticket) => ticket.transaction.clone(),
            Asker::Page(_) => None,
        }
    }
}

/// The place where the page leaves a change. It outlives a restart inside the process.
#[derive(Default)]
pub(in crate::runtime) struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wish: Option<Wish>,
    /// Pipelines that are to look now.
    readings: Vec<String>,
    /// Wakes the control loop; `None` while there is none.
    wake: Option<Arc<Notify>>,
    /// The end of the latest change: it stays, or was taken back for a reason.
    end: Option<Answer>,
}

impl Desk {
    /// From now on a control loop that `wake` wakes looks at what is left here.
    pub(super) fn attend(&self, wake: Arc<Notify>) {
        lock(&self.state).wake = Some(wake);
    }

    /// Leaves a change; its first answer comes when it applies or is refused. One that nobody looked at is replaced.
    pub(in crate::runtime) fn ask(&self, change: ConfigSet) -> oneshot::Receiver<Answer> {
        let (reply, told) = oneshot::channel();
        let mut state = lock(&self.state);
        state.wish = Some(Wish { change, reply });
        if let Some(wake) = &state.wake {
            wake.notify_one();
        }
        told
    }

    /// Asks for a result of a pipeline now, and not at its next turn.
    pub(in crate::runtime) fn ask_reading(&self, pipeline: &str) {
        let mut state = lock(&self.state);
        if !state.readings.iter().any(|asked| asked == pipeline) {
            state.readings.push(pipeline.to_owned());
        }
        if let Some(wake) = &state.wake {
            wake.notify_one();
        }
    }

    /// Takes the pipelines that are to look now.
    pub(super) fn take_readings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).readings)
    }

    /// Takes the change that waits.
    pub(super) fn take(&self) -> Option<Wish> {
        let mut state = lock(&self.state);
        let wish = state.wish.take()?;
        state.end = None;
        Some(wish)
    }

    /// Tells the end of a change: it stays, or was taken back.
    pub(super) fn finish(&self, end: Answer) {
        lock(&self.state).end = Some(end);
    }

    /// The end of the latest change; `None` before it.
    pub(in crate::runtime) fn end(&self) -> Option<Answer> {
        lock(&self.state).end.clone()
    }
}
