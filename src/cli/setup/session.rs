//! One run of the questions: flags, the person and the present configuration.

use std::path::Path;

use super::Failure;
use super::args::Args;
use super::questions::Ask;
use super::stop::Stop;
use crate::cli::tell;
use crate::config::Config;

/// One run of the questions.
pub struct Interview<'a> {
    /// The flags.
    pub args: &'a Args,
    /// The person, where there is one.
    pub ask: Option<&'a mut dyn Ask>,
    /// The configuration as it is.
    pub present: &'a Config,
    /// Its file.
    pub file: &'a Path,
    /// The text of that.
    pub text: &'a str,
    /// Name that the work had in the round before: to be taken again, not taken.
    pub again: Option<&'a str>,
    /// Cleaning up when the person leaves.
    pub stop: Stop,
}

impl Interview<'_> {
    /// Shows a line to the person, or writes it to standard error.
    pub(super) fn tell(&mut self, text: &str) {
        match self.ask.as_mut() {
            Some(ask) => ask.tell(text),
            None => tell(text),
        }
    }
}

/// The person wants no more.
pub(super) fn stopped() -> Failure {
    anyhow::anyhow!("stopped").into()
}
