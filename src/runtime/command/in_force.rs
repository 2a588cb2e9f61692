//! What is in force after an order or a pause: the data of their answers.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use crate::frame::rfc3339;
use crate::runtime::running::Running;
use crate::runtime::set::PipelineSet;
use leptond_governor::Mode;

/// Mode and rungs in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Applies {
    /// `auto`, `performance`, `quiet`, `manual`.
    mode: Mode,
    /// The rung of each pipeline, by name.
    pipelines: BTreeMap<String, RungInForce>,
    /// End of the orders in force, RFC 3339; absent = with the next one, or there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// The rung that a pipeline is on.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct RungInForce {
    /// 0 = full work.
    rung: usize,
    /// Number of rungs.
    of: usize,
    /// No frame is worked on: by request, or because the board is too hot.
    paused: bool,
}

impl Applies {
    /// Those of `set`.
    pub(super) fn of(set: &PipelineSet) -> Applies {
        let rung = |running: &Running| {
            let setpoint = set.governor().status(&running.config.name)?.setpoint;
            let paused = setpoint.paused || running.shared.paused();
            Some((running.config.name.to_string(), RungInForce { rung: setpoint.rung, of: setpoint.of, paused }))
        };
        Applies { mode: set.governor().mode(), pipelines: set.iter().filter_map(rung).collect(), until: end(set) }
    }
}

/// End of the orders in force, RFC 3339.
pub(super) fn end(set: &PipelineSet) -> Option<String> {
    let left = set.orders_end_in(Instant::now()).filter(|left| !left.is_zero())?;
    Some(rfc3339(SystemTime::now() + left))
}
