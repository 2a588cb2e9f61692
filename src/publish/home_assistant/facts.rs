//! The facts that a discovery message is made of: everything about a node that does not change from one moment to the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::frame::status::{About, NodeStatus};
use crate::frame::{NodeName, PipelineName};

/// Facts about a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// Its name.
    pub(super) node: NodeName,
    /// Version of leptond.
    pub(super) version: &'static str,
    /// Name of the board.
    pub(super) board: Arc<str>,
    /// Readings that the board has given.
    pub(super) readings: Readings,
    /// The running pipelines.
    pub(super) pipelines: Vec<(PipelineName, Arc<About>)>,
    /// The pipelines of the configuration that do not run at the moment.
    pub(super) absent: BTreeSet<PipelineName>,
}

/// Readings that a board gives, or has given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Readings {
    /// Temperature of the processor.
    pub(super) temperature: bool,
    /// CPU use.
    pub(super) load: bool,
    /// The clock is lowered because of heat.
    pub(super) throttled: bool,
    /// The supply is too low.
    pub(super) supply: bool,
}

impl Facts {
    /// The facts in `status`, with the readings that were given `before`.
    pub(super) fn of(status: &NodeStatus, before: Readings) -> Facts {
        let board = &status.board;
        Facts {
            node: status.node.name.clone(),
            version: status.node.version,
            board: status.node.board.clone(),
            readings: Readings {
                temperature: before.temperature || board.soc_celsius.is_some(),
                load: before.load || board.cpu_percent.is_some(),
                throttled: before.throttled || board.throttled.is_some(),
                supply: before.supply || board.under_voltage.is_some(),
            },
            pipelines: status.pipelines.iter().map(|p| (p.name.clone(), p.about.clone())).collect(),
            absent: status.faults.iter().map(|fault| fault.pipeline.clone()).collect(),
        }
    }
}
