//! Requests on their way: those that take the control loop, and those that wait for their answer.

use serde_json::Value;

use super::config_set::ConfigSet;
use super::desk::Asker;
use super::response::Ticket;

/// A request that takes the control loop.
pub(super) enum Work {
    Change(ConfigSet, Asker),
    RollBack(String),
    Restart,
}

/// The end of such a request, for the control loop.
pub(in crate::runtime) enum Done {
    /// Nothing that concerns it.
    Nothing,
    /// Another configuration applies.
    Reloaded,
    /// The process is to end and to be started again.
    Restart,
    /// The daemon is to stop, by this signal.
    Stop(&'static str),
}

/// A request with its result.
pub(super) struct Owed {
    pub(super) ticket: Ticket,
    pub(super) result: Result<Reply, String>,
}

/// The data of an answer.
pub(super) enum Reply {
    /// The state in force when the answer is sent.
    InForce,
    Data(Value),
    /// The answer comes later.
    Later,
}
