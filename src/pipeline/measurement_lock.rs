//! Measuring beside pipelines that run: one measurement at a time, while every worker stands at a frame boundary.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Lock between the workers, each on its own frame, and one measurement at a time.
///
/// The lock prefers a waiting writer, so a measurement begins at the next frame boundary however busy the workers are; it holds
/// them for the few runs that it times, and their slots keep the newest frame meanwhile.
#[derive(Debug, Default)]
pub struct MeasurementLock {
    working: RwLock<()>,
    calibrating: Mutex<()>,
    over: AtomicBool,
}

impl MeasurementLock {
    /// For a worker: held from taking a frame to its result.
    pub(crate) fn work(&self) -> RwLockReadGuard<'_, ()> {
        self.working.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a measurement: waits until every worker is between two frames, and keeps them there.
    pub(crate) fn measure(&self) -> RwLockWriteGuard<'_, ()> {
        self.working.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the calibration of one pipeline, so that two do not compile into each other's time.
    pub(crate) fn calibrate(&self) -> MutexGuard<'_, ()> {
        self.calibrating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the measurements: their result is of no use any more.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// [`MeasurementLock::end`] was called.
    pub(crate) fn ended(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}
