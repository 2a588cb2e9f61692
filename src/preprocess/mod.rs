//! From a source's picture or window to a model's input: decode, cut, resize, change colour, normalise, quantise.
//!
//! Pure: no files, no clocks. One [`Preprocessor`] per worker owns the scratch buffers, which stop growing after the first
//! frame of a size.
//!
//! In order: `decode` (with `jpeg`, `png`, `bmp`, and `turn` by what `exif` reads) makes an upright picture of bytes, `cut` (with
//! `warp`) scales the needed parts of it to the model's size, `readable` finds the regions without contrast or focus, `store`
//! writes them all into the model's input. `window` is the short way of sensor readings.

mod bmp;
mod cut;
mod decode;
mod exif;
mod jpeg;
mod png;
mod readable;
mod store;
#[cfg(test)]
mod tests;
mod turn;
mod warp;
mod window;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use readable::Checks;

use crate::frame::{
    Channels, Colour, Fit, Frame, Geometry, Image, InputSpec, Payload, SharedFrame, Spec, TensorViewMut, Undecodable,
    Unreadable,
};

/// `[pipeline.preprocess]`: how the picture is fitted to the model.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How a picture of another shape fills the model's input; unset = as the model bundle says, else `stretch`.
    pub fit: Option<Fit>,
    /// Parts of the picture, one model input each, in reading order: `{ rect = [x, y, width, height] }` or
    /// `{ quad = [x1, y1, x2, y2, x3, y3, x4, y4] }` (top left, top right, bottom right, bottom left), in pixels of the upright
    /// source picture.
    pub regions: Vec<Region>,
    /// Least contrast of a region: the standard deviation of its luminance (0 to 255) without noise and uneven light. A region below
    /// it is not read. 0 = regions are read whatever their contrast; unset = 1.2.
    #[schemars(range(min = 0.0, max = 128.0))]
    pub min_contrast: Option<f32>,
    /// Whether a region is read only when edges in it are sharp; unset = true.
    pub check_focus: Option<bool>,
}

impl Config {
    /// Requirements of a region to be read.
    pub fn checks(&self) -> Checks {
        Checks {
            min_contrast: self.min_contrast.unwrap_or(readable::MIN_CONTRAST),
            focus: self.check_focus.unwrap_or(true),
        }
    }
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

impl Region {
    /// Checks that it makes sense for any picture: finite, with an area, and convex.
    ///
    /// # Errors
    /// The fault, in words.
    pub fn check(&self) -> Result<(), String> {
        let values: &[f32] = match self {
            Region::Rect(rect) => rect,
            Region::Quad(quad) => quad,
        };
        if !values.iter().all(|v| v.is_finite()) {
            return Err("a coordinate is not a finite number".into());
        }
        match self {
            Region::Rect([_, _, width, height]) if *width <= 0.0 || *height <= 0.0 => {
                Err("width and height must be above 0".into())
            }
            Region::Quad(quad) if !warp::is_convex(&warp::corners(quad)) => {
                Err("the corners must go round a convex shape: top left, top right, bottom right, bottom left".into())
            }
            _ => Ok(()),
        }
    }

