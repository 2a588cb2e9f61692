//! The chosen node and pipeline: as many of their lines as there is room for, the important ones first.

use ratatui::text::{Line, Span};

use super::super::history::History;
use super::super::node::{Node, Pipeline, Vitals};
use super::super::text::{columns, fit, span};
use super::glance;
use super::list::title;
use super::shown::Shown;
use super::style::Palette;
use crate::frame::NodeName;
use crate::publish::payload::Rung;

/// Lines from which on what was found is drawn large.
const LARGE_FROM: usize = 9;
/// Columns of a course.
const COURSE: usize = 24;
/// Columns of the bar of a rung.
const BAR: usize = 8;

/// The first rung, also as a reason, which then says nothing more.
const FULL_WORK: &str = "full work";

/// A line and its rank: those of the highest ranks are left out first.
type Ranked = (u8, Line<'static>);

/// The panel in at most `height` lines.
pub fn lines(shown: &Shown<'_>, width: usize, height: usize) -> Vec<Line<'static>> {
    let chosen = shown.ui.chosen.as_ref().and_then(|row| Some((row, shown.watched.nodes.get(&row.node)?)));
    let Some((row, node)) = chosen else { return nobody(shown, width) };
    let mut ranked = node_lines(shown, &row.node, node, width);
    match row.pipeline.as_ref().and_then(|name| Some((name, node.pipelines.get(name)?))) {
        Some((name, pipeline)) => ranked.extend(pipeline_lines(shown, name, pipeline, width, height)),
        None => ranked.extend(table(shown, node, width)),
    }
    for rank in (1..=u8::MAX).rev() {
        if ranked.len() <= height {
            break;
        }
        let mut left_out = ranked.len() - height;
        let mut kept: Vec<Ranked> = Vec::with_capacity(ranked.len());
        for line in ranked.into_iter().rev() {
            if line.0 == rank && left_out > 0 {
                left_out -= 1;
            } else {
                kept.push(line);
            }
        }
        kept.reverse();
        ranked = kept;
    }
    ranked.into_iter().map(|(_, line)| line).collect()
}

fn nobody(shown: &Shown<'_>, width: usize) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let broker = &shown.connection.broker;
    let trouble = shown.connection.trouble.clone();
    let words = if shown.connection.connected {
        let silence = "Does leptond run, and publish to this broker? leptond doctor finds out.".into();
        ["No node has been heard of yet.".into(), trouble.unwrap_or(silence)]
    } else {
        [format!("The broker {broker} is away."), trouble.unwrap_or_else(|| "no connection yet".into())]
    };
    // A sentence may be longer than a line.
    let lines = words.iter().flat_map(|text| wrapped(text, width.saturating_sub(1)));
    let lines = lines.map(|text| Line::raw(format!(" {text}")));
    std::iter::once(title(palette, "nobody here", width)).chain(lines).collect()
}

/// A text in lines of at most `width` columns, broken between words.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().map(|word| fit(word, width)) {
        let last = lines.last_mut().filter(|last| last.is_empty() || columns(last) + 1 + columns(&word) <= width);
        match last {
            Some(last) if last.is_empty() => *last = word,
            Some(last) => *last += &format!(" {word}"),
            None => lines.push(word),
        }
    }
    lines
}

fn node_lines(shown: &Shown<'_>, name: &NodeName, node: &Node, width: usize) -> Vec<Ranked> {
    let palette = shown.palette;
    let silent = shown.now.saturating_duration_since(node.heard).as_secs();
    let state = match node.online {
        Some(true) => "online".into(),
        Some(false) => format!("OFFLINE, last heard of {} ago", span(silent)),
        None => format!("unknown, last heard of {} ago", span(silent)),
    };
    let mut lines = vec![(1, title(palette, &format!("{name}  {state}"), width))];
    let vitals = node.vitals.unwrap_or_default();
    let version = if node.version.is_empty() { String::new() } else { format!("leptond {}", node.version) };
    let up = match vitals.started {
        Some(started) if node.online != Some(false) => {
            format!("up {}", span(shown.now.saturating_duration_since(started).as_secs()))
        }
        _ => String::new(),
    };
    let parts: Vec<&str> = [&*node.board, &*version, &*up].into_iter().filter(|part| !part.is_empty()).collect();
    if !parts.is_empty() {
        lines.push((6, Line::from(palette.dim(fit(&format!(" {}", parts.join("  ")), width)))));
    }
    lines.push((3, temperature(palette, node, &vitals, width)));
    if node.vitals.is_some() {
        lines.push((4, load(&vitals, width)));
    }
    if !node.mode.is_empty() {
        let mode = format!(" governor {}, {}", node.mode, node.standing);
        lines.push((5, Line::raw(fit(&mode, width))));
    }
    lines
}

