//! A trial of a bundle on this computer: loaded, compiled, run through all its stages on two pictures, and over its golden inputs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::frame::{Frame, Outcome, PixelFormat, Spec, TaskKind};
use crate::model::{Bundle, Engine, LoadedModel, ModelError};
use crate::pipeline::offline::{self, GoldenFailure, OfflineError};
use crate::pipeline::{PlanError, Planner, StageError, Stages, size_inputs, trial};

/// Result of a trial that went well.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The arithmetic that runs.
    pub engine: &'static str,
    /// One inference in ms, the quickest of three.
    pub infer_ms: f64,
    /// The task that reads the outputs.
    pub task: TaskKind,
    /// Golden inputs that gave what they should: all of them.
    pub golden: usize,
    /// It takes pictures; else windows of readings.
    pub pictures: bool,
    /// Inputs of the model beside the one that a pipeline fills.
    pub idle_inputs: Vec<String>,
    /// Remarks on its results, one sentence each.
    pub notes: Vec<String>,
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The model cannot be opened, loaded or compiled.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No stages can be made of it.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The stages fail on a picture or readings.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Its golden inputs cannot be run.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// A head that was guessed gives doubtful results.
    #[error("{doubts}; should it be right all the same, --head {head} says so")]
    Doubtful {
        /// The doubts, one sentence each.
        doubts: String,
        /// The head.
        head: &'static str,
    },
    /// Golden inputs do not give what they should.
    #[error("{count} of {of} golden inputs give something else, the first {}: {}", first.file, first.reason)]
    Golden {
        /// Golden inputs that failed.
        count: usize,
        /// Golden inputs.
        of: usize,
        /// The first that failed.
        first: GoldenFailure,
    },
}

/// Runs the bundle in `dir`. What is doubtful about the results is a note where a person said what they mean, and an error where
/// that was only `guessed`.
///
/// # Errors
/// [`ProveError`] with the tensor, operator or golden input.
pub fn prove(dir: &Path, guessed: bool, state_dir: Option<&Path>) -> Result<Proof, ProveError> {
    let bundle = Bundle::open(dir)?;
    trial::try_out(&bundle, state_dir)?;
    let mut idle_inputs = Vec::new();
    for rung in 0..bundle.variants().len() {
        let loaded = LoadedModel::load(&bundle, rung, Engine::Auto, 1)?;
        if rung == 0 {
            let idle = loaded.info().inputs.iter().skip(1).map(|input| input.name.clone());
            idle_inputs = idle.filter(|name| !size_inputs::is_size(name)).collect();
        }
    }
    let planner = Planner::of_bundle(bundle.clone(), Engine::Auto, 1)?;
    let mut stages = planner.stages(&planner.full())?;
    let mut quickest = Duration::MAX;
    let trials = [1, 2].map(|seed| try_on(&mut stages, seed, &mut quickest));
    let mut notes = Vec::new();
    let [first, second] = trials;
    let (first, second) = (first?, second?);
    if planner.kind().has_objects() {
        let mut doubts = first.doubts;
        doubts.extend(second.doubts);
        doubts.sort();
        doubts.dedup();
        if guessed && !doubts.is_empty() {
            let head = bundle.manifest().output.head.map_or("", |head| head.word());
            let doubts = doubts.join("; ");
            return Err(ProveError::Doubtful { doubts, head });
        }
        notes.extend(doubts);
        if first.outputs == second.outputs {
            notes.push("it gives the same for two pictures that differ".into());
        }
        notes.push(match first.objects + second.objects {
            0 => "nothing was found on the two drawn pictures it was tried on, which need not mean anything".into(),
            n => format!("{n} objects were found on the two drawn pictures it was tried on"),
        });
    }
    let (golden, failures) = offline::golden(&bundle, Engine::Auto)?;
    let count = failures.len();
    if let Some(first) = failures.into_iter().next() {
        return Err(ProveError::Golden { count, of: golden, first });
    }
    let infer_ms = quickest.as_secs_f64() * 1e3;
    let pictures = matches!(stages.spec(), Spec::Image(_));
    Ok(Proof { engine: stages.engine(), infer_ms, task: planner.kind(), golden, pictures, idle_inputs, notes })
}

/// Result of one run.
struct Trial {
    /// The values of the model's outputs.
    outputs: Vec<Vec<f32>>,
    /// Reasons against their being what the task takes them for.
    doubts: Vec<String>,
    /// Objects that were found.
    objects: usize,
}

/// Runs the stages on the picture of this number; `quickest` becomes the least time of an inference.
fn try_on(stages: &mut Stages, seed: u32, quickest: &mut Duration) -> Result<Trial, StageError> {
    let frame = sample(stages, seed);
    stages.prepare(&frame, 0)?;
    for _ in 0..2 {
        let before = Instant::now();
        stages.infer()?;
        *quickest = (*quickest).min(before.elapsed());
    }
    let doubts = stages.doubts()?;
    let output = stages.interpret(0, Duration::ZERO, SystemTime::now())?;
    let objects = match &output.outcome {
        Outcome::Detect { detections, .. } => detections.len(),
        _ => 0,
    };
    Ok(Trial { outputs: stages.outputs(), doubts, objects })
}

/// A drawn picture, or readings that are all zero.
fn sample(stages: &Stages, seed: u32) -> Frame {
    let mut frame = Frame::empty();
    match stages.spec() {
        Spec::Image(spec) => {
            let image = frame.image_mut();
            (image.format, image.width, image.height) = (PixelFormat::Rgb8, spec.width as u32, spec.height as u32);
            image.data = scene(spec.width, spec.height, seed);
        }
        Spec::Window(spec) => {
            let window = frame.window_mut();
            window.channels = Arc::from(spec.channels.clone());
            window.rows = spec.rows;
            window.data = vec![0.0; stages.item_len()];
        }
        Spec::Readings => {
            let window = frame.window_mut();
            (window.channels, window.rows, window.data) = (Arc::from(["value".to_owned()]), 1, vec![0.0]);
        }
    }
    frame
}

/// `[height, width, 3]`: a sky that gets lighter towards a ground, with boxes and discs of all colours and sizes, and noise. Another
/// `seed` is another picture.
fn scene(width: usize, height: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    // Numerical Recipes' linear congruential generator: any noise will do.
    let mut chance = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below.max(1)
    };
    let shapes: Vec<_> = (0..12)
        .map(|_| {
            let radius = 2 + chance(width.min(height) / 4);
            let colour = [chance(256), chance(256), chance(256)];
            (chance(width), chance(height), radius, chance(2) == 0, colour)
        })
        .collect();
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let light = 90 + 100 * y / height;
            let mut colour = if y * 3 < height * 2 { [light - 20, light, light + 40] } else { [110, 100, 80] };
            for &(cx, cy, radius, disc, own) in &shapes {
                let (dx, dy) = (x.abs_diff(cx), y.abs_diff(cy));
                if if disc { dx * dx + dy * dy <= radius * radius } else { dx <= radius && dy * 2 <= radius * 3 } {
                    colour = own;
                }
            }
            let noise = chance(17);
            data.extend(colour.map(|c| (c + noise).saturating_sub(8).min(255) as u8));
        }
    }
    data
}
