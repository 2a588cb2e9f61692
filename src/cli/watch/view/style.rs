//! Colours: four of the sixteen that every terminal has, and never as the only sign.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use super::super::journal::Tone;

/// The styles of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// With colours; without, weights and reversed lines stay.
    pub colour: bool,
}

impl Palette {
    /// With colours, unless `NO_COLOR` is set to anything.
    pub fn of_environment() -> Palette {
        Palette { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// Well.
    pub fn good(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.coloured(Color::Green, Modifier::empty()))
    }

    /// Not well.
    pub fn bad(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.coloured(Color::Red, Modifier::BOLD))
    }

    /// Uncertain, or less than it might be.
    pub fn doubtful(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.coloured(Color::Yellow, Modifier::BOLD))
    }

    /// Of less interest.
    pub fn dim(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), Style::new().add_modifier(Modifier::DIM))
    }

    /// Of the first interest.
    pub fn strong(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), Style::new().add_modifier(Modifier::BOLD))
    }

    /// The chosen one.
    pub fn chosen(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), Style::new().add_modifier(Modifier::REVERSED))
    }

    /// A course of a figure.
    pub fn course(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.coloured(Color::Cyan, Modifier::empty()))
    }

    /// Of a weight.
    pub fn tone(self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        match tone {
            Tone::Plain => Span::raw(text.into()),
            Tone::Good => self.good(text),
            Tone::Doubtful => self.doubtful(text),
            Tone::Bad => self.bad(text),
            Tone::Dim => self.dim(text),
        }
    }

    fn coloured(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.colour { style.fg(colour) } else { style }
    }
}
