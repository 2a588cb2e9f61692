//! The key of a compiled plan.

use leptond_governor::Setpoint;

/// Key of compiled stages: everything of a setpoint but its pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StagesKey {
    /// Index of the model's variant; 0 = the main one.
    pub variant: usize,
    /// Model input size, longer side in pixels; `None` = the variant's own.
    pub resolution: Option<u32>,
    /// Frames of one inference.
    pub batch: usize,
    /// Threads of one inference.
    pub threads: usize,
}

impl From<&Setpoint> for StagesKey {
    fn from(setpoint: &Setpoint) -> Self {
        let Setpoint { variant, resolution, batch, threads, .. } = *setpoint;
        StagesKey { variant, resolution, batch, threads }
    }
}
