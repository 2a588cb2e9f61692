//! Every form of a model made and judged: channels removed, in floats and in bytes, at each resolution.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use prost::Message as _;
use tract_onnx::pb::ModelProto;

use super::Judge;
use super::args::Args;
use super::point::Point;
use crate::cli::Failure;
use crate::cli::compress::{Part, Shown, ends_in_softmax, failed, form, whole};
use crate::cli::output::tell;
use crate::frame::{Spec, TaskKind};
use crate::model::execute::graph_that_runs;
use crate::model::{Bundle, Engine, PlanKey};
use crate::pipeline::{FileSamples, Planner};
use leptond_engine::compress::CompressError;
use leptond_engine::compress::prune::{self, Pruner, Target};
use leptond_engine::compress::quantize::{Prepared, Settings};
use leptond_governor::Setpoint;

/// Multiple that a resolution taken by itself is rounded to: of large pictures and of small ones.
const MULTIPLES: (usize, usize) = (32, 4);
/// Longer side from which a picture is a large one.
const LARGE: usize = 128;

/// The model with all that is needed to make and judge forms of it.
pub(super) struct Trial<'a> {
    args: &'a Args,
    bundle: &'a Bundle,
    model: ModelProto,
    /// Task of a bare model, where its outputs or the data say it.
    task: Option<TaskKind>,
    calibration: Part<'a>,
    executor: Shown,
    judge: RefCell<Judge>,
    /// Resolutions to be tried, its own first; none for what is no picture.
    sizes: Vec<[usize; 2]>,
}

impl<'a> Trial<'a> {
    /// Loads the model and runs it over the data.
    pub(super) fn new(args: &'a Args, bundle: &'a Bundle, samples: &'a FileSamples) -> Result<Self, Failure> {
        let model = graph_that_runs(bundle).map_err(anyhow::Error::from)?;
        let executor = Shown::new(&args.common.model);
        let sizes = sizes(bundle, args.sizes.as_deref())?;
        let bytes = model.encode_to_vec();
        let (threads, shares) = (args.threads as usize, ends_in_softmax(&model));
        let planning = |classes: bool| planner(bundle, &bytes, classes || shares, &sizes, threads);
        let judge = Judge::new(&args.eval, args.limit, args.common.quant, &planning)?;
        for reason in judge.unread.iter().take(5) {
            tell(&format!("left out: {reason}"));
        }
        if judge.unread.len() > 5 {
            tell(&format!("and {} more", judge.unread.len() - 5));
        }
        if !judge.labelled() {
            tell("--eval has no labels: forms are judged by how often they agree with the model");
        }
        let task = task_of(bundle, judge.has_classes() || shares);
        let (calibration, judge) = (whole(samples), RefCell::new(judge));
        Ok(Trial { args, bundle, model, task, calibration, executor, judge, sizes })
    }

    /// Inputs that forms are judged by.
    pub(super) fn inputs(&self) -> usize {
        self.judge.borrow().inputs()
    }

    /// Task of a bare model, where its outputs or the data say it.
    pub(super) fn task(&self) -> Option<TaskKind> {
        self.task
    }

    /// All forms. What cannot be made is told and left out.
    ///
    /// # Errors
    /// Failure where nothing at all can be made, or the model cannot be run.
    pub(super) fn points(&self) -> Result<Vec<Point>, Failure> {
        let failed = |error: &CompressError| failed(&self.args.common.model, error);
        let all = self.calibration.all();
        let pruner = match self.args.ratios()[..] {
            [_] => None,
            _ => {
                let settings = prune::Settings::default();
                match Pruner::new(&self.model, &self.executor, &self.calibration, &all, settings) {
                    Ok(pruner) => Some(pruner),
                    Err(CompressError::Model(reason)) => {
                        tell(&format!("nothing is pruned: {reason}"));
                        None
                    }
                    Err(error) => return Err(failed(&error)),
                }
            }
        };
        let mut points = Vec::new();
        let mut told = HashSet::new();
        for ratio in self.args.ratios() {
            let model = match (&pruner, ratio > 0.0) {
                (_, false) => self.model.clone(),
                (None, true) => continue,
                (Some(pruner), true) => match pruner.prune(&Target::Ratio(ratio)) {
                    Ok(pruned) => pruned.model,
                    Err(CompressError::Model(reason)) => {
                        tell(&format!("{:.0} % less is left out: {reason}", 100.0 * ratio));
                        continue;
                    }
                    Err(error) => return Err(failed(&error)),
                },
            };
            let quantized = Prepared::new(model.clone(), &self.calibration, &self.executor)
                .and_then(|prepared| prepared.quantize(&Settings::default()))
                .map_err(|error| failed(&error))?;
            self.executor.clear();
            for (int8, model) in [(false, &model), (true, &quantized.model)] {
                let file = Rc::new(model.encode_to_vec());
                for size in self.tried_sizes() {
                    match self.judged(ratio, int8, &file, size) {
                        Ok(point) => points.push(point),
                        Err(reason) if told.insert(size) => {
                            let [height, width] = size.unwrap_or_default();
                            tell(&format!("{height}x{width} is left out: {reason}"));
                        }
                        Err(_) => {}
                    }
                }
            }
        }
        let reference_ms = self.judge.borrow().reference_ms();
        for point in &mut points {
            point.ms = point.judged.time_ratio * reference_ms;
        }
        match points.is_empty() {
            true => Err(anyhow::anyhow!("no form of the model could be judged").into()),
            false => Ok(points),
        }
    }

