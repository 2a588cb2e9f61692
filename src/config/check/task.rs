//! `[pipeline.task]`: keys that have no effect, or that do not fit each other.

use super::Findings;
use crate::config::PipelineConfig;
use crate::config::problem::Problem;
use crate::frame::TaskKind;

/// Warns of keys that have no effect on the kind of task, or without another key.
pub(super) fn check(pipeline: &PipelineConfig, at: &dyn Fn(&str) -> String, f: &mut Findings) {
    let task = &pipeline.task;
    f.take(&at("task"), crate::frame::diagnostic::unique(&task.labels, "labels"));
    if task.monotonic && pipeline.preprocess.regions.is_empty() {
        f.warn(
            Problem::new(at("task.monotonic"), "has no effect without preprocess.regions")
                .help("a reading is made of one label per region"),
        );
    }
    for (key, set) in [
        ("confirm_s", task.confirm_s.is_some()),
        ("max_rate", task.max_rate.is_some()),
        ("max_step", task.max_step.is_some()),
    ] {
        if set && !task.monotonic {
            f.warn(Problem::new(at(&format!("task.{key}")), "has no effect without monotonic = true"));
        }
    }
    let range = u32::try_from(pipeline.preprocess.regions.len()).ok().and_then(|n| 10_u64.checked_pow(n));
    if let (Some(step), Some(range)) = (task.max_step, range)
        && range > 1
        && step > range / 2
    {
        f.warn(
            Problem::new(
                at("task.max_step"),
                "more than half of what the regions can show: such a step cannot be told from one back",
            )
            .found(step.to_string())
            .allowed(format!("1 to {}", range / 2)),
        );
    }
    if task.threshold.is_some() && task.calibration_s.is_some_and(|s| s > 0.0) {
        f.warn(Problem::new(at("task.calibration_s"), "has no effect: task.threshold is fixed"));
    }
    let Some(kind) = task.kind else { return };
    use TaskKind::{Anomaly, Classify, Detect, Raw};
    let keys: [(&str, bool, &[TaskKind]); 15] = [
        ("min_score", task.min_score.is_some(), &[Classify, Detect]),
        ("labels", !task.labels.is_empty(), &[Classify, Detect]),
        ("top_k", task.top_k.is_some(), &[Classify]),
        ("smoothing", task.smoothing.is_some(), &[Classify]),
        ("softmax", task.softmax.is_some(), &[Classify]),
        ("monotonic", task.monotonic, &[Classify]),
        ("confirm_s", task.confirm_s.is_some(), &[Classify]),
        ("max_rate", task.max_rate.is_some(), &[Classify]),
        ("max_step", task.max_step.is_some(), &[Classify]),
        ("nms_iou", task.nms_iou.is_some(), &[Detect]),
        ("max_detections", task.max_detections.is_some(), &[Detect]),
        ("appear_s", task.appear_s.is_some(), &[Detect]),
        ("vanish_s", task.vanish_s.is_some(), &[Detect]),
        ("threshold", task.threshold.is_some(), &[Anomaly]),
        ("hysteresis", task.hysteresis.is_some(), &[Anomaly]),
    ];
    for (key, set, kinds) in keys {
        if set && !kinds.contains(&kind) {
            let name = |kind: &TaskKind| match kind {
                Classify => "\"classify\"",
                Detect => "\"detect\"",
                Anomaly => "\"anomaly\"",
                Raw => "\"raw\"",
            };
            let names: Vec<_> = kinds.iter().map(name).collect();
            f.warn(Problem::new(
                at(&format!("task.{key}")),
                format!("has no effect: it is for type {}, not {}", names.join(" and "), name(&kind)),
            ));
        }
    }
}