/// The temperature with its course, what is expected, and trouble with heat or supply.
pub fn temperature(palette: Palette, node: &Node, vitals: &Vitals, width: usize) -> Line<'static> {
    let celsius = node.temperature.last().or(vitals.soc_celsius);
    let mut spans = vec![match celsius {
        Some(celsius) => palette.strong(format!(" {celsius:.1} °C")),
        None => palette.dim(" temperature unknown"),
    }];
    let throttled = vitals.throttled;
    for (is, words) in [
        (throttled.now, "THROTTLED"),
        (throttled.under_voltage, "SUPPLY TOO LOW"),
        (throttled.soft_limited, "soft limit"),
    ] {
        if is == Some(true) {
            spans.push(palette.bad(format!("  {words}")));
        }
    }
    let taken: usize = spans.iter().map(|span| columns(&span.content)).sum();
    let outlook = node.forecast.map_or(String::new(), |forecast| {
        format!("  in 30 s {:.1}, limit {:.1}", forecast.in_30s_celsius, forecast.limit_celsius)
    });
    let bars = node.temperature.bars(COURSE.min(width.saturating_sub(taken + columns(&outlook) + 2)), 30.0);
    if columns(&bars) > 1 {
        spans.push(palette.course(format!("  {bars}")));
    }
    let taken: usize = spans.iter().map(|span| columns(&span.content)).sum();
    spans.push(palette.dim(fit(&outlook, width.saturating_sub(taken))));
    Line::from(spans)
}

/// Processor and memory, and messages that wait or were given up.
pub fn load(vitals: &Vitals, width: usize) -> Line<'static> {
    let mut text = format!(" memory {:.0} MB", vitals.rss_bytes as f64 / 1e6);
    if let Some(percent) = vitals.cpu_percent {
        text = format!(" cpu {percent:.0} % {text}");
    }
    if vitals.queued > 0 {
        text += &format!("  {} messages wait", vitals.queued);
    }
    if vitals.dropped > 0 {
        text += &format!("  {} given up", vitals.dropped);
    }
    Line::raw(fit(&text, width))
}

fn pipeline_lines(shown: &Shown<'_>, name: &str, pipeline: &Pipeline, width: usize, height: usize) -> Vec<Ranked> {
    let palette = shown.palette;
    let mut heading = name.to_owned();
    if pipeline.is_paused() {
        heading += "  PAUSED";
    } else if let Some(at) = pipeline.result_at {
        let ago = shown.now.saturating_duration_since(at).as_secs();
        heading += &if ago < 2 { "  now".into() } else { format!("  {} ago", span(ago)) };
    }
    let mut lines = vec![(1, title(palette, &heading, width))];
    let found = glance::lines(palette, pipeline, width, height >= LARGE_FROM);
    lines.extend(found.into_iter().enumerate().map(|(at, line)| (if at == 0 { 0 } else { 1 }, line)));
    if let Some(reason) = &pipeline.idle {
        lines.push((2, Line::from(palette.bad(fit(&format!(" idle: {reason}"), width)))));
    }
    if let Some(rung) = &pipeline.rung {
        lines.push((2, place(palette, rung, width)));
        if let Some(reason) = reason(rung) {
            lines.push((4, Line::raw(fit(&format!(" {reason}"), width))));
        }
    }
    lines.push((3, figures(palette, pipeline, width)));
    lines
}

/// The reason for a rung, where it says more than the rung does.
pub fn reason(rung: &Rung) -> Option<&str> {
    Some(rung.reason.as_str()).filter(|reason| !reason.is_empty() && *reason != FULL_WORK)
}