    fn tried_sizes(&self) -> Vec<Option<[usize; 2]>> {
        if self.sizes.is_empty() { vec![None] } else { self.sizes.iter().copied().map(Some).collect() }
    }

    fn judged(&self, ratio: f64, int8: bool, file: &Rc<Vec<u8>>, size: Option<[usize; 2]>) -> Result<Point, Failure> {
        let mut judge = self.judge.borrow_mut();
        let threads = self.args.threads as usize;
        let planner = planner(self.bundle, file, self.task.is_some(), &self.sizes, threads)?;
        let side = size.and_then(|[height, width]| u32::try_from(height.max(width)).ok());
        let setpoint = Setpoint { resolution: side, threads, ..Setpoint::full() };
        let loaded = planner.load(0).map_err(anyhow::Error::from)?;
        let macs = loaded.report(PlanKey { batch: Some(1), size }).map_err(anyhow::Error::from)?.macs;
        drop(loaded);
        Ok(Point {
            ratio,
            int8,
            size,
            own_size: size == self.sizes.first().copied(),
            file: file.clone(),
            macs,
            judged: judge.judge("a form", planner, &setpoint)?,
            // Known once the model itself was timed beside all forms.
            ms: 0.0,
        })
    }
}

/// The task of a bare model that gives classes.
fn task_of(bundle: &Bundle, classes: bool) -> Option<TaskKind> {
    (bundle.is_bare() && classes).then_some(TaskKind::Classify)
}

/// A planner for a form of the bundle's model.
fn planner(
    bundle: &Bundle,
    model: &[u8],
    classes: bool,
    sizes: &[[usize; 2]],
    threads: usize,
) -> Result<Planner, Failure> {
    let form = form(bundle, model.to_vec(), task_of(bundle, classes), sizes)?;
    Ok(Planner::of_bundle(form, Engine::Auto, threads).map_err(anyhow::Error::from)?)
}

/// Resolutions to be tried, the model's own first; none for what is no picture.
fn sizes(bundle: &Bundle, asked: Option<&[[usize; 2]]>) -> Result<Vec<[usize; 2]>, Failure> {
    let planner = Planner::of_bundle(bundle.clone(), Engine::Auto, 1);
    let loaded = planner.and_then(|planner| planner.load(0)).map_err(anyhow::Error::from)?;
    let own = match loaded.spec(PlanKey::default()) {
        Ok(Spec::Image(image)) => [image.height, image.width],
        _ if asked.is_some() => return Err(Failure::Usage("--sizes: the model takes no pictures".into())),
        _ => return Ok(Vec::new()),
    };
    let smaller = |size: &[usize; 2]| size[0] * size[1] < own[0] * own[1];
    let listed: Vec<[usize; 2]> = bundle.manifest().input.sizes.iter().copied().filter(smaller).collect();
    let fits = |size: &[usize; 2]| loaded.shapes(PlanKey { batch: None, size: Some(*size) });
    if let Some(error) = asked.into_iter().flatten().find_map(|size| fits(size).err()) {
        return Err(anyhow::anyhow!("--sizes: {error}").into());
    }
    let more = match asked {
        Some(asked) => asked.to_vec(),
        None if listed.is_empty() => [(3, 4), (1, 2)].into_iter().filter_map(|share| part(own, share)).collect(),
        None => listed,
    };
    let mut sizes = vec![own];
    for size in more.into_iter().filter(|size| fits(size).is_ok()) {
        // A resolution is known by its longer side.
        if !sizes.iter().any(|known| known.iter().max() == size.iter().max()) {
            sizes.push(size);
        }
    }
    Ok(sizes)
}

/// A part of a resolution, each side rounded to what models take.
fn part([height, width]: [usize; 2], (over, under): (usize, usize)) -> Option<[usize; 2]> {
    let multiple = if height.max(width) >= LARGE { MULTIPLES.0 } else { MULTIPLES.1 };
    let side = |side: usize| (side * over / under + multiple / 2) / multiple * multiple;
    let size = [height, width].map(side);
    (size.iter().all(|side| *side >= multiple) && size != [height, width]).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_resolutions_are_multiples() {
        assert_eq!(part([32, 32], (3, 4)), Some([24, 24]));
        assert_eq!(part([640, 640], (3, 4)), Some([480, 480]));
        assert_eq!(part([352, 352], (1, 2)), Some([192, 192]));
        assert_eq!(part([480, 640], (1, 2)), Some([256, 320]));
        assert_eq!(part([4, 4], (3, 4)), None);
    }
}
