//! Answer of `/metrics`: a status in the text format of OpenMetrics, which Prometheus reads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::feed::Cost;
use crate::frame::PipelineName;
use crate::frame::status::{NodeStatus, Percentiles, Pipeline};

/// Type of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a point.
type Labels = Vec<(&'static str, String)>;

/// The values that the metrics are of.
#[derive(Debug)]
pub struct Snapshot {
    /// The status; before the first, only the page's own metrics are told.
    pub status: Option<Arc<NodeStatus>>,
    /// Numbers that pipelines gave last.
    pub numbers: BTreeMap<PipelineName, f64>,
    /// The cost of looking.
    pub cost: Cost,
}

/// The metrics as text.
pub fn text(snapshot: Snapshot) -> String {
    let mut registry = Registry::with_prefix("leptond");
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    // It writes to memory, which cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

/// One metric with all its points.
struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    fn write(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        points: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut points = points.into_iter().filter(|(_, value)| value.is_finite()).peekable();
        if points.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in points {
            let mut point = metric.encode_family(&labels)?;
            match kind {
                MetricType::Counter => point.encode_counter::<NoLabelSet, f64, u64>(&value, None)?,
                _ => point.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, points: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        self.write(MetricType::Gauge, name, help, points)
    }

    fn counter(&mut self, name: &str, help: &str, points: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        self.write(MetricType::Counter, name, help, points)
    }
}

/// A point without labels.
fn bare(value: impl Into<Option<f64>>) -> Option<(Labels, f64)> {
    value.into().map(|value| (Vec::new(), value))
}

/// 1 or 0.
fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Writer { encoder };
        self.page(&mut out)?;
        if let Some(status) = &self.status {
            node(status, &mut out)?;
            publisher(status, &mut out)?;
            sources(status, &mut out)?;
            pipelines(status, &mut out)?;
            fleet(status, &mut out)?;
            let numbers = self.numbers.iter().map(|(name, value)| (vec![("pipeline", name.to_string())], *value));
            out.gauge("pipeline_value", "Number of the latest result: reading, score or count", numbers)?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn page(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Cost { viewers, listeners, pictures, draw, refused } = self.cost;
        out.gauge("page_viewers", "Open views of pictures", bare(viewers as f64))?;
        out.gauge("page_listeners", "Open receivers of results", bare(listeners as f64))?;
        out.counter("page_pictures", "Pictures drawn for the page", bare(pictures as f64))?;
        out.counter("page_draw_seconds", "Processor time spent drawing and encoding them", bare(draw.as_secs_f64()))?;
        out.counter("page_refused_connections", "Connections beyond the bound", bare(refused as f64))
    }
}

fn node(status: &NodeStatus, out: &mut Writer<'_>) -> fmt::Result {
    let (node, board, governor) = (&status.node, &status.board, &status.governor);
    let about = [("node", node.name.to_string()), ("version", node.version.into()), ("board", node.board.to_string())];
    out.gauge("build_info", "Node, version and board; always 1", [(about.to_vec(), 1.0)])?;
    out.gauge("uptime_seconds", "Time since the start", bare(node.uptime.as_secs_f64()))?;
    out.gauge("resident_bytes", "Resident memory of the daemon", bare(board.rss_bytes as f64))?;
    out.gauge("cpu_percent", "Processor use of the machine, 0 to 100", bare(board.cpu_percent.map(f64::from)))?;
    let own = board.own_cpu_percent.map(f64::from);
    out.gauge("own_cpu_percent", "Processor use of leptond and its children, 0 to 100 of the machine", bare(own))?;
    out.gauge("soc_celsius", "Processor temperature", bare(board.soc_celsius.map(f64::from)))?;
    out.gauge("throttled", "1 while heat lowers the clock", bare(board.throttled.map(truth)))?;
    out.gauge("soft_limited", "1 while a soft limit lowers the clock", bare(board.soft_limited.map(truth)))?;
    out.gauge("under_voltage", "1 while the supply is too low", bare(board.under_voltage.map(truth)))?;
    let forecast = governor.forecast.iter();
    let points = forecast.flat_map(|f| [("30s", f.in_30s_celsius), ("steady", f.steady_celsius)]);
    let points = points.map(|(horizon, celsius)| (vec![("horizon", horizon.to_owned())], celsius.into()));
    out.gauge("forecast_celsius", "Expected temperature on the present rungs", points)?;
    let limit = governor.forecast.map(|forecast| forecast.limit_celsius.into());
    out.gauge("limit_celsius", "Temperature that the governor keeps", bare(limit))?;
    let state = vec![("mode", governor.mode.clone()), ("state", governor.state.clone())];
    out.gauge("governor_state", "Mode and state of the governor; always 1", [(state, 1.0)])?;
    out.counter("governor_changes", "Turns in which a rung changed", bare(governor.changes as f64))
}

fn publisher(status: &NodeStatus, out: &mut Writer<'_>) -> fmt::Result {
    let publisher = &status.publisher;
    out.gauge("mqtt_connected", "1 while the broker is connected", bare(truth(publisher.connected)))?;
    out.gauge("mqtt_queued", "Messages that wait", bare(publisher.queued as f64))?;
    out.counter("mqtt_published", "Messages written to the socket", bare(publisher.published as f64))?;
    out.counter("mqtt_acknowledged", "Messages that the broker acknowledged", bare(publisher.acknowledged as f64))?;
    out.counter("mqtt_dropped", "Messages given up", bare(publisher.dropped as f64))?;
    let on_disk = publisher.outbox.map(|outbox| outbox.events_on_disk as f64);
    out.gauge("outbox_events_on_disk", "Events on disk that wait for the broker", bare(on_disk))
}

fn sources(status: &NodeStatus, out: &mut Writer<'_>) -> fmt::Result {
    let points = |value: fn(&crate::frame::status::Source) -> f64| {
        status.sources.iter().map(move |(name, source)| (vec![("source", name.to_string())], value(source)))
    };
    out.counter("source_frames", "Frames of a source", points(|source| source.frames as f64))?;
    out.counter("source_decoded", "Frames that were decoded", points(|source| source.decoded as f64))?;
    out.gauge("source_readers", "Readers of a source", points(|source| source.readers as f64))
}

fn pipelines(status: &NodeStatus, out: &mut Writer<'_>) -> fmt::Result {
    let label = |pipeline: &Pipeline| ("pipeline", pipeline.name.to_string());
    let points = |value: fn(&Pipeline) -> Option<f64>| {
        status.pipelines.iter().filter_map(move |p| Some((vec![label(p)], value(p)?)))
    };
    let running = status.pipelines.iter().map(|p| (vec![label(p)], truth(p.idle.is_none())));
    let faults = status.faults.iter().map(|fault| (vec![("pipeline", fault.pipeline.to_string())], 0.0));
    out.gauge("pipeline_working", "1 while results come or may come", running.chain(faults))?;
    out.gauge("pipeline_paused", "1 while paused by request", points(|p| Some(truth(p.paused))))?;
    out.counter("pipeline_frames", "Frames that the source gave", points(|p| Some(p.counts.frames as f64)))?;
    out.counter("pipeline_inferences", "Inferences with a result", points(|p| Some(p.counts.inferences as f64)))?;
    out.counter("pipeline_dropped", "Frames replaced by newer ones", points(|p| Some(p.counts.dropped as f64)))?;
    out.counter("pipeline_skipped", "Frames that the governor left out", points(|p| Some(p.counts.skipped as f64)))?;
    out.counter("pipeline_errors", "Damaged frames, failed inferences", points(|p| Some(p.counts.errors as f64)))?;
    let steps = status.pipelines.iter().flat_map(|p| {
        let step = |direction: &str, count: u64| (vec![label(p), ("direction", direction.to_owned())], count as f64);
        [step("up", p.counts.steps_up), step("down", p.counts.steps_down)]
    });
    out.counter("pipeline_steps", "Steps on the ladder", steps)?;
    let reduced = points(|p| Some(p.counts.reduced_ms as f64 / 1e3));
    out.counter("pipeline_reduced_seconds", "Time on another rung than the first", reduced)?;
    out.gauge("pipeline_rung", "Rung, 0 = full work", points(|p| Some(p.rung.rung as f64)))?;
    out.gauge("pipeline_rungs", "Rungs of the ladder", points(|p| Some(p.rung.of as f64)))?;
    let quantiles = |value: fn(&Pipeline) -> Percentiles| {
        status.pipelines.iter().flat_map(move |p| {
            let Percentiles { p50, p95, p99 } = value(p);
            [("0.5", p50), ("0.95", p95), ("0.99", p99)]
                .map(|(quantile, ms)| (vec![label(p), ("quantile", quantile.to_owned())], ms / 1e3))
        })
    };
    out.gauge("pipeline_latency_seconds", "From capture to result, over the run", quantiles(|p| p.latency_ms))?;
    out.gauge("pipeline_infer_seconds", "In the model, over the run", quantiles(|p| p.infer_ms))?;
    let recent = points(|p| Some(f64::from(p.recent_p95_ms?) / 1e3));
    out.gauge("pipeline_recent_p95_seconds", "95 % of the latest results came within this", recent)?;
    out.gauge("pipeline_motion_open", "1 while something moves", points(|p| Some(truth(p.motion?.open))))?;
    let closed = points(|p| Some(p.motion?.closed_frames as f64));
    out.counter("pipeline_motion_closed_frames", "Frames not looked at because nothing moved", closed)
}

/// Work for other nodes.
fn fleet(status: &NodeStatus, out: &mut Writer<'_>) -> fmt::Result {
    let Some(fleet) = &status.fleet else { return Ok(()) };
    let by = |label: &'static str, counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| (vec![(label, name.clone())], *count as f64)).collect::<Vec<_>>()
    };
    out.gauge("fleet_connected", "1 while a server of the group is connected", bare(truth(fleet.connected)))?;
    out.gauge("fleet_held", "1 while nothing is taken for others", bare(truth(fleet.held.is_some())))?;
    out.gauge("fleet_busy", "Share of time in which work of others was computed", bare(f64::from(fleet.busy)))?;
    out.counter("fleet_done", "Pictures computed for others", by("for", &fleet.of))?;
    out.counter("fleet_refused", "Pictures of others without a result", by("reason", &fleet.refused))?;
    out.counter("fleet_returned", "Pictures given back at a stop", bare(fleet.returned as f64))?;
    let Some(given) = &fleet.given else { return Ok(()) };
    out.gauge("fleet_given_connected", "1 while frames can be given to others", bare(truth(given.connected)))?;
    out.counter("fleet_given", "Frames given to others", bare(given.frames as f64))?;
    out.counter("fleet_given_answered", "Frames that others computed in time", by("by", &given.by))?;
    out.counter("fleet_given_missed", "Frames without an answer in time", bare(given.missed as f64))?;
    out.counter("fleet_given_late", "Answers that came too late", bare(given.late as f64))?;
    out.counter("fleet_given_refused", "Frames that others refused", by("reason", &given.refused))?;
    out.counter("fleet_given_untrusted", "Messages that are no answers", bare(given.untrusted as f64))
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
