//! Classes: one for the whole picture or window, or one for each region.

pub(super) mod config;
mod whole;

use config::ClassifyConfig;
use whole::Classify;

use super::contract::{SetupError, Task, TaskConfig};
use super::reading::Reader;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::status::Subject;
use crate::frame::{Label, TaskSpec};

impl TaskConfig for ClassifyConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        if self.is_reading(spec) {
            return Ok(Box::new(Reader::new(self, spec)?));
        }
        Ok(Box::new(Classify::new(self, spec)?))
    }

    fn over(self, below: Self) -> Self {
        self.merged(below)
    }

    fn least_score(&self) -> Option<f32> {
        self.min_score
    }

    fn subject(&self, spec: &TaskSpec) -> Subject {
        if self.is_reading(spec) { Subject::Reading(self.meter()) } else { Subject::Class }
    }

    fn check(&self, regions: usize) -> Vec<Diagnostic> {
        self.faults(regions)
    }

    fn check_labels(&self, labels: &[Label]) -> Vec<Diagnostic> {
        self.label_faults(labels)
    }
}
