//! From outputs to events: who is who over frames, where they are, and what is worth telling. Pure: time is an argument.

mod assign;
mod kalman;
pub mod tracker;
