//! Answer of `/healthz`. Pure.

use std::time::{Duration, Instant};

use crate::frame::status::NodeStatus;

/// A status that is older than this, and than two turns of the control loop, means that it hangs.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// Reasons for which the node does not work as it should, a line each; empty = it works. A pause by request is none.
pub fn faults(status: Option<&NodeStatus>, stopped: bool, now: Instant) -> Vec<String> {
    let Some(status) = status else { return vec!["starting: no pipeline is ready yet".into()] };
    if stopped {
        return vec!["stopping".into()];
    }
    let mut faults = Vec::new();
    let age = now.saturating_duration_since(status.at);
    if age > STALE_AFTER.max(2 * status.every) {
        faults.push(format!("the control loop has not turned for {} s", age.as_secs()));
    }
    faults.extend(status.faults.iter().map(|fault| format!("{}: not running: {}", fault.pipeline, fault.reason)));
    let idle = status.pipelines.iter().filter(|pipeline| !pipeline.paused);
    faults.extend(idle.filter_map(|pipeline| Some(format!("{}: {}", pipeline.name, pipeline.idle.as_ref()?))));
    if let Some(fault) = status.fleet.as_ref().and_then(|fleet| fleet.fault.as_ref()) {
        faults.push(format!("fleet: {fault}"));
    }
    faults.extend(status.fleet.iter().flat_map(|fleet| fleet.unusable.iter().map(|reason| format!("fleet: {reason}"))));
    if status.pipelines.is_empty() && status.faults.is_empty() && status.fleet.is_none() {
        faults.push("no pipeline runs".into());
    }
    faults
}
