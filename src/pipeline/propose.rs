//! The regions of a meter proposed from one photo: the search of `propose`, with the two models that read meters.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use leptond_governor::Setpoint;

use super::error::{PlanError, StageError};
use super::meter::{DIALS_MODEL, DIGITS_MODEL};
use super::planner::{Planner, open_bundle};
use super::stages::Stages;
use crate::frame::{Frame, Image, Outcome, PixelFormat, Spec};
use crate::preprocess::{self, PreprocessError, Region};
use crate::propose::{self, DialSeen, DigitSeen, Judge, Place};
use crate::{model, task};

/// Pictures of one run of a model.
const BATCH: usize = 16;

/// Regions of a meter as a photo shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// `[width, height]` of the upright photo in pixels, which the regions are in.
    pub size: [u32; 2],
    /// Its digits, most significant first; none where nothing convinces.
    pub digits: Vec<ProposedRegion>,
    /// Its dials, most significant first.
    pub dials: Vec<ProposedRegion>,
}

impl Proposal {
    /// True where nothing was found.
    pub fn is_empty(&self) -> bool {
        self.digits.is_empty() && self.dials.is_empty()
    }

    /// The regions of the digits, and those of the dials.
    pub fn regions(&self) -> [Vec<Region>; 2] {
        [&self.digits, &self.dials].map(|places| places.iter().map(|place| place.region.clone()).collect())
    }
}

/// One digit or dial.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposedRegion {
    /// Its part of the picture.
    pub region: Region,
    /// Evidence that it is one, 0 to 1.
    pub score: f32,
}

/// Reason for which nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The photo cannot be decoded.
    #[error(transparent)]
    Picture(#[from] PreprocessError),
    /// A model that reads meters cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A model failed.
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// Looks for the digits and dials of a meter in a photo; the models are looked for in `dirs`, else they are those of the program.
///
/// # Errors
/// [`ProposeError`]; a photo without a meter is a proposal without regions.
pub fn propose(photo: &Image, dirs: &[PathBuf]) -> Result<Proposal, ProposeError> {
    let mut rgb = Vec::new();
    let size = preprocess::to_rgb(photo, &mut rgb)?;
    let mut models = Models { digits: Reader::new(DIGITS_MODEL, dirs)?, dials: Reader::new(DIALS_MODEL, dirs)? };
    let found = propose::find(&rgb, size, &mut models)?;
    let regions = |places: &[Place]| places.iter().map(ProposedRegion::from).collect();
    Ok(Proposal { size, digits: regions(&found.digits), dials: regions(&found.dials) })
}

impl From<&Place> for ProposedRegion {
    fn from(place: &Place) -> Self {
        let round = |v: f32| (v * 10.0).round() / 10.0;
        let [a, b, c, d] = place.corners.map(|p| p.map(round));
        let upright = a[1] == b[1] && c[1] == d[1] && a[0] == d[0] && b[0] == c[0];
        let region = if upright {
            Region::Rect([a[0], a[1], round(c[0] - a[0]), round(c[1] - a[1])])
        } else {
            Region::Quad([a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]])
        };
        ProposedRegion { region, score: place.score }
    }
}

/// The models that read digits and dials.
struct Models {
    digits: Reader,
    dials: Reader,
}

/// One of them, compiled for many small pictures at a time.
struct Reader {
    stages: Stages,
    size: [usize; 2],
    frame: Frame,
    labels: Option<Labels>,
}

/// Classes of the first output.
struct Labels {
    /// Digits with their class.
    digits: Vec<(u8, usize)>,
    /// All classes, none among them.
    count: usize,
}

impl Reader {
    fn new(name: &str, dirs: &[PathBuf]) -> Result<Reader, ProposeError> {
        let bundle = open_bundle(name, dirs)?;
        let task = task::PositionConfig::of_any_score().into();
        let planner = Planner::new(bundle, model::Engine::default(), 1, preprocess::Config::default(), &task)?;
        let stages = planner.stages(&Setpoint { batch: BATCH, ..Setpoint::full() })?;
        let size = match stages.spec() {
            Spec::Image(spec) => [spec.height, spec.width],
            Spec::Window(_) => return Err(PlanError::Task(format!("{name}: takes readings, not pictures")).into()),
        };
        let spec = stages.task_spec();
        let digits = spec.labels.iter().enumerate().filter_map(|(class, label)| {
            label.parse().ok().filter(|digit: &u8| *digit < 10).map(|digit| (digit, class))
        });
        let (digits, count) = (digits.collect::<Vec<_>>(), spec.labels.len());
        let labels = (digits.len() == 10).then_some(Labels { digits, count });
        Ok(Reader { stages, size, frame: Frame::empty(), labels })
    }

    /// Runs the model over pictures; gives for each the position with its score, and the likeliest digit with that of the labels.
    fn read(&mut self, pictures: &[Vec<u8>], format: PixelFormat) -> Result<Vec<Seen>, StageError> {
        let mut seen = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(BATCH) {
            for (index, picture) in batch.iter().enumerate() {
                let image = self.frame.image_mut();
                (image.format, image.width, image.height) = (format, self.size[1] as u32, self.size[0] as u32);
                image.data.clone_from(picture);
                self.stages.prepare(&self.frame, index)?;
            }
            self.stages.infer()?;
            let outputs = self.stages.outputs();
            for index in 0..batch.len() {
                let output = self.stages.interpret(index, Duration::ZERO, SystemTime::UNIX_EPOCH)?;
                let position = match &output.outcome {
                    Outcome::Position { positions } => {
                        positions.first().and_then(|read| Some((read.position?, read.score)))
                    }
                    _ => None,
                };
                seen.push(Seen { position, digit: self.digit(&outputs, index) });
            }
        }
        Ok(seen)
    }

    /// The likeliest digit of one picture by the labels, and its score.
    fn digit(&self, outputs: &[Vec<f32>], index: usize) -> (u8, f32) {
        let Some(Labels { digits, count }) = &self.labels else { return (0, 0.0) };
        let row = outputs.first().and_then(|values| values.get(index * count..(index + 1) * count));
        let Some(row) = row else { return (0, 0.0) };
        let highest = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = row.iter().map(|v| (v - highest).exp()).sum();
        let score = |class: usize| row.get(class).map_or(0.0, |v| (v - highest).exp() / sum);
        let best = digits.iter().map(|(digit, class)| (*digit, score(*class)));
        best.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
    }
}

/// Answer of a model to one picture.
struct Seen {
    position: Option<(f32, f32)>,
    digit: (u8, f32),
}

impl Judge for Models {
    type Error = StageError;

    fn digit_size(&self) -> [usize; 2] {
        self.digits.size
    }

    fn dial_size(&self) -> [usize; 2] {
        self.dials.size
    }

    fn digits(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DigitSeen>, StageError> {
        let seen = self.digits.read(pictures, PixelFormat::Gray8)?;
        Ok(seen
            .into_iter()
            .map(|Seen { position, digit: (digit, score) }| DigitSeen { digit, score, position })
            .collect())
    }

    fn dials(&mut self, pictures: &[Vec<u8>]) -> Result<Vec<DialSeen>, StageError> {
        let seen = self.dials.read(pictures, PixelFormat::Rgb8)?;
        Ok(seen.into_iter().map(|Seen { position, .. }| DialSeen { position }).collect())
    }
}
