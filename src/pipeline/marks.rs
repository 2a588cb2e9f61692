//! Marks of a meter, read from the file of their reference picture.

use super::error::PlanError;
use super::meter_join::MarksConfig;
use crate::preprocess::{self, Marks};
use crate::source;
use crate::sys::file;

/// A larger file is no picture that frames are compared with.
const MOST_BYTES: u64 = 64 << 20;

/// Checks that the marks can be taken from their reference picture.
///
/// # Errors
/// [`PlanError::Marks`].
pub fn check_marks(config: &MarksConfig) -> Result<(), PlanError> {
    read_marks(config).map(drop)
}

/// Reads the reference picture and cuts its marks.
///
/// # Errors
/// [`PlanError::Marks`] naming the file, and the mark.
pub(super) fn read_marks(config: &MarksConfig) -> Result<Marks, PlanError> {
    let path = config.reference.display().to_string();
    let wrong = |missing: bool, reason: String| PlanError::Marks { path: path.clone(), missing, reason };
    let data = file::read_regular(&config.reference, MOST_BYTES).map_err(|e| wrong(e.is_missing(), e.to_string()))?;
    let image = source::image_of(data).map_err(|reason| wrong(false, reason))?;
    let mut rgb = Vec::new();
    let size = preprocess::to_rgb(&image, &mut rgb).map_err(|e| wrong(false, e.to_string()))?;
    Marks::new(size, &rgb, &config.marks).map_err(|e| wrong(false, e.to_string()))
}
