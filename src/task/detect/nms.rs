//! Non-maximum suppression.

use super::turned::Turned;
use crate::frame::overlap;

/// One possible object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Class index.
    pub class: usize,
    /// 0.0 to 1.0.
    pub score: f32,
    /// `[x1, y1, x2, y2]`, any unit, `x1 < x2`, `y1 < y2`.
    pub bbox: [f32; 4],
    /// The turned box, of which `bbox` is the upright one around it.
    pub turned: Option<Turned>,
    /// Its further values in the reader's list: first value and number of them.
    pub extra: [usize; 2],
}

impl Candidate {
    /// An object with nothing but an upright box.
    pub fn new(class: usize, score: f32, bbox: [f32; 4]) -> Candidate {
        Candidate { class, score, bbox, turned: None, extra: [0; 2] }
    }
}

/// Candidates that are compared with each other at most, the most confident ones: it bounds the quadratic part.
pub(super) const MAX_CANDIDATES: usize = 1000;

/// Leaves, most confident first, the candidates that overlap no more confident one of their class by more than `iou`
/// (intersection over union), `limit` at most. Equal scores keep their order.
pub(super) fn suppress(candidates: &mut Vec<Candidate>, iou: f32, limit: usize) {
    keep_best(candidates, MAX_CANDIDATES);
    let mut kept = 0;
    for i in 0..candidates.len() {
        if kept == limit {
            break;
        }
        let candidate = candidates[i];
        let hidden = |k: &Candidate| k.class == candidate.class && k.overlap(&candidate) > iou;
        if !candidates[..kept].iter().any(hidden) {
            candidates[kept] = candidate;
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

/// Sorts by falling score (stable) and leaves the first `limit`.
pub(super) fn keep_best(candidates: &mut Vec<Candidate>, limit: usize) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(limit);
}

impl Candidate {
    /// Overlap of two boxes, 0.0 to 1.0: of turned ones by their distributions, else intersection over union.
    fn overlap(&self, other: &Candidate) -> f32 {
        match (&self.turned, &other.turned) {
            (Some(a), Some(b)) => a.prob_iou(b),
            _ => overlap(self.bbox, other.bbox),
        }
    }
}
