//! What is wrong with a configuration, said so that a person can mend it without reading the source.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::frame::diagnostic::Diagnostic;
pub(super) use crate::frame::diagnostic::{nearest, quoted};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// The built-in default.
    Default,
    /// The configuration file.
    File {
        /// The file as it was given.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// The configuration file as a whole.
    Whole {
        /// The file as it was given.
        file: PathBuf,
    },
    /// An environment variable.
    Env {
        /// Its name.
        variable: String,
    },
    /// A flag of the command line.
    Flag {
        /// As it was typed.
        flag: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Origin::Whole { file } => write!(f, "{}", file.display()),
            Origin::Env { variable } => write!(f, "environment variable {variable}"),
            Origin::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong (or, as a warning, questionable).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where the value came from; for a missing key, the table that lacks it.
    #[serde(flatten)]
    pub origin: Origin,
    /// Dotted path of the key (`pipeline[1].source.device`); empty for the file as a whole.
    pub key: String,
    /// Name of the pipeline that `key` belongs to, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// What is wrong, in a few words.
    pub message: String,
    /// What was found, as it was written; secrets are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What is allowed: type, range with unit, values, known keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether it is about a thing that the value names and not about the value: a file, a model, a program.
    #[serde(skip)]
    pub outside: bool,
}

impl Problem {
    /// A problem with `key`, not yet placed: [`load`](super::load) fills in origin and pipeline.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            origin: Origin::Default,
            key: key.into(),
            pipeline: None,
            message: message.into(),
            found: None,
            allowed: None,
            help: None,
            outside: false,
        }
    }

    /// A problem that a stage found in its own table, which the configuration has at `table`.
    pub fn of(table: &str, diagnostic: Diagnostic) -> Self {
        let Diagnostic { severity: _, key, message, found, allowed, help } = diagnostic;
        Problem { found, allowed, help, ..Problem::new(format!("{table}.{key}"), message) }
    }

    /// With what was found.
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// With what is allowed.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// With advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// About a thing that the value names.
    pub fn outside(mut self) -> Self {
        self.outside = true;
        self
    }

    /// With its place.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(name) = &self.pipeline {
                write!(f, " (pipeline {name:?})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        for (title, text) in [("found", &self.found), ("allowed", &self.allowed), ("help", &self.help)] {
            if let Some(text) = text {
                write!(f, "\n  {title}: {text}")?;
            }
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of the file. The daemon must not start (exit code 78), or at a
/// reload keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigErrors {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => writeln!(f, "one problem in the configuration")?,
            n => writeln!(f, "{n} problems in the configuration")?,
        }
        for problem in &self.problems {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        ConfigErrors { problems: vec![problem] }
    }
}