/// The bar of the work that is left, and what that work is.
pub fn place(palette: Palette, rung: &Rung, width: usize) -> Line<'static> {
    let steps = rung.of.saturating_sub(1).max(1);
    let left = steps.saturating_sub(rung.rung);
    let filled = (left.min(10_000) * BAR).div_ceil(steps.min(10_000)).min(BAR);
    let bar = format!(" {}{}", "█".repeat(filled), "░".repeat(BAR - filled));
    let word = match rung.rung {
        0 => format!(" {FULL_WORK}"),
        at => format!(" rung {at} of {}", rung.of),
    };
    let mut detail = String::new();
    if rung.interval_ms > 0 {
        detail += &format!("  every {} ms", rung.interval_ms);
    }
    for (value, words) in [(rung.capture, "px captured"), (rung.resolution, "px")] {
        if let Some(value) = value {
            detail += &format!("  {value} {words}");
        }
    }
    if rung.batch > 1 {
        detail += &format!("  batch {}", rung.batch);
    }
    if !rung.model.is_empty() {
        detail += &format!("  {}", rung.model);
    }
    let bar = if rung.rung == 0 { palette.good(bar) } else { palette.doubtful(bar) };
    let room = width.saturating_sub(columns(&bar.content) + columns(&word));
    Line::from(vec![bar, palette.strong(word), palette.dim(fit(&detail, room))])
}

/// The age of results with its course, their rate, and frames that were lost.
pub fn figures(palette: Palette, pipeline: &Pipeline, width: usize) -> Line<'static> {
    let number = |history: &History| history.last().map_or("–".into(), |ms| format!("{ms:.0} ms"));
    let mut text = format!("  {:.1} fps", pipeline.fps);
    if let Some(p95_ms) = pipeline.p95_ms {
        text += &format!("  p95 {p95_ms:.0} ms");
    }
    for (count, word) in [(pipeline.drops, "dropped"), (pipeline.errors, "errors")] {
        if count > 0 {
            text += &format!("  {count} {word}");
        }
    }
    let head = format!(" latency {}", number(&pipeline.latency));
    let room = width.saturating_sub(columns(&head) + columns(&text) + 2);
    let bars = pipeline.latency.bars(COURSE.min(room), 0.0);
    let bars = if columns(&bars) > 1 { format!("  {bars}") } else { String::new() };
    let left = width.saturating_sub(columns(&head) + columns(&bars));
    Line::from(vec![Span::raw(fit(&head, width)), palette.course(bars), Span::raw(fit(&text, left))])
}

/// A row for each pipeline of a node.
fn table(shown: &Shown<'_>, node: &Node, width: usize) -> Vec<Ranked> {
    let palette = shown.palette;
    let name_width = node.pipelines.keys().map(|name| columns(name)).max().unwrap_or(0).clamp(8, 24.min(width / 3));
    let cells = |name: &str, fps: &str, p95: &str, rung: &str, found: &str| {
        let name = fit(name, name_width);
        let pad = " ".repeat(name_width.saturating_sub(columns(&name)));
        fit(&format!(" {name}{pad}  {fps:>5}  {p95:>7}  {rung:<9}  {found}"), width)
    };
    let mut lines = vec![(1, title(palette, "pipelines", width))];
    if node.pipelines.is_empty() {
        lines.push((2, Line::from(palette.dim(" none heard of yet"))));
        return lines;
    }
    lines.push((4, Line::from(palette.dim(cells("", "fps", "p95", "rung", "")))));
    for (name, pipeline) in &node.pipelines {
        let place = match &pipeline.rung {
            _ if pipeline.is_paused() => "paused".into(),
            Some(rung) => fit(&format!("{} of {}", rung.rung, rung.of), 9),
            None => String::new(),
        };
        let p95 = pipeline.p95_ms.map_or("–".into(), |ms| format!("{ms:.0} ms"));
        let found =
            pipeline.idle.clone().map_or_else(|| glance::words(&pipeline.glance), |idle| format!("idle: {idle}"));
        let text = cells(name, &format!("{:.1}", pipeline.fps), &p95, &place, &found);
        lines.push((2, Line::raw(text)));
    }
    lines
}
