//! Settings of a quantisation.

use std::collections::HashSet;

use super::range::Method;

/// Form of activations in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activations {
    /// 0 to 255.
    #[default]
    U8,
    /// −128 to 127.
    S8,
}

/// Effort spent on the layers' weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Effort {
    /// Nearest roundings, biases as they are.
    Low,
    /// Biases corrected.
    #[default]
    Normal,
    /// Roundings learnt against the layers' float outputs, too.
    High,
}

/// Settings of a quantisation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Choice of the ranges of activations.
    pub method: Method,
    /// Form of activations.
    pub activations: Activations,
    /// One scale for each output of a layer; else one for the whole layer.
    pub per_channel: bool,
    /// Names of nodes that stay in floats.
    pub keep_float: HashSet<String>,
    /// Effort spent.
    pub effort: Effort,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            method: Method::default(),
            activations: Activations::default(),
            per_channel: true,
            keep_float: HashSet::new(),
            effort: Effort::default(),
        }
    }
}
