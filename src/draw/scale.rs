//! Outcomes in pixels of a smaller picture.

use crate::frame::Outcome;

/// The outcome with its boxes in pixels of a picture of `[width, height]`, which may be smaller than the source's.
pub fn scaled(outcome: &Outcome, [width, height]: [i64; 2]) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Detect { detections, source_width, source_height, .. } = &mut outcome {
        let by = |side: i64, source: u32| side as f32 / source.max(1) as f32;
        let (x, y) = (by(width, *source_width), by(height, *source_height));
        detections.iter_mut().for_each(|detection| detection.scale([x, y]));
    }
    outcome
}
