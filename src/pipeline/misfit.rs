//! Misfits between a source's frames, the way they are cut, and a model's input that show before the first frame.

use crate::frame::{Fit, Spec, TaskKind};
use crate::preprocess;
use crate::source::{self, Frames};

/// A source's frames that a model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Misfit {
    /// Key of the pipeline's table that is to be changed.
    pub key: &'static str,
    /// The frames given and taken.
    pub reason: String,
}

/// The misfit of `source` and a model whose items have `item_len` values, as far as it shows before the first frame.
pub fn misfit(source: &source::Config, spec: &Spec, item_len: usize) -> Option<Misfit> {
    let (rows, channels, spec) = match (source.kind().frames(), spec) {
        (Frames::Windows { rows, channels }, Spec::Window(spec)) => (rows, channels, spec),
        (Frames::Windows { .. }, Spec::Image(_)) => {
            let reason = "the source gives readings, the model takes pictures".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (Frames::Pictures { .. }, Spec::Window(_)) => {
            let reason = "the source gives pictures, the model takes windows of readings".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (Frames::Pictures { .. }, Spec::Readings) => {
            let reason = "the source gives pictures, the task looks at readings".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (Frames::Pictures { .. }, Spec::Image(_)) | (Frames::Windows { .. }, Spec::Readings) => return None,
    };
    if spec.channels.is_empty() && !channels.is_empty() && channels.len() * spec.rows != item_len {
        let (wants, has) = (item_len / spec.rows.max(1), channels.len());
        let names = channels.join(", ");
        let reason = format!("{has} in the list ({names}), and the model takes {wants} values in each reading");
        return Some(Misfit { key: "source.channels", reason });
    }
    if !channels.is_empty() && source::match_names(&spec.channels, channels).is_err() {
        let (wants, has) = (spec.channels.join(", "), channels.join(", "));
        return Some(Misfit { key: "source.channels", reason: format!("found {has}, the model takes {wants}") });
    }
    if !spec.channels.is_empty() && rows as usize != spec.rows {
        let reason = format!("found {rows}, the model takes windows of {} readings", spec.rows);
        return Some(Misfit { key: "source.window", reason });
    }
    None
}

/// Reason for which pictures cannot be looked at in tiles as `preprocess` says, by the task and the fit of the pipeline, where they are known.
pub fn tiles_misfit(preprocess: &preprocess::Config, kind: Option<TaskKind>, fit: Option<Fit>) -> Option<Misfit> {
    preprocess.tiles?;
    let wrong = |key: &'static str, reason: String| Some(Misfit { key, reason });
    if !preprocess.regions.is_empty() {
        return wrong("preprocess.tiles", "a picture is cut into tiles or into regions, not into both".into());
    }
    if let Some(kind) = kind.filter(|kind| *kind != TaskKind::Detect) {
        let reason = format!(
            "tiles are for the task \"detect\", and this one is {:?}: its results cannot be joined",
            kind.word()
        );
        return wrong("preprocess.tiles", reason);
    }
    if fit == Some(Fit::Crop) {
        return wrong(
            "preprocess.fit",
            "\"crop\" cuts off the sides of each tile; \"letterbox\" or \"stretch\" goes with tiles".into(),
        );
    }
    None
}
