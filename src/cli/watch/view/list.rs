//! The list of nodes with their pipelines, and the journal.

use ratatui::text::{Line, Span};

use super::super::journal::Entry;
use super::super::keys::{Row, rows};
use super::super::text::{columns, fit};
use super::super::watched::Watched;
use super::shown::Shown;
use super::style::Palette;
use crate::frame::rfc3339;

/// Columns of the origin of a line of the journal, at most.
const ORIGIN: usize = 24;

/// A title with a rule behind it.
pub fn title(palette: Palette, text: &str, width: usize) -> Line<'static> {
    let text = fit(text, width.saturating_sub(4));
    let rule = "─".repeat(width.saturating_sub(columns(&text) + 4));
    Line::from(vec![palette.dim("── "), palette.strong(text), palette.dim(format!(" {rule}"))])
}

/// The list: as many rows around the chosen one as there is room for.
pub fn lines(shown: &Shown<'_>, width: usize, height: usize) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let rows = rows(shown.watched);
    let mut lines = vec![title(palette, "nodes", width)];
    let room = height.saturating_sub(1).max(1);
    let at = shown.ui.chosen.as_ref().and_then(|chosen| rows.iter().position(|row| row == chosen)).unwrap_or(0);
    let first = (at + 1).saturating_sub(room).max(at.saturating_sub(room / 2)).min(rows.len().saturating_sub(room));
    for row in rows.iter().skip(first).take(room) {
        lines.push(line(shown, row, width));
    }
    lines
}

fn line(shown: &Shown<'_>, row: &Row, width: usize) -> Line<'static> {
    let palette = shown.palette;
    let Some(node) = shown.watched.nodes.get(&row.node) else { return Line::default() };
    let (name, state) = match row.pipeline.as_ref().and_then(|name| Some((name, node.pipelines.get(name)?))) {
        None => {
            let state = match node.online {
                Some(true) => palette.good("online"),
                Some(false) => palette.bad("offline"),
                None => palette.dim("?"),
            };
            (row.node.to_string(), state)
        }
        Some((name, pipeline)) => {
            let state = match (&pipeline.idle, &pipeline.rung) {
                _ if pipeline.is_paused() => palette.doubtful("paused"),
                (Some(_), _) => palette.bad("idle"),
                (None, Some(rung)) if rung.rung > 0 => palette.doubtful(format!("rung {}", rung.rung.min(99))),
                _ => Span::raw(String::new()),
            };
            (format!("  {name}"), state)
        }
    };
    let room = width.saturating_sub(columns(&state.content) + 2);
    let name = fit(&name, room);
    let padded = format!(" {name}{}", " ".repeat(room.saturating_sub(columns(&name))));
    let is_chosen = shown.ui.chosen.as_ref() == Some(row);
    Line::from(vec![if is_chosen { palette.chosen(padded) } else { Span::raw(padded) }, Span::raw(" "), state])
}

/// The end of the journal before its newest `skipped` lines, newest last.
pub fn journal(palette: Palette, watched: &Watched, skipped: usize, width: usize, height: usize) -> Vec<Line<'static>> {
    let room = height.saturating_sub(1);
    let name = if skipped > 0 { format!("log, {skipped} newer lines below") } else { "log".into() };
    let mut lines = vec![title(palette, &name, width)];
    let entries = watched.journal.last(room, skipped);
    // The only node needs not to be named in each line.
    let is_alone = watched.nodes.len() == 1;
    let origin = |entry: &Entry| match &entry.pipeline {
        Some(pipeline) if is_alone => pipeline.to_string(),
        Some(pipeline) => format!("{}/{pipeline}", entry.node),
        None => entry.node.to_string(),
    };
    let longest = entries.iter().map(|entry| columns(&origin(entry))).max().unwrap_or(0);
    let origin_width = longest.min(ORIGIN).min(width / 3);
    for entry in entries {
        let stamp = rfc3339(entry.time);
        let time = stamp.get(11..19).unwrap_or_default();
        let origin = fit(&origin(entry), origin_width);
        let pad = " ".repeat(origin_width.saturating_sub(columns(&origin)));
        let left = width.saturating_sub(columns(time) + origin_width + 5);
        lines.push(Line::from(vec![
            palette.dim(format!(" {time}  ")),
            Span::raw(format!("{origin}{pad}  ")),
            palette.tone(entry.tone, fit(&entry.text, left)),
        ]));
    }
    if watched.journal.len() == 0 {
        lines.push(Line::from(palette.dim(fit(" nothing has happened since the start", width))));
    }
    lines
}
