//! Handles that every pipeline is started with.

use std::path::PathBuf;
use std::sync::Arc;

use super::cascade::Cascades;
use super::offload::Offloading;
use super::readings::Readings;
use super::sources::Sources;
use crate::frame::Bus;
use crate::pipeline::measurement_lock::MeasurementLock;
use crate::telemetry::Heartbeats;

/// Handles that every pipeline is started with.
#[derive(Clone)]
pub struct PipelineContext {
    /// Sinks that outputs go to.
    pub bus: Bus,
    /// The watchdog's register.
    pub heartbeats: Heartbeats,
    /// The sources that are open.
    pub sources: Sources,
    /// Pipelines that read other pipelines.
    pub cascades: Arc<Cascades>,
    /// Held for each frame by the workers, and by measurements beside them.
    pub turn: Arc<MeasurementLock>,
    /// Last readings of meters.
    pub readings: Arc<Readings>,
    /// Work given to other nodes.
    pub offloading: Offloading,
    /// Directory of devices, usually `/dev`.
    pub dev: PathBuf,
    /// Called when a source has ended or failed.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}
