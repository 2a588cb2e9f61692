//! Everything that a screen shows.

use std::time::{Instant, SystemTime};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::keys::Ui;
use super::super::watched::Watched;
use super::style::Palette;

/// Everything that is on the screen.
pub struct Shown<'a> {
    /// The nodes.
    pub watched: &'a Watched,
    /// Choices made by keys.
    pub ui: &'a Ui,
    /// The connection.
    pub connection: &'a Connection,
    /// Colours.
    pub palette: Palette,
    /// Now, on the monotonic clock.
    pub now: Instant,
    /// Now, on the wall clock.
    pub time: SystemTime,
}

/// The connection to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `host:port`.
    pub broker: String,
    /// Connected right now.
    pub connected: bool,
    /// The last that was said of a fault.
    pub trouble: Option<String>,
    /// Messages that came faster than they could be taken.
    pub missed: u64,
}

/// Writes lines from the top of an area; what does not fit is left out.
pub fn write_lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        frame.buffer_mut().set_line(area.x, y, line, area.width);
    }
}
