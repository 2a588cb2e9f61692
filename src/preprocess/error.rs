//! Errors of preprocessing.

use crate::frame::Undecodable;

/// A frame could not become a model input. The frame is lost; the pipeline goes on.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PreprocessError {
    /// The picture's bytes are damaged or of another format.
    #[error("cannot decode {format}: {reason}")]
    Decode {
        /// `JPEG`, `PNG`, `BMP`, `YUYV`, …
        format: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// The picture is larger than [`MAX_PIXELS`](super::MAX_PIXELS), or a raw picture has fewer bytes than its size needs.
    #[error("{0}")]
    Size(String),
    /// A region lies outside the picture.
    #[error("region {index} ({region}) lies outside the {width}x{height} picture")]
    Region {
        /// Number of the region, from 0.
        index: usize,
        /// As configured.
        region: String,
        /// Picture width in pixels.
        width: u32,
        /// Picture height in pixels.
        height: u32,
    },
    /// A region is invalid in any picture.
    #[error("region {index} ({region}): {reason}")]
    BadRegion {
        /// Number of the region, from 0.
        index: usize,
        /// As configured.
        region: String,
        /// Description of the error.
        reason: String,
    },
    /// A window instead of a picture, other channels than the model's, …
    #[error("{0}")]
    Mismatch(String),
}

impl From<Undecodable> for PreprocessError {
    fn from(error: Undecodable) -> Self {
        match error {
            Undecodable::Damaged { format, reason } => PreprocessError::Decode { format, reason },
            Undecodable::Size(reason) => PreprocessError::Size(reason),
        }
    }
}

impl From<PreprocessError> for Undecodable {
    fn from(error: PreprocessError) -> Self {
        match error {
            PreprocessError::Decode { format, reason } => Undecodable::Damaged { format, reason },
            other => Undecodable::Size(other.to_string()),
        }
    }
}
