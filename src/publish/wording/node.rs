//! Lines of a node's own messages: `health`, `governor`, `info`.

use std::fmt::Write as _;

use serde::Deserialize;

use super::line::{Line, Tone, cut};
use crate::frame::status::NodeStatus;
use crate::publish::payload::{Governor, Health};

/// The line of `health`.
pub fn health(health: &Health) -> Line {
    let mut line = format!("up {} s", health.uptime_s);
    if health.rss_bytes > 0 {
        let _ = write!(line, "  {:.1} MB", health.rss_bytes as f64 / 1e6);
    }
    for (value, unit) in [(health.cpu_percent, "% CPU"), (health.soc_celsius, "°C")] {
        if let Some(value) = value {
            let _ = write!(line, "  {value:.1} {unit}");
        }
    }
    let bad = health.throttled.now == Some(true) || health.throttled.under_voltage == Some(true);
    if bad {
        line.push_str("  THROTTLED");
    }
    let mqtt = &health.mqtt;
    let _ = write!(line, "  mqtt {} sent {} queued {} dropped", mqtt.published, mqtt.queued, mqtt.dropped);
    for (name, pipeline) in &health.pipelines {
        let (fps, p95, drops) = (pipeline.fps, pipeline.latency_ms.p95, pipeline.drops);
        let _ = write!(line, "  | {name} {fps:.1} fps p95 {p95:.1} ms {drops} drops");
        if pipeline.rung > 0 {
            let _ = write!(line, " rung {}", pipeline.rung);
        }
        if let Some(reason) = &pipeline.idle {
            let _ = write!(line, " idle: {reason}");
        }
    }
    (if bad { Tone::Bad } else { Tone::Plain }, line)
}

/// The line of `governor`.
pub fn governor(governor: &Governor) -> Line {
    let Governor { standing, pipeline, changed: rung, .. } = governor;
    let mut line = format!("{} {}  {pipeline}  rung {} of {}", standing.mode, standing.state, rung.rung, rung.of);
    if rung.paused {
        line.push_str(" PAUSED");
    }
    let _ = write!(line, "  interval {} ms", rung.interval_ms);
    for (value, unit) in [(rung.capture, "px captured"), (rung.resolution, "px")] {
        if let Some(value) = value {
            let _ = write!(line, "  {value} {unit}");
        }
    }
    if rung.batch > 1 {
        let _ = write!(line, "  batch {}", rung.batch);
    }
    let _ = write!(line, "  {}", rung.reason);
    (if rung.rung > 0 || rung.paused { Tone::Doubtful } else { Tone::Plain }, cut(&line))
}

/// Version, board and models of a node.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct InfoWords {
    version: String,
    board: String,
    models: Vec<ModelWords>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelWords {
    name: String,
    version: String,
    engine: String,
}

impl InfoWords {
    /// Of the state of this node.
    pub fn of_status(status: &NodeStatus) -> InfoWords {
        let models = status.models.iter().map(|model| ModelWords {
            name: model.name.clone(),
            version: model.version.clone(),
            engine: model.engine.into(),
        });
        InfoWords {
            version: status.node.version.into(),
            board: status.node.board.to_string(),
            models: models.collect(),
        }
    }
}

/// The line of `info`.
pub fn info(words: &InfoWords) -> Line {
    let models: Vec<_> = words.models.iter().map(|m| format!("{} {} ({})", m.name, m.version, m.engine)).collect();
    (Tone::Plain, format!("leptond {} on {}  {}", words.version, words.board, models.join(", ")))
}
