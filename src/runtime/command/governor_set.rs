//! `governor/set`: an order to the governor.

use std::time::Duration;

use serde_json::Value;

use super::fields::{Fields, kind, seconds, shown};
use leptond_governor::{Mode, Order};

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct GovernorSet {
    /// The order.
    pub order: Order,
    /// Its duration; `None` = until the next one.
    pub duration: Option<Duration>,
}

impl GovernorSet {
    /// Reads it; `pipelines` are the names that there are.
    pub(super) fn read(fields: &Fields, pipelines: &[&str]) -> Result<GovernorSet, String> {
        fields.only(&["mode", "rung", "pipeline", "for_s", "release"])?;
        let rung = fields.get("rung", whole)?;
        let mode = fields.get("mode", mode)?;
        let pipeline = fields.pipeline(pipelines)?;
        let duration = fields.get("for_s", seconds)?;
        let release = fields.get("release", truth)?;
        let order = match (release, mode, rung) {
            (Some(()), None, None) if pipeline.is_none() && duration.is_none() => Order::Release,
            (Some(()), ..) => return Err("release: stands alone, without mode, rung, pipeline and for_s".into()),
            (None, Some(_), Some(_)) => return Err("mode and rung: give one of the two".into()),
            (None, Some(_), None) if pipeline.is_some() => {
                return Err("pipeline: goes with rung only; a mode is for all pipelines".into());
            }
            (None, Some(mode), None) => Order::Mode(mode),
            (None, None, Some(rung)) => Order::Fix { pipeline, rung },
            (None, None, None) => return Err("one of mode, rung and release is needed".into()),
        };
        Ok(GovernorSet { order, duration })
    }
}

fn mode(value: &Value) -> Result<Mode, String> {
    const ALLOWED: &str = "allowed are auto, performance, quiet, manual";
    serde_json::from_value(value.clone()).map_err(|_| match value {
        Value::String(text) => format!("mode: found {}, {ALLOWED}", shown(text)),
        other => format!("mode: found {}, {ALLOWED}", kind(other)),
    })
}

fn whole(value: &Value) -> Result<usize, String> {
    const ALLOWED: &str = "allowed is a whole number, 0 = full work";
    match value {
        Value::Number(number) => {
            let rung = number.as_u64().and_then(|n| usize::try_from(n).ok());
            rung.ok_or_else(|| format!("rung: found {number}, {ALLOWED}"))
        }
        other => Err(format!("rung: found {}, {ALLOWED}", kind(other))),
    }
}

fn truth(value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => Err("release: found false, allowed is true".into()),
        other => Err(format!("release: found {}, allowed is true", kind(other))),
    }
}
