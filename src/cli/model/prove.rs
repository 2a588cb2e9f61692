//! Whether a bundle runs on this computer: loaded, compiled, run once through all its stages, and over its golden inputs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::daemon::offline;
use crate::daemon::stages::{Planner, Stages};
use crate::frame::{Frame, PixelFormat, Spec, TaskKind};
use crate::model::{Bundle, Engine, LoadedModel};
use crate::{preprocess, task};

/// What came of it.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The arithmetic that runs.
    pub engine: &'static str,
    /// One inference in ms, the quickest of three.
    pub infer_ms: f64,
    /// What is made of the outputs.
    pub task: TaskKind,
    /// Golden inputs that gave what they should: all of them.
    pub golden: usize,
    /// Whether it takes pictures; else windows of readings.
    pub pictures: bool,
    /// Inputs of the model beside the one that a pipeline fills.
    pub idle_inputs: Vec<String>,
}

/// Runs the bundle in `dir`.
///
/// # Errors
/// Why it cannot be used, with the tensor, operator or golden input.
pub fn prove(dir: &Path) -> Result<Proof, String> {
    let bundle = Bundle::open(dir).map_err(|e| e.to_string())?;
    super::super::try_out(&bundle).map_err(|e| e.to_string())?;
    let mut idle_inputs = Vec::new();
    for rung in 0..bundle.rungs().len() {
        let loaded = LoadedModel::load(&bundle, rung, Engine::Auto, 1).map_err(|e| hint(e.to_string()))?;
        if rung == 0 {
            idle_inputs = loaded.info().inputs.iter().skip(1).map(|input| input.name.clone()).collect();
        }
    }
    let preprocess = preprocess::Config::default();
    let planner = Planner::new(bundle.clone(), Engine::Auto, 1, preprocess, &task::Config::default())
        .map_err(|e| hint(e.to_string()))?;
    let mut stages = planner.stages(&planner.full()).map_err(|e| hint(e.to_string()))?;
    let frame = blank(&stages);
    stages.prepare(&frame, 0).map_err(|e| e.to_string())?;
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let before = Instant::now();
        stages.infer().map_err(|e| e.to_string())?;
        quickest = quickest.min(before.elapsed());
    }
    stages.interpret(0, Duration::ZERO, SystemTime::now()).map_err(|e| e.to_string())?;
    let (golden, failures) = offline::golden(&bundle, Engine::Auto).map_err(|e| e.to_string())?;
    if let Some(first) = failures.first() {
        let count = failures.len();
        return Err(format!(
            "{count} of {golden} golden inputs give something else, the first {}: {}",
            first.file, first.reason
        ));
    }
    let infer_ms = quickest.as_secs_f64() * 1e3;
    let pictures = matches!(stages.spec(), Spec::Image(_));
    Ok(Proof { engine: stages.engine(), infer_ms, task: planner.kind(), golden, pictures, idle_inputs })
}

/// What to say on the command line where the file leaves something open.
fn hint(error: String) -> String {
    let open = error.contains("is open in the file");
    if open { format!("{error}: say --size HEIGHTxWIDTH, or --rows and --channels for readings") } else { error }
}

/// A grey picture, or readings that are all zero.
fn blank(stages: &Stages) -> Frame {
    let mut frame = Frame::empty();
    match stages.spec() {
        Spec::Image(spec) => {
            let image = frame.image_mut();
            (image.format, image.width, image.height) = (PixelFormat::Rgb8, spec.width as u32, spec.height as u32);
            image.data = vec![128; spec.width * spec.height * 3];
        }
        Spec::Window(spec) => {
            let window = frame.window_mut();
            window.channels = Arc::from(spec.channels.clone());
            window.rows = spec.rows;
            window.data = vec![0.0; stages.item_len()];
        }
    }
    frame
}
