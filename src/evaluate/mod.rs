//! Pure measures of models: how far two agree on the same input, how right one is by labels, and how sure that is.
//!
//! [`agreement`] compares two [`Outcome`](crate::frame::Outcome)s of one input and [`Agreements`] sums them up; [`Difference`] compares bare
//! values. This module knows neither models nor files: who runs them gives the outcomes.

mod agreement;
mod agreements;
mod boxes;
mod difference;

pub use agreement::{Agreement, agreement};
pub use agreements::{Agreements, Measure};
pub use boxes::{BoxPairs, box_overlap, pair_boxes};
pub use difference::Difference;