    /// The same part of the picture when it has `to` instead of `from` pixels, each `[width, height]`.
    fn rescaled(&self, from: [u32; 2], to: [u32; 2]) -> Region {
        let factor = |axis: usize| to[axis] as f32 / from[axis].max(1) as f32;
        let factors = [factor(0), factor(1)];
        match self {
            Region::Rect(rect) => Region::Rect(std::array::from_fn(|i| rect[i] * factors[i % 2])),
            Region::Quad(quad) => Region::Quad(std::array::from_fn(|i| quad[i] * factors[i % 2])),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Region::Rect(rect) => write!(f, "rect = {rect:?}"),
            Region::Quad(quad) => write!(f, "quad = {quad:?}"),
        }
    }
}

/// Reason for which a frame could not become a model input. The frame is lost; the pipeline goes on.
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
    /// The picture is larger than [`MAX_PIXELS`], or a raw picture has fewer bytes than its size needs.
    #[error("{0}")]
    Size(String),
    /// A region lies outside the picture.
    #[error("region {index} ({region}) lies outside the {width}x{height} picture")]
    Region {
        /// Index of the region, from 0.
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
        /// Index of the region, from 0.
        index: usize,
        /// As configured.
        region: String,
        /// The fault.
        reason: String,
    },
    /// A window where a picture is wanted, other channels than the model's, …
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

/// Pictures with more pixels than this are refused (a decompression bomb must not take the board down).
pub const MAX_PIXELS: u64 = 64 << 20;

/// Source pixels per model pixel from which on nothing is lost: 1, less what rounding to whole pixels takes.
const ENOUGH: f64 = 0.99;

/// Turns frames into model inputs; owns the scratch buffers.
pub struct Preprocessor {
    spec: Spec,
    regions: Vec<Region>,
    checks: Checks,
    decoder: decode::Decoder,
    cutter: cut::Cutter,
    store: Option<store::Store>,
    windows: window::WindowStore,
    placements: Vec<cut::Placement>,
    geometry: Vec<Geometry>,
    unreadable: Vec<Option<Unreadable>>,
}

impl Preprocessor {
    /// A preprocessor for one model input. `regions` empty = the whole picture is the one item. Regions are not checked until
    /// [`Preprocessor::with_checks`] says so.
    pub fn new(spec: Spec, regions: Vec<Region>) -> Self {
        Preprocessor {
            store: store_for(&spec),
            spec,
            regions,
            checks: Checks::NONE,
            decoder: decode::Decoder::default(),
            cutter: cut::Cutter::default(),
            windows: window::WindowStore::default(),
            placements: Vec::new(),
            geometry: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// The same, with regions checked. A whole picture is never checked.
    pub fn with_checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// Replaces the input's form (the governor chose another resolution or batch) and keeps the buffers.
    pub fn set_spec(&mut self, spec: Spec) {
        self.store = store_for(&spec);
        self.windows.reset();
        self.spec = spec;
    }

    /// Writes `frame` into items `first_item..` of `input` (as many as there are regions, else one) and says how each was
    /// cut, in order (empty for windows). Writes nothing when it fails.
    ///
    /// # Errors
    /// See [`PreprocessError`]; never panics, whatever the bytes are.
    pub fn run(
        &mut self,
        frame: &Frame,
        input: TensorViewMut<'_>,
        first_item: usize,
    ) -> Result<&[Geometry], PreprocessError> {
        self.fill(frame, None, input, first_item)
    }

    /// [`Preprocessor::run`] over a frame with several readers, which is decoded at most once for all of them.
    ///
    /// # Errors
    /// The same.
    pub fn run_shared(
        &mut self,
        frame: &SharedFrame,
        input: TensorViewMut<'_>,
        first_item: usize,
    ) -> Result<&[Geometry], PreprocessError> {
        self.fill(frame, Some(frame), input, first_item)
    }

    fn fill(
        &mut self,
        frame: &Frame,
        shared: Option<&SharedFrame>,
        mut input: TensorViewMut<'_>,
        first_item: usize,
    ) -> Result<&[Geometry], PreprocessError> {
        self.geometry.clear();
        self.unreadable.clear();
        let (spec, store, image) = match (&self.spec, &self.store, &frame.payload) {
            (Spec::Image(spec), Some(store), Payload::Image(image)) => (spec, store, image),
            (Spec::Window(spec), _, Payload::Window(window)) => {
                self.windows.write(spec, window, &mut input, first_item)?;
                return Ok(&self.geometry);
            }
            (Spec::Window(_), ..) => {
                return Err(PreprocessError::Mismatch(
                    "the model wants a window of sensor readings, the source gives pictures".into(),
                ));
            }
            (Spec::Image(_), ..) => {
                return Err(PreprocessError::Mismatch(
                    "the model wants pictures, the source gives windows of sensor readings".into(),
                ));
            }
        };
        store::Store::check(spec, &input, first_item, self.regions.len().max(1))?;
        let grey = spec.colour == Colour::Grey;
        let picture = match shared {
            Some(shared) => self.decoder.shared(shared, image, grey)?,
            None => self.decoder.decode(image, grey)?,
        };
        let (source, size) = ([picture.width, picture.height], [spec.height, spec.width]);
        let sideways = picture.sideways;
        self.placements.clear();
        if self.regions.is_empty() {
            self.placements.push(cut::place(None, source, size, spec.fit)?);
        }
        for (index, region) in self.regions.iter().enumerate() {
            let full = image.full.map(|[width, height]| if sideways { [height, width] } else { [width, height] });
            let region = &full.map_or_else(|| region.clone(), |full| region.rescaled(full, source));
            self.placements.push(cut::place(Some((index, region)), source, size, spec.fit)?);
        }
        for (i, placement) in self.placements.iter().enumerate() {
            let pixels = self.cutter.cut(&picture, placement)?;
            if !self.regions.is_empty() && self.checks != Checks::NONE {
                let [_, _, width, height] = placement.inner;
                let light = |x: usize, y: usize| store::light(&picture, pixels, y * width + x);
                self.unreadable.push(self.checks.judge([width, height], placement.density(), light));
            }
            store.write(spec, &picture, pixels, placement.inner, &mut input, first_item + i);
            self.geometry.push(placement.geometry(source));
        }
        Ok(&self.geometry)
    }

    /// Geometry of each item of the last frame, in order; empty for windows.
    pub fn geometry(&self) -> &[Geometry] {
        &self.geometry
    }

    /// Reason for which each region of the last frame cannot be read, `None` for one that can; empty where regions are not checked.
    pub fn unreadable(&self) -> &[Option<Unreadable>] {
        &self.unreadable
    }

    /// Bytes that the scratch buffers hold, to show that they stop growing.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.decoder.capacity()
            + self.cutter.capacity()
            + self.placements.capacity()
            + self.geometry.capacity()
            + self.unreadable.capacity()
    }
}

/// True if a `[width, height]` picture has fewer pixels than `spec` wants somewhere, so that some item of it would be enlarged.
/// `regions` are in pixels of the `full` picture; a region that does not fit it counts as enlarged.
pub fn enlarges(spec: &InputSpec, regions: &[Region], full: [u32; 2], picture: [u32; 2]) -> bool {
    let size = [spec.height, spec.width];
    let enlarged = |region: Option<(usize, &Region)>| match cut::place(region, picture, size, spec.fit) {
        Ok(placement) => placement.density().iter().any(|pixels| *pixels < ENOUGH),
        Err(_) => true,
    };
    if regions.is_empty() {
        return enlarged(None);
    }
    regions.iter().enumerate().any(|(index, region)| enlarged(Some((index, &region.rescaled(full, picture)))))
}

/// Decodes `image` over what `out` held, to packed RGB `[H, W, 3]`; gives `[width, height]` in pixels. For showing and saving
/// pictures: models are fed by [`Preprocessor::run`].
///
/// # Errors
/// [`PreprocessError::Decode`] and [`PreprocessError::Size`].
pub fn to_rgb(image: &Image, out: &mut Vec<u8>) -> Result<[u32; 2], PreprocessError> {
    let mut decoder = decode::Decoder::default();
    let picture = decoder.decode(image, false)?;
    let pixels = picture.data.chunks_exact(picture.channels.bytes());
    out.clear();
    match picture.channels {
        Channels::Rgb => out.extend_from_slice(picture.data),
        Channels::Bgr => out.extend(pixels.flat_map(|p| p.iter().rev())),
        Channels::Grey | Channels::GreyChroma => {
            out.extend(pixels.flat_map(|p| p.first().map_or([0; 3], |grey| [*grey; 3])));
        }
    }
    Ok([picture.width, picture.height])
}

fn store_for(spec: &Spec) -> Option<store::Store> {
    match spec {
        Spec::Image(spec) => Some(store::Store::new(spec)),
        Spec::Window(_) => None,
    }
}
