//! The control law of the governor: reasons to work less, the levels that they lead to, and the way back up.

mod away;
mod choice;
mod governor;
mod offload;
mod outlook;
mod pipeline;
mod reasons;
mod step;

pub use governor::{Forecast, Governor, State, Status};
