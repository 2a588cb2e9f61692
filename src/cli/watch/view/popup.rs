//! The keys and the choice of a mode, over the rest of the screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};

use super::super::keys::{MODES, Popup};
use super::super::text::fit;
use super::shown::{Shown, write_lines};

/// The keys in a row each.
const KEYS: [(&str, &str); 9] = [
    ("↑ ↓  j k", "choose node or pipeline"),
    ("Tab", "next node"),
    ("p  r", "pause it, resume it"),
    ("m", "mode of the governor"),
    ("PgUp PgDn", "older, newer log lines"),
    ("End", "newest log line"),
    ("Ctrl-Z", "to the shell; fg returns"),
    ("?", "this help"),
    ("q  Ctrl-C", "quit"),
];

/// Effect of each mode.
const MEANINGS: [&str; 3] =
    ["as much as heat, deadlines and memory allow", "cool and unobtrusive", "up to the limit, whatever else runs"];

/// Draws the popup, if there is one.
pub fn draw(frame: &mut Frame<'_>, area: Rect, shown: &Shown<'_>) {
    let palette = shown.palette;
    let (name, rows): (&str, Vec<Line<'static>>) = match shown.ui.popup {
        Popup::None => return,
        Popup::Help => {
            let row = |(keys, words): (&str, &str)| {
                Line::from(vec![palette.strong(format!(" {keys:<10} ")), Span::raw(format!("{words} "))])
            };
            (" keys ", KEYS.into_iter().map(row).collect())
        }
        Popup::Mode(at) => {
            let row = |(index, (mode, meaning)): (usize, (&str, &str))| {
                let text = format!(" {mode:<12} {meaning} ");
                Line::from(if index == at { palette.chosen(text) } else { Span::raw(text) })
            };
            (" mode: Enter takes it ", MODES.into_iter().zip(MEANINGS).enumerate().map(row).collect())
        }
    };
    let widest = rows.iter().map(Line::width).max().unwrap_or(0).max(name.chars().count());
    let width = u16::try_from(widest + 2).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, frame.buffer_mut());
    Block::bordered().title(fit(name, usize::from(width.saturating_sub(2)))).render(place, frame.buffer_mut());
    let inner =
        Rect { x: place.x + 1, y: place.y + 1, width: width.saturating_sub(2), height: height.saturating_sub(2) };
    write_lines(frame, inner, rows);
}
