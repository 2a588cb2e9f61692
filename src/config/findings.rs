//! Problems and warnings that checks collect.

use super::problem::Problem;
use crate::frame::diagnostic::{Diagnostic, Severity};

/// Problems and warnings of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Nothing may start with these.
    pub problems: Vec<Problem>,
    /// Probably not what was meant.
    pub warnings: Vec<Problem>,
}

impl Findings {
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Adds what a stage found in its own table, which the configuration has at `table`.
    pub(super) fn take(&mut self, table: &str, diagnostics: Vec<Diagnostic>) {
        for diagnostic in diagnostics {
            match diagnostic.severity {
                Severity::Error => self.problem(Problem::of(table, diagnostic)),
                Severity::Warning => self.warn(Problem::of(table, diagnostic)),
            }
        }
    }

    /// Replaces each finding's key by what `written` makes of it.
    pub(super) fn rename(&mut self, written: impl Fn(&str) -> String) {
        for problem in self.problems.iter_mut().chain(&mut self.warnings) {
            problem.key = written(&problem.key);
        }
    }

    pub(super) fn extend(&mut self, other: Findings) {
        self.problems.extend(other.problems);
        self.warnings.extend(other.warnings);
    }
}
