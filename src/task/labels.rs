//! The key `labels` of the tasks that have one.

use crate::frame::diagnostic::{Diagnostic, nearest, quoted};
use crate::frame::{Label, TaskSpec};

/// Labels that are listed in a diagnostic.
const MOST_SHOWN: usize = 20;

/// The `own` labels, or those `below` where there are none.
pub(super) fn either(own: Vec<String>, below: Vec<String>) -> Vec<String> {
    if own.is_empty() { below } else { own }
}

/// The labels that count, those of a configuration or else of the model; true if they are the configuration's.
pub(super) fn counting(own: &[String], spec: &TaskSpec) -> (Vec<Label>, bool) {
    match own {
        [] => (spec.labels.clone(), false),
        own => (own.iter().map(|label| label.as_str().into()).collect(), true),
    }
}

/// The `wanted` labels that are none of the model's; none where the model has no labels.
pub(super) fn check(wanted: &[String], known: &[Label]) -> Vec<Diagnostic> {
    if known.is_empty() {
        return Vec::new();
    }
    let shown = known.iter().take(MOST_SHOWN).map(|label| &**label).collect::<Vec<_>>().join(", ");
    let more = if known.len() > MOST_SHOWN { format!(", … ({} labels)", known.len()) } else { String::new() };
    let unknown = wanted.iter().enumerate().filter(|(_, label)| known.iter().all(|k| **k != ***label));
    unknown
        .map(|(i, label)| {
            let meant = nearest(label, known.iter().map(|label| &**label));
            Diagnostic {
                help: meant.map(|meant| format!("did you mean {meant:?}?")),
                ..Diagnostic::error(format!("labels[{i}]"), "the model has no such label")
                    .found(quoted(label))
                    .allowed(format!("{shown}{more}"))
            }
        })
        .collect()
}
