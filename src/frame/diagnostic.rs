//! Diagnostics: what a stage finds wrong or questionable in its own configuration.

use std::collections::HashMap;

/// Consequence of a [`Diagnostic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing may start with it.
    Error,
    /// Probably not what was meant.
    Warning,
}

/// One finding about a value, said so that a person can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Consequence.
    pub severity: Severity,
    /// Key relative to the table that was checked: `path`, `channels[1]`.
    pub key: String,
    /// The fault in a few words.
    pub message: String,
    /// The value as it was written; secrets are masked.
    pub found: Option<String>,
    /// Allowed type, range with unit, or values.
    pub allowed: Option<String>,
    /// Advice.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault with which nothing may start.
    pub fn error(key: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            key: key.into(),
            message: message.into(),
            found: None,
            allowed: None,
            help: None,
        }
    }

    /// A value that was probably not meant.
    pub fn warning(key: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(key, message) }
    }

    /// Adds the value that was found.
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds the values that are allowed.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Empty and repeated texts of the list at `key`, which must have each text once.
pub fn unique(list: &[String], key: &str) -> Vec<Diagnostic> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut diagnostics = Vec::new();
    for (i, text) in list.iter().enumerate() {
        let at = format!("{key}[{i}]");
        if text.is_empty() {
            diagnostics.push(Diagnostic::error(at, "must not be empty"));
        } else if let Some(first) = seen.insert(text, i) {
            diagnostics.push(Diagnostic::error(at, format!("the same as [{first}]: each once")).found(quoted(text)));
        }
    }
    diagnostics
}

/// The candidate that `word` was most likely meant to be, if one is close enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&word, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= (c.len().min(word.len()) / 3).max(1) && *distance < word.len().max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `text` cut to a length that fits a terminal line, in quotes as TOML would write it.
pub fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() > MOST {
        let head: String = text.chars().take(MOST).collect();
        format!("{head:?}… ({} characters)", text.chars().count())
    } else {
        format!("{text:?}")
    }
}
