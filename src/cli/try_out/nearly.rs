//! Objects that the model sees in a photo and that are not told, each with its reason.

use std::path::PathBuf;

use serde_json::json;

use crate::config::PipelineConfig;
use crate::frame::{Detection, Frame, Outcome, Payload, overlap};
use crate::model::Bundle;
use crate::pipeline::{Planner, photo};
use crate::task;

/// Score from which on an object is worth a word, as far as it is below the least one that counts.
const WORTH_A_WORD: f32 = 0.1;
/// Most objects in the words about one photo.
const MOST: usize = 5;
/// Two boxes with a larger intersection over union are one object.
const SAME: f32 = 0.5;

/// The pipeline with its doors open: every label, down to a low score.
pub struct Nearly {
    open: Planner,
    least: f32,
    labels: Vec<String>,
}

impl Nearly {
    /// The open form of a pipeline that finds objects; `None` of any other.
    pub fn of(bundle: Bundle, work: &PipelineConfig, dirs: &[PathBuf]) -> Option<Nearly> {
        let settings = work.task.over(bundle.manifest().task, &bundle.manifest().defaults).ok()?;
        let objects = settings.objects()?;
        let (least, labels) = (objects.min_score(), objects.labels.clone());
        let mut keys = serde_json::to_value(task::Config::from(objects.clone())).ok()?;
        let table = keys.as_object_mut()?;
        table.insert("type".into(), serde_json::to_value(settings.kind()).ok()?);
        table.insert("min_score".into(), json!(WORTH_A_WORD.min(least)));
        // A bundle's default would fill an empty list: every label that the model has is what is meant.
        let all: Vec<&str> = bundle.labels().iter().map(AsRef::as_ref).collect();
        table.insert("labels".into(), json!(all));
        let task = serde_json::from_value(keys).ok()?;
        let open = PipelineConfig { task, ..work.clone() };
        Some(Nearly { open: photo::planner(bundle, &open, dirs).ok()?, least, labels })
    }

    /// The objects of a photo that `outcome` has not, best first, in words.
    pub fn missed(&mut self, frame: &Frame, outcome: &Outcome) -> Vec<String> {
        let (Outcome::Detect { detections: told, .. }, Payload::Image(image)) = (outcome, &frame.payload) else {
            return Vec::new();
        };
        let Ok(Outcome::Detect { detections: seen, .. }) = photo::read(&self.open, image.clone()) else {
            return Vec::new();
        };
        let is_told = |object: &Detection| told.iter().any(|other| overlap(object.bbox, other.bbox) > SAME);
        let missed = seen.iter().filter(|object| !is_told(object)).take(MOST);
        missed
            .map(|object| format!("not told: {} {:.3}: {}", object.label, object.score, self.reason(object)))
            .collect()
    }

    fn reason(&self, object: &Detection) -> String {
        let asked = self.labels.is_empty() || self.labels.iter().any(|label| *label == *object.label);
        match (asked, object.score < self.least) {
            (true, true) => format!("below min_score {}", self.least),
            (false, false) => "not among task.labels".into(),
            (false, true) => format!("not among task.labels, and below min_score {}", self.least),
            (true, false) => "another object is in the same place".into(),
        }
    }
}
