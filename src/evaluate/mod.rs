//! Pure measures of models: how far two agree on the same input, how right one is by labels, and how sure that is.
//!
//! [`agreement`] compares two [`Outcome`](crate::frame::Outcome)s of one input and [`Agreements`] sums them up; [`Difference`] compares bare
//! values. [`Classes`], [`Objects`], [`Readings`], [`auc`] and [`Calibration`] measure answers by labels, [`Paired`] and [`bootstrap`] say how
//! sure a difference is. [`front`] and [`ladder`] choose among forms of a model by what they are worth and cost. This module knows neither models nor files: who runs them gives the outcomes.

mod agreement;
mod agreements;
mod boxes;
mod classes;
mod difference;
mod interval;
mod numbers;
mod objects;
mod scores;
mod tradeoff;

pub use agreement::{Agreement, agreement};
pub use agreements::{Agreements, Measure};
pub use boxes::{BoxPairs, box_overlap, pair_boxes};
pub use classes::{Classes, OneClass};
pub use difference::Difference;
pub use interval::{Interval, Paired, bootstrap, share};
pub use numbers::Readings;
pub use objects::{AtScore, Found, Objects, Precision, Truth};
pub use scores::{Bin, Calibration, auc};
pub use tradeoff::{Bounds, Tradeoff, front, ladder};
