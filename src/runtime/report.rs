//! The figures of a whole run: a format of the last [`NodeStatus`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::frame::SourceName;
use crate::frame::status::{NodeStatus, Pipeline, Source};

/// Figures of a whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Frames that the sources gave.
    pub frames: u64,
    /// Inferences that gave a result.
    pub inferences: u64,
    /// Frames that were overwritten before a worker took them.
    pub dropped: u64,
    /// Frames left out because the governor's interval was not over.
    pub skipped: u64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: u64,
    /// Half of the (latest) results were on the broker's socket no later than this after their frame was captured.
    pub p50_ms: f64,
    /// 95 % of them.
    pub p95_ms: f64,
    /// 99 % of them.
    pub p99_ms: f64,
    /// The same without the time in the model: what leptond itself costs, half of the time.
    pub overhead_p50_ms: f64,
    /// 95 % of them.
    pub overhead_p95_ms: f64,
    /// Messages written to the broker's socket.
    pub published: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub acknowledged: u64,
    /// Share of answers that were the truth, where a source knew it; a reading that was held is no answer.
    pub accuracy: Option<f64>,
    /// Share of pictures that were given no reading of their own (a drum between two digits, for instance), where a source knew it.
    pub held: Option<f64>,
    /// Most memory that was resident at once.
    pub peak_rss_bytes: u64,
    /// Duration of the run.
    pub seconds: f64,
    /// Counts of each source, by its name; by the pipeline's where it has the source to itself.
    pub sources: BTreeMap<SourceName, Source>,
    /// The same figures by pipeline.
    pub pipelines: BTreeMap<String, PipelineReport>,
    /// A request asked for another start.
    #[serde(skip)]
    pub restart: bool,
}

/// Figures of one pipeline.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineReport {
    /// Frames that the source gave.
    pub frames: u64,
    /// Inferences that gave a result.
    pub inferences: u64,
    /// Frames that were overwritten before the worker took them.
    pub dropped: u64,
    /// Frames left out because the governor's interval was not over.
    pub skipped: u64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: u64,
    /// Frame captured → result in the publisher's hands, 95 %.
    pub p95_ms: f64,
    /// In the model, half of the time.
    pub infer_p50_ms: f64,
    /// Share of answers that were the truth, where the source knew it; a reading that was held is no answer.
    pub accuracy: Option<f64>,
    /// Share of pictures that were given no reading of their own, where the source knew it.
    pub held: Option<f64>,
}

impl Report {
    /// The report of a run that ended with `status`.
    pub(super) fn of(status: &NodeStatus) -> Self {
        let totals = status.totals.unwrap_or_default();
        let sum = |count: fn(&Pipeline) -> u64| status.pipelines.iter().map(count).sum::<u64>();
        let (right, known, held) = (sum(|p| p.counts.right), sum(|p| p.counts.known), sum(|p| p.counts.held));
        Report {
            frames: sum(|p| p.counts.frames),
            inferences: sum(|p| p.counts.inferences),
            dropped: sum(|p| p.counts.dropped),
            skipped: sum(|p| p.counts.skipped),
            errors: sum(|p| p.counts.errors),
            p50_ms: totals.delivery_ms.p50,
            p95_ms: totals.delivery_ms.p95,
            p99_ms: totals.delivery_ms.p99,
            overhead_p50_ms: totals.overhead_ms.p50,
            overhead_p95_ms: totals.overhead_ms.p95,
            published: status.publisher.published,
            acknowledged: status.publisher.acknowledged,
            accuracy: share(right, known),
            held: share(held, known + held),
            peak_rss_bytes: totals.peak_rss_bytes,
            seconds: status.node.uptime.as_secs_f64(),
            sources: status.sources.clone(),
            pipelines: status.pipelines.iter().map(|p| (p.name.to_string(), PipelineReport::of(p))).collect(),
            restart: false,
        }
    }
}

impl PipelineReport {
    fn of(pipeline: &Pipeline) -> Self {
        let counts = &pipeline.counts;
        PipelineReport {
            frames: counts.frames,
            inferences: counts.inferences,
            dropped: counts.dropped,
            skipped: counts.skipped,
            errors: counts.errors,
            p95_ms: pipeline.latency_ms.p95,
            infer_p50_ms: pipeline.infer_ms.p50,
            accuracy: share(counts.right, counts.known),
            held: share(counts.held, counts.known + counts.held),
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
