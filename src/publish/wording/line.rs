//! A line, and the numbers in it.

/// Longest line of free text, in characters.
const SHOWN: usize = 160;

/// The colour of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    /// Uncertain, or less than it might be.
    Doubtful,
    Bad,
    Dim,
}

/// A line and its colour.
pub type Line = (Tone, String);

/// A number with so many decimals; `-` where there is none.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |v| format!("{v:.decimals$}"))
}

/// The beginning of a long text.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}
