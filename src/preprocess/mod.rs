//! From a picture or a sensor window to a model's input: decode, cut, resize, convert colours, normalise, quantise.
//!
//! Pure: no files, no clocks. One [`Preprocessor`] per worker owns the scratch buffers, which stop growing after the first
//! frame of a size.
//!
//! In order: `decode` (with `jpeg`, `png`, `bmp`, `exif` and `orient`) decodes an upright picture, `cut` (with `warp`) scales
//! parts of it to the model's size, `readable` finds regions without contrast or focus, `store` writes them into the model's
//! input. `tiles` says into which parts a picture is cut for a detector, and `held` keeps it decoded for them. `window` writes
//! sensor readings. `shrink` gives the luminance of a picture on a coarse grid.

mod align;
mod bmp;
mod config;
mod crop;
mod cut;
mod decode;
mod error;
mod exif;
mod held;
mod jpeg;
mod orient;
mod picture;
mod png;
mod quantize;
mod readable;
mod region;
mod shrink;
mod store;
#[cfg(test)]
mod tests;
mod tiles;
mod warp;
mod window;

use align::Aligner;
pub use align::{Displacement, MarkError, Marks};
pub use config::Config;
pub use crop::Cropper;
pub use error::PreprocessError;
pub use picture::MAX_PIXELS;
pub use readable::Checks;
pub use region::Region;
pub use shrink::{Coarse, Shrinker};
pub use tiles::{Grid, Tiles};

use std::sync::Arc;

use crate::frame::{
    Channels, Colour, Frame, Geometry, Image, InputSpec, Payload, SharedFrame, Spec, TensorViewMut, Tile, Unreadable,
};

/// Source pixels per model pixel that count as full resolution: 1, with tolerance for rounding to whole pixels.
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
    aligner: Option<Aligner>,
    displacement: Option<Displacement>,
    held: Option<held::Held>,
}

impl Preprocessor {
    /// A preprocessor for one model input. Empty `regions` = the whole picture is the only item. Regions are not checked unless
    /// [`Preprocessor::with_checks`] enables it.
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
            aligner: None,
            displacement: None,
            held: None,
        }
    }

    /// Makes the regions follow these marks.
    pub fn with_marks(mut self, marks: Option<Arc<Marks>>) -> Self {
        self.aligner = marks.map(Aligner::new);
        self
    }

    /// Displacement of the last frame; `None` where its marks were not found, or there are none.
    pub fn displacement(&self) -> Option<Displacement> {
        self.displacement
    }

    /// True where the marks of the last frame were not found: its regions may show anything.
    pub fn is_lost(&self) -> bool {
        self.aligner.is_some() && self.displacement.is_none()
    }

    /// Displaces the regions of the next frames as another preprocessor found it.
    pub fn set_displacement(&mut self, displacement: Option<Displacement>) {
        self.displacement = displacement;
    }

    /// Enables checks of regions. A whole picture is never checked.
    pub fn with_checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// Replaces the input's specification, after a change of resolution or batch, and keeps the buffers.
    pub fn set_spec(&mut self, spec: Spec) {
        self.store = store_for(&spec);
        self.windows.reset();
        self.spec = spec;
    }

    /// Writes `frame` into items `first_item..` of `input`, one per region (or one in total). Returns the mapping of each item in
    /// order, empty for windows. Writes nothing on error.
    ///
    /// # Errors
    /// See [`PreprocessError`]; never panics on any input.
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
            // The task takes them out of the frame.
            (Spec::Readings, _, Payload::Window(_)) => return Ok(&self.geometry),
            (Spec::Readings, ..) => {
                return Err(PreprocessError::Mismatch("the task looks at readings, the source gives pictures".into()));
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
        if let Some(aligner) = &mut self.aligner {
            self.displacement = aligner.find(&picture);
        }
        let displacement = self.displacement;
        self.placements.clear();
        if self.regions.is_empty() {
            self.placements.push(cut::place(None, source, size, spec.fit)?);
        }
        for (index, region) in self.regions.iter().enumerate() {
            let full = image.full.map(|[width, height]| if sideways { [height, width] } else { [width, height] });
            let region = full.map_or_else(|| region.clone(), |full| region.rescaled(full, source));
            let region = &displacement.map_or(region.clone(), |displacement| displacement.region(&region));
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

    /// Decodes the picture of `frame` and keeps it until [`Preprocessor::let_go`] or the next one, for [`Preprocessor::write_tile`]. Of a frame
    /// with several readers (`shared`) it is decoded at most once for all of them. Returns its `[width, height]`.
    ///
    /// # Errors
    /// See [`PreprocessError`].
    pub fn hold(&mut self, frame: &Frame, shared: Option<&Arc<SharedFrame>>) -> Result<[u32; 2], PreprocessError> {
        self.held = None;
        let grey = self.wants_grey();
        let held = held::Held::new(&mut self.decoder, frame, shared, grey)?;
        let picture = held.picture(&mut self.decoder, grey)?;
        let size = [picture.width, picture.height];
        self.held = Some(held);
        Ok(size)
    }

    /// Forgets the picture that was kept, so that its buffer can be used again.
    pub fn let_go(&mut self) {
        self.held = None;
    }

    /// Writes a part of the kept picture into item 0 of `input`, as if it were a picture by itself: the mapping that it returns is from
    /// model pixels to pixels of the tile. Regions and their checks are left aside.
    ///
    /// # Errors
    /// [`PreprocessError::Mismatch`] where no picture is kept or the model takes none.
    pub fn write_tile(&mut self, tile: Tile, mut input: TensorViewMut<'_>) -> Result<Geometry, PreprocessError> {
        let grey = self.wants_grey();
        let (Spec::Image(spec), Some(store), Some(held)) = (&self.spec, &self.store, &self.held) else {
            return Err(PreprocessError::Mismatch("there is no picture to take a tile of".into()));
        };
        store::Store::check(spec, &input, 0, 1)?;
        let picture = held.picture(&mut self.decoder, grey)?;
        let (source, size) = ([picture.width, picture.height], [spec.height, spec.width]);
        let rect = Region::Rect([tile.x, tile.y, tile.width, tile.height].map(|v| v as f32));
        let placement = cut::place(Some((0, &rect)), source, size, spec.fit)?;
        let pixels = self.cutter.cut(&picture, &placement)?;
        store.write(spec, &picture, pixels, placement.inner, &mut input, 0);
        let Geometry { scale, offset: [x, y], .. } = placement.geometry(source);
        Ok(Geometry { scale, offset: [x - tile.x as f32, y - tile.y as f32], source: tile.size() })
    }

    fn wants_grey(&self) -> bool {
        matches!(&self.spec, Spec::Image(spec) if spec.colour == Colour::Grey)
    }

    /// Geometry of each item of the last frame, in order; empty for windows.
    pub fn geometry(&self) -> &[Geometry] {
        &self.geometry
    }

    /// Reason for which each region of the last frame cannot be read, `None` for one that can; empty where regions are not checked.
    pub fn unreadable(&self) -> &[Option<Unreadable>] {
        &self.unreadable
    }

    /// Capacity of the scratch buffers in bytes.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.decoder.capacity()
            + self.cutter.capacity()
            + self.placements.capacity()
            + self.geometry.capacity()
            + self.unreadable.capacity()
    }
}

