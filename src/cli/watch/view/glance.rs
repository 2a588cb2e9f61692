//! The last find of a pipeline, large enough to be read across a room.

use ratatui::text::{Line, Span};

use super::super::big::{HEIGHT, big, width as big_width};
use super::super::node::{Glance, Pipeline};
use super::super::text::{columns, fit};
use super::style::Palette;

/// Columns between two counts.
const GAP: usize = 3;

/// The lines of what was found, at most `width` wide: large where there is room for it.
pub fn lines(palette: Palette, pipeline: &Pipeline, width: usize, large: bool) -> Vec<Line<'static>> {
    let (text, caption) = match &pipeline.glance {
        Glance::Nothing => return vec![Line::from(palette.dim(fit(" no result yet", width)))],
        Glance::Counts(counts) => return self::counts(palette, pipeline, counts, width, large),
        Glance::Reading { label, quality, held, score, unit, problem } => {
            let (label, reading) = (label.clone().unwrap_or_else(|| "-".into()), Reading { quality, problem });
            let unit = if unit.is_empty() { String::new() } else { format!("{unit}  ") };
            (label, reading.caption(palette, &unit, *held, *score))
        }
        Glance::Class { label, score } if label.is_empty() => {
            ("-".into(), palette.dim(format!("no label reaches its least score, the best has {}", percent(*score))))
        }
        Glance::Class { label, score } => (label.clone(), Span::raw(percent(*score))),
        Glance::Anomaly { score, threshold, anomalous, calibrating, channels } => {
            let limit = threshold.map_or(String::new(), |threshold| format!(", an anomaly begins at {threshold:.4}"));
            let caption = match (anomalous, calibrating) {
                (true, _) if channels.is_empty() => palette.bad(format!("ANOMALY{limit}")),
                (true, _) => palette.bad(format!("ANOMALY in {channels}{limit}")),
                (false, true) => palette.dim("learning what is normal"),
                (false, false) => palette.good(format!("normal{limit}")),
            };
            (score.map_or("-".into(), |score| format!("{score:.4}")), caption)
        }
        Glance::Channels { found, score, calibrating } => {
            let caption = match (found.split_first(), calibrating) {
                (Some((_, rest)), _) if rest.is_empty() => palette.bad("ANOMALY".to_owned()),
                (Some((_, rest)), _) => palette.bad(format!("ANOMALY, also {}", rest.join(", "))),
                (None, true) => palette.dim("learning what is usual"),
                (None, false) => palette.good("normal".to_owned()),
            };
            let text = found.first().cloned();
            (text.unwrap_or_else(|| score.map_or("-".into(), |score| format!("{score:.1}"))), caption)
        }
        Glance::Other(task) => {
            return vec![Line::from(palette.dim(fit(&format!(" outputs of a {task} model: see its results"), width)))];
        }
    };
    let mut lines = text_lines(palette, &text, width, large);
    lines.push(Line::from(vec![Span::raw(" "), fitted(caption, width.saturating_sub(1))]));
    lines
}

/// The worth of a reading.
pub struct Reading<'a> {
    /// `good`, `uncertain`, `unreadable`.
    pub quality: &'a str,
    /// The reason for another one than `good`; empty where the quality says it.
    pub problem: &'a str,
}

impl Reading<'_> {
    /// Its worth in words, behind `unit`.
    pub fn caption(&self, palette: Palette, unit: &str, held: bool, score: Option<f64>) -> Span<'static> {
        let why = if self.problem.is_empty() { self.quality.to_owned() } else { self.problem.replace('_', " ") };
        match self.quality {
            // The state of a meter has no score.
            "good" if score.is_none() => palette.good(format!("{unit}good")),
            "good" => palette.good(format!("{unit}good, {}", percent(score))),
            _ if held && self.problem.is_empty() => palette.doubtful(format!("{unit}held: the picture is {why}")),
            _ if held => palette.doubtful(format!("{unit}held: {why}")),
            _ => palette.bad(format!("no reading: {why}")),
        }
    }
}

