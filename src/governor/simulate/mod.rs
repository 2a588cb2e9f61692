//! The real governor on a simulated board, in virtual time: hours in a moment.
//!
//! A [`Scenario`] says what happens; [`simulate`] runs it three ways — governed, not governed, and on every fixed rung, of
//! which the best one with hindsight counts — and holds the governed run against what the scenario expects.

pub mod board;
pub mod csv;
mod machine;
mod objects;
pub mod plot;
mod run;
pub mod scenario;
mod speed;
mod verdict;
mod work;

pub use board::{Kind, Parameters};
pub use objects::EventTally;
pub use run::{Control, Outcome, Row, ladder, run};
pub use scenario::{Scenario, ScenarioError};
pub use speed::{Scaling, Speed};
pub use verdict::{Finding, Report, simulate};