/// `true` when a `[width, height]` picture has too few pixels for `spec`, so that an item or a tile would be enlarged. `regions` are in
/// pixels of the `full` picture; a region that does not fit it counts as enlarged.
pub fn enlarges(spec: &InputSpec, regions: &[Region], tiles: Option<Tiles>, full: [u32; 2], picture: [u32; 2]) -> bool {
    let size = [spec.height, spec.width];
    if let Some(tiles) = tiles {
        // Rounded to whole pixels as everywhere.
        let enough = |least: u32, pixels: u32| f64::from(pixels) >= f64::from(least) * ENOUGH;
        let least = tiles.least_picture(size);
        return !enough(least[0], picture[0]) || !enough(least[1], picture[1]);
    }
    let enlarged = |region: Option<(usize, &Region)>| match cut::place(region, picture, size, spec.fit) {
        Ok(placement) => placement.density().iter().any(|pixels| *pixels < ENOUGH),
        Err(_) => true,
    };
    if regions.is_empty() {
        return enlarged(None);
    }
    regions.iter().enumerate().any(|(index, region)| enlarged(Some((index, &region.rescaled(full, picture)))))
}

/// Decodes `image` to packed RGB `[H, W, 3]` in `out`. Returns `[width, height]` in pixels. For display and storage; models are
/// fed by [`Preprocessor::run`].
///
/// # Errors
/// [`PreprocessError::Decode`] and [`PreprocessError::Size`].
pub fn to_rgb(image: &Image, out: &mut Vec<u8>) -> Result<[u32; 2], PreprocessError> {
    let mut decoder = decode::Decoder::default();
    Ok(rgb_of(&decoder.decode(image, false)?, out))
}

/// [`to_rgb`] of the `image` of a frame that was decoded for its pipeline: where that was in colours, it is not decoded again.
///
/// # Errors
/// As [`to_rgb`].
pub fn shared_to_rgb(frame: &SharedFrame, image: &Image, out: &mut Vec<u8>) -> Result<[u32; 2], PreprocessError> {
    let mut decoder = decode::Decoder::default();
    Ok(rgb_of(&decoder.shared(frame, image, false)?, out))
}

/// Writes a picture as packed RGB; its `[width, height]`.
fn rgb_of(picture: &picture::Picture<'_>, out: &mut Vec<u8>) -> [u32; 2] {
    let pixels = picture.data.chunks_exact(picture.channels.bytes());
    out.clear();
    match picture.channels {
        Channels::Rgb => out.extend_from_slice(picture.data),
        Channels::Bgr => out.extend(pixels.flat_map(|p| p.iter().rev())),
        Channels::Grey | Channels::GreyChroma => {
            out.extend(pixels.flat_map(|p| p.first().map_or([0; 3], |grey| [*grey; 3])));
        }
    }
    [picture.width, picture.height]
}

fn store_for(spec: &Spec) -> Option<store::Store> {
    match spec {
        Spec::Image(spec) => Some(store::Store::new(spec)),
        Spec::Window(_) | Spec::Readings => None,
    }
}
