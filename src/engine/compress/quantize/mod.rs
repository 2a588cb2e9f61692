//! Float models to models in bytes, after training: ranges of activations from samples, integer weights, and the layers' biases and
//! roundings put right by what the samples show.
//!
//! [`Prepared`] is a model made ready once, [`Settings`] say how it is quantised, [`Quantized`] is what comes of it.

mod equalize;
mod layer;
mod noise;
mod observe;
mod place;
mod prepare;
mod range;
mod round;
mod seen;
mod separate;
mod settings;
mod target;
#[cfg(test)]
mod tests;
mod walk;
mod weights;
mod whole;
mod write;

pub use noise::noise;
pub use prepare::Prepared;
pub use range::Method;
pub use settings::{Activations, Effort, Settings};
pub use target::Sensitivity;
pub use whole::{LayerReport, Quantized};
