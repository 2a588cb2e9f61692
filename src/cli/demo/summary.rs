//! Figures of a demo at its end, in lines of at most 80 columns.

use std::fmt::Write as _;

use crate::runtime::Report;

/// The table of pipelines, and what they cost.
pub fn summary(report: &Report) -> String {
    let mut text = String::from("\n");
    let _ = writeln!(
        text,
        "{:<10} {:>7} {:>7} {:>7} {:>6}  {:>9}  {:>9} {:>8} {:>7}",
        "pipeline", "frames", "results", "dropped", "errors", "model p50", "total p95", "correct", "held"
    );
    for (name, p) in &report.pipelines {
        let percent = |share: Option<f64>| share.map_or("-".into(), |a| format!("{:.1} %", a * 100.0));
        let (correct, held) = (percent(p.accuracy), percent(p.held));
        let _ = writeln!(
            text,
            "{name:<10} {:>7} {:>7} {:>7} {:>6}  {:>6.1} ms  {:>6.1} ms {correct:>8} {held:>7}",
            p.frames, p.inferences, p.dropped, p.errors, p.infer_p50_ms, p.p95_ms
        );
    }
    let _ = writeln!(
        text,
        "{:.1} s, {} messages published, {} acknowledged",
        report.seconds, report.published, report.acknowledged
    );
    let _ = writeln!(
        text,
        "beside the model {:.1} ms (p95), at most {:.1} MB in memory",
        report.overhead_p95_ms,
        report.peak_rss_bytes as f64 / 1e6
    );
    text
}
