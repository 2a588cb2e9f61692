//! Problems of a configuration, described so that a person can fix them without reading the source.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::frame::diagnostic::Diagnostic;
pub(super) use crate::frame::diagnostic::{nearest, quoted};

/// Origin of a value.
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

/// One error, or, as a warning, one questionable value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Origin of the value; for a missing key, that of its table.
    #[serde(flatten)]
    pub origin: Origin,
    /// Dotted path of the key (`pipeline[1].source.device`); empty for the file as a whole.
    pub key: String,
    /// Name of the pipeline of `key`, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Short description.
    pub message: String,
    /// Value as written; secrets are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Allowed values: type, range with unit, values, known keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Concerns a thing named by the value rather than the value itself: a file, a model, a program.
    #[serde(skip)]
    pub outside: bool,
}

impl Problem {
    /// A problem with `key`, without origin and pipeline, which [`load`](super::load) fills in.
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

    /// Adds the value found.
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds the allowed values.
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds a remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Marks the problem as one of a thing that the value names.
    pub fn outside(mut self) -> Self {
        self.outside = true;
        self
    }

    /// Adds the origin.
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

/// All problems of a configuration, in the order of the file. The daemon does not start (exit code 78), or at a reload keeps the
/// running configuration.
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
