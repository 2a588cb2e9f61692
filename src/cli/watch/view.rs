//! The screen, drawn from what is known. Pure: the same values give the same screen, of any size.

pub mod glance;
pub mod list;
pub mod panel;
mod popup;
mod shown;
mod style;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::text::{columns, fit};
use crate::frame::rfc3339;
pub use shown::{Connection, Shown, write_lines};
pub use style::Palette;

/// Smallest screen on which something can be told.
const LEAST: (u16, u16) = (20, 5);
/// Smallest screen with a list of nodes beside the chosen one.
const WIDE: (u16, u16) = (72, 18);
/// Lines of the chosen node and pipeline on a wide screen, at least.
const PANEL: u16 = 16;

/// Draws the screen.
pub fn draw(frame: &mut Frame<'_>, shown: &Shown<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        write_lines(frame, area, vec![Line::raw(fit("too small", area.width.into()))]);
        return;
    }
    let [header, body, footer] = [
        Rect { height: 1, ..area },
        Rect { y: area.y + 1, height: area.height - 2, ..area },
        Rect { y: area.bottom() - 1, height: 1, ..area },
    ];
    write_lines(frame, header, vec![header_line(shown, area.width.into())]);
    write_lines(frame, footer, vec![footer_line(shown, area.width.into())]);
    if area.width >= WIDE.0 && area.height >= WIDE.1 {
        wide(frame, body, shown);
    } else {
        narrow(frame, body, shown);
    }
    popup::draw(frame, area, shown);
}

/// The list at the left, the chosen one beside it, the journal below.
fn wide(frame: &mut Frame<'_>, body: Rect, shown: &Shown<'_>) {
    let panel_height = PANEL.max(body.height * 45 / 100).min(body.height - 4);
    let list_width = if body.width >= 110 { 32 } else { 24 };
    let list = Rect { width: list_width, height: panel_height, ..body };
    let panel = Rect { x: body.x + list_width + 1, width: body.width - list_width - 1, height: panel_height, ..body };
    let journal = Rect { y: body.y + panel_height, height: body.height - panel_height, ..body };
    write_lines(frame, list, list::lines(shown, list.width.into(), list.height.into()));
    draw_panel(frame, panel, shown);
    write_lines(frame, journal, journal_lines(shown, journal));
}

/// The chosen one, and the end of the journal.
fn narrow(frame: &mut Frame<'_>, body: Rect, shown: &Shown<'_>) {
    let journal_height = (body.height / 3).min(8);
    let panel = Rect { height: body.height - journal_height, ..body };
    let journal = Rect { y: panel.bottom(), height: journal_height, ..body };
    draw_panel(frame, panel, shown);
    write_lines(frame, journal, journal_lines(shown, journal));
}

fn journal_lines(shown: &Shown<'_>, area: Rect) -> Vec<Line<'static>> {
    list::journal(shown.palette, shown.watched, shown.ui.skipped, area.width.into(), area.height.into())
}

/// The panel; dim where what it shows is only what was known last.
fn draw_panel(frame: &mut Frame<'_>, area: Rect, shown: &Shown<'_>) {
    write_lines(frame, area, panel::lines(shown, area.width.into(), area.height.into()));
    let node = shown.ui.chosen.as_ref().and_then(|row| shown.watched.nodes.get(&row.node));
    if node.is_some_and(|node| node.online == Some(false) || !shown.connection.connected) {
        frame.buffer_mut().set_style(area, Style::new().add_modifier(Modifier::DIM));
    }
}

fn header_line(shown: &Shown<'_>, width: usize) -> Line<'static> {
    let Connection { broker, connected, missed, .. } = shown.connection;
    let palette = shown.palette;
    let clock = rfc3339(shown.time).get(11..19).unwrap_or_default().to_owned();
    let state = if *connected { palette.good("connected") } else { palette.bad("AWAY") };
    let mut counts = match shown.watched.nodes.len() {
        1 => "1 node".into(),
        nodes => format!("{nodes} nodes"),
    };
    for (count, words) in [
        (*missed, "missed"),
        (shown.watched.unread, "not understood"),
        (shown.watched.crowded, "of too many nodes or pipelines"),
    ] {
        if count > 0 {
            counts += &format!(", {count} {words}");
        }
    }
    let name = if width >= 60 { " leptond watch  " } else { " " };
    let fixed = columns(name) + columns(&state.content) + columns(&clock) + 5;
    let broker = fit(broker, width.saturating_sub(fixed));
    let left = width.saturating_sub(fixed + columns(&broker));
    let counts = if width >= 60 { fit(&counts, left.saturating_sub(2)) } else { String::new() };
    let gap = left.saturating_sub(columns(&counts));
    Line::from(vec![
        palette.strong(name),
        Span::raw(broker),
        Span::raw("  "),
        state,
        Span::raw("  "),
        palette.dim(counts),
        Span::raw(" ".repeat(gap)),
        Span::raw(clock),
    ])
}

fn footer_line(shown: &Shown<'_>, width: usize) -> Line<'static> {
    let palette = shown.palette;
    if let Some(notice) = &shown.ui.notice {
        return Line::from(palette.tone(notice.tone, fit(&format!(" {}", notice.text), width)));
    }
    if let (false, Some(trouble)) = (shown.connection.connected, &shown.connection.trouble) {
        return Line::from(palette.bad(fit(&format!(" {trouble}"), width)));
    }
    let all = " ↑↓ choose  Tab node  p pause  r resume  m mode  PgUp older  ? help  q quit";
    let keys = if columns(all) <= width { all } else { " ↑↓  p r m  ? help  q quit" };
    Line::from(palette.dim(fit(keys, width)))
}

#[cfg(test)]
mod tests;