/// A text, large where it fits.
fn text_lines(palette: Palette, text: &str, width: usize, large: bool) -> Vec<Line<'static>> {
    if let (true, Some(rows)) = (large && big_width(text) < width, big(text)) {
        return rows.into_iter().map(|row| Line::from(palette.strong(format!(" {row}")))).collect();
    }
    vec![Line::from(palette.strong(format!(" {}", fit(text, width.saturating_sub(1)))))]
}

/// Objects that last, each count above its label, and below them those of the last frame.
fn counts(
    palette: Palette,
    pipeline: &Pipeline,
    counts: &[(String, u64)],
    width: usize,
    large: bool,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if counts.is_empty() {
        lines.extend(text_lines(palette, "0", width, large));
        lines.push(Line::from(palette.dim(" nothing that lasts")));
    } else if large {
        let mut rows = vec![String::from(" "); HEIGHT + 1];
        for (at, (label, count)) in counts.iter().enumerate() {
            let (number, label) = (count.to_string(), fit(label, 16));
            let glyphs = big(&number).unwrap_or_default();
            let column = big_width(&number).max(columns(&label)) + GAP;
            if columns(&rows[0]) + column > width {
                let room = width.saturating_sub(columns(&rows[HEIGHT]));
                rows[HEIGHT] += &fit(&format!("+{} more", counts.len() - at), room);
                break;
            }
            for (row, part) in rows.iter_mut().zip(glyphs.iter().map(String::as_str).chain([label.as_str()])) {
                row.push_str(part);
                row.push_str(&" ".repeat(column.saturating_sub(columns(part))));
            }
        }
        let labels = rows.pop().unwrap_or_default();
        lines.extend(rows.into_iter().map(|row| Line::from(palette.strong(row.trim_end().to_owned()))));
        lines.push(Line::raw(labels.trim_end().to_owned()));
    } else {
        let listed = counts.iter().map(|(label, count)| format!("{count} {label}")).collect::<Vec<_>>().join(", ");
        lines.push(Line::from(palette.strong(fit(&format!(" {listed}"), width))));
    }
    let found = pipeline.found.iter().map(|(label, score)| format!("{label} {}", percent(*score)));
    let found = found.collect::<Vec<_>>().join(", ");
    let now = if found.is_empty() { " now: nothing".into() } else { format!(" now: {found}") };
    lines.push(Line::from(palette.dim(fit(&now, width))));
    lines
}

/// The words of what was found, for a row of a table.
pub fn words(glance: &Glance) -> String {
    match glance {
        Glance::Nothing => "–".into(),
        Glance::Reading { label, held, .. } => {
            let label = label.as_deref().unwrap_or("no reading");
            if *held { format!("{label} (held)") } else { label.into() }
        }
        Glance::Class { label, .. } if label.is_empty() => "–".into(),
        Glance::Class { label, score } => format!("{label} {}", percent(*score)),
        Glance::Counts(counts) if counts.is_empty() => "nothing".into(),
        Glance::Counts(counts) => {
            counts.iter().map(|(label, count)| format!("{count} {label}")).collect::<Vec<_>>().join(", ")
        }
        Glance::Anomaly { anomalous: true, channels, .. } if !channels.is_empty() => format!("ANOMALY in {channels}"),
        Glance::Anomaly { anomalous: true, .. } => "ANOMALY".into(),
        Glance::Anomaly { calibrating: true, .. } => "learning".into(),
        Glance::Anomaly { .. } => "normal".into(),
        Glance::Channels { found, .. } if !found.is_empty() => found.join(", "),
        Glance::Channels { calibrating: true, .. } => "learning".into(),
        Glance::Channels { .. } => "normal".into(),
        Glance::Other(task) => task.clone(),
    }
}

fn percent(score: Option<f64>) -> String {
    match score {
        Some(score) if score.abs() < 1e6 => format!("{:.1} %", score * 100.0),
        _ => "– %".into(),
    }
}

fn fitted(span: Span<'static>, width: usize) -> Span<'static> {
    let text = fit(&span.content, width);
    Span::styled(text, span.style)
}
