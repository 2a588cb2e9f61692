//! A line of text with its colour, and numbers and free texts in one.

/// Longest line of free text, in characters.
const SHOWN: usize = 160;

/// The colour of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::publish) enum Tone {
    Plain,
    Good,
    Bad,
    Dim,
}

/// A line and its colour.
pub(in crate::publish) type Line = (Tone, String);

pub(super) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |v| format!("{v:.decimals$}"))
}

/// The beginning of a long text.
pub(in crate::publish) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}
