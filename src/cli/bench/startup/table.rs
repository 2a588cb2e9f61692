//! A start as a table with bars, as `systemd-analyze` draws one.

use std::fmt::Write as _;

use super::parts::{Part, Starts};

/// Columns of the bar that is the whole start.
const WIDTH: f64 = 32.0;

/// Parts of the same kind are told by their pipeline where there are several.
fn words(part: &Part, several: bool) -> String {
    match &part.pipeline {
        Some(pipeline) if several => format!("{} ({pipeline})", part.words),
        _ => part.words.to_owned(),
    }
}

/// The start in the middle of `starts`, a line for each part.
pub(super) fn render(title: &str, starts: &Starts) -> String {
    let start = &starts.breakdown;
    let (median, worst, ready) = (starts.median_ms, starts.worst_ms, start.ready_ms);
    let mut text = format!("{title}\n");
    let mut pipelines: Vec<_> = start.parts.iter().filter_map(|part| part.pipeline.as_deref()).collect();
    pipelines.sort_unstable();
    pipelines.dedup();
    let name = |part: &Part| words(part, pipelines.len() > 1);
    let wide = start.parts.iter().map(|part| name(part).chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "  {:wide$}  start ms  length ms   share", "part");
    let end_ms = start.parts.iter().map(|part| part.start_ms + part.length_ms).fold(start.first_result_ms, f64::max);
    for part in &start.parts {
        let column = |ms: f64| (ms / end_ms * WIDTH).round() as usize;
        let (from, to) = (column(part.start_ms), column(part.start_ms + part.length_ms));
        let bar = " ".repeat(from) + &if to > from { "█".repeat(to - from) } else { "▏".into() };
        let share = if part.share_percent > 0.0 { format!("{:.1} %", part.share_percent) } else { "-".into() };
        let (part_name, start_ms, length_ms) = (name(part), part.start_ms, part.length_ms);
        let _ = writeln!(text, "  {part_name:wide$}  {start_ms:8.1}  {length_ms:9.1}  {share:>6}  {bar}");
    }
    let runs = starts.first_result_ms.len();
    let _ = writeln!(
        text,
        "  program started to first result: {median:.0} ms (median of {runs}, worst {worst:.0} ms); READY=1 after {ready:.0} ms"
    );
    text
}
