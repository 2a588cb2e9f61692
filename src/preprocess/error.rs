//! Errors of preprocessing.

/// Why a frame could not become a model input. The frame is lost; the pipeline goes on.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PreprocessError {
    /// The picture's bytes are damaged or not of the format they claim.
    #[error("cannot decode {format}: {reason}")]
    Decode {
        /// `JPEG`, `PNG`, `BMP`, `YUYV`, …
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// The picture is larger than [`MAX_PIXELS`](super::MAX_PIXELS), or a raw picture has fewer bytes than its size needs.
    #[error("{0}")]
    Size(String),
    /// A region lies outside the picture.
    #[error("region {index} ({region}) lies outside the {width}x{height} picture")]
    Region {
        /// Which region, from 0.
        index: usize,
        /// As configured.
        region: String,
        /// Picture width in pixels.
        width: u32,
        /// Picture height in pixels.
        height: u32,
    },
    /// A region makes no sense by itself, whatever the picture.
    #[error("region {index} ({region}): {reason}")]
    BadRegion {
        /// Which region, from 0.
        index: usize,
        /// As configured.
        region: String,
        /// What is wrong.
        reason: String,
    },
    /// A window where a picture is wanted, other channels than the model's, …
    #[error("{0}")]
    Mismatch(String),
}
